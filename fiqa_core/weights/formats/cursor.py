"""Reading a binary file piece by piece, never beyond its end."""
import math
import struct

import torch

MOST_VALUES = 2**48


class Damaged(ValueError):
    """The bytes break their format's promises; the text says where. The caller adds the file's name."""


class Cursor:
    """A position in a buffer that moves with every read."""

    def __init__(self, data, position: int = 0):
        self.data, self.position = memoryview(data), position

    @property
    def left(self) -> int:
        """Bytes between here and the end."""
        return len(self.data) - self.position

    def take(self, count: int) -> memoryview:
        """The next `count` bytes. Raises Damaged where there are fewer."""
        if not 0 <= count <= self.left:
            raise Damaged(f"{count} bytes should follow byte {self.position}, {self.left} do")
        self.position += count
        return self.data[self.position - count: self.position]

    def numbers(self, layout: str) -> tuple:
        """Little-endian numbers in the letters of `struct`."""
        layout = "<" + layout
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def varint(self) -> int:
        """A whole number in groups of seven bits, the lowest first, as protocol buffers write it."""
        value = 0
        for shift in range(0, 70, 7):
            byte, = self.take(1)
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise Damaged(f"no whole number ends before byte {self.position}")


def tensor(data, dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor of the little-endian values in `data` (a copy), the last axis fastest."""
    expected = math.prod(shape) * dtype.itemsize
    extent = math.prod(max(size, 1) for size in shape)          # also of an empty tensor, for its strides
    if min(shape, default=0) < 0 or len(data) != expected or extent > MOST_VALUES:
        raise Damaged(f"{len(data)} bytes for {dtype} of shape {shape}, which takes {expected}")
    if not expected:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype).reshape(shape)
