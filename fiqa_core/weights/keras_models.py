"""Networks out of Keras' model files: the file says which layers there are and how they are joined.

For networks of which only the file is public, such as FaceQnet. The configuration is data: it chooses among
the layers of `keras_layers`; one that asks for another layer, or for code of its own (`Lambda`), is refused.
Only functional models are built: one input, one output, every layer used once.
"""
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import torch
from torch import nn

from fiqa_core.errors import FiqaError
from fiqa_core.weights.formats.cursor import Damaged
from fiqa_core.weights.formats.keras import read_model
from fiqa_core.weights.keras_layers import LAYERS, Layer, Unfit
from fiqa_core.weights.tensors import damaged

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
