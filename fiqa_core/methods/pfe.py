"""PFE: a face is a Gaussian in embedding space, and its precision is the quality (Shi, Jain, ICCV 2019).

The mean is the frozen recogniser's embedding, of length 1. A small module learns the variance from the last
features, such that images of one person are likely to share one embedding (arXiv 1904.09658): where little
can be known about the embedding of a face, it has to claim little.
"""
import math
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.benchmarks.tables import FaceSet
from fiqa_core.errors import FiqaError
from fiqa_core.methods.batching import Chunks, check_images, embed
from fiqa_core.methods.embedding_layers import EmbeddingLayers
from fiqa_core.methods.features import trunk_of, views
from fiqa_core.methods.fitting import DEFAULTS as FITTING
from fiqa_core.methods.fitting import fit, run_identity, settings_of, untrained
from fiqa_core.methods.identities import accompanied, by_person, codes_of, genuine_pairs, hold_out
from fiqa_core.methods.resume import Resume
from fiqa_core.recognisers.interface import Recogniser

# A batch has `people` groups of up to `each` images of one person. start None: the logarithm of the best single
# variance of the first batch.
PAPER = {**FITTING, "optimiser": "sgd", "lr": 1e-3, "drops": [2 / 3], "weight_decay": 5e-4, "clip": math.inf,
         "epochs": 20, "people": 64, "each": 4, "hidden": None, "start": None}
SMALLEST = 1e-6                     # of a variance


class UncertaintyModule(nn.Module):
    """Features (B, F) -> variances (B, D), above 1e-6.

    hidden   width of the layer between; start  logarithm of the variance before training
    """

    def __init__(self, features: int, embedding: int, hidden: int, start: float):
        super().__init__()
        self.fc1 = nn.Linear(features, hidden, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden, eps=1e-3)
        self.fc2 = nn.Linear(hidden, embedding, bias=False)
        self.bn2 = nn.BatchNorm1d(embedding, eps=1e-3, affine=False)
        self.scale = nn.Parameter(torch.tensor(1e-4))
        self.shift = nn.Parameter(torch.tensor(float(start)))

    def forward(self, features):
        y = self.bn2(self.fc2(F.relu(self.bn1(self.fc1(features)))))
        return SMALLEST + torch.exp(self.scale * y + self.shift)


class PFE(nn.Module):
    """Images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32, higher is better, positive.

    backbone   a Recogniser, whose network is copied up to its last features
    hidden     width of the uncertainty module; None: that of the embedding
    start      logarithm of the variance before training
    budget     bytes of activations at once; None: chosen for the device

    Raises FiqaError for unfit images.
    """

    def __init__(self, backbone: Recogniser, hidden: int | None = None, start: float = -7.0,
                 budget: int | None = None):
        super().__init__()
        size = backbone.embedding_size
        self.hidden, self.start = hidden, start
        self.trunk = trunk_of(backbone)
        self.uncertainty = UncertaintyModule(self.trunk.embedding_size, size, hidden or size, start)
        self.chunks = Chunks(budget)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return quality(self.variances(images))

    @torch.no_grad()
    def variances(self, images: torch.Tensor) -> torch.Tensor:
        """sigma^2 (B, D) of images (B, 3, 112, 112); the means are the backbone's embeddings, normalised."""
        features = embed(self.trunk, check_images(images), self.chunks)
        return self.uncertainty(features if len(images) else images.new_zeros(0, self.trunk.embedding_size))


def quality(variance: torch.Tensor) -> torch.Tensor:
    """Mean precision (B,) of variances (B, D), which is one over their harmonic mean.

    The paper's scalar is a harmonic mean; whether of sigma or sigma^2 is not known, here it is sigma^2.
    """
    return (1 / variance).mean(dim=1)


def mutual_likelihood(mean_a, variance_a, mean_b, variance_b) -> torch.Tensor:
    """s (...): log likelihood that two Gaussians (..., D) stand for one and the same embedding."""
    variance = variance_a + variance_b
    terms = (mean_a - mean_b).square() / variance + variance.log() + math.log(2 * math.pi)
    return -terms.sum(dim=-1) / 2


def pair_loss(mean, variance, first, second) -> torch.Tensor:
    """Mean of -2 s without its constant over genuine pairs: mean, variance (B, D), first, second (P,) rows.

    It may well be negative: the logarithms of small variances add up. Impostor pairs take no part.
    """
    total = variance[first] + variance[second]
    return ((mean[first] - mean[second]).square() / (total + 1e-10) + total.log()).sum(dim=1).mean()


def fuse(mean, variance, templates, rule: str = "conjugate") -> tuple[torch.Tensor, torch.Tensor]:
    """One Gaussian per template: means and variances (T, D) from those of images (N, D).

    templates   (N,) int64, the number 0..T-1 of each image's template
    rule        variance of a template: "conjugate", one over the sum of precisions, as the paper derives it;
                "minimum" over its images, as the released code has it. The means are the same.
    Raises FiqaError for other rules.
    """
    if rule not in ("conjugate", "minimum"):
        raise FiqaError(f"PFE: fusion rule {rule!r}", 'use "conjugate" or "minimum"')
    precision, shape = 1 / variance, (int(templates.max()) + 1, mean.shape[1])
    total = precision.new_zeros(shape).index_add(0, templates, precision)
    fused = precision.new_zeros(shape).index_add(0, templates, mean * precision) / total
    if rule == "conjugate":
        return fused, 1 / total
    rows = templates[:, None].expand_as(precision)
    return fused, 1 / precision.new_zeros(shape).scatter_reduce(0, rows, precision, "amax")


def best_single_variance(mean, first, second) -> float:
    """The variance for all images and dimensions that maximises the likelihood of pairs of means (B, D)."""
    return ((mean[first] - mean[second]).square().mean() / 2).clamp_min(SMALLEST).item()


def train_pfe(faces: FaceSet, recogniser: Recogniser, config: dict | None = None,
              checkpoint: Path | None = None, device="cpu", log: Path | None = None) -> PFE:
    """Train the uncertainty module on genuine pairs of `faces`; the recogniser stays as it is.

    config       overrides of PAPER
    checkpoint   state file: an interrupted run continues from it with the same result; None: no saving
    log          CSV of the loss of each epoch

    Features are computed once. Raises FiqaError where nobody has two images, or for an unknown setting.
    """
    settings, codes = settings_of(config, PAPER), codes_of(faces.images["identity"])
    rows = hold_out(codes, accompanied(codes), settings["validation"], settings["seed"])
    recogniser = recogniser.to(device)
    features = views(trunk_of(recogniser), faces.pixels, device)
    with torch.no_grad():
        mean = F.normalize(EmbeddingLayers(recogniser)(features.flatten(0, 1))).unflatten(0, (-1, 2))
    people = torch.from_numpy(codes).to(device)
    draw = partial(by_person, codes=codes, people=settings["people"], each=settings["each"])
    start = settings["start"]
    if start is None:
        chosen = draw(rows[0], np.random.default_rng(settings["seed"]))[0]
        start = math.log(best_single_variance(mean[chosen, 0], *genuine_pairs(people[chosen])))
    model = untrained(lambda: PFE(recogniser, settings["hidden"], start), settings["seed"]).to(device)

    def loss(rows, mirrored):
        view = mirrored.astype(int)
        variance = model.uncertainty(features[rows, view])
        return pair_loss(mean[rows, view], variance, *genuine_pairs(people[rows]))

    fit({"PFE": model.uncertainty}, parameter_groups(model.uncertainty, settings), loss, rows, draw, settings,
        Resume(checkpoint, run_identity(model, faces, settings, features.cpu().numpy())), log)
    return model.requires_grad_(False).eval()


def parameter_groups(module: UncertaintyModule, settings: dict) -> list[dict]:
    """SGD's groups: weight decay for the two matrices alone."""
    matrices = [parameter for parameter in module.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in module.parameters() if parameter.dim() <= 1]
    return [{"params": matrices, "lr": settings["lr"], "weight_decay": settings["weight_decay"]},
            {"params": others, "lr": settings["lr"], "weight_decay": 0.0}]
