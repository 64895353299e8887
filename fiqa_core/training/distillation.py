"""Training of DifFIQA(R) and eDifFIQA from DifFIQA scores (IJCB 2023; TBIOM 2024).

They differ in their loss: DifFIQA(R) regresses the scores, eDifFIQA regresses scores corrected by the
distance to the identity's centre, and keeps its embeddings where the recogniser put them.
"""
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.images import to_batch
from fiqa_core.kernels.chunks import check_variant
from fiqa_core.kernels.ediffiqa import PAPER, Distilled, EDifFIQA, class_centres, losses, min_max
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.training.fitting import (Resume, descend, run, run_identity, settings_of, trained_parameters,
                                        untrained)

COLUMNS = ("epoch", "loss", "representation_loss", "quality_loss", "validation_loss")


def train_distilled(build, faces: FaceSet, recogniser: Recogniser, config: dict | None = None,
                    checkpoint: Path | None = None, device="cpu", log: Path | None = None) -> Distilled:
    """`distil` of `build(recogniser)`, its head drawn with the seed, on the column `label` of `faces`."""
    model = untrained(lambda: build(recogniser), settings_of(config, PAPER)["seed"])
    return distil(model, faces, faces.images["label"].to_numpy(float), config, checkpoint, device, log)


def distil(model: Distilled, faces: FaceSet, scores: np.ndarray, config: dict | None = None,
           checkpoint: Path | None = None, device="cpu", log: Path | None = None) -> Distilled:
    """Train `model` in place and return it, frozen, at its epoch of lowest validation loss.

    scores       (N,) DifFIQA scores of the faces; eDifFIQA leaves out those of identities without a centre
    config       overrides of PAPER. epochs, batch, ...; validation is the share held out by `validation_rows`
    checkpoint   state file: an interrupted run continues from it with the same result; None: no saving
    log          CSV of the losses of each epoch

    Batch norms keep the recogniser's statistics and dropout is off, so that the result does not depend on
    how images meet in a batch. Raises FiqaError for unfit input.
    """
    settings = settings_of(config, PAPER)
    check_variant(settings["variant"])
    if len(faces) != len(scores) or not len(faces):
        raise FiqaError(f"{len(faces)} images and {len(scores)} scores", "give one DifFIQA score per image")
    model, q_x = model.to(device).eval(), min_max(scores)
    held_out = np.sort(validation_rows(q_x, settings["validation"]))
    usable, targets, centres = np.ones(len(q_x), dtype=bool), None, None

    def images(rows):
        return to_batch(faces.pixels[rows], device)

    def batches(rows):
        size = settings["batch"]
        return [np.sort(rows[first:first + size]) for first in range(0, len(rows), size)]

    if isinstance(model, EDifFIQA):                 # e_x and the centres, from the recogniser as it was
        targets = torch.cat([model.embed_and_score(images(rows))[0] for rows in batches(np.arange(len(q_x)))])
        found, own = class_centres(targets.cpu(), faces.images["identity"], q_x, settings["beta"],
                                   settings["min_images"])
        centres, usable = found.to(device)[torch.from_numpy(own).to(device)], own >= 0
    training = np.setdiff1d(np.flatnonzero(usable), held_out)
    if not len(training):
        raise FiqaError("no image is left to train on", "lower the share `validation`, or give more images")
    labels = torch.from_numpy(q_x).float().to(device)
    optimiser = torch.optim.Adam(trained_parameters(model, settings))
    drawn = lru_cache(1)(lambda epoch: batches(np.random.default_rng((settings["seed"], epoch))
                                               .permutation(training)))
    count = len(drawn(0))

    def step(number):
        epoch, position = divmod(number, count)
        rows = drawn(epoch)[position]
        where = torch.from_numpy(rows).to(device)
        extra = () if targets is None else (targets[where], centres[where])
        found = losses(model, images(rows), labels[where], *extra, config=settings)
        descend(optimiser, found[0], settings["clip"])
        return [*(loss.item() * len(rows) for loss in found), len(rows)]

    def row(epoch, sums):
        means = [value / sums[-1] for value in sums[:-1]]
        validation = absolute_error(model, images, labels, batches(held_out)) if len(held_out) else means[-1]
        return [epoch, *means, validation], validation

    run(f"distil {type(model).__name__}", {"model": model, "optimiser": optimiser}, step, row,
        settings["epochs"] * count, count, COLUMNS,
        Resume(checkpoint, run_identity(model, settings, faces.pixels, np.asarray(scores, np.float64))), log)
    return model.requires_grad_(False).eval()


def absolute_error(model: Distilled, images, labels: torch.Tensor, batches: list[np.ndarray]) -> float:
    """Mean |q_hat - q_x| over the held-out images, against the plain label."""
    errors = [(model(images(rows)) - labels[torch.from_numpy(rows).to(labels.device)]).abs()
              for rows in batches]
    return torch.cat(errors).mean().item()


def validation_rows(scores: np.ndarray, share: float) -> np.ndarray:
    """Rows of every (1/share)-th image of the list sorted by score, so that all qualities are represented."""
    order = np.argsort(scores, kind="stable")
    return order[::max(1, round(1 / share))] if share > 0 else order[:0]
