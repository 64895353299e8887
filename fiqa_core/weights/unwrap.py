"""The state dict inside an official file: its wrappers and prefixes taken off, foreign names translated.

Repositories save their networks under different wrappers (`state_dict`, `model`, ...) and prefixes of the
keys (`module.`, `features.module.`, ...), beside loss heads and optimisers. What to take off is not guessed
from the names alone: of all ways to look at a file, the one is taken that fits the network.

Names and orders of axes of other frameworks are translated by functions that the caller hands in: each takes
a flat state dict and returns it in the network's own names, or {} where its names are not those it knows.
"""
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch

from fiqa_core.base.errors import FiqaError

WRAPPERS = ("state_dict", "net_state_dict", "model_state_dict", "model", "net", "network", "backbone")
PREFIXES = ("module.", "model.", "net.", "network.", "features.", "base_model.", "backbone.")
COMPILED = "_orig_mod."             # what torch.compile puts into keys, wherever it was applied
PROFILED = ("total_ops", "total_params")        # what a count of operations (thop) leaves in each layer
MOST_LAYERS = 6                     # of wrappers and prefixes around one another
# The four dicts of SwinFace's file, each a part of the full network; the first alone is the recogniser.
SWINFACE = ("backbone", "fam", "tss", "om")
# Heads of losses and of quality that lie beside a backbone whose keys have a prefix.
HEADS = re.compile(r"(module\.)?((parallel_)?fc\.weight|head\.(kernel|weight|t|batch_mean|batch_std)"
                   r"|mlp\.l[12]\.(weight|bias))")

State = dict[str, torch.Tensor]
Translator = Callable[[State], State]


def unwrap(content: Mapping, wanted: State, translators: Iterable[Translator] = ()) -> State:
    """The part of a file that fits a network best: {key: tensor}.

    content      what `read_tensors` returned
    wanted       the network's own state dict, of which only keys and shapes count
    translators  of foreign names, tried on every part
    Where a prefix is taken off, keys without it are kept as they are, unless they are those of a known head:
    the loader then reports them. Dicts of other names than WRAPPERS count where none of these fits. Where
    nothing fits, the largest state dict comes back. Raises FiqaError where two parts fit entirely and differ.
    """
    best, most, whole = {}, (-1, -1), {}
    for wrappers in (WRAPPERS, None):
        for place, state in views(content, translators, wrappers):
            fitting = sum(key in state and state[key].shape == value.shape for key, value in wanted.items())
            if (fitting, len(state)) > most:
                best, most = state, (fitting, len(state))
            if fitting == len(needed(wanted, state)) and not surplus(state, wanted):
                whole.setdefault(place, state)
        if whole:
            break
    first, *others = whole.values() or [best]
    if not all(torch.equal(state[key], first[key]) for state in others for key in needed(wanted, first)):
        raise FiqaError(f"the network is there twice, with different weights: under {' and '.join(whole)}",
                        "save the one that is meant in a file of its own")
    return first


def needed(wanted: State, state: State) -> State:
    """`wanted` without the counters of batches that `state` lacks, as files before torch 0.4.1 do."""
    return {key: value for key, value in wanted.items()
            if key in state or not key.endswith("num_batches_tracked")}


def surplus(state: State, wanted: State) -> list[str]:
    """Keys of `state` that the network has not; those that a profiler left there do not count."""
    return [key for key in state if key not in wanted and key.rpartition(".")[2] not in PROFILED]


def views(content: Mapping, translators: Iterable[Translator], wrappers: tuple[str, ...] | None = WRAPPERS,
          place: str = "the file itself", layers: int = MOST_LAYERS) -> Iterator[tuple[str, State]]:
    """All ways to look at a file, from the outermost inwards: where in the file, and what is there.

    wrappers   names of the dicts that are looked into; None: of all
    """
    state = {key.replace(COMPILED, ""): value for key, value in content.items()
             if isinstance(key, str) and isinstance(value, torch.Tensor)}
    for found in (state, *(translate(state) for translate in translators), *_swinface(content)):
        if found:
            yield place, found
    if not layers:
        return
    for name, part in content.items():
        if isinstance(part, Mapping) and (isinstance(name, str) if wrappers is None else name in wrappers):
            yield from views(part, translators, wrappers, repr(name), layers - 1)
    for prefix in PREFIXES:
        if any(key.startswith(prefix) for key in state):
            inside = f"{place}, {prefix}*"
            yield from views(_without(prefix, state), translators, wrappers, inside, layers - 1)


def _without(prefix: str, state: State) -> State:
    inside = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    beside = {key: value for key, value in state.items()
              if not key.startswith(prefix) and key not in inside and not HEADS.fullmatch(key)}
    return inside | beside


def _swinface(content: Mapping) -> Iterator[State]:
    parts = {part: content.get(f"state_dict_{part}") for part in SWINFACE}
    if isinstance(parts["backbone"], Mapping):
        yield dict(parts["backbone"])
    if all(isinstance(part, Mapping) for part in parts.values()):
        yield {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}
