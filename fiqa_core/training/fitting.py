"""The one training loop: options, steps, log, best weights, and a state on disk that survives Ctrl-C.

`run` takes steps and knows neither data nor loss; `fit` is for methods that learn from rows of a training
set. A run that continues from its state ends as one that was never interrupted, because all its randomness
follows from (seed, step) and everything else is in the state, which is written whole or not at all.
"""
import copy
import hashlib
import math
import sys
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import write_text
from fiqa_core.base.options import kinds_like_each, typed
from fiqa_core.base.progress import progress
from fiqa_core.weights.formats.pytorch import read_checkpoint, write_atomically

# drops: the learning rates fall to a tenth after these parts of the run; mirror: half of a batch's images are
# mirrored; validation: share of the persons that is held out; clip: largest norm of the gradient.
DEFAULTS = {"epochs": 5, "optimiser": "adam", "weight_decay": 0.0, "drops": (0.5, 0.75), "clip": 5.0,
            "mirror": True, "validation": 0.1, "seed": 0}
OPTIMISERS = {"adam": torch.optim.Adam, "sgd": partial(torch.optim.SGD, momentum=0.9)}
COLUMNS = ("epoch", "loss", "validation_loss")


def settings_of(config: dict | None, defaults: dict) -> dict:
    """`defaults` overridden by `config`, lists as tuples; FiqaError for a key without default or an unknown
    optimiser."""
    settings = {**defaults, **(config or {})}
    unknown = sorted(set(settings) - set(defaults))
    if unknown:
        raise FiqaError(f"unknown setting {unknown[0]!r}", f"choose from: {', '.join(defaults)}")
    if settings.get("optimiser", "adam") not in OPTIMISERS:
        raise FiqaError(f"unknown optimiser {settings['optimiser']!r}",
                        f"choose from: {', '.join(OPTIMISERS)}")
    settings = typed(settings, kinds_like_each(defaults), "training")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}


def untrained(build, seed: int):
    """What `build()` returns with torch's generator seeded; the generator is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def trained_parameters(model: nn.Module, settings: dict) -> list[dict]:
    """The optimiser's groups: the head, and the backbone's last `trained_tensors` tensors. Freezes the rest.

    model   its `parts()` are (backbone, head);  settings  head_lr, backbone_lr, trained_tensors
    """
    backbone, head = model.parts()
    model.requires_grad_(False)
    last = list(backbone.parameters())[-settings["trained_tensors"]:] if settings["trained_tensors"] else []
    groups = [{"params": list(head.parameters()), "lr": settings["head_lr"]},
              {"params": last, "lr": settings["backbone_lr"]}]
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    return groups


def decayed(parameters, weight_decay: float) -> list[dict]:
    """An optimiser's groups: weight decay for matrices and kernels, none for biases, norms and slopes."""
    matrices, others = [], []
    for parameter in parameters:
        (matrices if parameter.dim() > 1 else others).append(parameter)
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


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
        if state.get("identity") != self.identity:
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


def run_identity(model, settings: dict, *arrays: np.ndarray) -> str:
    """Text that tells training runs apart: model (or its name), settings, and the data, (N, ...) each."""
    name = model if isinstance(model, str) else type(model).__name__
    return " ".join([name, str(sorted(settings.items())), *map(fingerprint, arrays)])


def fingerprint(rows: np.ndarray) -> str:
    """Tells training sets apart: shape and a hash of at most 64 evenly spaced rows (N, ...)."""
    digest = hashlib.blake2b(digest_size=16)
    for row in np.linspace(0, len(rows) - 1, min(len(rows), 64)).astype(int):
        digest.update(np.ascontiguousarray(rows[row]).tobytes())
    return f"{rows.shape} {digest.hexdigest()}"


def write_log(path: Path | None, columns: tuple[str, ...], rows: list) -> None:
    """The training curve as CSV, without times, so that equal runs write equal files."""
    if path is None:
        return
    lines = [",".join(str(value) if isinstance(value, int) else f"{value:.6g}" for value in row)
             for row in rows]
    write_text("\n".join([",".join(columns), *lines]) + "\n", path)


def descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor, clip: float = math.inf,
            clipped=None) -> None:
    """One step of the optimiser down the gradient of `loss`, whose norm over `clipped` is limited to `clip`.

    clipped   parameters; None: all of the optimiser's
    """
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if clip < math.inf:
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(parameters if clipped is None else clipped, clip)
    optimiser.step()


def run(label: str, parts: dict, step: Callable, row: Callable, steps: int, period: int,
        columns: tuple[str, ...], resume: Resume, log: Path | None = None, whole: bool = False) -> None:
    """Take `steps` steps; after each `period` of them log a row, and keep the weights if they are the best.

    parts    name -> network or optimiser: all that a saved run continues from
    step     number of the step -> list of K numbers that are summed over the period, the loss first
    row      (number of the period, from 1, and its K sums) -> (values of `columns`, figure); the weights of
             lowest figure are left in the networks, or the last ones where it is None
    log      CSV of the rows; None: no log
    whole    the run is saved after whole periods alone, since its random numbers run on through a period
    Raises FiqaError if the loss is no number any more.
    """
    networks = {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
    state = {"step": 0, "sums": None, "log": [], "lowest": math.inf, "best": None}
    if (saved := resume.load()) is not None:
        state = {key: saved[key] for key in state}
        for name, part in parts.items():
            part.load_state_dict(saved["parts"][name])
    with torch.random.fork_rng():
        for number in progress(range(state["step"], steps), label, unit="steps"):
            found = step(number)
            state["sums"] = [a + b for a, b in zip(state["sums"] or [0.0] * len(found), found)]
            state["step"], ended = number + 1, (number + 1) % period == 0
            if ended:
                _end_period(state, row, (number + 1) // period, networks, label)
                write_log(log, columns, state["log"])
            if ended or not whole:
                resume.save({**state, "parts": {name: part.state_dict() for name, part in parts.items()}},
                            always=whole or number + 1 == steps)
    for name, weights in (state["best"] or {}).items():
        networks[name].load_state_dict(weights)
    write_log(log, columns, state["log"])


def _end_period(state: dict, row: Callable, number: int, networks: dict[str, nn.Module], label: str) -> None:
    """Log a period, and keep the weights if they are the best so far."""
    sums, state["sums"] = state["sums"], None
    if not math.isfinite(sums[0]):
        raise FiqaError(f"{label}: diverged after {state['step']} steps, the loss is {sums[0]}",
                        "lower the learning rate in params.yaml")
    values, figure = row(number, sums)
    state["log"].append(values)
    if figure is not None and figure < state["lowest"]:
        state["lowest"] = figure
        state["best"] = {name: copy.deepcopy(network.state_dict()) for name, network in networks.items()}


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
    training, held_out = rows
    seed, rates = settings["seed"], [group["lr"] for group in groups]
    optimiser = OPTIMISERS[settings["optimiser"]](groups, weight_decay=settings["weight_decay"])
    batches = lru_cache(1)(lambda epoch: draw(training, np.random.default_rng((seed, epoch))))
    count = len(batches(0))
    steps = settings["epochs"] * count

    def set_mode(train: bool):
        for module in modules.values():
            module.train(train)

    def step(number):
        epoch, position = divmod(number, count)
        chosen, own = batches(epoch)[position], seed * 1_000_003 + number
        torch.manual_seed(own)                                  # of the dropout
        mirrored = np.random.default_rng(own).random(len(chosen)) < (0.5 if settings["mirror"] else 0)
        for group, rate in zip(optimiser.param_groups, rates):
            group["lr"] = rate * 0.1 ** sum(number / steps >= part for part in settings["drops"])
        found = loss(chosen, mirrored)
        descend(optimiser, found, settings["clip"])
        return [found.item()]

    def row(epoch, sums):
        mean = sums[0] / count
        if not len(held_out):
            return [epoch, mean, mean], None
        set_mode(False)
        validation = validation_loss(loss, draw(held_out, np.random.default_rng(seed)))
        set_mode(True)
        return [epoch, mean, validation], validation

    set_mode(True)
    run(f"train {', '.join(modules)}", {**modules, "optimiser": optimiser}, step, row, steps, count, COLUMNS,
        resume, log)


@torch.no_grad()
def validation_loss(loss, batches: list[np.ndarray]) -> float:
    """Mean loss of the held-out persons, in batches that are the same in every epoch."""
    losses = [loss(rows, np.zeros(len(rows), dtype=bool)).item() for rows in batches]
    return float(np.average(losses, weights=[len(rows) for rows in batches]))
