"""eDifFIQA: in one pass a recogniser with a quality head tells what DifFIQA would (TBIOM 2024).

In the paper's order (doi 10.1109/TBIOM.2024.3376236): the network, the labels q_x and their optimisation to
q_o by the distance to the identity's centre, the losses L_q and L_rc. `training.distillation` minimises them.
`Joined` and `Distilled` are shared with DifFIQA(R) and CR-FIQA. State-dict keys are those of the published
weights.
"""
from abc import ABC, abstractmethod
from copy import deepcopy
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.method import Method
from fiqa_core.kernels.chunks import OnePass
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.zoo import recogniser_from_catalogue, recogniser_from_config


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


class Distilled(OnePass):
    """What eDifFIQA, DifFIQA(R) and CR-FIQA have in common: images (B, 3, 112, 112) float32 RGB in [0, 1] ->
    quality (B,) float32.

    network      prepared images -> embedding and quality, by `judge`
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


class EDifFIQA(Distilled):
    """eDifFIQA.

    backbone   a Recogniser, copied; IResNet-100 (L), 50 (M), 18 (S) and a MobileFaceNet (T) in the paper
    head       QualityMLP; None: a new one
    """

    def __init__(self, backbone: Recogniser, head: nn.Module | None = None, budget: int | None = None):
        head = head or QualityMLP(backbone.embedding_size)
        network = EDifFIQANetwork(deepcopy(backbone.network), head, backbone.output)
        super().__init__(network, preparation_of(backbone), budget)

    def as_recogniser(self) -> Recogniser:
        """Its backbone as a recogniser, which it was trained to stay: its second role."""
        recogniser = recogniser_from_config(self.preparation.config)
        recogniser.network.load_state_dict(self.parts()[0].state_dict())
        return recogniser.freeze()


def preparation_of(backbone: Recogniser) -> Recogniser:
    """The recogniser without its network. It has no state of its own."""
    return Recogniser(nn.Identity(), backbone.embedding_size, backbone.name, backbone.colour, backbone.mean,
                      backbone.std, backbone.size, backbone.columns, config=backbone.config)


PAPER = dict(epochs=3, batch=128, head_lr=1e-3, backbone_lr=1e-4, trained_tensors=100, clip=5.0,
             validation=0.1, beta=0.2, min_images=10, epsilon=0.5, theta=0.5, variant="reference", seed=0)


def min_max(scores: np.ndarray) -> np.ndarray:
    """Scores (N,) mapped linearly to [0, 1] over the training list. Raises FiqaError for unfit scores."""
    scores = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(scores).all() or scores.max() == scores.min():
        raise FiqaError("the DifFIQA scores to learn from are not finite, or all equal",
                        "score the training set again")
    return (scores - scores.min()) / (scores.max() - scores.min())


def class_centres(embeddings: torch.Tensor, identities, scores: np.ndarray, beta: float = 0.2,
                  min_images: int = 10) -> tuple[torch.Tensor, np.ndarray]:
    """Centres (C, D) of identities from their best images, and each image's row in them ((N,), -1: none).

    Best are images at or above the score at rank beta of all; an identity with fewer than min_images of
    them has no centre. Raises FiqaError if none has one.
    """
    threshold = np.sort(scores)[::-1][int(beta * (len(scores) - 1))]
    codes = np.unique(np.asarray(identities), return_inverse=True)[1]
    best = scores >= threshold
    counts = np.bincount(codes[best], minlength=codes.max() + 1)
    kept = np.flatnonzero(counts >= min_images)
    if not len(kept):
        raise FiqaError(f"no identity has {min_images} images among the best {beta:.0%}",
                        "lower ediffiqa.min_images or raise ediffiqa.beta")
    centres = torch.stack([embeddings[torch.from_numpy((codes == code) & best)].mean(0) for code in kept])
    rows = np.full(codes.max() + 1, -1)
    rows[kept] = np.arange(len(kept))
    return centres, rows[codes]


def optimised_labels(labels, embeddings, centres, epsilon: float = 0.5, variant: str = "reference"):
    """q_o (B,) from labels q_x (B,), current embeddings (B, D) without gradient, and centres (B, D).

    "reference": q_o = clip(q_x - epsilon (1 - cos(e_hat, centre)), 0, 1);
    "paper", as printed: q_o = q_x - epsilon cos(e_hat, centre).
    """
    similarity = F.cosine_similarity(embeddings.detach(), centres, dim=1)
    if variant == "paper":
        return labels - epsilon * similarity
    return (labels - epsilon * (1 - similarity)).clamp(0, 1)


def representation_loss(embeddings, targets) -> torch.Tensor:
    """L_rc = mean(1 - cos(e_hat_x, e_x)); e_x are the frozen recogniser's embeddings of the same images."""
    return (1 - F.cosine_similarity(embeddings, targets, dim=1)).mean()


def losses(model: Distilled, images, labels, targets=None, centres=None,
           config=PAPER) -> tuple[torch.Tensor, ...]:
    """(L, L_rc, L_q) of a batch; DifFIQA(R) has no targets and centres, and L = L_q."""
    embedding, score = model.features(images)
    if targets is None:
        quality_loss = F.l1_loss(score, labels)
        return quality_loss, torch.zeros_like(quality_loss), quality_loss
    wanted = optimised_labels(labels, embedding, centres, config["epsilon"], config["variant"])
    quality_loss = F.l1_loss(score, wanted)                                     # L_q
    kept = representation_loss(embedding, targets)                              # L_rc
    theta = config["theta"]
    return theta * kept + (1 - theta) * quality_loss, kept, quality_loss


def official(backbone: str) -> EDifFIQA:
    """The empty network of a published file."""
    return EDifFIQA(recogniser_from_catalogue(backbone))


METHODS = [
    Method("ediffiqa_t", "eDifFIQA(T)", EDifFIQA, needs=("model",), training=PAPER,
           released={"ediffiqa_t": partial(official, "mobilefacenet_ediffiqa")}),
    Method("ediffiqa_s", "eDifFIQA(S)", EDifFIQA, needs=("model",), training=PAPER,
           released={"ediffiqa_s": partial(official, "iresnet18")}),
    Method("ediffiqa_m", "eDifFIQA(M)", EDifFIQA, needs=("model",), training=PAPER,
           released={"ediffiqa_m": partial(official, "iresnet50")}),
    Method("ediffiqa_l", "eDifFIQA(L)", EDifFIQA, needs=("model",), training=PAPER,
           released={"ediffiqa_l": partial(official, "iresnet100")})]
