"""Weights into a network, every key and shape checked, and what a file would fit that does not fit here."""
from collections.abc import Mapping
from functools import cache

import torch
from torch import nn
from torch.nn import init
from torch.overrides import TorchFunctionMode

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights.unwrap import unwrap

SHOWN = 4                           # keys of a kind in a message
CLOSE = 0.5                         # share of fitting keys from which an architecture is worth naming
DRAWING = {torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_, init.uniform_, init.normal_,
           init.kaiming_uniform_, init.kaiming_normal_}


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


def load_strictly(network: nn.Module, content: Mapping, what: str) -> None:
    """Copy the weights in `content` into the network, all or none.

    content   of a file, as `read_tensors` returns it, with or without wrappers, prefixes and foreign names
    what      the file and its intended use, for the message
    Raises FiqaError that names missing, unexpected and mis-shaped keys, and the architectures that the file
    would fit instead.
    """
    wanted = network.state_dict()
    state = unwrap(content, wanted)
    if not state:
        raise FiqaError(f"{what}: there is no tensor in it", "give the file of the weights themselves")
    found = faults(state, wanted)
    if found:
        raise FiqaError(f"{what}: {'; '.join(found)}", advice(content))
    network.load_state_dict(state)


def faults(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> list[str]:
    """What keeps `state` from being `wanted`: up to three lists of keys; [] where it fits."""
    shapes = [f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
              for key, value in wanted.items() if key in state and state[key].shape != value.shape]
    lists = (_listed("missing", [key for key in wanted if key not in state], wanted),
             _listed("unexpected", [key for key in state if key not in wanted], state),
             _listed("mis-shaped", shapes, wanted))
    return [text for text in lists if text]


def advice(content: Mapping) -> str:
    """What to do with an unfit file: load it as one of the architectures it fits, the largest first, or else
    look at the nearest."""
    fitting, shares = {}, {}
    for name in architectures():
        wanted = outline(name)
        state = unwrap(content, wanted)
        same = sum(key in state and state[key].shape == value.shape for key, value in wanted.items())
        shares[name] = same / max(len(wanted), len(state))
        if not faults(state, wanted):
            fitting[name] = len(wanted)
    if fitting:
        names = sorted(fitting, key=fitting.get, reverse=True)
        return f"the file fits: {', '.join(names)}; load it under that name"
    best = max(shares.values())
    if best < CLOSE:
        return "it fits no known architecture; check that it holds the network itself"
    names = [name for name, share in shares.items() if share == best]
    return f"it fits no known architecture; nearest: {', '.join(names)}, with {best:.0%} of the keys"


def architectures() -> list[str]:
    """Names of all networks that have official weights."""
    from fiqa_core.loading import ARCHITECTURES
    return list(ARCHITECTURES)


@cache
def outline(name: str) -> dict[str, torch.Tensor]:
    """Keys and shapes of an architecture, on torch's meta device, so without memory for values."""
    from fiqa_core.loading import ARCHITECTURES
    with torch.device("meta"), Undrawn():
        return dict(ARCHITECTURES[name]().state_dict())


def _listed(kind: str, keys: list[str], everything: Mapping) -> str:
    """'3 missing of 187: a, b, c', or nothing where no key is at fault."""
    if not keys:
        return ""
    more = ", ..." if len(keys) > SHOWN else ""
    return f"{len(keys)} {kind} of {len(everything)}: {', '.join(keys[:SHOWN])}{more}"
