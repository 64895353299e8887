"""Keras' whole models in HDF5 (`.h5`), in which FaceQnet is published.

Each layer's group names its arrays in the attribute `weight_names`, in the order in which the layer takes
them. How the layers are joined stands as JSON in the file's attribute `model_config`, which a file of weights
alone lacks; `fiqa_core.weights.keras_network` makes a network of it.
"""
import json
from pathlib import Path

import numpy as np
import torch

from fiqa_core.weights.formats.cursor import Damaged

Layers = dict[str, dict[str, torch.Tensor]]


def read(path: Path) -> Layers:
    """{layer: {weight: tensor}} of the layers that have weights, in Keras' order of axes. Raises Damaged."""
    return read_model(path)[1]


def read_model(path: Path) -> tuple[dict | None, Layers]:
    """(the model's configuration, {layer: {weight: tensor}}) of a file; None where it holds weights alone.

    Raises Damaged.
    """
    import h5py
    try:
        with h5py.File(path, "r") as file:
            layers = file.get("model_weights", file)
            found = {_text(name): _layer(layers[name]) for name in layers.attrs.get("layer_names", [])}
            config = file.attrs.get("model_config")
        config = None if config is None else json.loads(_text(config))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, RecursionError) as error:
        raise Damaged(str(error)) from None
    found = {name: weights for name, weights in found.items() if weights}
    if not found:
        raise Damaged("no layer of a Keras model in it")
    return config, found


def _layer(group) -> dict[str, torch.Tensor]:
    return {_text(name): torch.from_numpy(np.asarray(group[name]))
            for name in group.attrs.get("weight_names", [])}


def _text(name) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
