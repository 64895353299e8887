"""The bare networks of the methods that score in one pass: prepared images in, embedding and quality out.

State-dict keys are those of the published weights. `distilled` gives these networks the interface of a
quality method.
"""
from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.nn import functional as F

from fiqa_core.recognisers.iresnet import DEPTHS, IResNet


class QualityMLP(nn.Module):
    """eDifFIQA's head: embeddings (B, D) -> raw quality (B, 1), trained towards 0..1 and not clamped."""

    def __init__(self, embedding_size: int = 512, hidden: int = 1024):
        super().__init__()
        self.l1 = nn.Linear(embedding_size, hidden)
        self.l2 = nn.Linear(hidden, 1)

    def forward(self, embedding):
        return self.l2(F.gelu(self.l1(embedding)))


class Joined(nn.Module, ABC):
    """A backbone with a quality head on its embedding; a subclass names both as its published weights do.

    output   which of the backbone's outputs is the embedding, where it returns several
    """

    def __init__(self, output: int = 0):
        super().__init__()
        self.output = output

    @abstractmethod
    def parts(self) -> tuple[nn.Module, nn.Module]:
        """(backbone, head)."""

    def judge(self, prepared) -> tuple[torch.Tensor, torch.Tensor]:
        """(embedding (B, D), quality (B, 1)) of prepared images. The head sees the embedding as it comes."""
        backbone, head = self.parts()
        found = backbone(prepared)
        embedding = found[self.output] if isinstance(found, tuple) else found
        return embedding, head(embedding)


class DifFIQARNetwork(Joined):
    """DifFIQA(R), keys `base.*` and `linear.*`: prepared images -> quality (B, 1)."""

    def __init__(self, base: nn.Module, linear: nn.Module, output: int = 0):
        super().__init__(output)
        self.base = base
        self.linear = linear

    def parts(self):
        return self.base, self.linear

    def forward(self, prepared):
        return self.judge(prepared)[1]


class EDifFIQANetwork(Joined):
    """eDifFIQA, keys `base_model.*` and `mlp.*`: prepared images -> (embedding (B, D), quality (B, 1))."""

    def __init__(self, base_model: nn.Module, mlp: nn.Module, output: int = 0):
        super().__init__(output)
        self.base_model = base_model
        self.mlp = mlp

    def parts(self):
        return self.base_model, self.mlp

    def forward(self, prepared):
        return self.judge(prepared)


class CRFIQANetwork(IResNet):
    """CR-FIQA: an IResNet with one linear layer `qs` more; prepared images -> (embedding, quality (B, 1)).

    Arguments as for IResNet, whose last batch norm is trained completely here.
    """

    def __init__(self, blocks=DEPTHS[100], embedding: int = 512, dropout: float = 0.4, **sizes):
        super().__init__(blocks, embedding=embedding, dropout=dropout, train_scale=True, **sizes)
        self.qs = nn.Linear(embedding, 1)

    def judge(self, prepared):
        """(embedding (B, D), quality (B, 1)); unbounded, about 0.1 to 2.4 with the released weights."""
        embedding = super().forward(prepared)
        return embedding, self.qs(embedding)

    def forward(self, prepared):
        return self.judge(prepared)
