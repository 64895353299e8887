"""MXNet's lists of arrays (`.params`), in which insightface published LResNet100E-IR, SER-FIQ's recogniser.

A file is a magic number, the arrays and their names (`arg:` weights, `aux:` moving statistics). Arrays come
in four versions: before 1.0 with 32-bit sizes, then with 64-bit sizes, then with a storage type, of which
only the dense one occurs in networks, and last with numpy's notion of a scalar.
"""
from pathlib import Path

import torch

from fiqa_core.weights.formats.cursor import Cursor, Damaged, tensor

LIST = 0x112
WIDE_SIZES, STORAGE_TYPE, NUMPY_SHAPES = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
TYPES = {0: torch.float32, 1: torch.float64, 2: torch.float16, 3: torch.uint8, 4: torch.int32, 5: torch.int8,
         6: torch.int64, 7: torch.bool, 12: torch.bfloat16}
MOST_AXES = 32


def read(path: Path) -> dict[str, torch.Tensor]:
    """Arrays by name, with the prefixes `arg:` and `aux:` where the file has them. Raises Damaged."""
    cursor = Cursor(path.read_bytes())
    magic, _, count = cursor.numbers("QQQ")
    if magic != LIST:
        raise Damaged("it does not begin as a list of arrays")
    arrays = [_array(cursor) for _ in range(min(count, cursor.left))]
    names = [bytes(cursor.take(*cursor.numbers("Q"))).decode(errors="replace")
             for _ in range(min(*cursor.numbers("Q"), cursor.left))]
    if len(names) != len(arrays):
        raise Damaged(f"{len(arrays)} arrays with {len(names)} names")
    return dict(zip(names, arrays))


def _array(cursor: Cursor) -> torch.Tensor:
    version, = cursor.numbers("I")
    if version in (STORAGE_TYPE, NUMPY_SHAPES) and cursor.numbers("i") != (0,):
        raise Damaged("it holds a sparse array")
    wide = version in (WIDE_SIZES, STORAGE_TYPE, NUMPY_SHAPES)
    axes = cursor.numbers("i")[0] if wide else version         # the oldest version begins with the axes
    if not -1 <= axes <= MOST_AXES:
        raise Damaged(f"an array of {axes} axes before byte {cursor.position}")
    shape = cursor.numbers(f"{max(axes, 0)}{'q' if wide else 'I'}")
    if axes < (0 if version == NUMPY_SHAPES else 1):           # an array that was never filled ends here
        return torch.empty(0)
    cursor.numbers("ii")                                       # the device it lay on
    kind, = cursor.numbers("i")
    if kind not in TYPES:
        raise Damaged(f"an array of the unknown type {kind} before byte {cursor.position}")
    size = TYPES[kind].itemsize
    for length in shape:
        size *= length
    return tensor(cursor.take(size), TYPES[kind], shape)
