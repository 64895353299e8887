"""DifFIQA(R) and eDifFIQA: one forward pass of a recogniser with a quality head.

DifFIQA(R): Babnik, Peer, Struc, IJCB 2023 (arXiv 2305.05768). eDifFIQA: the same authors, TBIOM 2024
(doi 10.1109/TBIOM.2024.3376236). State-dict keys are those of the published weights. Their training is in
`fiqa_core.methods.distillation`.
"""
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from fiqa_core.errors import FiqaError
from fiqa_core.methods.batching import Chunks, activation_bytes, check_images
from fiqa_core.recognisers.catalogue import recogniser_from_catalogue, recogniser_from_config
from fiqa_core.recognisers.checkpoints import load_strictly, read_checkpoint, write_atomically
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
        # The recogniser without its network: normalisation, size and colour order. It has no state of its own.
        self.preparation = Recogniser(nn.Identity(), backbone.embedding_size, backbone.name, backbone.colour,
                                      backbone.mean.flatten().tolist(), backbone.std.flatten().tolist(),
                                      backbone.size, backbone.columns)
        self.output, self.backbone_config = backbone.output, backbone.config
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


PUBLISHED = {"diffiqa_r": (DifFIQAR, "iresnet100"), "ediffiqa_l": (EDifFIQA, "iresnet100"),
             "ediffiqa_m": (EDifFIQA, "iresnet50"), "ediffiqa_s": (EDifFIQA, "iresnet18"),
             "ediffiqa_t": (EDifFIQA, "mobilefacenet_ediffiqa")}
KINDS = {"DifFIQAR": DifFIQAR, "EDifFIQA": EDifFIQA}
FORMAT = "fiqa distilled 1"


def build_distilled(name: str) -> Distilled:
    """An untrained model of a published architecture: a key of PUBLISHED. Raises FiqaError for another name."""
    if name not in PUBLISHED:
        raise FiqaError(f"unknown distilled model {name!r}", f"known names: {', '.join(PUBLISHED)}")
    kind, backbone = PUBLISHED[name]
    return kind(recogniser_from_catalogue(backbone))


def save_distilled(model: Distilled, path: Path) -> None:
    """Write weights and what rebuilds the model, whole or not at all."""
    if model.backbone_config is None:
        raise FiqaError(f"{path}: the backbone has no configuration to rebuild it from",
                        "build it with load_recogniser or train_recogniser")
    hidden = model.mlp.l1.out_features if isinstance(model, EDifFIQA) else 0
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    write_atomically({"format": FORMAT, "kind": type(model).__name__, "hidden": hidden,
                      "backbone": model.backbone_config, "state": state}, path)


def load_distilled(path: Path, name: str = "") -> Distilled:
    """A trained model, frozen: a file of `save_distilled`, or published weights of `name` (a key of PUBLISHED).

    Raises FiqaError for a missing, damaged or unfit file.
    """
    path = Path(path)
    if not path.is_file():
        raise FiqaError(f"{path} is missing", "run the stage that distils it (make repro), or give another path")
    content = read_checkpoint(path)
    if content.get("format") == FORMAT:
        backbone = recogniser_from_config(content["backbone"])
        head = QualityMLP(backbone.embedding_size, content["hidden"]) if content["hidden"] else None
        model, state = KINDS[content["kind"]](backbone, head), content["state"]
    else:
        model, state = build_distilled(name), content
    load_strictly(model, state, str(path))
    return model.eval().requires_grad_(False)
