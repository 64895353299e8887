"""Networks out of Keras' model files: the file says which layers there are and how they are joined.

For networks of which only the file is public, such as FaceQnet: the widths of its head stand nowhere else.
The configuration is data: it chooses among LAYERS; one that asks for another layer, for code of its own
(`Lambda`) or for a use of a layer that FaceQnet does without is refused. Only functional models are built:
one input, one output, every layer used once. Maps are (B, C, H, W) here and (B, H, W, C) in Keras, which
shows in kernels and in the order of a flattened map alone.
"""
import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights.fit import Undrawn, check_finite
from fiqa_core.weights.formats.cursor import Damaged
from fiqa_core.weights.formats.keras import read_model
from fiqa_core.weights.tensors import damaged

ACTIVATIONS = {"linear": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
LEAF = re.compile(r"(?:.*/)?(\w+?)(?:_\d+)?(?::\d+)?")      # conv1/kernel:0 -> kernel
WHOLE = "give the file that its authors published, saved by Keras as a whole model"


class Unfit(ValueError):
    """A configuration asks for what is not built here, or the weights do not fit it; the text says which."""


class Convolution(nn.Conv2d):
    """With the border that TensorFlow adds for "same": the larger half of an odd number lies behind."""

    def __init__(self, kernel: torch.Tensor, bias: torch.Tensor | None, stride, same: bool):
        super().__init__(kernel.shape[2], kernel.shape[3], kernel.shape[:2], stride, bias=bias is not None)
        fill(self, weight=kernel.permute(3, 2, 0, 1), bias=bias)
        self.same = same

    def forward(self, x):
        if self.same:
            added = [max((-(-length // step) - 1) * step + size - length, 0)
                     for length, size, step in zip(x.shape[-2:], self.kernel_size, self.stride)]
            (above, below), (left, right) = ((total // 2, total - total // 2) for total in added)
            x = F.pad(x, (left, right, above, below))
        return super().forward(x)


class Dense(nn.Linear):
    """Of flattened maps only: Keras would apply it to every place of a map."""

    def forward(self, x):
        if x.ndim != 2:
            raise Unfit(f"a dense layer takes maps of shape {tuple(x.shape)} that were not flattened")
        return super().forward(x)


class Add(nn.Module):
    """The sum of several maps of one shape."""

    def forward(self, *maps):
        return torch.stack(maps).sum(dim=0)


class Flatten(nn.Module):
    """Rows of values, the channel fastest."""

    def forward(self, x):
        return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).flatten(1)


def convolution(options: dict, weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """Kernels (height, width, in, out)."""
    kernel, bias = linear(options, weights, (*options["kernel_size"], None, options["filters"]))
    if set(options.get("dilation_rate", (1, 1))) != {1}:
        raise Unfit("is dilated")
    if options["padding"] not in ("same", "valid"):
        raise Unfit(f"has the padding {options['padding']!r}")
    layer = Convolution(kernel, bias, tuple(options["strides"]), options["padding"] == "same")
    return nn.Sequential(layer, activation(options))


def dense(options: dict, weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """Kernel (in, out)."""
    kernel, bias = linear(options, weights, (None, options["units"]))
    return nn.Sequential(fill(Dense(*kernel.shape, bias=bias is not None), weight=kernel.T, bias=bias),
                         activation(options))


def linear(options: dict, weights: Mapping[str, torch.Tensor], shape: tuple) -> tuple:
    """(kernel, bias or None); the kernel of `shape`, where None stands for any length."""
    kernel, *bias = taken(weights, "kernel", *(["bias"] if options["use_bias"] else []))
    if kernel.ndim != len(shape) or any(own not in (None, size) for own, size in zip(shape, kernel.shape)):
        raise Unfit(f"has a kernel of shape {tuple(kernel.shape)}, where its configuration says {shape}")
    return kernel, bias[0] if bias else None


def norm(options: dict, weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """Of channels, with the statistics of the training."""
    if options.get("axis", -1) not in (-1, 3, [3]):
        raise Unfit(f"is normalised along axis {options['axis']}")
    learnt = [name for name, there in (("gamma", options["scale"]), ("beta", options["center"])) if there]
    found = dict(zip((*learnt, "mean", "var"), taken(weights, *learnt, "moving_mean", "moving_variance")))
    layer = nn.BatchNorm2d(len(found["mean"]), eps=float(options["epsilon"]))
    return fill(layer, weight=found.get("gamma", layer.weight), bias=found.get("beta", layer.bias),
                running_mean=found["mean"], running_var=found["var"]).eval()


def pooling(kind: type[nn.Module]):
    """The builder of a pooling layer, without a border."""
    def build(options: dict, weights: Mapping[str, torch.Tensor]) -> nn.Module:
        if options["padding"] != "valid":
            raise Unfit(f"has the padding {options['padding']!r}")
        return kind(tuple(options["pool_size"]), tuple(options["strides"] or options["pool_size"]))
    return build


def activation(options: dict, weights: Mapping[str, torch.Tensor] | None = None) -> nn.Module:
    """The function that follows a layer, or is one."""
    name = options.get("activation", "linear")
    if name not in ACTIVATIONS:
        raise Unfit(f"ends in {name!r}; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def bare(kind: type[nn.Module]):
    """The builder of a layer without options; what does nothing once the training is over is the identity."""
    return lambda options, weights: kind()


LAYERS = {"InputLayer": bare(nn.Identity), "Dropout": bare(nn.Identity), "Conv2D": convolution,
          "Dense": dense, "Add": bare(Add), "Flatten": bare(Flatten), "BatchNormalization": norm,
          "MaxPooling2D": pooling(nn.MaxPool2d), "AveragePooling2D": pooling(nn.AvgPool2d),
          "Activation": activation}
WEIGHTED = ("Conv2D", "Dense", "BatchNormalization")


def taken(weights: Mapping[str, torch.Tensor], *names: str) -> list[torch.Tensor]:
    """A layer's weights, which have to be these in this order."""
    if [LEAF.fullmatch(name)[1] for name in weights] != list(names):
        raise Unfit(f"has the weights {', '.join(weights) or 'none'}; its configuration wants "
                    f"{', '.join(names) or 'none'}")
    return [tensor.float() for tensor in weights.values()]


def fill(layer: nn.Module, **values: torch.Tensor | None) -> nn.Module:
    """The layer with these values under its own names; None where it has none."""
    layer.load_state_dict({name: value for name, value in values.items() if value is not None}, strict=False)
    return layer


class KerasNetwork(nn.Module):
    """Images (B, 3, H, W) in the network's own range and colour order -> the output of its last layer.

    config    as `read_model` returns it, and weights of all layers, neither of them trusted
    shape     (H, W, 3) of the input that the model asks for, None for an axis of any length
    Raises Unfit for layers that are not built here, and for weights that are missing, left over or
    mis-shaped.
    """

    def __init__(self, config: dict, weights: dict[str, dict[str, torch.Tensor]]):
        super().__init__()
        if config["class_name"] not in ("Model", "Functional"):
            raise Unfit(f"it is a {config['class_name']} model, and only functional ones are built here")
        graph = config["config"]
        layers = {layer["name"]: layer for layer in graph["layers"]}
        self.sources = {name: sources_of(layer) for name, layer in layers.items()}
        if [len(graph[key]) for key in ("input_layers", "output_layers")] != [1, 1]:
            raise Unfit("it has several inputs or outputs")
        self.entry, self.exit = graph["input_layers"][0][0], graph["output_layers"][0][0]
        named = {self.entry, self.exit, *weights}.union(*self.sources.values())
        if named - set(layers):
            raise Unfit(f"it has no layer {', '.join(sorted(named - set(layers)))}")
        self.shape = tuple(layers[self.entry]["config"]["batch_input_shape"][1:])
        self.order = [name for name in TopologicalSorter(self.sources).static_order() if name != self.entry]
        self.layers = nn.ModuleList(built(layers[name], weights.get(name, {})) for name in self.order)
        self.last_use = {source: name for name in self.order for source in self.sources[name]}

    def forward(self, x):
        values = {self.entry: x}
        for name, layer in zip(self.order, self.layers):
            values[name] = layer(*(values[source] for source in self.sources[name]))
            for source in self.sources[name]:
                if self.last_use[source] == name:
                    values.pop(source, None)        # maps are large: none is kept beyond its last reader
        return values[self.exit]


def built(layer: dict, weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """The layer of a configuration. Raises Unfit, naming it."""
    kind, options = layer["class_name"], layer["config"]
    try:
        if kind not in LAYERS:
            raise Unfit(f"is a {kind}, which is not built here; known: {', '.join(LAYERS)}")
        if options.get("data_format", "channels_last") != "channels_last":
            raise Unfit(f"has its axes in the order {options['data_format']!r}")
        if kind not in WEIGHTED:
            taken(weights)
        return LAYERS[kind](options, weights)
    except Unfit as error:
        raise Unfit(f"layer {layer['name']} {error}") from None


def sources_of(layer: dict) -> list[str]:
    """Names of the layers whose output a layer takes."""
    nodes = layer["inbound_nodes"]
    if len(nodes) > 1:
        raise Unfit(f"layer {layer['name']} is used {len(nodes)} times")
    return [str(source[0]) for source in nodes[0]] if nodes else []


def read_keras_network(path: Path, shape: tuple[int, int, int], outputs: int) -> KerasNetwork:
    """The network of a Keras file with its weights, tried on a black image.

    shape     (H, W, C) of the images that it has to take
    outputs   how many numbers it has to tell of each
    Raises FiqaError for any other network and for a damaged file; no code from the file runs.
    """
    try:
        config, weights = read_model(path)
    except Damaged as error:
        raise damaged(path, "Keras HDF5", error) from None
    if config is None:
        raise FiqaError(f"{path} holds weights without the network they belong to (no model_config)", WHOLE)
    check_finite({name: tensor for layer in weights.values() for name, tensor in layer.items()}, str(path))
    try:
        with Undrawn():
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
