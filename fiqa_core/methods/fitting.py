"""The training loop of methods that learn from rows of a training set: labels, pairs, distillation.

It knows a loss of rows and which modules to save; what the loss computes is the methods' business. An
interrupted run continues with the same result, because all randomness follows from (seed, epoch, step).
"""
import copy
import math
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fiqa_core.benchmarks.tables import FaceSet
from fiqa_core.errors import FiqaError
from fiqa_core.methods.resume import Resume, fingerprint, write_log
from fiqa_core.progress import progress

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
