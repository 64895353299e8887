"""How exactly networks compute: float32 unless a faster precision is chosen.

float32  every product in full: the 10-bit mantissa of TF32 is coarser than the perturbations of FaceQAN
tf32     a GPU rounds the factors of products to 10 bits of mantissa; a CPU computes in float32
bf16     products in bfloat16 with 7 bits, on CPU and GPU that have it; the stem, norms and the embedding in float32
"""
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from fiqa_core.base.errors import FiqaError

PRECISIONS = ("float32", "tf32", "bf16")


def check_precision(precision: str) -> str:
    """Raise FiqaError for a name that is none of PRECISIONS."""
    if precision not in PRECISIONS:
        raise FiqaError(f"precision is {precision!r}", f"use one of: {', '.join(PRECISIONS)}")
    return precision


def with_precision(method, precision: str):
    """`method` with that precision, if it has any such attribute; the others compute in float32."""
    check_precision(precision)
    if hasattr(method, "precision"):
        method.precision = precision
    return method


@contextmanager
def computing(precision: str, *networks: Callable) -> Iterator[None]:
    """Inside, `networks` compute in `precision`; what is no module computes as it does."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        with ExitStack() as stack:
            if precision == "bf16":
                for network in networks:
                    stack.enter_context(_bfloat16(network))
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def full_float32():
    """`computing` of methods that know no other precision."""
    return computing("float32")


@contextmanager
def _bfloat16(network: Callable) -> Iterator[None]:
    """Inside, the products of `network` are in bfloat16, but for its `exact_layers`."""
    layers = exact_layers(network) if isinstance(network, nn.Module) else []
    if not layers:
        raise FiqaError(f"{type(network).__name__} does not compute in bf16", "use float32")
    device = next(network.parameters()).device.type

    def enter(layer, inputs):
        torch.set_autocast_enabled(device, False)
        return tuple(each.float() if each.dtype == torch.bfloat16 else each for each in inputs)

    def leave(layer, inputs, output):
        torch.set_autocast_enabled(device, True)

    hooks = [hook for layer in layers
             for hook in (layer.register_forward_pre_hook(enter), layer.register_forward_hook(leave))]
    try:
        with torch.autocast(device, torch.bfloat16):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def exact_layers(network: nn.Module) -> list[nn.Module]:
    """The stem of a network and the layers that make its embedding and what follows it.

    The stem is the first layer with weights. The others are all linear ones of a convolutional network, and a 1x1
    convolution at its end; of a transformer, which is made of linear layers, the last two.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    convolutional = len(layers) - len(linear) > 1
    last = [layer for layer in layers[-1:] if layer.weight.shape[2:].numel() == 1]
    return list(dict.fromkeys([*layers[:1], *(linear if convolutional else linear[-2:]), *last]))
