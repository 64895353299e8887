"""dlib's serialised networks (`.dat`): the tensors in forward order, without names.

A tensor is five integers, 2 (the version), samples, channels, rows and columns, then float32 values. An
integer is a control byte, whose low four bits say how many bytes follow and whose bit 7 stands for a minus,
and those bytes. What lies between the tensors are the layers' own settings; tensors of 16 values or fewer are
among these. Tensors that are learned have one row and one column, which tells their headers from settings
that look alike.
"""
from pathlib import Path

import torch

from fiqa_core.weights.formats.cursor import Damaged, tensor

VERSION = b"\x01\x02"
FEW, MOST = 16, 2**28           # values of a tensor


def read(path: Path) -> dict[str, torch.Tensor]:
    """Tensors "dlib.0", "dlib.1", ... of shape (samples, channels, rows, columns) in forward order. Raises
    Damaged."""
    data, position, found = path.read_bytes(), 0, {}
    while (position := data.find(VERSION, position)) >= 0:
        sizes, start = integers(data, position)
        count = sizes[1] * sizes[2] if sizes[3:] == (1, 1) and min(sizes) > 0 else 0
        if not FEW < count <= MOST:
            position += 1
            continue
        if start + 4 * count > len(data):
            raise Damaged(f"{4 * count} bytes should follow byte {start}, {len(data) - start} do")
        found[f"dlib.{len(found)}"] = tensor(data[start:start + 4 * count], torch.float32, sizes[1:])
        position = start + 4 * count
    if not found:
        raise Damaged("it holds no tensor")
    return found


def integers(data: bytes, position: int) -> tuple[tuple[int, ...], int]:
    """Five integers from `position` on and where they end; () where there are not five."""
    values = []
    for _ in range(5):
        control = data[position] if position < len(data) else 0
        size = control & 15
        if not 1 <= size <= 8 or position + size >= len(data):
            return (), position
        value = int.from_bytes(data[position + 1:position + 1 + size], "little")
        values.append(-value if control & 128 else value)
        position += 1 + size
    return tuple(values), position
