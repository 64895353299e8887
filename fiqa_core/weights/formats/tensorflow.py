"""What TensorFlow's files have in common: the tensor types and the shape and tensor messages.

Field numbers are those of types.proto, tensor_shape.proto and tensor.proto.

TensorFlow's checkpoints (`NAME.index` with `NAME.data-00000-of-00001`), in which PFE is published.

The index is a sorted table in the layout of LevelDB: blocks of (key, value) with shared key beginnings, a
block that lists the blocks, and a footer. Its values are messages of tensor_bundle.proto that say in which
data file, where and how long a tensor is. Checksums of blocks and tensors are verified.

TensorFlow's frozen graphs (`.pb`): every constant of the graph under its node's name.

LightQNet is published in this form (its `lightqnet-dm100.pb` and the smaller ones). Field numbers are those
of graph.proto, node_def.proto and attr_value.proto. The graph's operations are not kept: which constants are
weights, and how they are used, is known from the network they belong to.

The wire format of protocol buffers: numbered fields, without the schema that names them.

The checksum CRC-32C (Castagnoli) of TensorFlow's files, fast enough for weights.

The bytes are cut into equal lanes whose checksums advance together, one byte of every lane at a time. A
checksum's state is linear in its start, so that neighbouring lanes join: the left state moves over as many
zero bytes as the right lane is long, which is one 32 x 32 bit matrix, and both are added.
"""
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
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


POLYNOMIAL = 0x82F63B78             # bits reversed
MOST_LANES = 14                     # as a power of two


def _byte_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ POLYNOMIAL, table >> 1).astype(np.uint32)
    return table


TABLE = _byte_table()


def crc32c(data) -> int:
    """Checksum of a buffer of bytes."""
    values = np.frombuffer(data, dtype=np.uint8)
    power = min(MOST_LANES, len(values).bit_length() // 2)
    length = len(values) >> power
    cut = length << power
    state = np.zeros(1 << power, dtype=np.uint32)
    state[0] = 0xFFFFFFFF
    for column in np.ascontiguousarray(values[:cut].reshape(1 << power, length).T):
        state = _step(state, column)
    matrix = _zeros(length)
    while len(state) > 1:
        state = _apply(matrix, state[0::2]) ^ state[1::2]
        matrix = _apply(matrix, matrix)
    for byte in values[cut:]:
        state = _step(state, byte)
    return int(state[0]) ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    """The form in which TensorFlow stores a checksum."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _step(state, byte):
    return TABLE[(state ^ byte) & 255] ^ state >> np.uint32(8)


def _apply(matrix: np.ndarray, states: np.ndarray) -> np.ndarray:
    """`matrix` (32,) holds the image of each bit."""
    result = np.zeros_like(states)
    for bit in range(32):
        result ^= np.where(states >> np.uint32(bit) & np.uint32(1), matrix[bit], np.uint32(0))
    return result


def _zeros(count: int) -> np.ndarray:
    """The matrix that moves a state over `count` zero bytes, by repeated squaring."""
    result = np.uint32(1) << np.arange(32, dtype=np.uint32)
    power = _step(result, np.uint32(0))
    while count:
        if count & 1:
            result = _apply(power, result)
        power = _apply(power, power)
        count >>= 1
    return result


FOOTER, MAGIC = 48, 0xDB4775248B80FB57


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Variables by name, in TensorFlow's order of axes; strings are left out. `path` is the index.

    Raises Damaged, also where a data file is missing.
    """
    entries = dict(table(path.read_bytes()))
    header = message(entries.pop(b"", b""))
    if last(header, 2, 0):
        raise Damaged("it was written on a big-endian machine")
    shards = last(header, 1, 0)
    found = {}
    for name, entry in entries.items():
        value = _tensor(path.with_suffix(""), message(entry), shards)
        if value is not None:
            found[name.decode(errors="replace")] = value
    return found


def _tensor(prefix: Path, entry: dict, shards: int) -> torch.Tensor | None:
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
        file.seek(offset)
        data = file.read(size)
    if masked(crc32c(data)) != int.from_bytes(last(entry, 6, b""), "little"):
        raise Damaged(f"{len(data)} of {size} bytes at {offset} of {path.name} do not match their checksum")
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
    checked = Cursor(data, offset).take(size + 1)
    checksum, = Cursor(data, offset + size + 1).numbers("I")
    if masked(crc32c(checked)) != checksum:
        raise Damaged(f"the block at byte {offset} of its index does not match its checksum")
    if checked[-1]:
        raise Damaged("its index is compressed, which TensorFlow's own writer never does")
    restarts, = Cursor(checked, size - 4).numbers("I")
    entries, key = Cursor(checked[:max(size - 4 - 4 * restarts, 0)]), b""
    while entries.left:
        shared, unshared, length = entries.varint(), entries.varint(), entries.varint()
        key = key[:shared] + bytes(entries.take(unshared))
        yield key, bytes(entries.take(length))
