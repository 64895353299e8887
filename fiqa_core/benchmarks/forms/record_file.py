"""Records of an MXNet .rec file: headers of many by vectorised reads, whole records one at a time.

A record is the magic number, a word of three flag bits and 29 length bits, and the payload; the payload is a
header of 24 bytes (flag, label, id, id2), `flag` more float32 labels, and the encoded picture. All integers
are little-endian. Source: dmlc-core's recordio.h and MXNet's image_recordio.h, as widely documented.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fiqa_core.benchmarks.forms.presence import require
from fiqa_core.errors import FiqaError

MAGIC = 0xCED7230A
FRAME = 8  # bytes of magic number, flag and length
HEADER = 24  # bytes of flag, label, id, id2
LENGTH_BITS = 29
CHUNK = 65_536  # records whose heads are gathered at a time
REMEDY = "restore the .rec and .idx files from one copy of the set"


@dataclass(frozen=True)
class RecordFile:
    """A .rec file with its index: `keys` (N,) ascending, `offsets` (N,) of their records, `size` in bytes."""

    path: Path
    keys: np.ndarray
    offsets: np.ndarray
    size: int

    @classmethod
    def open(cls, path: Path, keys: np.ndarray, offsets: np.ndarray) -> "RecordFile":
        """Check the offsets against the file. Raises FiqaError if it is missing or offsets lie outside."""
        size = require(path, "record file", "it belongs beside its .idx file").stat().st_size
        wrong = (offsets < 0) | (offsets % 4 != 0) | (offsets + FRAME + HEADER > size)
        if wrong.any():
            row = int(wrong.argmax())
            raise FiqaError(
                f"{path} has {size:,} bytes, but {wrong.sum()} offsets of the index lie outside it or are no "
                f"multiple of 4, key {keys[row]} at {offsets[row]:,} first",
                "the file is cut off or not the index's; " + REMEDY,
            )
        return cls(path, keys, offsets, size)

    def offsets_of(self, keys: np.ndarray) -> np.ndarray:
        """Byte offsets (M,) of records that the index has."""
        return self.offsets[np.searchsorted(self.keys, keys)]

    def labels(self, keys: np.ndarray) -> np.ndarray:
        """(M, 3) float64 of records: flag, first label, second label (NaN if there is none).

        Raises FiqaError for a record without the magic number, and for a directory or identity record
        (flag above 1) that is split in several.
        """
        parts = [self._heads(keys[start : start + CHUNK]) for start in range(0, len(keys), CHUNK)]
        return np.concatenate(parts) if parts else np.empty((0, 3))

    def _heads(self, keys: np.ndarray) -> np.ndarray:
        data = np.memmap(self.path, np.uint8, "r")
        offsets = self.offsets_of(keys)
        places = np.minimum(offsets[:, None] + np.arange(FRAME + HEADER + 8), self.size - 1)
        words = data[places].view("<u4")
        wrong = words[:, 0] != MAGIC
        if wrong.any():
            row = int(wrong.argmax())
            raise _no_record(f"{self.path}, record {keys[row]}", int(offsets[row]), int(words[row, 0]))
        flag, scalar = words[:, 2], words[:, 3].view("<f4")
        split = (flag > 1) & (words[:, 1] >> LENGTH_BITS != 0)
        if split.any():
            raise _split(f"{self.path}, record {keys[int(split.argmax())]}")
        more = words[:, 8:10].copy().view("<f4")
        first = np.where(flag > 0, more[:, 0], scalar)
        return np.column_stack([flag, first, np.where(flag > 1, more[:, 1], np.nan)])


def read_record(path: Path, offset: int, place: str) -> bytes:
    """The encoded picture of the record at `offset`; `place` names it in messages.

    Raises FiqaError for a wrong magic number, a record that is split in several or cut off, or no picture.
    """
    with path.open("rb") as file:
        file.seek(offset)
        magic, word = np.frombuffer(file.read(FRAME).ljust(FRAME, b"\0"), "<u4").tolist()
        if magic != MAGIC:
            raise _no_record(place, offset, magic)
        if word >> LENGTH_BITS:
            raise _split(place)
        payload = file.read(word)
    if len(payload) != word or word < HEADER:
        raise FiqaError(f"{place}: {len(payload)} of {word} bytes are there", REMEDY)
    return payload[HEADER + 4 * int(np.frombuffer(payload, "<u4", 1)[0]) :]


def _no_record(place: str, offset: int, magic: int) -> FiqaError:
    return FiqaError(
        f"{place}: no record starts at byte {offset:,} (0x{magic:08x}, not the magic number 0x{MAGIC:08x})",
        "the index does not belong to the file; " + REMEDY,
    )


def _split(place: str) -> FiqaError:
    return FiqaError(
        f"{place} is split in several parts (its continuation flag is set), which is not read",
        "leave the image out, or pack the set anew",
    )
