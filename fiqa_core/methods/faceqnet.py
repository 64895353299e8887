"""FaceQnet: a good face compares well with a portrait of the same person that is known to be good.

Hernandez-Ortega et al., "FaceQnet: Quality Assessment for Face Recognition based on Deep Learning", ICB 2019
(arXiv 1904.01740). A recogniser judges each probe against the best image of its person, the gallery; the
comparison is the label, and a new head on a frozen recognition network learns to predict it from the probe.
"""
from pathlib import Path

import numpy as np
from torch import nn

from fiqa_core.benchmarks.tables import FaceSet
from fiqa_core.errors import FiqaError
from fiqa_core.methods.features import unit_embeddings
from fiqa_core.methods.fitting import settings_of, untrained
from fiqa_core.methods.identities import codes_of
from fiqa_core.methods.regression import DEFAULTS as REGRESSION
from fiqa_core.methods.regression import Regressor, fit_regression
from fiqa_core.recognisers.interface import Recogniser

DEFAULTS = {**REGRESSION, "hidden": 32}


class FaceQnet(Regressor):
    """Quality in [0, 1]; see Regressor. The trunk stays frozen.

    hidden   width of the head's first layer (the published file's own width is not known without it)
    dropout  rate before the last layer
    """

    def __init__(self, backbone: Recogniser, hidden: int = 32, dropout: float = 0.5,
                 budget: int | None = None):
        self.hidden, self.dropout = hidden, dropout
        super().__init__(backbone, budget)

    def build_head(self, features):
        return nn.Sequential(nn.Linear(features, self.hidden), nn.ReLU(), nn.Dropout(self.dropout),
                             nn.Linear(self.hidden, 1))

    def bound(self, raw):
        return raw.clamp(0, 1)


def train_faceqnet(faces: FaceSet, recogniser: Recogniser, config: dict | None = None,
                   checkpoint: Path | None = None, device="cpu", log: Path | None = None) -> FaceQnet:
    """FaceQnet's head trained on people with several images; the recogniser is both trunk and comparator.

    faces       images need the column `severity`: a person's least spoilt image becomes the gallery, where
                the paper took the one that complies best with ICAO's rules for portraits
    config      overrides of DEFAULTS: hidden, training (regression.DEFAULTS)
    checkpoint, log   as for `fit_regression`
    Raises FiqaError for faces without severity or without pairs, and for unfit settings.
    """
    settings = settings_of(config, DEFAULTS)
    if "severity" not in faces.images:
        raise FiqaError("the training faces have no column severity", "render them, or add degraded copies "
                        "(faces.degraded_training in params.yaml)")
    gallery = galleries(faces.images["identity"], faces.images["severity"], faces.images["image_id"])
    labels = comparison_labels(unit_embeddings(recogniser, faces.pixels, device), gallery)
    model = untrained(lambda: FaceQnet(recogniser, settings["hidden"]), settings["seed"])
    training = {key: settings[key] for key in REGRESSION}
    return fit_regression(model, faces, labels, training, checkpoint, device, log)


def galleries(identities, severity, image_ids) -> np.ndarray:
    """Row (N,) of the gallery of each image's person: of lowest severity, then of the first image_id."""
    codes = codes_of(identities)
    order = np.lexsort((np.asarray(image_ids, dtype=str), np.asarray(severity, dtype=float), codes))
    first = order[np.searchsorted(codes[order], np.arange(codes.max() + 1))]
    return first[codes]


def comparison_labels(embeddings: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Labels (N,) float64 in (0, 1): 1 / (1 + e^z), z the standardised distance of probe and gallery.

    embeddings  (N, D), of length 1
    gallery     (N,) row of each image's gallery; a gallery itself is no probe, its label is NaN
    Higher means nearer. Raises FiqaError if the probes' distances do not differ.
    """
    probes = gallery != np.arange(len(gallery))
    distances = np.linalg.norm(embeddings - embeddings[gallery], axis=1).astype(np.float64)[probes]
    if len(distances) < 2 or distances.std() == 0:
        raise FiqaError(f"{len(distances)} probes do not differ in their distance to the gallery",
                        "give several images of each person")
    labels = np.full(len(gallery), np.nan)
    labels[probes] = 1 / (1 + np.exp((distances - distances.mean()) / distances.std()))
    return labels
