"""Weights into a network, every key and shape checked."""
from collections.abc import Iterable, Mapping

import torch
from torch import nn
from torch.nn import init
from torch.overrides import TorchFunctionMode

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights.unwrap import State, Translator, unwrap

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
    state = unwrap(content, wanted, translators)
    wanted = needed(wanted, state)
    if not state:
        raise FiqaError(f"{what}: there is no tensor in it", "give the file of the weights themselves")
    found = faults(state, wanted)
    if found:
        raise Unfit(f"{what}: {'; '.join(found)}", "check that it holds the network itself")
    network.load_state_dict(state)


def needed(wanted: State, state: State) -> State:
    """`wanted` without the counters of batches that `state` lacks, as files before torch 0.4.1 do."""
    return {key: value for key, value in wanted.items()
            if key in state or not key.endswith("num_batches_tracked")}


def faults(state: State, wanted: State) -> list[str]:
    """What keeps `state` from being `wanted`: up to three lists of keys; [] where it fits."""
    shapes = [f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
              for key, value in wanted.items() if key in state and state[key].shape != value.shape]
    lists = (_listed("missing", [key for key in wanted if key not in state], wanted),
             _listed("unexpected", [key for key in state if key not in wanted], state),
             _listed("mis-shaped", shapes, wanted))
    return [text for text in lists if text]


def _listed(kind: str, keys: list[str], everything: Mapping) -> str:
    """'3 missing of 187: a, b, c', or nothing where no key is at fault."""
    if not keys:
        return ""
    more = ", ..." if len(keys) > SHOWN else ""
    return f"{len(keys)} {kind} of {len(everything)}: {', '.join(keys[:SHOWN])}{more}"
