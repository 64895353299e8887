"""DifFIQA(R) and eDifFIQA: one forward pass of a recogniser with a quality head.

DifFIQA(R): Babnik, Peer, Struc, IJCB 2023 (arXiv 2305.05768). eDifFIQA: the same authors, TBIOM 2024
(doi 10.1109/TBIOM.2024.3376236). State-dict keys are those of the published weights. `distillation` trains
them, `files` saves and loads them.
"""
from copy import deepcopy

import torch
from torch import nn

from fiqa_core.methods.batching import Chunks, activation_bytes, check_images
from fiqa_core.recognisers.interface import Recogniser


class QualityMLP(nn.Module):
    """eDifFIQA's head: embeddings (B, D) -> raw quality (B, 1), trained towards 0..1 and not clamped."""

    def __init__(self, embedding_size: int = 512, hidden: int = 1024):
        super().__init__()
        self.l1 = nn.Linear(embedding_size, hidden)
        self.l2 = nn.Linear(hidden, 1)

    def forward(self, embedding):
        return self.l2(nn.functional.gelu(self.l1(embedding)))


class Distilled(nn.Module):
    """What both have in common: images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32.

    backbone   a Recogniser, whose network is copied, so that training leaves the recogniser as it was
    budget     bytes of activations at once; None: chosen for the device

    A subclass names its two parts as its published weights do and tells them by `parts`.
    """

    def __init__(self, backbone: Recogniser, budget: int | None):
        super().__init__()
        # The recogniser without its network: normalisation, size, colour order. It has no state of its own.
        self.preparation = Recogniser(nn.Identity(), backbone.embedding_size, backbone.name, backbone.colour,
                                      backbone.mean.flatten().tolist(), backbone.std.flatten().tolist(),
                                      backbone.size, backbone.columns)
        self.output = backbone.output
        self.chunks = Chunks(budget)

    def parts(self) -> tuple[nn.Module, nn.Module]:
        """(backbone, head)."""
        raise NotImplementedError

    def features(self, images) -> tuple[torch.Tensor, torch.Tensor]:
        """Differentiable: (embedding (B, D), quality (B,)). The head sees the embedding as it comes."""
        backbone, head = self.parts()
        found = backbone(self.preparation(images))
        embedding = found[self.output] if isinstance(found, tuple) else found
        return embedding, head(embedding).squeeze(1)

    def forward(self, images) -> torch.Tensor:
        return self.embed_and_score(images)[1]

    @torch.no_grad()
    def embed_and_score(self, images) -> tuple[torch.Tensor, torch.Tensor]:
        """(embedding (B, D), quality (B,)) of one pass: the model is recogniser and quality method at once.

        Raises FiqaError for unfit images.
        """
        check_images(images)
        if not len(images):
            return images.new_zeros(0, self.preparation.embedding_size), images.new_zeros(0)
        size = self.chunks.size("score", lambda: activation_bytes(
            self.parts()[0], (self.preparation(images[:1]),), False), images.device)

        def kernel(first, last):
            embedding, score = self.features(images[first:last])
            return torch.cat((embedding, score[:, None]), dim=1)

        found = self.chunks.run(kernel, len(images), size)
        return found[:, :-1], found[:, -1]


class DifFIQAR(Distilled):
    """DifFIQA(R): keys `base.*` and `linear.*`.

    backbone   a Recogniser; IResNet100 of CosFace in the paper
    head       Linear(D -> 1); None: a new one
    """

    def __init__(self, backbone: Recogniser, head: nn.Module | None = None, budget: int | None = None):
        super().__init__(backbone, budget)
        self.base = deepcopy(backbone.network)
        self.linear = head or nn.Linear(backbone.embedding_size, 1)
        self.eval()

    def parts(self):
        return self.base, self.linear


class EDifFIQA(Distilled):
    """eDifFIQA: keys `base_model.*`, `mlp.l1.*`, `mlp.l2.*`.

    backbone   a Recogniser; the published ones are IResNet100 (L), 50 (M), 18 (S) and a MobileFaceNet (T)
    head       QualityMLP; None: a new one
    """

    def __init__(self, backbone: Recogniser, head: nn.Module | None = None, budget: int | None = None):
        super().__init__(backbone, budget)
        self.base_model = deepcopy(backbone.network)
        self.mlp = head or QualityMLP(backbone.embedding_size)
        self.eval()

    def parts(self):
        return self.base_model, self.mlp
