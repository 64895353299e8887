"""FaceQnet: a good face compares well with a portrait of the same person that is known to be good.

Hernandez-Ortega et al., "FaceQnet: Quality Assessment for Face Recognition based on Deep Learning", ICB 2019
(arXiv 1904.01740). A recogniser judges each probe against the best image of its person, the gallery; the
comparison is the label, and a new head on a frozen recognition network learns to predict it from the probe.

The authors released `FaceQnet.h5` (v0) and `FaceQnet_v1.h5` (arXiv 2006.03298), whole Keras models: the
ResNet-50 of VGGFace2 with the stride in each bottleneck's first convolution, and a regression head. Widths
and activations of the head, and whether the recogniser's last layer (dim_proj) was kept, are published in the
files alone, so that the network is built from what the file says of itself. No training code is public, nor
how v1 fuses the scores it learnt from; the training here is the papers' rule.
"""
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.images import to_pixels
from fiqa_core.base.method import Method
from fiqa_core.kernels.chunks import OnePass
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.trunk import unit_embeddings
from fiqa_core.training.fitting import settings_of, untrained
from fiqa_core.training.people import codes_of
from fiqa_core.training.regression import DEFAULTS as REGRESSION
from fiqa_core.training.regression import Regressor, fit_regression, learns

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


SIDE = 224


class OfficialFaceQnet(OnePass):
    """Aligned images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) in [0, 1], higher is better.

    The authors cut the box of an MTCNN detection, without rotation and with a margin that is not stated, and
    resize it to 224 x 224. Here the aligned crop is resized, so that scores differ somewhat from theirs. v0 and
    v1 have different scales. The tanh in early revisions of their script belongs to a model of distances that
    was not released; it has no place here.
    network   built from the authors' Keras file: (B, 3, 224, 224) -> (B, 1)
    budget    bytes of activations at once; None: chosen for the device
    """

    keras_input = (SIDE, SIDE, 3)   # the layers stand in the file alone

    def __init__(self, network: nn.Module, budget: int | None = None):
        super().__init__(network, budget)
        self.eval()

    def prepare(self, images):
        """(B, 3, 224, 224) BGR in 0..255, nothing subtracted: resized in 8 bits by OpenCV. No gradient."""
        large = np.stack([cv2.resize(pixels, (SIDE, SIDE)) for pixels in to_pixels(images)])
        return torch.from_numpy(large[..., ::-1].copy()).to(images.device).permute(0, 3, 1, 2).float()

    def columns(self, images):
        return self.network(self.prepare(images)).clamp(0, 1)


METHODS = [Method("faceqnet", "FaceQnet", FaceQnet, needs=("model",), train=train_faceqnet, training=DEFAULTS,
                  learns=learns, released={"faceqnet": OfficialFaceQnet})]
