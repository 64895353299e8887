"""DifFIQA(R) and eDifFIQA: one forward pass of a recogniser with a quality head.

DifFIQA(R): Babnik, Peer, Struc, IJCB 2023 (arXiv 2305.05768). eDifFIQA: the same authors, TBIOM 2024
(doi 10.1109/TBIOM.2024.3376236). State-dict keys are those of the published weights. Their training is in
`fiqa_core.methods.distillation`.
"""
import torch
from torch import nn

from fiqa_core.methods.batching import Chunks, activation_bytes, check_images


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

    A subclass names its parts as its published weights do and says which is which in `parts`.
    """

    def __init__(self, backbone, budget: int | None):
        super().__init__()
        self._prepare = getattr(backbone, "prepare", centred)
        self.chunks = Chunks(budget)

    def parts(self) -> tuple[nn.Module, nn.Module]:
        """(backbone, head)."""
        raise NotImplementedError

    def features(self, images) -> tuple[torch.Tensor, torch.Tensor]:
        """Differentiable: (embedding (B, D) raw, quality (B,)). The head sees the embedding as it comes."""
        backbone, head = self.parts()
        embedding = backbone(self._prepare(images))
        return embedding, head(embedding).squeeze(1)

    def forward(self, images) -> torch.Tensor:
        return self.embed_and_score(images)[1]

    @torch.no_grad()
    def embed_and_score(self, images) -> tuple[torch.Tensor, torch.Tensor]:
        """(embedding (B, D), quality (B,)) of one pass: the model is recogniser and quality method at once.

        Raises FiqaError for unfit images.
        """
        check_images(images)
        backbone, _ = self.parts()
        size = self.chunks.size("score", lambda: activation_bytes(
            backbone, (self._prepare(images[:1]),), False), images.device) if len(images) else 1

        def kernel(first, last):
            embedding, score = self.features(images[first:last])
            return torch.cat((embedding, score[:, None]), dim=1)

        found = self.chunks.run(kernel, len(images), size)
        return found[:, :-1], found[:, -1]


class DifFIQAR(Distilled):
    """DifFIQA(R): keys `base.*` and `linear.*`.

    backbone   a Recogniser, or a network for RGB images normalised to (x - 0.5) / 0.5
    head       Linear(D -> 1); None: a new one of the backbone's embedding size
    """

    def __init__(self, backbone, head: nn.Module | None = None, budget: int | None = None):
        super().__init__(backbone, budget)
        self.base = network_of(backbone)
        self.linear = head or nn.Linear(embedding_size_of(backbone), 1)
        self.eval()

    def parts(self):
        return self.base, self.linear


class EDifFIQA(Distilled):
    """eDifFIQA: keys `base_model.*`, `mlp.l1.*`, `mlp.l2.*`.

    backbone   a Recogniser, or a network for RGB images normalised to (x - 0.5) / 0.5; the published sizes
               are IResNet100 (L), IResNet50 (M), IResNet18 (S) and MobileFaceNet (T)
    head       QualityMLP; None: a new one of the backbone's embedding size
    """

    def __init__(self, backbone, head: nn.Module | None = None, budget: int | None = None):
        super().__init__(backbone, budget)
        self.base_model = network_of(backbone)
        self.mlp = head or QualityMLP(embedding_size_of(backbone))
        self.eval()

    def parts(self):
        return self.base_model, self.mlp


def network_of(backbone: nn.Module) -> nn.Module:
    """The bare network of a Recogniser; a bare network itself."""
    return getattr(backbone, "network", backbone)


def embedding_size_of(backbone: nn.Module) -> int:
    """Its `embedding_size`, or what it returns for an image where it does not say."""
    size = getattr(backbone, "embedding_size", None)
    if size is None:
        with torch.no_grad():
            size = backbone.eval()(torch.zeros(1, 3, 112, 112)).shape[1]
    return size


def centred(images: torch.Tensor) -> torch.Tensor:
    """The preparation of the published backbones: RGB (x - 0.5) / 0.5."""
    return (images - 0.5) / 0.5
