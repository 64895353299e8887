"""TensorFlow's checkpoints (`NAME.index` with `NAME.data-00000-of-00001`), in which PFE is published.

The index is a sorted table in the layout of LevelDB: blocks of (key, value) with shared key beginnings, a
block that lists the blocks, and a footer. Its values are messages of tensor_bundle.proto that say in which
data file, where and how long a tensor is. Checksums of blocks and tensors are verified.
"""
from collections.abc import Iterator
from pathlib import Path

import torch

from fiqa_core.weights.formats.crc32c import crc32c, masked
from fiqa_core.weights.formats.cursor import Cursor, Damaged, tensor
from fiqa_core.weights.formats.protobuf import last, message
from fiqa_core.weights.formats.tensorflow import TYPES, shape_of

FOOTER, MAGIC = 48, 0xDB4775248B80FB57


def read(path: Path) -> dict[str, torch.Tensor]:
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
