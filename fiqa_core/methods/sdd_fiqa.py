"""SDD-FIQA: a good face resembles its own person's images far more than it resembles other people's.

Ou et al., "SDD-FIQA: Unsupervised Face Image Quality Assessment with Similarity Distribution Distance", CVPR
2021 (arXiv 2103.05977). An image's similarities to its own person (positives) and to others (negatives) are
two distributions; the Wasserstein distance between them is the label that a network learns to predict.
"""
import re
from pathlib import Path

import numpy as np
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.method import Method
from fiqa_core.base.progress import progress
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.trunk import unit_embeddings
from fiqa_core.recognisers.zoo import recogniser_from_catalogue
from fiqa_core.training.fitting import settings_of, untrained
from fiqa_core.training.people import accompanied, codes_of
from fiqa_core.training.regression import ALL_TENSORS, Regressor, fit_regression, learns
from fiqa_core.training.regression import DEFAULTS as REGRESSION

DEFAULTS = {**REGRESSION, "rounds": 12, "samples": 24, "epochs": 20, "loss": "smooth_l1",
            "trained_tensors": ALL_TENSORS, "head_lr": 1e-4, "weight_decay": 5e-4, "drops": (0.25, 0.5)}
ROWS = 1024                         # images whose similarities are computed at once


class SDDFIQA(Regressor):
    """Quality of about 0 to 100, not bounded; see Regressor. The trunk learns as well.

    dropout  rate before the last layer
    """

    def __init__(self, backbone: Recogniser, dropout: float = 0.5, budget: int | None = None):
        self.dropout = dropout
        super().__init__(backbone, budget)

    def build_head(self, features):
        return nn.Sequential(nn.PReLU(features), nn.Dropout(self.dropout), nn.Linear(features, 1))


def official_network() -> SDDFIQA:
    """The untrained network of the released file: an IR-50 without a norm after its last maps."""
    backbone = recogniser_from_catalogue("curricularface_ir50")
    backbone.network.output_layer[0] = nn.Identity()
    return SDDFIQA(backbone)


def from_official(state: dict) -> dict:
    """State of `official_network`, from the flat state dict of the released file (keys `module.*`).

    The file's trunk has the keys of CurricularFace's IR-50; its `quality` counts the flattening as layer 0.
    {} for the names of another network.
    """
    if not any(key.startswith(("module.body.", "module.quality.")) for key in state):
        return {}
    renamed = {}
    for key, value in state.items():
        key = key.removeprefix("module.")
        layer = re.fullmatch(r"quality\.(\d+)\.(\w+)", key)
        renamed[f"head.{int(layer[1]) - 1}.{layer[2]}" if layer else f"trunk.network.{key}"] = value
    return renamed


def train_sdd_fiqa(faces: FaceSet, recogniser: Recogniser, config: dict | None = None,
                   checkpoint: Path | None = None, device="cpu", log: Path | None = None) -> SDDFIQA:
    """SDD-FIQA trained on the faces of people with several images, starting from the recogniser's trunk.

    config      overrides of DEFAULTS: labels (rounds, samples), training (regression.DEFAULTS)
    checkpoint, log   as for `fit_regression`
    Raises FiqaError for faces without pairs and for unfit settings.
    """
    settings = settings_of(config, DEFAULTS)
    labels = wasserstein_labels(unit_embeddings(recogniser, faces.pixels, device), faces.images["identity"],
                                faces.images["image_id"], settings["rounds"], settings["samples"],
                                settings["seed"])
    model = untrained(lambda: SDDFIQA(recogniser), settings["seed"])
    training = {key: settings[key] for key in REGRESSION}
    return fit_regression(model, faces, labels, training, checkpoint, device, log)


def wasserstein_labels(embeddings: np.ndarray, identities, image_ids, rounds: int = 12, samples: int = 24,
                       seed: int = 0) -> np.ndarray:
    """Labels (N,) float64 in [0, 100], NaN for an image that is the only one of its person (section 3.3).

    embeddings             (N, D), of length 1
    identities, image_ids  (N,); labels follow the ids, not the order of the images
    rounds                 K, independent draws; each round's distances are stretched to 0..100, then averaged
    samples                m, positives (fewer where there are fewer) and negatives of a draw
    Raises FiqaError if no person has two images, there is only one person, or all distances are equal.
    """
    codes, image_ids = codes_of(identities), np.asarray(image_ids, dtype=str)
    rows = accompanied(codes)
    rows = rows[np.lexsort((image_ids[rows], codes[rows]))]     # person by person
    if codes[rows[0]] == codes[rows[-1]]:
        raise FiqaError("all training images with a partner are of one person", "add images of other people")
    generator, sums = np.random.default_rng(seed), np.zeros(len(rows))
    for _ in progress(range(rounds), "label SDD-FIQA", unit="rounds"):
        distances = similarity_distances(embeddings[rows], codes[rows], samples, generator)
        if np.ptp(distances) == 0:
            raise FiqaError("all training images are equally far from other people",
                            "check the recogniser, or give other images")
        sums += 100 * (distances - distances.min()) / np.ptp(distances)
    labels = np.full(len(codes), np.nan)
    labels[rows] = sums / rounds
    return labels


def similarity_distances(embeddings: np.ndarray, codes: np.ndarray, samples: int,
                         generator: np.random.Generator) -> np.ndarray:
    """One round: W1 (N,) between each image's similarities to drawn positives and to drawn negatives.

    embeddings (N, D) of length 1, codes (N,) their persons, in contiguous runs of at least 2. The distance
    has no sign: an image that resembles others more than its own person gets a large one too.
    """
    begin = np.searchsorted(codes, codes)
    count = np.searchsorted(codes, codes, side="right") - begin
    own, begin, beside = np.arange(len(codes))[:, None], begin[:, None], count[:, None]
    # Numbers among the other images of the person step over the image, those among others over the person.
    positives = draw_distinct(count - 1, samples, generator)
    negatives = draw_distinct(len(codes) - count, samples, generator)
    chosen = np.concatenate((begin + positives + (begin + positives >= own),
                             negatives + beside * (negatives >= begin)), axis=1)
    cosines = np.concatenate([np.einsum("nd,nkd->nk", embeddings[first:first + ROWS],
                                        embeddings[chosen[first:first + ROWS]])
                              for first in range(0, len(codes), ROWS)])
    return wasserstein(cosines[:, :samples], cosines[:, samples:], positives >= 0, negatives >= 0)


def draw_distinct(available: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """(N, count) int64: for each row distinct numbers below available (N,), all of them if there are fewer.

    What is missing then is -1. Floyd's algorithm (Bentley and Floyd, 1987), over all rows at once.
    """
    drawn = np.full((len(available), count), -1)
    for column in range(count):
        largest = available - count + column
        number = generator.integers(0, np.maximum(largest, 0) + 1)
        repeated = (drawn == number[:, None]).any(axis=1)
        drawn[:, column] = np.where(largest < 0, -1, np.where(repeated, largest, number))
    return drawn


def wasserstein(a: np.ndarray, b: np.ndarray, in_a: np.ndarray | None = None,
                in_b: np.ndarray | None = None) -> np.ndarray:
    """W1 distance (N,) between the samples in the rows of a (N, P) and b (N, Q).

    in_a, in_b  bool, which values count; None: all. A row needs at least one of each.
    It is the area between the two cumulative distributions.
    """
    in_a = np.ones(a.shape, dtype=bool) if in_a is None else in_a
    in_b = np.ones(b.shape, dtype=bool) if in_b is None else in_b
    values = np.concatenate((a, b), axis=1).astype(np.float64)
    steps = np.concatenate((in_a / in_a.sum(1, keepdims=True), in_b / -in_b.sum(1, keepdims=True)), axis=1)
    order = values.argsort(axis=1)
    values, steps = np.take_along_axis(values, order, 1), np.take_along_axis(steps, order, 1)
    return (np.abs(steps.cumsum(axis=1)[:, :-1]) * np.diff(values, axis=1)).sum(axis=1)


METHODS = [Method("sdd_fiqa", "SDD-FIQA", SDDFIQA, needs=("model",), train=train_sdd_fiqa, training=DEFAULTS,
                  learns=learns, released={"sdd_fiqa": official_network}, translate=from_official)]
