"""Learning to predict a quality: a recogniser's trunk with a small head.

FaceQnet, SDD-FIQA and PCNet are such models; they differ in their heads and in what they learn from. A trunk
that stays frozen is computed once, not in every epoch.
"""
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.kernels.chunks import Chunks, activation_bytes, check_images
from fiqa_core.recognisers.precision import computing
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.trunk import image_batch, trunk_of, views
from fiqa_core.training.fitting import DEFAULTS as FITTING
from fiqa_core.training.fitting import Resume, fit, run_identity, settings_of, trained_parameters
from fiqa_core.training.people import codes_of, hold_out, shuffled

ALL_TENSORS = 10 ** 6
# trained_tensors: how many of the trunk's last tensors learn; 0 keeps the trunk frozen.
TRAINED = {"head_lr": 1e-3, "backbone_lr": 1e-4, "trained_tensors": 0}
DEFAULTS = {**FITTING, **TRAINED, "batch": 128, "loss": "mse"}
LOSSES = {"mse": F.mse_loss, "smooth_l1": F.smooth_l1_loss}


class Regressor(nn.Module, ABC):
    """Images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32, higher is better.

    backbone   a Recogniser; its network is copied, so that training leaves the recogniser as it was
    head       flattened last features (B, F) -> (B, 1), ends in a linear layer; built by `build_head`
    budget     bytes of activations at once; None: chosen for the device

    A subclass defines `build_head`, and `bound` where its output has limits. Batch norms of the trunk keep
    the recogniser's statistics in training. Raises FiqaError for unfit images.
    """

    precision = "float32"

    def __init__(self, backbone: Recogniser, budget: int | None = None):
        super().__init__()
        self.trunk = trunk_of(backbone)
        self.head = self.build_head(self.trunk.embedding_size)
        self.chunks = Chunks(budget)
        self.eval()

    @abstractmethod
    def build_head(self, features: int) -> nn.Sequential:
        """The untrained head for `features` inputs."""

    def bound(self, raw: torch.Tensor) -> torch.Tensor:
        """The score (B,) of the head's output (B,); monotone."""
        return raw

    def parts(self) -> tuple[nn.Module, nn.Module]:
        """(trunk, head)."""
        return self.trunk, self.head

    def raw(self, images) -> torch.Tensor:
        """Differentiable: the head's output (B,) before `bound`."""
        return self.head(self.trunk(images)).squeeze(1)

    def train(self, mode: bool = True):
        super().train(mode)
        self.trunk.eval()
        return self

    @torch.no_grad()
    def forward(self, images) -> torch.Tensor:
        check_images(images)
        if not len(images):
            return images.new_zeros(0)
        with computing(self.precision, self):
            size = self.chunks.size("score", lambda: activation_bytes(self.trunk, (images[:1],), False),
                                    images.device)
            return self.chunks.run(lambda first, last: self.bound(self.raw(images[first:last])), len(images),
                                   size)


def raw_scores(model: Regressor, pixels: np.ndarray, settings: dict, device):
    """A function (rows (B,), mirrored (B,) bool) -> raw scores (B,); cached features feed a frozen trunk."""
    if settings["trained_tensors"] > 0:
        return lambda rows, mirrored: model.raw(image_batch(pixels, rows, mirrored, device))
    features = views(model.trunk, pixels, device)
    return lambda rows, mirrored: model.head(features[rows, mirrored.astype(int)]).squeeze(1)


def learns(options: dict, images: int) -> tuple[int, int]:
    """Faces that a training looks at, and learns from: a frozen trunk sees each and its mirror image once."""
    return (0, options["epochs"] * images) if options["trained_tensors"] else (2 * images, 0)


def fit_regression(model: Regressor, faces: FaceSet, labels: np.ndarray, config: dict | None = None,
                   checkpoint: Path | None = None, device="cpu", log: Path | None = None) -> Regressor:
    """Train `model` in place to predict labels; returned frozen, with the weights of its best epoch.

    labels      (N,) quality of each face; an image whose label is NaN takes no part
    config      overrides of DEFAULTS
    checkpoint  state file: an interrupted run continues from it with the same result; None: no saving
    log         CSV of the losses of each epoch
    The head's bias starts at the mean label. Raises FiqaError for unfit labels or settings.
    """
    settings = settings_of(config, DEFAULTS)
    rows = np.flatnonzero(np.isfinite(labels))
    if len(labels) != len(faces) or not len(rows) or settings["loss"] not in LOSSES:
        raise FiqaError(f"{len(rows)} finite labels of {len(labels)} for {len(faces)} faces, "
                        f"loss {settings['loss']!r}",
                        f"give a label per face, and a loss of {', '.join(LOSSES)}")
    model = model.to(device)
    nn.init.constant_(model.head[-1].bias, float(np.mean(labels[rows])))
    targets = torch.from_numpy(np.asarray(labels, dtype=np.float32)).to(device)
    scores, measure = raw_scores(model, faces.pixels, settings, device), LOSSES[settings["loss"]]
    fit({"model": model}, trained_parameters(model, settings),
        lambda rows, mirrored: measure(scores(rows, mirrored), targets[rows]),
        hold_out(codes_of(faces.images["identity"]), rows, settings["validation"], settings["seed"]),
        partial(shuffled, batch=settings["batch"]), settings,
        Resume(checkpoint, run_identity(model, settings, faces.pixels, labels)), log)
    return model.requires_grad_(False).eval()
