"""Networks out of Keras' model files: the file says which layers there are and how they are joined.

For networks of which only the file is public, such as FaceQnet. The configuration is data: it chooses among
the layers of `keras_layers`; one that asks for another layer, or for code of its own (`Lambda`), is refused.
Only functional models are built: one input, one output, every layer used once.

Layers of Keras' models in torch, made of their configuration and their weights.

Maps are (B, C, H, W) here and (B, H, W, C) in Keras, which shows in kernels and in the order of a flattened
map alone.
"""
import re
from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights.formats.cursor import Damaged
from fiqa_core.weights.formats.keras import read_model
from fiqa_core.weights.tensors import damaged

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


WHOLE = "give the file that its authors published, saved by Keras as a whole model"


class KerasNetwork(nn.Module):
    """Images (B, 3, H, W) in the network's own range and colour order -> the output of its last layer.

    config    as `read_model` returns it, and weights of all layers, neither of them trusted
    shape     (H, W, 3) of the input that the model asks for, None for an axis of any length
    Raises Unfit for layers that are not built here, and for weights that are missing, left over or
    mis-shaped.
    """

    def __init__(self, config: dict, weights: dict[str, dict[str, torch.Tensor]]):
        super().__init__()
        graph = functional(config)
        layers = {layer["name"]: layer for layer in graph["layers"]}
        sources = {name: sources_of(layer) for name, layer in layers.items()}
        self.entry, self.exit = (only(graph[key], key) for key in ("input_layers", "output_layers"))
        named = {self.entry, self.exit, *weights, *(source for found in sources.values() for source in found)}
        if named - set(layers):
            raise Unfit(f"it has no layer {', '.join(sorted(named - set(layers)))}")
        self.shape = tuple(layers[self.entry]["config"]["batch_input_shape"][1:])
        self.order = [name for name in TopologicalSorter(sources).static_order() if name != self.entry]
        self.sources = sources
        self.layers = nn.ModuleList(built(layers[name], weights.get(name, {})) for name in self.order)
        self.last_use = {source: name for name in self.order for source in sources[name]}

    def forward(self, x):
        values = {self.entry: x}
        for name, layer in zip(self.order, self.layers):
            values[name] = layer(*(values[source] for source in self.sources[name]))
            for source in self.sources[name]:
                if self.last_use[source] == name:
                    values.pop(source, None)        # maps are large: none is kept beyond its last reader
        return values[self.exit]


def read_keras_network(path: Path, shape: tuple[int, int, int], outputs: int) -> KerasNetwork:
    """The network of a Keras file with its weights, tried on a black image.

    shape     (H, W, C) of the images that it has to take
    outputs   how many numbers it has to tell of each
    Raises FiqaError for any other network and for a damaged file; no code from the file runs.
    """
    config, weights = _read(path)
    try:
        network = KerasNetwork(config, weights)
        if len(network.shape) != 3 or any(own not in (None, size) for own, size in zip(network.shape, shape)):
            raise Unfit(f"it takes images of shape {network.shape}, not {shape}")
        with torch.no_grad():
            found = tuple(network(torch.zeros(1, shape[2], *shape[:2])).shape)
        if found != (1, outputs):
            raise Unfit(f"it answers an image with a tensor of shape {found[1:]}, not {(outputs,)}")
    except (Unfit, CycleError) as error:
        raise FiqaError(f"{path}: {error}", WHOLE) from None
    except RuntimeError as error:                       # torch, of layers that do not follow each other
        raise FiqaError(f"{path}: its layers do not fit one another: {str(error).splitlines()[0]}",
                        WHOLE) from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FiqaError(f"{path}: its model_config is not as Keras 2 writes it: {error!r}", WHOLE) from None
    return network


def _read(path: Path) -> tuple[dict, dict]:
    try:
        config, weights = read_model(path)
    except Damaged as error:
        raise damaged(path, "Keras HDF5", error) from None
    if config is None:
        raise FiqaError(f"{path} holds weights without the network they belong to (no model_config)", WHOLE)
    return config, weights


def functional(config: dict) -> dict:
    """The graph of a functional model."""
    if config["class_name"] not in ("Model", "Functional"):
        raise Unfit(f"it is a {config['class_name']} model, and only functional ones are built here")
    return config["config"]


def built(layer: dict, weights: Mapping[str, torch.Tensor]) -> Layer:
    """The layer of a configuration. Raises Unfit, naming it."""
    if layer["class_name"] not in LAYERS:
        raise Unfit(f"layer {layer['name']} is a {layer['class_name']}, which is not built here; "
                    f"known: {', '.join(LAYERS)}")
    try:
        return LAYERS[layer["class_name"]](layer["config"], weights)
    except Unfit as error:
        raise Unfit(f"layer {layer['name']} {error}") from None


def sources_of(layer: dict) -> list[str]:
    """Names of the layers whose output a layer takes."""
    nodes = layer["inbound_nodes"]
    if len(nodes) > 1:
        raise Unfit(f"layer {layer['name']} is used {len(nodes)} times")
    return [str(source[0]) for source in nodes[0]] if nodes else []


def only(found: list, key: str) -> str:
    """The one input or output of a graph."""
    if len(found) != 1:
        raise Unfit(f"its {key} are {len(found)}, not one")
    return found[0][0]
