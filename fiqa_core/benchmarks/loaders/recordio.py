"""Training sets packed as MXNet RecordIO: train.rec, train.idx and property, as insightface gives them out.

Record 0 is a directory if its flag is above 0: it holds the keys of the identity records, each of which holds
the keys of its images. Otherwise every record is an image. Pictures are 112 x 112 crops on the ArcFace
template already; they are read one by one from their offsets, the file is never in memory.

Records of an MXNet .rec file: headers of many by vectorised reads, whole records one at a time.

A record is the magic number, a word of three flag bits and 29 length bits, and the payload; the payload is a
header of 24 bytes (flag, label, id, id2), `flag` more float32 labels, and the encoded picture. All integers
are little-endian. Source: dmlc-core's recordio.h and MXNet's image_recordio.h, as widely documented.
"""
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import empty_pairs
from fiqa_core.base.images import decode_image
from fiqa_core.benchmarks.loaders.listing import Expected, Facts, Listing
from fiqa_core.benchmarks.loaders.pair_checks import first_few, read_columns, require

FACTS = Facts("non-commercial research",
              "take a training set of insightface's data-set zoo (CASIA-WebFace is faces_webface_112x112)",
              side=112,
              expect=(Expected(path="train.rec"), Expected(path="train.idx"),
                      Expected(path="property", lines=1, at_least=0)), aligned=True)
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
        size = require(path, "record file", remedy="it belongs beside its .idx file").stat().st_size
        wrong = (offsets < 0) | (offsets % 4 != 0) | (offsets + FRAME + HEADER > size)
        if wrong.any():
            row = int(wrong.argmax())
            raise FiqaError(f"{path} has {size:,} bytes, but {wrong.sum()} offsets of the index lie outside "
                            f"it or are no multiple of 4, key {keys[row]} at {offsets[row]:,} first",
                            "the file is cut off or not the index's; " + REMEDY)
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
    return FiqaError(f"{place}: no record starts at byte {offset:,} (0x{magic:08x}, not the magic number "
                     f"0x{MAGIC:08x})", "the index does not belong to the file; " + REMEDY)


def _split(place: str) -> FiqaError:
    return FiqaError(f"{place} is split in several parts (its continuation flag is set), which is not read",
                     "leave the image out, or pack the set anew")


EXACT = 2**24  # labels are float32: larger keys are rounded, and ranges of keys with them
SPOT_CHECKS = 500


@dataclass(frozen=True)
class RecordPictures:
    """The `read` of a listing of records: row -> uint8 (H, W, 3) RGB; FiqaError for a damaged record."""

    path: Path
    keys: np.ndarray
    offsets: np.ndarray

    def __call__(self, row: int) -> np.ndarray:
        place = f"{self.path}, record {self.keys[row]}"
        return decode_image(read_record(self.path, int(self.offsets[row]), place), place)


def recordio(name: str, folder: Path | str, stem: str = "train", identities: int | None = None,
             per_identity: int | None = None, seed: int = 0) -> Listing:
    """The listing of the training set in `folder` (stem.rec, stem.idx, property), without pairs.

    identities    draw so many identities with `seed` (None: all); MS1MV3 has 5.2 million images, which as
                  pixels are 195 GB
    per_identity  draw at most so many images of each (None: all)
    Image ids are the records' keys in eight digits. Identities come from the directory, whose agreement with
    the labels of the images is checked on a sample; without one from the labels. Raises FiqaError.
    """
    folder = Path(folder)
    classes = read_property(folder / "property")
    records = RecordFile.open(folder / f"{stem}.rec", *read_index(folder / f"{stem}.idx"))
    keys, identity, notes = list_images(records)
    if not len(keys):
        raise FiqaError(f"{records.path} holds no image", REMEDY)
    count = len(np.unique(identity))
    if count != classes:
        notes.append(f"property announces {classes:,} identities, the records hold {count:,}")
    chosen = choose(identity, identities, per_identity, seed)
    if len(chosen) < len(keys):
        notes.append(f"{len(chosen):,} of {len(keys):,} images are drawn with seed {seed}")
    image_id = pd.Series(np.char.zfill(keys[chosen].astype(str), 8)).astype(str)
    images = pd.DataFrame({"image_id": image_id, "identity": pd.Series(identity[chosen]).astype(str)})
    return Listing(name, images.assign(template_id=images["image_id"], media_id=images["image_id"]),
        empty_pairs(), RecordPictures(records.path, keys[chosen], records.offsets_of(keys[chosen])),
        aligned=True, notes=tuple(notes))


def read_property(path: Path) -> int:
    """Number of identities of the one line `identities,height,width`; FiqaError unless 112 x 112."""
    require(path, "file", remedy="it lies beside train.rec and holds `identities,112,112`")
    fields = path.read_text(encoding="utf-8", errors="replace").strip().split(",")
    if len(fields) != 3 or not all(field.strip().isdecimal() for field in fields):
        raise FiqaError(f"{path}: {','.join(fields)!r} is not `identities,height,width`", "restore the file")
    classes, height, width = map(int, fields)
    if (height, width) != (112, 112):
        raise FiqaError(f"{path}: crops of {width} x {height} pixels", "use the set's edition of 112 x 112")
    return classes


def read_index(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Keys (N,) and byte offsets (N,) int64 of an index, by key; FiqaError for a wrong line, a key twice."""
    kinds = {"key": np.int64, "offset": np.int64}
    table = read_columns(path, kinds, "a key and a byte offset, separated by a tab", "\t")
    if table["key"].duplicated().any():
        twice = table["key"][table["key"].duplicated()].iloc[0]
        raise FiqaError(f"{path}: key {twice} occurs twice", REMEDY)
    table = table.sort_values("key")
    return table["key"].to_numpy(), table["offset"].to_numpy()


def list_images(records: RecordFile) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Keys (N,) of the images, their identities (N,) int, and notes."""
    flag, *span = records.labels(records.keys[:1])[0]
    if records.keys[0] != 0 or flag == 0:
        return records.keys, _image_labels(records, records.keys), []
    if flag < 2:
        raise FiqaError(f"{records.path}: record 0 is a directory, but holds no range of keys", REMEDY)
    first, end = map(int, span)
    images = records.keys[(records.keys >= 1) & (records.keys < first)]
    if end > EXACT:
        note = f"keys beyond {EXACT:,} are rounded in the directory; identities are the images' labels"
        return images, _image_labels(records, images), [note]
    identity = directory(records, images, np.arange(first, end))
    _spot_check(records, images, identity)
    return images, identity, []


def directory(records: RecordFile, images: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Which of the identity records `people` (keys) claims each of the `images` (keys): (N,) from 0."""
    absent = np.setdiff1d(people, records.keys)
    if len(absent) or not len(people):
        raise FiqaError(
            f"{records.path}: {len(absent) or 'all'} identity records of the directory are not in the index: "
            f"{first_few(absent)}",
            REMEDY,
        )
    flag, start, end = np.nan_to_num(records.labels(people), nan=-1).astype(np.int64).T
    wrong = (flag < 2) | (start < 1) | (end < start) | (end > people[0])
    order = np.argsort(start, kind="stable")
    wrong[order[1:]] |= start[order[1:]] < end[order[:-1]]
    if wrong.any():
        row = int(wrong.argmax())
        raise FiqaError(
            f"{records.path}: identity record {people[row]} claims the images {start[row]} to "
            f"{end[row] - 1}, which are another's, or no images (those are 1 to {people[0] - 1})",
            REMEDY,
        )
    place = np.searchsorted(start[order], images, side="right") - 1
    owner = order[np.maximum(place, 0)]
    owned = (place >= 0) & (images < end[owner])
    if not owned.all():
        raise FiqaError(
            f"{records.path}: {(~owned).sum()} images belong to no identity record: "
            f"{first_few(images[~owned])}",
            REMEDY,
        )
    return owner


def _image_labels(records: RecordFile, keys: np.ndarray) -> np.ndarray:
    """Class of every image from its own header: the scalar label, or the first of several."""
    return records.labels(keys)[:, 1].astype(np.int64)


def _spot_check(records: RecordFile, images: np.ndarray, identity: np.ndarray) -> None:
    """FiqaError if the labels of first and last images of some identities contradict the directory."""
    if not len(images):
        return
    starts = np.flatnonzero(np.diff(identity, prepend=-1))
    ends = np.append(starts[1:], len(identity)) - 1
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(SPOT_CHECKS, len(starts))).astype(int))
    first, last = (_image_labels(records, images[side[chosen]]) for side in (starts, ends))
    wrong = (first != last) | pd.Series(first).duplicated().to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        span = [int(images[side[chosen[row]]]) for side in (starts, ends)]
        raise FiqaError(
            f"{records.path}: the directory makes the images {span[0]} to {span[1]} one identity of its own, "
            f"but their labels are {first[row]} and {last[row]}, or are another identity's",
            REMEDY,
        )


def choose(identity: np.ndarray, identities: int | None, per_identity: int | None, seed: int) -> np.ndarray:
    """Rows (M,) in ascending order: of `identities` identities, at most `per_identity` images each."""
    rows, stream = np.arange(len(identity)), np.random.default_rng(seed)
    if identities is not None:
        people = np.unique(identity)
        rows = rows[np.isin(identity, stream.permutation(people)[:identities])]
    if per_identity is not None:
        rows = stream.permutation(rows)
        turn = pd.Series(identity[rows]).groupby(identity[rows]).cumcount().to_numpy()
        rows = np.sort(rows[turn < per_identity])
    return rows
