"""Watching the layers of a frozen recogniser while images pass through it."""
from collections.abc import Callable, Iterable
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def watched(layers: Iterable[nn.Module], note: Callable):
    """Inside, every call of one of `layers` calls `note(layer, input, output)` with its two tensors.

    Only layers that take and return one tensor are fit; no hook stays behind, whatever happens inside.
    """
    hooks = [layer.register_forward_hook(lambda layer, inputs, output: note(layer, inputs[0], output))
             for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def observable_layers(network: nn.Module, sample: torch.Tensor) -> dict[str, nn.Module]:
    """Name -> layer, in order of computation, of the layers without parts that return a tensor per image.

    sample  (2, ...) what the network takes. Tensors of windows or tokens count where their number is a
            multiple of the images', image after image.
    """
    leaves = {layer: name for name, layer in network.named_modules() if not any(layer.children())}
    found = {}

    def note(layer, inputs, output):
        if isinstance(output, torch.Tensor) and output.ndim > 1 and len(output) % len(sample) == 0:
            found[leaves[layer]] = layer

    with watched(leaves, note), torch.no_grad():
        network(sample)
    return found
