"""Layers of Keras' models in torch, made of their configuration and their weights.

Maps are (B, C, H, W) here and (B, H, W, C) in Keras, which shows in kernels and in the order of a flattened
map alone.
"""
import re
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {"linear": lambda x: x, "relu": F.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}
LEAF = re.compile(r"(?:.*/)?(\w+?)(?:_\d+)?(?::\d+)?")


class Unfit(ValueError):
    """A configuration asks for what is not built here, or the weights do not fit it; the text says which."""


class Layer(nn.Module):
    """A layer of Keras with its configuration `options` and its weights by their names in the file, in order.

    A subclass says in `known` which weights it may have and in `names` which it has. Raises Unfit.
    """

    known: tuple[str, ...] = ()

    def __init__(self, options: dict, weights: Mapping[str, torch.Tensor]):
        super().__init__()
        found = {leaf(name): tensor.float() for name, tensor in weights.items()}
        if list(found) != self.names(options) or len(found) != len(weights):
            raise Unfit(f"has the weights {', '.join(weights) or 'none'}; its configuration wants "
                        f"{', '.join(self.names(options)) or 'none'}")
        if options.get("data_format", "channels_last") != "channels_last":
            raise Unfit(f"has its axes in the order {options['data_format']!r}")
        for name in self.known:
            self.keep(name, found.get(name))

    def names(self, options: dict) -> list[str]:
        """Names of the weights that a layer of these options has."""
        return []

    def keep(self, name: str, tensor: torch.Tensor | None) -> None:
        """Hold a weight under its name, or None where the layer has none."""
        self.register_parameter(name, None if tensor is None else nn.Parameter(tensor))


class Linear(Layer):
    """What convolutions and dense layers have in common: a kernel, perhaps a bias, and a function behind."""

    known = ("kernel", "bias")

    def __init__(self, options, weights):
        super().__init__(options, weights)
        self.activation = activation(options)

    def names(self, options):
        return ["kernel", "bias"] if options["use_bias"] else ["kernel"]


class Conv2D(Linear):
    """Kernels (height, width, in, out)."""

    def __init__(self, options, weights):
        super().__init__(options, weights)
        check(self.kernel, (*options["kernel_size"], None, options["filters"]))
        if set(options.get("dilation_rate", (1, 1))) != {1}:
            raise Unfit("is dilated")
        self.kernel = nn.Parameter(self.kernel.data.permute(3, 2, 0, 1).contiguous())
        self.stride, self.same = pair(options["strides"]), same_border(options)

    def forward(self, x):
        x = F.pad(x, border(x, self.kernel.shape[2:], self.stride)) if self.same else x
        return self.activation(F.conv2d(x, self.kernel, self.bias, self.stride))


class Dense(Linear):
    """Kernel (in, out)."""

    def __init__(self, options, weights):
        super().__init__(options, weights)
        check(self.kernel, (None, options["units"]))

    def forward(self, x):
        if x.ndim != 2:
            raise Unfit(f"takes maps of shape {tuple(x.shape)} that were not flattened")
        return self.activation(F.linear(x, self.kernel.T, self.bias))


class BatchNormalization(Layer):
    """Of channels, with the statistics of the training."""

    known = ("gamma", "beta", "moving_mean", "moving_variance")

    def __init__(self, options, weights):
        super().__init__(options, weights)
        axis = options.get("axis", -1)
        if axis not in (-1, 3, [3]):
            raise Unfit(f"is normalised along axis {axis}")
        self.eps = float(options["epsilon"])

    def names(self, options):
        learnt = [name for name, there in (("gamma", options["scale"]), ("beta", options["center"])) if there]
        return [*learnt, "moving_mean", "moving_variance"]

    def keep(self, name, tensor):
        if name.startswith("moving"):
            self.register_buffer(name, tensor)
        else:
            super().keep(name, tensor)

    def forward(self, x):
        return F.batch_norm(x, self.moving_mean, self.moving_variance, self.gamma, self.beta, eps=self.eps)


class Pooling(Layer):
    """The greatest or the mean value of a window; a border counts for neither."""

    def __init__(self, options, weights):
        super().__init__(options, weights)
        self.window = pair(options["pool_size"])
        self.stride, self.same = pair(options["strides"] or options["pool_size"]), same_border(options)


class MaxPooling2D(Pooling):
    """The greatest value of a window."""

    def forward(self, x):
        x = F.pad(x, border(x, self.window, self.stride), value=-torch.inf) if self.same else x
        return F.max_pool2d(x, self.window, self.stride)


class AveragePooling2D(Pooling):
    """The mean of a window without its border."""

    def forward(self, x):
        if not self.same:
            return F.avg_pool2d(x, self.window, self.stride)
        around = border(x, self.window, self.stride)
        inside = F.pad(torch.ones_like(x[:1, :1]), around)
        return (F.avg_pool2d(F.pad(x, around), self.window, self.stride)
                / F.avg_pool2d(inside, self.window, self.stride))


class Activation(Layer):
    """A function of every value."""

    def __init__(self, options, weights):
        super().__init__(options, weights)
        self.activation = activation(options)

    def forward(self, x):
        return self.activation(x)


class Add(Layer):
    """The sum of several maps of one shape."""

    def forward(self, *maps):
        return torch.stack(maps).sum(dim=0)


class Flatten(Layer):
    """Rows of values, the channel fastest."""

    def forward(self, x):
        return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).flatten(1)


class Same(Layer):
    """What does nothing once the training is over."""

    def forward(self, x):
        return x


LAYERS = {"InputLayer": Same, "Dropout": Same, "Conv2D": Conv2D, "Dense": Dense, "Add": Add,
          "Flatten": Flatten, "BatchNormalization": BatchNormalization, "MaxPooling2D": MaxPooling2D,
          "AveragePooling2D": AveragePooling2D, "Activation": Activation}


def leaf(name: str) -> str:
    """Last part of a weight's name, without the numbers that TensorFlow adds: conv1/kernel:0 -> kernel."""
    found = LEAF.fullmatch(name)
    return found[1] if found else name


def check(tensor: torch.Tensor, shape: tuple) -> None:
    """Raise Unfit where a tensor has not this shape; None: an axis of any length."""
    if tensor.ndim != len(shape) or any(own not in (None, size) for own, size in zip(shape, tensor.shape)):
        raise Unfit(f"has a kernel of shape {tuple(tensor.shape)}, where its configuration says {shape}")


def activation(options: dict) -> Callable:
    """The function that follows a layer."""
    name = options.get("activation", "linear")
    if name not in ACTIVATIONS:
        raise Unfit(f"ends in {name!r}; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def pair(value) -> tuple[int, int]:
    """Keras' number or list of two as (vertical, horizontal)."""
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)


def same_border(options: dict) -> bool:
    """Whether a layer's padding is "same"; else there is none."""
    if options["padding"] not in ("same", "valid"):
        raise Unfit(f"has the padding {options['padding']!r}")
    return options["padding"] == "same"


def border(x: torch.Tensor, window, stride) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) that TensorFlow adds for "same", the larger half of an odd number behind."""
    added = [max((-(-length // step) - 1) * step + size - length, 0)
             for length, size, step in zip(x.shape[-2:], window, stride)]
    (above, below), (left, right) = ((total // 2, total - total // 2) for total in added)
    return left, right, above, below
