"""MagFace: the length of an embedding is the quality of its face (Meng, Zhao, Huang, Zhou, CVPR 2021).

A recogniser is trained with a margin that grows with the length of the embedding, and with a reward for
length (arXiv 2103.06627; `recognisers.heads.MagFace`). Faces that are easy to recognise afford long
embeddings, so at test time the length needs no head and no label: it is the score.
"""
import warnings
from pathlib import Path

import torch
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.kernels.chunks import Chunks, check_images, embed
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.training.recogniser import train_recogniser

# Official: IResNet100, batch 512, 25 epochs, lr 0.1. The network wants BGR in [0, 1].
PAPER = {"scale": 64.0, "magnitudes": [10.0, 110.0], "margins": [0.45, 0.8], "penalty": 35.0, "epochs": 25,
         "batch": 512, "lr": 0.1, "colour": "bgr", "mean": 0.0, "std": 1.0}


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


def least_penalty(scale: float, magnitudes, margins) -> float:
    """The weight lambda_g of g(a) from which the loss is sure to have one best length for every face.

    scale s; magnitudes (l_a, u_a); margins (l_m, u_m). With the slope K of the margin it is
    s K u_a^2 l_a^2 / (u_a^2 - l_a^2), as the released code prints. Raises FiqaError where a range is empty.
    """
    (low, high), (least, most) = magnitudes, margins
    if not 0 < low < high or not least < most:
        raise FiqaError(f"MagFace: magnitudes {list(magnitudes)} and margins {list(margins)}",
                        "give each as [lower, upper], magnitudes above 0")
    slope = (most - least) / (high - low)
    return scale * slope * high ** 2 * low ** 2 / (high ** 2 - low ** 2)


def train_magface(faces: FaceSet, recogniser: Recogniser, config: dict, checkpoint: Path, device="cpu",
                  log: Path | None = None) -> MagFace:
    """Train a recogniser with MagFace's loss on `faces`, whose length then is the score.

    recogniser   tells the architecture; its weights are not used
    config       overrides of PAPER and of recognisers.training.DEFAULTS
    checkpoint   written after every epoch; an interrupted run continues from it, with the same result
    log          CSV with one row per epoch

    Warns where the penalty is below `least_penalty`. Raises FiqaError for a configuration that does not fit.
    """
    config = {**recogniser.config, "name": "MagFace", **PAPER, **config, "head": "magface"}
    least = least_penalty(config["scale"], config["magnitudes"], config["margins"])
    if config["penalty"] < least:
        warnings.warn(f"MagFace: penalty {config['penalty']} is below {least:.4g}; lengths may not settle",
                      stacklevel=2)
    return MagFace(train_recogniser(faces, config, checkpoint, device, log))
