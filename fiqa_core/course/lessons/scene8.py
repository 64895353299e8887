"""Lesson 8: what is still unsolved?"""
from functools import cache

import numpy as np
import pandas as pd
import torch

from fiqa_core.base.images import to_batch
from fiqa_core.challenges.component_measures import COMPONENTS
from fiqa_core.challenges.crops import jitter_matrices, rewarp
from fiqa_core.course import sketch
from fiqa_core.course.claims import Claim
from fiqa_core.course.exercises.l8 import variability
from fiqa_core.course.kinds import KINDS, kinds, measures
from fiqa_core.course.networks import network, rendered
from fiqa_core.course.pack import load_pack
from fiqa_core.evaluation.comparisons import pool
from fiqa_core.evaluation.thresholds import threshold_at_fmr
from fiqa_core.kernels.faceqan import FaceQAN
from fiqa_core.methods.pixels import sharpness
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import neutral

ADVICE = {"none": "thank you", "pose": "turn to the camera", "blur": "hold still and "
                                                                     "focus", "noise": "more light",
          "dark": "more light", "side light": "turn towards the light"}


@cache
def jittered(people: int = 8, crops: int = 5, size: float = 3.0) -> torch.Tensor:
    """(people, crops, 3, 112, 112): every picture cropped anew as by a detector that misses by up to `size` pixels."""
    portraits = rendered(sample_identities(people, 61), np.arange(people), neutral(people))
    names = [f"{person} {crop}" for person in range(people) for crop in range(crops)]
    shown = rewarp(np.repeat(portraits, crops, axis=0), jitter_matrices(names, size, 1))
    return to_batch(shown).unflatten(0, (people, crops))


@cache
def jitter_scores(method: str = "faceqan") -> np.ndarray:
    """Scores (people, crops)."""
    score = FaceQAN(network(), repeats=2) if method == "faceqan" else sharpness
    shown = jittered()
    return score(shown.flatten(0, 1)).numpy().reshape(shown.shape[:2])


def draw_crops():
    """One picture, five crops."""
    return sketch.faces_row(jittered()[0], [f"{value:.3f}" for value in jitter_scores()[0]],
                             "Five crops of one picture with their FaceQAN scores", "One picture, five "
                                                                                    "crops", columns=5)


def draw_jitter():
    """Scores within and between pictures."""
    scores = jitter_scores()
    means = {f"picture {i + 1}": float(row.mean()) for i, row in enumerate(scores)}
    ends = {f"picture {i + 1}": (float(row.min()), float(row.max())) for i, row in enumerate(scores)}
    return sketch.bars(means, "FaceQAN score", "Mean score of each picture with its lowest and highest crop",
                        f"Variability {variability(scores):.2f}", intervals=ends)


@cache
def clip(people: int = 10, frames: int = 8) -> tuple[torch.Tensor, np.ndarray]:
    """Frames (people, frames, 3, 112, 112) that turn and blur, and the people's portraits' embeddings."""
    rng = np.random.default_rng(3)
    table = neutral(people * frames)
    table["yaw"] = rng.uniform(-60, 60, len(table))
    table["defocus"] = rng.uniform(0, 4, len(table))
    table["style"] = who = np.repeat(np.arange(people), frames)
    shown = to_batch(rendered(sample_identities(people, 71), who, table)).unflatten(0, (people, frames))
    portraits = to_batch(rendered(sample_identities(people, 71), np.arange(people), neutral(people)))
    with torch.no_grad():
        return shown, network()(portraits).numpy()


@cache
def strategies() -> dict[str, float]:
    """Mean cosine of a clip's vector with the portrait, by what the vector is made of."""
    shown, portraits = clip()
    people, frames = shown.shape[:2]
    flat = shown.flatten(0, 1)
    quality = FaceQAN(network(), repeats=2)(flat).numpy().clip(1e-6)
    with torch.no_grad():
        e = network()(flat).numpy()
    who, zeros = np.repeat(np.arange(people), frames), np.zeros(people * frames, int)
    best = quality.reshape(people, frames).argmax(1) + np.arange(people) * frames
    portrait = portraits / np.linalg.norm(portraits, axis=1, keepdims=True)
    found = {"one frame at random": e[::frames], "best frame by "
                                                 "FaceQAN": e[best], "plain mean": pool(e, who, zeros),
             "mean weighted by FaceQAN": pool(e, who, zeros, quality)}
    return {name: float(np.mean(np.sum(v / np.linalg.norm(v, axis=1, keepdims=True) * portrait, axis=1)))
            for name, v in found.items()}


def draw_clip():
    """The frames of one clip."""
    return sketch.faces_row(clip()[0][0], [f"frame {i + 1}" for i in range(8)], "Eight frames of one person "
                                                                                "who moves",
                             "Which frame would you compare?", columns=8)


def draw_strategies():
    """What a clip's vector should be made of."""
    return sketch.bars(strategies(), "mean cosine with the portrait (higher is better)",
                        "One dot for each way to make one vector of a clip", "From eight frames to one vector")


def draw_vector():
    """Components of a face of each kind."""
    images, kind = kinds()
    found = measures(images)
    z = (found - found[kind == "none"].mean(0)) / found.std(0)
    table = pd.DataFrame([z[kind == name].mean(0) for name in KINDS], index=list(KINDS), columns=list(COMPONENTS))
    return sketch.cells(table, -2, 2, "Six kinds of faces by eight measures, as distances from flawless faces",
                         "Not only how poor, but why", "{:+.1f}")


def operating_points() -> pd.DataFrame:
    """Thresholds of three applications, and who is rejected there."""
    similarity, genuine = load_pack().similarity(), load_pack()["genuine"]
    rows = [(name, fmr, threshold_at_fmr(similarity[~genuine], fmr)) for name, fmr in (
        ("sorting a photo album", 1e-1), ("unlocking a door", 1e-2), ("crossing a border", 1e-3))]
    table = pd.DataFrame(rows, columns=["application", "FMR allowed", "threshold"]).set_index("application")
    table["rejected of the right "
          "people"] = [f"{np.mean(similarity[genuine] < t):.1%}" for t in table["threshold"]]
    return table.round(3)


def claimed() -> dict[str, Claim]:
    """The measured sentences."""
    def wobble():
        scores = jitter_scores()
        return {"within": float(np.sqrt(scores.var(axis=1).mean())), "between": float(scores.mean(axis=1).std())}

    def fused():
        found = strategies()
        return {"one": found["one frame at random"], "mean": found["plain mean"]}

    return {
        "wobble": Claim("Within a picture FaceQAN's score deviates by {within:.3f}, between pictures by "
                        "{between:.3f}.", wobble,
                        lambda within, between: within > 0.1 * between, "within at least a tenth of between"),
        "fused": Claim("A frame at random has a mean cosine of {one:.2f} with the portrait, the mean of all "
                       "frames {mean:.2f}.",
                       fused, lambda one, mean: mean > one + 0.02, "the mean above a random frame by 0.02"),
    }


