"""The training loop of methods that learn from rows of a training set: labels, pairs, distillation.

It knows a loss of rows and which modules to save; what the loss computes is the methods' business. An
interrupted run continues with the same result, because all randomness follows from (seed, epoch, step).

Training that survives Ctrl-C: the state of a run on disk, written whole or not at all.

A run that continues from its state gives the same result as one that was never interrupted, because all its
randomness follows from (seed, step) and everything else is in the state.

Options of a training: known names, and defaults where params.yaml is silent.
"""
import copy
import hashlib
import math
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.progress import progress
from fiqa_core.weights.formats.pytorch import read_checkpoint, write_atomically


class Resume:
    """The state file of one training run.

    path       where it lies; None: the run is not saved
    identity   text that tells runs apart (config, data); a state of another run is not continued
    every      least seconds between two saves
    """

    def __init__(self, path: Path | None, identity: str, every: float = 20.0):
        self.path = None if path is None else Path(path)
        self.identity = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
        self.every = every
        self._saved = time.monotonic()

    def load(self) -> dict | None:
        """The state to continue from, or None to start anew. Raises FiqaError for a damaged file."""
        if self.path is None or not self.path.is_file():
            return None
        state = read_checkpoint(self.path)
        identity = state.get("identity")
        if identity != self.identity:
            print(f"{self.path} is of a run with other data or parameters: training starts anew",
                  file=sys.stderr)
            return None
        return state

    def save(self, state: dict, always: bool = False) -> None:
        """Write the state if a save is due."""
        if self.path is None or not (always or time.monotonic() - self._saved >= self.every):
            return
        write_atomically({**state, "identity": self.identity}, self.path)
        self._saved = time.monotonic()


def fingerprint(pixels: np.ndarray) -> str:
    """Tells training sets apart: shape and a hash of at most 64 evenly spaced images (N, ...)."""
    digest = hashlib.blake2b(digest_size=16)
    for row in np.linspace(0, len(pixels) - 1, min(len(pixels), 64)).astype(int):
        digest.update(np.ascontiguousarray(pixels[row]).tobytes())
    return f"{pixels.shape} {digest.hexdigest()}"


def write_log(path: Path | None, columns: tuple[str, ...], rows: list) -> None:
    """The training curve as CSV, without times, so that equal runs write equal files."""
    if path is None:
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(columns)] + [",".join(f"{value:.6g}" for value in row) for row in rows]
    path.write_text("\n".join(lines) + "\n")


# drops: the learning rates fall to a tenth after these parts of the run; mirror: half of a batch's images are
# mirrored; validation: share of the persons that is held out; clip: largest norm of the gradient.
DEFAULTS = {"epochs": 5, "optimiser": "adam", "weight_decay": 0.0, "drops": (0.5, 0.75), "clip": 5.0,
            "mirror": True, "validation": 0.1, "seed": 0}
OPTIMISERS = {"adam": torch.optim.Adam, "sgd": partial(torch.optim.SGD, momentum=0.9)}
COLUMNS = ("epoch", "loss", "validation_loss")


def settings_of(config: dict | None, defaults: dict) -> dict:
    """`defaults` overridden by `config`; FiqaError for a key without default or an unknown optimiser."""
    settings = {**defaults, **(config or {})}
    unknown = sorted(set(settings) - set(defaults))
    if unknown:
        raise FiqaError(f"unknown setting {unknown[0]!r}", f"choose from: {', '.join(defaults)}")
    if settings["optimiser"] not in OPTIMISERS:
        raise FiqaError(f"unknown optimiser {settings['optimiser']!r}",
                        f"choose from: {', '.join(OPTIMISERS)}")
    return settings


def untrained(build, seed: int):
    """What `build()` returns with torch's generator seeded; the generator is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def run_identity(model: nn.Module, faces: FaceSet, settings: dict, *arrays: np.ndarray) -> str:
    """Text that tells training runs apart: the model, its settings, the faces, labels or embeddings."""
    tables = [np.asarray(array).reshape(len(faces), -1) for array in arrays]
    return " ".join([type(model).__name__, str(sorted(settings.items())),
                     *(fingerprint(data) for data in (faces.pixels, *tables))])


def fit(modules: dict[str, nn.Module], groups: list[dict], loss, rows: tuple[np.ndarray, np.ndarray], draw,
        settings: dict, resume: Resume, log: Path | None = None) -> None:
    """Minimise a loss over batches of rows; leaves the weights of the epoch with the lowest validation loss.

    modules   what is saved and, in an epoch, in training mode; one name for each
    groups    the optimiser's groups of parameters, with a learning rate each
    loss      (rows (B,) int64, mirrored (B,) bool) -> scalar; without gradient where it validates
    rows      (training, validation); without validation rows the last epoch's weights stay
    draw      (rows, numpy generator) -> list of batches; their number must not depend on the generator
    settings  epochs, optimiser, weight_decay, drops, clip, mirror, seed as in DEFAULTS
    Raises FiqaError if the loss is no number any more.
    """
    run = _Fit(modules, groups, loss, rows, draw, settings)
    with torch.random.fork_rng():
        run.train(resume, log)


class _Fit:
    """The state of one training: what is read from the checkpoint and written to it."""

    def __init__(self, modules, groups, loss, rows, draw, settings):
        self.modules, self.loss, self.draw, self.settings = modules, loss, draw, settings
        self.rows, self.held_out = rows
        self.rates = [group["lr"] for group in groups]
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.optimiser = OPTIMISERS[settings["optimiser"]](groups, weight_decay=settings["weight_decay"])

    def train(self, resume: Resume, log: Path | None) -> None:
        state, batches, drawn = self._restore(resume.load()), [], None
        count = len(self._batches(0))
        last = self.settings["epochs"] * count
        self._mode(True)
        for step in progress(range(state["step"], last), f"train {', '.join(self.modules)}", unit="steps"):
            epoch, position = divmod(step, count)
            if epoch != drawn:
                batches, drawn = self._batches(epoch), epoch
            state["sum"] += self._step(batches[position], step, step / last)
            state["step"] = step + 1
            if position == count - 1:
                self._end_epoch(epoch, state, count)
                write_log(log, COLUMNS, state["log"])
            resume.save(self._kept(state), always=step + 1 == last)
        self._load(state["best"])
        write_log(log, COLUMNS, state["log"])

    def _batches(self, epoch: int) -> list[np.ndarray]:
        return self.draw(self.rows, np.random.default_rng((self.settings["seed"], epoch)))

    def _step(self, rows, step: int, done: float) -> float:
        """One optimiser step after the part `done` of the run; returns the loss."""
        seed = self.settings["seed"] * 1_000_003 + step
        torch.manual_seed(seed)                                 # of the dropout
        mirrored = np.random.default_rng(seed).random(len(rows)) < (0.5 if self.settings["mirror"] else 0)
        for group, rate in zip(self.optimiser.param_groups, self.rates):
            group["lr"] = rate * 0.1 ** sum(done >= part for part in self.settings["drops"])
        loss = self.loss(rows, mirrored)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, self.settings["clip"])
        self.optimiser.step()
        return loss.item()

    def _end_epoch(self, epoch: int, state: dict, count: int) -> None:
        """Log, and keep the weights if this epoch is the best so far, or nothing tells which is."""
        mean, state["sum"] = state["sum"] / count, 0.0
        if not math.isfinite(mean):
            raise FiqaError(f"training diverged in epoch {epoch + 1}: the loss is {mean}",
                            "lower the learning rate")
        validation = self._validate() if len(self.held_out) else mean
        state["log"].append([epoch + 1, mean, validation])
        if validation < state["lowest"] or not len(self.held_out):
            state["lowest"], state["best"] = validation, copy.deepcopy(self._states())

    @torch.no_grad()
    def _validate(self) -> float:
        """Mean loss of the held-out persons, in batches that are the same in every epoch."""
        self._mode(False)
        batches = self.draw(self.held_out, np.random.default_rng(self.settings["seed"]))
        losses = [self.loss(rows, np.zeros(len(rows), dtype=bool)).item() for rows in batches]
        self._mode(True)
        return float(np.average(losses, weights=[len(rows) for rows in batches]))

    def _mode(self, training: bool) -> None:
        for module in self.modules.values():
            module.train(training)

    def _states(self) -> dict:
        return {name: module.state_dict() for name, module in self.modules.items()}

    def _load(self, states: dict) -> None:
        for name, module in self.modules.items():
            module.load_state_dict(states[name])

    def _restore(self, saved: dict | None) -> dict:
        if saved is None:
            return {"step": 0, "sum": 0.0, "log": [], "lowest": float("inf"),
                    "best": copy.deepcopy(self._states())}
        self._load(saved["modules"])
        self.optimiser.load_state_dict(saved["optimiser"])
        return {key: saved[key] for key in ("step", "sum", "log", "lowest", "best")}

    def _kept(self, state: dict) -> dict:
        return {**state, "modules": self._states(), "optimiser": self.optimiser.state_dict()}


def overridden(defaults: dict, config: dict | None, method: str) -> dict:
    """`defaults` with the values of `config` in place of its own; lists become tuples.

    Raises FiqaError naming the method for keys that have no default.
    """
    unknown = sorted(set(config or {}) - set(defaults))
    if unknown:
        raise FiqaError(f"unknown options of {method}: {', '.join(unknown)}", f"use {', '.join(defaults)}")
    merged = {**defaults, **(config or {})}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in merged.items()}
