"""Weights into a network, every key and shape checked."""
import sys
from collections.abc import Iterable, Mapping

import torch
from torch import nn
from torch.nn import init
from torch.overrides import TorchFunctionMode

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights.unwrap import State, Translator, needed, surplus, unwrap

SHOWN = 4                           # keys of a kind in a message
DRAWING = {torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_, init.uniform_, init.normal_,
           init.kaiming_uniform_, init.kaiming_normal_}


class Unfit(FiqaError):
    """A file's keys or shapes are not those of the network."""


class Undrawn(TorchFunctionMode):
    """Networks built within it start from zeros instead of drawn weights.

    For networks that a file fills: drawing takes several times as long as reading it. Zeros, not memory as it
    comes: a truncated normal draws again until every value is within its bounds.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in DRAWING:
            with torch.no_grad():
                return (args[0] if args else kwargs["tensor"]).zero_()
        return function(*args, **kwargs)


def load_strictly(network: nn.Module, content: Mapping, what: str,
                  translators: Iterable[Translator] = ()) -> None:
    """Copy the weights in `content` into the network, all or none.

    content      of a file, as `read_tensors` returns it, with or without wrappers, prefixes and foreign names
    what         the file and its intended use, for the message
    translators  of the foreign names that the file may have, see `unwrap`
    Raises Unfit that names missing, unexpected and mis-shaped keys.
    """
    wanted = network.state_dict()
    try:
        state = unwrap(content, wanted, translators)
    except FiqaError as error:
        raise FiqaError(f"{what}: {error.problem}", error.remedy) from None
    if not state:
        raise FiqaError(f"{what}: there is no tensor in it", "give the file of the weights themselves")
    found = faults(state, wanted)
    if found:
        raise Unfit(f"{what}: {'; '.join(found)}", "check that it holds the network itself")
    used = {key: state[key] for key in needed(wanted, state)}
    check_finite(used, what)
    network.load_state_dict(used)
    if len(used) < len(state):
        print(f"{what}: {len(state) - len(used)} counters of a profiler are left out "
              f"({', '.join(list(state.keys() - used)[:SHOWN])}, ...)", file=sys.stderr)


def check_finite(tensors: State, what: str) -> None:
    """Raise FiqaError, naming the tensors, where a value is infinite or no number."""
    wrong = [key for key, value in tensors.items()
             if value.is_floating_point() and not value.is_meta and not value.isfinite().all()]
    if wrong:
        raise FiqaError(f"{what}: {_listed('not finite', wrong, tensors)}",
                        "fetch the file again, or train the network anew: no score of it would mean anything")


def faults(state: State, wanted: State) -> list[str]:
    """What keeps `state` from being `wanted`: up to three lists of keys; [] where it fits."""
    wanted = needed(wanted, state)
    shapes = [f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
              for key, value in wanted.items() if key in state and state[key].shape != value.shape]
    lists = (_listed("missing", [key for key in wanted if key not in state], wanted),
             _listed("unexpected", surplus(state, wanted), state),
             _listed("mis-shaped", shapes, wanted))
    return [text for text in lists if text]


def _listed(kind: str, keys: list[str], everything: Mapping) -> str:
    """'3 missing of 187: a, b, c', or nothing where no key is at fault."""
    if not keys:
        return ""
    more = ", ..." if len(keys) > SHOWN else ""
    return f"{len(keys)} {kind} of {len(everything)}: {', '.join(keys[:SHOWN])}{more}"
