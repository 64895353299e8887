"""TensorFlow's frozen graphs (`.pb`), as LightQNet is published, and checkpoints (`NAME.index`), as PFE is.

Both are protocol buffers: numbered fields without the schema that names them. Field numbers are those of
types.proto, tensor_shape.proto, tensor.proto; graph.proto, node_def.proto, attr_value.proto; and
tensor_bundle.proto. Of a graph the constants are read: which are weights, and how they are used, is known
from the network they belong to. A checkpoint's index is a sorted table in the layout of LevelDB, blocks of
(key, value) with shared key beginnings, a block that lists the blocks, and a footer; its values say in which
data file (`NAME.data-00000-of-00001`), where and how long a tensor is. Its checksums are not verified, as
`fiqa_core.weights.presence` compares the whole files.
"""
import math
from collections.abc import Iterator
from pathlib import Path

import torch

from fiqa_core.weights.formats.cursor import Cursor, Damaged, tensor

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5


def fields(data) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of a message's fields in their order: int of a varint, else the bytes."""
    cursor = Cursor(data)
    while cursor.left:
        number, kind = divmod(cursor.varint(), 8)
        if kind == VARINT:
            value = cursor.varint()
        elif kind == LENGTH:
            value = cursor.take(cursor.varint())
        elif kind in (FOUR_BYTES, EIGHT_BYTES):
            value = cursor.take(4 if kind == FOUR_BYTES else 8)
        else:
            raise Damaged(f"field {number} is of the unknown kind {kind}")
        yield number, value


def message(data) -> dict[int, list]:
    """All values of every field of a message."""
    found = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


def last(parts: dict[int, list], number: int, default):
    """The value of a field that is written once: the last one, as the format says.

    Raises Damaged where it is not of the default's kind (int, else bytes).
    """
    value = parts[number][-1] if number in parts else default
    if isinstance(value, int) != isinstance(default, int):
        raise Damaged(f"field {number} holds a {type(value).__name__}")
    return value


def whole_numbers(values: list) -> list[int]:
    """Signed 64-bit numbers of a repeated field, written one by one or packed together."""
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        cursor = Cursor(value)
        while cursor.left:
            found.append(cursor.varint())
    return [number - 2**64 if number >= 2**63 else number for number in found]


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


def read_graph(path: Path) -> dict[str, torch.Tensor]:
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


FOOTER, MAGIC = 48, 0xDB4775248B80FB57


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Variables by name, in TensorFlow's order of axes; strings are left out. `path` is the index.

    Raises Damaged, also where a data file is missing.
    """
    entries = dict(table(path.read_bytes()))
    header = message(entries.pop(b"", b""))
    if last(header, 2, 0):
        raise Damaged("it was written on a big-endian machine")
    shards, found = last(header, 1, 0), {}
    for name, entry in entries.items():
        value = _variable(path.with_suffix(""), message(entry), shards)
        if value is not None:
            found[name.decode(errors="replace")] = value
    return found


def _variable(prefix: Path, entry: dict, shards: int) -> torch.Tensor | None:
    dtype = TYPES.get(last(entry, 1, 0))
    if dtype is None:
        return None
    if 7 in entry:
        raise Damaged("it holds a variable in several slices, which this reader does not join")
    shard, offset, size = (last(entry, number, 0) for number in (3, 4, 5))
    path = prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}")
    if not path.is_file():
        raise Damaged(f"{path.name} is not beside it")
    with open(path, "rb") as file:
        file.seek(min(offset, path.stat().st_size))
        data = file.read(min(size, path.stat().st_size))
    if len(data) != size:
        raise Damaged(f"{path.name} lacks {size - len(data):,} bytes of the variable at byte {offset:,}")
    return tensor(data, dtype, shape_of(last(entry, 2, b"")))


def table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of all entries of a table, sorted by key. Raises Damaged."""
    if len(data) < FOOTER or int.from_bytes(data[-8:], "little") != MAGIC:
        raise Damaged("its footer is not there")
    footer = Cursor(data[-FOOTER:])
    footer.varint(), footer.varint()                    # where the unused index of metadata is
    for _, handle in _block(data, footer):
        yield from _block(data, Cursor(handle))


def _block(data: bytes, handle: Cursor) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of one block; a key is stored as what differs from the key before."""
    offset, size = handle.varint(), handle.varint()
    block = Cursor(data, offset).take(size + 1)             # the byte behind it tells the compression
    if block[-1]:
        raise Damaged("its index is compressed, which TensorFlow's own writer never does")
    restarts, = Cursor(block[-5:]).numbers("I")
    entries, key = Cursor(block[:max(size - 4 - 4 * restarts, 0)]), b""
    while entries.left:
        shared, unshared, length = entries.varint(), entries.varint(), entries.varint()
        key = key[:shared] + bytes(entries.take(unshared))
        yield key, bytes(entries.take(length))
