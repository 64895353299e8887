"""Training of FaceQgen (re-interpretation): restore every face to the best picture of its person.

Losses and optimiser are those of pix2pix (Isola et al., CVPR 2017): binary cross-entropy against the
discriminator plus 100 times the L1 distance to the target, Adam with betas (0.5, 0.999).
"""
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from fiqa_core.benchmarks.tables import FaceSet
from fiqa_core.errors import FiqaError
from fiqa_core.methods.faceqgen import NAME, FaceQgen
from fiqa_core.methods.features import image_batch
from fiqa_core.methods.fitting import untrained
from fiqa_core.methods.options import overridden
from fiqa_core.methods.resume import Resume, fingerprint, write_log
from fiqa_core.progress import progress

DEFAULTS = dict(size=64, widths=(16, 32, 64, 128, 128), critic=(16, 32, 64, 128), measure="discriminator",
                steps=1000, batch=16, learning_rate=2e-4, reconstruction=100.0, seed=0, log_every=50)
NETWORK = ("size", "widths", "critic", "measure")
COLUMNS = ("step", "critic_loss", "adversarial_loss", "l1")


def target_rows(images: pd.DataFrame) -> np.ndarray:
    """Row (N,) of the best picture of each row's identity: least severity, the first of equals.

    images  table of a face set; without a column `severity` the first picture of an identity is its target
    """
    severity = images["severity"].to_numpy(float) if "severity" in images else np.zeros(len(images))
    codes = np.unique(images["identity"].to_numpy(str), return_inverse=True)[1]
    order = np.lexsort((severity, codes))
    first = np.r_[True, np.diff(codes[order]) > 0]
    return order[first][codes]


def train_faceqgen(faces: FaceSet, recogniser=None, config: dict | None = None,
                   checkpoint: Path | None = None, device="cpu", log: Path | None = None) -> FaceQgen:
    """FaceQgen trained on `faces`, frozen and in eval mode.

    faces       images table with identity and, where known, severity
    recogniser  not used, FaceQgen sees pixels alone; there because all methods are trained by the same call
    config      overrides of DEFAULTS: arguments of FaceQgen, and steps, batch, learning_rate,
                reconstruction (weight of L1), seed, log_every
    checkpoint  state file: an interrupted run continues from it with the same result; None: no saving
    log         CSV of the mean losses of every `log_every` steps

    Everything random in a step follows from (seed, step). Raises FiqaError for unfit input.
    """
    config = overridden(DEFAULTS, config, NAME)
    if not len(faces):
        raise FiqaError("no faces to train FaceQgen on", "give a training face set")
    run = _Run(faces, config, device)
    resume = Resume(checkpoint, f"faceqgen {sorted(config.items())} {fingerprint(faces.pixels)}")
    state = run.restore(resume.load())
    for step in progress(range(state["step"], config["steps"]), "train FaceQgen", unit="steps"):
        state["sums"] = [a + b for a, b in zip(state["sums"], run.step(*run.batch(step)))]
        state["step"] = step + 1
        if (step + 1) % config["log_every"] == 0:
            state["log"].append([step + 1, *(value / config["log_every"] for value in state["sums"])])
            state["sums"] = [0.0] * 3
        resume.save({**state, **run.kept()}, always=step + 1 == config["steps"])
    write_log(log, COLUMNS, state["log"])
    return run.model.eval().requires_grad_(False)


class _Run:
    """Networks, optimisers and data of one training."""

    def __init__(self, faces: FaceSet, config: dict, device):
        self.pixels, self.targets = faces.pixels, target_rows(faces.images)
        self.config, self.device = config, device
        model = untrained(partial(FaceQgen, **{name: config[name] for name in NETWORK}), config["seed"])
        self.model = model.to(device).train()
        self.optimisers = [torch.optim.Adam(network.parameters(), config["learning_rate"], betas=(0.5, 0.999))
                           for network in (self.model.discriminator, self.model.generator)]

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Faces and their targets of a step, prepared; both are mirrored in half of the cases."""
        generator = np.random.default_rng((self.config["seed"], step))
        rows = np.sort(generator.choice(len(self.pixels), min(self.config["batch"], len(self.pixels)), False))
        mirrored = generator.random(len(rows)) < 0.5
        faces, targets = (self.model.prepare(image_batch(self.pixels, chosen, mirrored, self.device))
                          for chosen in (rows, self.targets[rows]))
        return faces, targets

    def step(self, faces: torch.Tensor, targets: torch.Tensor) -> list[float]:
        """One step of the discriminator, then of the generator; returns the losses of COLUMNS."""
        generator, discriminator = self.model.generator, self.model.discriminator
        restored = generator(faces)
        critic = (towards(discriminator(targets), 1) + towards(discriminator(restored.detach()), 0)) / 2
        self._descend(0, critic)
        discriminator.requires_grad_(False)                 # the generator's gradient passes through it only
        adversarial = towards(discriminator(restored), 1)
        l1 = F.l1_loss(restored, targets)
        self._descend(1, adversarial + self.config["reconstruction"] * l1)
        discriminator.requires_grad_(True)
        return [critic.item(), adversarial.item(), l1.item()]

    def _descend(self, which: int, loss: torch.Tensor) -> None:
        self.optimisers[which].zero_grad(set_to_none=True)
        loss.backward()
        self.optimisers[which].step()

    def restore(self, saved: dict | None) -> dict:
        """The loop's state, of a saved run or of a new one; a saved run's networks are put in place."""
        if saved is None:
            return {"step": 0, "sums": [0.0] * 3, "log": []}
        self.model.load_state_dict(saved["model"])
        for optimiser, state in zip(self.optimisers, saved["optimisers"]):
            optimiser.load_state_dict(state)
        return {key: saved[key] for key in ("step", "sums", "log")}

    def kept(self) -> dict:
        return {"model": self.model.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers]}


def towards(logits: torch.Tensor, label: float) -> torch.Tensor:
    """Binary cross-entropy of logits (B,) with one label for all."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
