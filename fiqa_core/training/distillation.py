"""Training of DifFIQA(R) and eDifFIQA from DifFIQA scores (IJCB 2023; TBIOM 2024).

One loop for both. They differ in their loss: DifFIQA(R) regresses the scores, eDifFIQA regresses scores
corrected by the distance to the identity's centre, and keeps its embeddings where the recogniser put them.
"""
import copy
from pathlib import Path

import numpy as np
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import to_batch
from fiqa_core.base.progress import progress
from fiqa_core.kernels.chunks import check_variant
from fiqa_core.kernels.ediffiqa import PAPER, Distilled, EDifFIQA, class_centres, losses, min_max
from fiqa_core.training.fitting import Resume, fingerprint, write_log

COLUMNS = ("epoch", "loss", "representation_loss", "quality_loss", "validation_loss")


def validation_rows(scores: np.ndarray, share: float) -> np.ndarray:
    """Rows of every (1/share)-th image of the list sorted by score, so that all qualities are represented."""
    order = np.argsort(scores, kind="stable")
    return order[::max(1, round(1 / share))] if share > 0 else order[:0]


def trained_parameters(model: Distilled, config: dict) -> list[dict]:
    """Adam's groups: the head, and the backbone's last `trained_tensors` tensors. Freezes the rest."""
    backbone, head = model.parts()
    model.requires_grad_(False)
    last = list(backbone.parameters())[-config["trained_tensors"]:] if config["trained_tensors"] else []
    groups = [{"params": list(head.parameters()), "lr": config["head_lr"]},
              {"params": last, "lr": config["backbone_lr"]}]
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    return groups


def distil(model: Distilled, pixels: np.ndarray, scores: np.ndarray, identities=None,
           config: dict | None = None, checkpoint: Path | None = None, device="cpu",
           log: Path | None = None) -> Distilled:
    """Train `model` in place and return it, frozen, at its epoch of lowest validation loss.

    pixels       (N, 112, 112, 3) uint8;  scores (N,) their DifFIQA scores
    identities   (N,) for eDifFIQA; images of identities without a centre are left out
    config       overrides of PAPER. epochs, batch, ...; validation is the share held out by `validation_rows`
    checkpoint   state file: an interrupted run continues from it with the same result; None: no saving
    log          CSV of the losses of each epoch

    Batch norms keep the recogniser's statistics and dropout is off, so that the result does not depend on
    how images meet in a batch. Raises FiqaError for unfit input.
    """
    config = {**PAPER, **(config or {})}
    check_variant(config["variant"])
    if len(pixels) != len(scores) or not len(pixels):
        raise FiqaError(f"{len(pixels)} images and {len(scores)} scores", "give one DifFIQA score per image")
    model = model.to(device).eval()
    resume = Resume(checkpoint, f"{type(model).__name__} {sorted(config.items())} {fingerprint(pixels)} "
                                f"{fingerprint(np.asarray(scores, dtype=np.float64)[:, None])}")
    run = _Run(model, pixels, scores, identities, config, device)
    run.train(resume, log)
    return model.requires_grad_(False).eval()


class _Run:
    """The state of one training: what is read from the checkpoint and written to it."""

    def __init__(self, model, pixels, scores, identities, config, device):
        self.model, self.pixels, self.config, self.device = model, pixels, config, device
        labels = min_max(scores)
        held_out = np.zeros(len(labels), dtype=bool)
        held_out[validation_rows(labels, config["validation"])] = True
        self.labels = torch.from_numpy(labels).float().to(device)
        self.targets = self.centres = None
        usable = np.ones(len(labels), dtype=bool)
        if isinstance(model, EDifFIQA):
            usable = self._representation(identities, labels)
        self.train_rows = np.flatnonzero(usable & ~held_out)
        self.validation_rows = np.flatnonzero(held_out)
        if not len(self.train_rows):
            raise FiqaError("no image is left to train on",
                            "lower the share `validation`, or give more images")
        self.groups = trained_parameters(model, config)
        self.optimiser = torch.optim.Adam(self.groups)

    def _representation(self, identities, labels) -> np.ndarray:
        """Embed every image once: targets e_x and centres; returns which images have a centre."""
        if identities is None:
            raise FiqaError("eDifFIQA is trained without identities", "give the identity of each image")
        self.targets = torch.cat([self.model.embed_and_score(self._images(rows))[0]
                                  for rows in self._batches(np.arange(len(labels)))])
        centres, rows = class_centres(self.targets.cpu(), identities, labels, self.config["beta"],
                                      self.config["min_images"])
        self.centres = centres.to(self.device)[torch.from_numpy(rows).to(self.device)]
        return rows >= 0

    def _images(self, rows):
        return to_batch(self.pixels[rows], self.device)

    def _batches(self, rows):
        size = self.config["batch"]
        return [np.sort(rows[first:first + size]) for first in range(0, len(rows), size)]

    def train(self, resume: Resume, log: Path | None) -> None:
        state = self._restore(resume.load())
        count = len(self._batches(self.train_rows))
        last = self.config["epochs"] * count
        for step in progress(range(state["step"], last), f"distil {type(self.model).__name__}", unit="steps"):
            epoch, position = divmod(step, count)
            order = np.random.default_rng((self.config["seed"], epoch)).permutation(self.train_rows)
            state["sums"] = [a + b for a, b in zip(state["sums"], self._step(self._batches(order)[position]))]
            state["step"] = step + 1
            if position == count - 1:
                self._end_epoch(epoch, state)
                write_log(log, COLUMNS, state["log"])
            resume.save(self._kept(state), always=step + 1 == last)
        self.model.load_state_dict(state["best"])
        write_log(log, COLUMNS, state["log"])

    def _step(self, rows) -> list[float]:
        """One optimiser step; returns the sums over the batch of its losses, and its size."""
        where = torch.from_numpy(rows).to(self.device)
        extra = () if self.targets is None else (self.targets[where], self.centres[where])
        found = losses(self.model, self._images(rows), self.labels[where], *extra, config=self.config)
        self.optimiser.zero_grad(set_to_none=True)
        found[0].backward()
        torch.nn.utils.clip_grad_norm_([p for g in self.groups for p in g["params"]], self.config["clip"])
        self.optimiser.step()
        return [*(loss.item() * len(rows) for loss in found), len(rows)]

    def _end_epoch(self, epoch: int, state: dict) -> None:
        """Validate with the plain label, log, and keep the weights if this epoch is the best so far."""
        *sums, count = state["sums"]
        means = [value / count for value in sums]
        validation = self._validate() if len(self.validation_rows) else means[-1]
        state["log"].append([epoch + 1, *means, validation])
        state["sums"] = [0.0] * 4
        if validation < state["lowest"]:
            state["lowest"], state["best"] = validation, copy.deepcopy(self.model.state_dict())

    def _validate(self) -> float:
        """Mean |q_hat - q_x| over the held-out images."""
        errors = [(self.model(self._images(rows)) - self.labels[torch.from_numpy(rows).to(self.device)]).abs()
                  for rows in self._batches(self.validation_rows)]
        return torch.cat(errors).mean().item()

    def _restore(self, saved: dict | None) -> dict:
        if saved is None:
            return {"step": 0, "sums": [0.0] * 4, "log": [], "lowest": float("inf"),
                    "best": copy.deepcopy(self.model.state_dict())}
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        return {key: saved[key] for key in ("step", "sums", "log", "lowest", "best")}

    def _kept(self, state: dict) -> dict:
        return {**state, "model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
