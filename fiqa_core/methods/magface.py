"""MagFace: the length of an embedding is the quality of its face (Meng, Zhao, Huang, Zhou, CVPR 2021).

A recogniser is trained with a margin that grows with the length of the embedding, and with a reward for
length (arXiv 2103.06627; `recognisers.heads.MagFace`). Faces that are easy to recognise afford long
embeddings, so at test time the length needs no head and no label: it is the score of a recogniser that stage
`recogniser` trained with the head `magface`.
"""
import torch
from torch import nn

from fiqa_core.base.method import Method
from fiqa_core.kernels.chunks import Chunks, check_images, embed
from fiqa_core.recognisers.recogniser import Recogniser


class MagFace(nn.Module):
    """Images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32, higher is better.

    backbone   a Recogniser trained with the head `magface`. Any other has a length as well, which then was
               never asked to tell quality
    budget     bytes of activations at once; None: chosen for the device

    The length is not limited to the range that training used. Raises FiqaError for unfit images.
    """

    def __init__(self, backbone: Recogniser, budget: int | None = None):
        super().__init__()
        self.backbone = backbone
        self.chunks = Chunks(budget)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return embed(self.backbone, check_images(images), self.chunks, raw=True).norm(dim=1)


METHODS = [Method("magface", "MagFace", MagFace, needs=("recogniser",))]
