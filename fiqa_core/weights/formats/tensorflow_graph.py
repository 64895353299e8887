"""TensorFlow's frozen graphs (`.pb`): every constant of the graph under its node's name.

LightQNet is published in this form (its `lightqnet-dm100.pb` and the smaller ones). Field numbers are those
of graph.proto, node_def.proto and attr_value.proto. The graph's operations are not kept: which constants are
weights, and how they are used, is known from the network they belong to.
"""
from pathlib import Path

import torch

from fiqa_core.weights.formats.cursor import Damaged
from fiqa_core.weights.formats.protobuf import fields, last, message
from fiqa_core.weights.formats.tensorflow import tensor_of


def read(path: Path) -> dict[str, torch.Tensor]:
    """Constants by node name, in TensorFlow's order of axes; strings are left out. Raises Damaged."""
    found = {}
    for number, value in fields(path.read_bytes()):
        if number != 1 or isinstance(value, int):
            continue
        node = message(value)
        if bytes(last(node, 2, b"")) == b"Const":
            constant = _value(node)
            if constant is not None:
                found[bytes(last(node, 1, b"")).decode(errors="replace")] = constant
    if not found:
        raise Damaged("no constant in it")
    return found


def _value(node: dict) -> torch.Tensor | None:
    for entry in map(message, node.get(5, [])):
        if bytes(last(entry, 1, b"")) == b"value":
            return tensor_of(last(message(last(entry, 2, b"")), 8, b""))
    return None
