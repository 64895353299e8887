"""The training of LightQNet: a tiny network learns from pairs, and from a teacher that knows the recogniser.

Chen, Yi and Lv, "LightQNet: Lightweight Deep Face Quality Assessment for Risk-Controlled Face Recognition",
IEEE Signal Processing Letters 28, 2021. The teacher is a branch on the recogniser's last maps, the student a
network that sees pixels alone. Both explain by the smaller of two qualities whether a genuine pair matches;
the student follows the teacher as well. The student's architecture is none of this module's business.
"""
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.benchmarks.tables import FaceSet
from fiqa_core.methods.features import image_batch, trunk_of, views
from fiqa_core.methods.fitting import DEFAULTS as FITTING
from fiqa_core.methods.fitting import fit, run_identity, settings_of, untrained
from fiqa_core.methods.identities import (
    accompanied,
    by_person,
    codes_of,
    genuine_pairs,
    hold_out,
    pair_cosines,
)
from fiqa_core.methods.resume import Resume
from fiqa_core.recognisers.interface import Recogniser

# scale s, margin m (0.4 in the paper; None: the median similarity of genuine pairs), distillation lambda
RULE = {"scale": 16.0, "margin": None, "distillation": 10.0}
DEFAULTS = {**FITTING, **RULE, "people": 8, "each": 16, "optimiser": "sgd", "student_lr": 0.01,
            "teacher_lr": 0.01, "weight_decay": 1e-5}
SMALLEST = 1e-6                     # of a probability, so that its logarithm is finite


def train_lightqnet(student: nn.Module, faces: FaceSet, recogniser: Recogniser, config: dict | None = None,
                    checkpoint: Path | None = None, device="cpu", log: Path | None = None) -> nn.Module:
    """Train `student` in place, with a teacher that is trained beside it, and return it frozen.

    student     a quality method in one pass of a network: `columns` of images (B, 3, 112, 112) in [0, 1] are
                (B, K), differentiable, the last one a quality in (0, 1)
    config      overrides of DEFAULTS; a batch has `people` groups of up to `each` images of one person, four
                or more of each work clearly better than two
    checkpoint  state file: an interrupted run continues from it with the same result; None: no saving
    log         CSV of the losses of each epoch
    Raises FiqaError for faces without pairs and for unfit settings.
    """
    settings = settings_of(config, DEFAULTS)
    codes = codes_of(faces.images["identity"])
    parts = hold_out(codes, accompanied(codes), settings["validation"], settings["seed"])
    draw = partial(by_person, codes=codes, people=settings["people"], each=settings["each"])
    embeddings = F.normalize(views(recogniser, faces.pixels, device), dim=2)
    maps = views(trunk_of(recogniser), faces.pixels, device)
    teacher = untrained(lambda: Teacher(maps.shape[2]), settings["seed"]).to(device)
    student, person = student.to(device).requires_grad_(True), torch.from_numpy(codes).to(device)
    margin = settings["margin"]
    if margin is None:
        some = draw(parts[0], np.random.default_rng(settings["seed"]))
        margin = median_similarity(embeddings[:, 0], some, person)

    def loss(rows, mirrored):
        view = mirrored.astype(int)
        pairs = genuine_pairs(person[rows])
        targets = match_probability(pair_cosines(embeddings[rows, view], pairs), settings["scale"], margin)
        taught = teacher(maps[rows, view])
        learnt = student.columns(image_batch(faces.pixels, rows, mirrored, device))[:, -1]
        return joint_loss(learnt, taught, pairs, targets, settings["distillation"])

    groups = [{"params": list(student.parameters()), "lr": settings["student_lr"]},
              {"params": list(teacher.parameters()), "lr": settings["teacher_lr"]}]
    fit({"student": student, "teacher": teacher}, groups, loss, parts, draw, settings,
        Resume(checkpoint, run_identity(student, faces, settings, embeddings.cpu().numpy())), log)
    return student.requires_grad_(False).eval()


class Teacher(nn.Module):
    """The quality branch: flattened last maps (B, F) -> quality (B,) in (0, 1)."""

    def __init__(self, features: int, hidden: int = 256):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
                                    nn.Linear(hidden, 1), nn.BatchNorm1d(1, affine=False), nn.Sigmoid())

    def forward(self, maps):
        return self.layers(maps).squeeze(1)


def median_similarity(embeddings: torch.Tensor, batches: list[np.ndarray], person: torch.Tensor) -> float:
    """Median cosine of the genuine pairs in batches: the margin at which half of the pairs match."""
    return torch.cat([pair_cosines(embeddings[rows], genuine_pairs(person[rows]))
                      for rows in batches]).median().item()


def match_probability(similarity, scale: float = 16.0, margin: float = 0.4) -> torch.Tensor:
    """t = sigmoid(s (cos - m)): how probably pairs of cosine similarity (P,) match at the threshold m."""
    return (scale * (similarity - margin)).sigmoid()


def identification_loss(quality: torch.Tensor, pairs: tuple[torch.Tensor, torch.Tensor],
                        targets: torch.Tensor) -> torch.Tensor:
    """L_IDQ: mean binary cross entropy between targets t (P,) and the smaller quality of each pair (i, j).

    quality (B,) in [0, 1]; of a pair only the image of smaller quality gets a gradient.
    """
    i, j = pairs
    smaller = torch.minimum(quality[i], quality[j])
    return F.binary_cross_entropy(smaller.clamp(SMALLEST, 1 - SMALLEST), targets)


def divergence(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """Mean KL divergence of Bernoulli variables, teacher (B,) from student (B,), both in [0, 1].

    It teaches the student: the teacher gets no gradient.
    """
    p, q = (quality.clamp(SMALLEST, 1 - SMALLEST) for quality in (teacher.detach(), student))
    return (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()


def joint_loss(student, teacher, pairs, targets, distillation: float = 10.0) -> torch.Tensor:
    """L = L_IDQ(S) + L_IDQ(T) + lambda KL(T || S) of qualities (B,); pairs and targets as above."""
    return (identification_loss(student, pairs, targets) + identification_loss(teacher, pairs, targets)
            + distillation * divergence(teacher, student))
