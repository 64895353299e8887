"""What TensorFlow's files have in common: the tensor types and the shape and tensor messages.

Field numbers are those of types.proto, tensor_shape.proto and tensor.proto.
"""
import math

import torch

from fiqa_core.weights.formats.cursor import Damaged, tensor
from fiqa_core.weights.formats.protobuf import last, message, whole_numbers

TYPES = {1: torch.float32, 2: torch.float64, 3: torch.int32, 4: torch.uint8, 5: torch.int16, 6: torch.int8,
         9: torch.int64, 10: torch.bool, 14: torch.bfloat16, 19: torch.float16}
# the field that holds a type's values where they are not given as raw bytes
FLOAT_VALUES, DOUBLE_VALUES = 5, 6
WHOLE_VALUES = {torch.int32: 7, torch.uint8: 7, torch.int16: 7, torch.int8: 7, torch.int64: 10,
                torch.bool: 11}
MOST_REPEATED = 2**26               # values that a single one may stand for


def shape_of(data) -> tuple[int, ...]:
    """Sizes of a TensorShapeProto; () of a scalar."""
    sizes = [last(message(size), 1, 0) for size in message(data).get(2, [])]
    return tuple(whole_numbers(sizes))


def tensor_of(data) -> torch.Tensor | None:
    """The tensor of a TensorProto; None for types that are no numbers, such as strings."""
    parts = message(data)
    dtype, shape = TYPES.get(last(parts, 1, 0)), shape_of(last(parts, 2, b""))
    if dtype is None:
        return None
    content = last(parts, 4, b"")
    if len(content) or not math.prod(shape):
        return tensor(content, dtype, shape)
    return _repeated(_single_values(parts, dtype), shape)


def _single_values(parts: dict, dtype: torch.dtype) -> torch.Tensor:
    """The values of the typed field, in which writers put small tensors."""
    if dtype in (torch.float32, torch.float64):
        raw = b"".join(map(bytes, parts.get(FLOAT_VALUES if dtype == torch.float32 else DOUBLE_VALUES, [])))
        return tensor(raw, dtype, (len(raw) // dtype.itemsize,))
    if dtype in WHOLE_VALUES:
        return torch.tensor(whole_numbers(parts.get(WHOLE_VALUES[dtype], [])), dtype=dtype)
    raise Damaged(f"a constant of {dtype} without its bytes")


def _repeated(values: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """`values` in `shape`; where there are too few, the last one stands for the rest."""
    count = math.prod(shape)
    if not 0 < len(values) <= count <= max(MOST_REPEATED, len(values)):
        raise Damaged(f"{len(values)} values for the shape {shape}")
    return torch.cat((values, values[-1:].expand(count - len(values)))).reshape(shape)
