"""DifFIQA(R), eDifFIQA and CR-FIQA: one forward pass of a recogniser with a quality head.

DifFIQA(R): Babnik, Peer, Struc, IJCB 2023 (arXiv 2305.05768). eDifFIQA: the same authors, TBIOM 2024
(doi 10.1109/TBIOM.2024.3376236). CR-FIQA: Boutros et al., CVPR 2023 (arXiv 2112.06592). Their networks are in
`networks`; `distillation` trains the first two, `cr_fiqa` the third, `files` saves and loads them.
"""
from copy import deepcopy

import torch
from torch import nn

from fiqa_core.methods.networks import DifFIQARNetwork, EDifFIQANetwork, QualityMLP
from fiqa_core.methods.one_pass import OnePass
from fiqa_core.recognisers.interface import Recogniser


class Distilled(OnePass):
    """What all have in common: images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32.

    network      of `networks`
    preparation  a Recogniser whose network is the identity: normalisation, size, colour order
    budget       bytes of activations at once; None: chosen for the device
    """

    def __init__(self, network: nn.Module, preparation: Recogniser, budget: int | None = None):
        super().__init__(network, budget)
        self.preparation = preparation
        self.eval()

    def parts(self) -> tuple[nn.Module, nn.Module]:
        """(backbone, head), where both were made apart."""
        return self.network.parts()

    def prepare(self, images):
        return self.preparation(images)

    def features(self, images) -> tuple[torch.Tensor, torch.Tensor]:
        """Differentiable: (embedding (B, D), quality (B,))."""
        embedding, quality = self.network.judge(self.prepare(images))
        return embedding, quality.squeeze(1)

    def columns(self, images):
        embedding, quality = self.features(images)
        return torch.cat((embedding, quality[:, None]), dim=1)

    def embed_and_score(self, images) -> tuple[torch.Tensor, torch.Tensor]:
        """(embedding (B, D), quality (B,)) of one pass: the model is recogniser and quality method at once.

        Raises FiqaError for unfit images.
        """
        found = self.score(images)
        return found[:, :-1], found[:, -1]


class DifFIQAR(Distilled):
    """DifFIQA(R).

    backbone   a Recogniser, IResNet-100 of CosFace in the paper; its network is copied, so that training
               leaves the recogniser as it was
    head       Linear(D -> 1); None: a new one
    """

    def __init__(self, backbone: Recogniser, head: nn.Module | None = None, budget: int | None = None):
        head = head or nn.Linear(backbone.embedding_size, 1)
        network = DifFIQARNetwork(deepcopy(backbone.network), head, backbone.output)
        super().__init__(network, preparation_of(backbone), budget)


class EDifFIQA(Distilled):
    """eDifFIQA.

    backbone   a Recogniser, copied; IResNet-100 (L), 50 (M), 18 (S) and a MobileFaceNet (T) in the paper
    head       QualityMLP; None: a new one
    """

    def __init__(self, backbone: Recogniser, head: nn.Module | None = None, budget: int | None = None):
        head = head or QualityMLP(backbone.embedding_size)
        network = EDifFIQANetwork(deepcopy(backbone.network), head, backbone.output)
        super().__init__(network, preparation_of(backbone), budget)


class CRFIQA(Distilled):
    """CR-FIQA; its score has no bounds, about 0.1 to 2.4 with the released weights.

    backbone   a Recogniser, copied; IResNet-50 (S) and 100 (L) in the paper
    head       the linear layer (D -> 1) that was trained together with it, `qs`; None: a new one

    The state dict holds the backbone's own keys and `qs.*`, as the released files do.
    """

    def __init__(self, backbone: Recogniser, head: nn.Module | None = None, budget: int | None = None):
        backbone = deepcopy(backbone)
        backbone.network.qs = head or nn.Linear(backbone.embedding_size, 1)
        super().__init__(backbone.network, preparation_of(backbone), budget)
        self.backbone = backbone.eval()

    def features(self, images):
        embedding = self.backbone.raw(self.backbone.outputs(images))         # what the loss saw in training
        return embedding, self.network.qs(embedding).squeeze(1)


def preparation_of(backbone: Recogniser) -> Recogniser:
    """The recogniser without its network. It has no state of its own."""
    return Recogniser(nn.Identity(), backbone.embedding_size, backbone.name, backbone.colour,
                      backbone.mean.flatten().tolist(), backbone.std.flatten().tolist(), backbone.size,
                      backbone.columns)
