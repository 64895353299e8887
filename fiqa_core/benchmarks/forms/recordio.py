"""Training sets packed as MXNet RecordIO: train.rec, train.idx and property, as insightface gives them out.

Record 0 is a directory if its flag is above 0: it holds the keys of the identity records, each of which holds
the keys of its images. Otherwise every record is an image. Pictures are 112 x 112 crops on the ArcFace
template already; they are read one by one from their offsets, the file is never in memory.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.benchmarks.forms.checks import first_few
from fiqa_core.benchmarks.forms.columns import read_columns
from fiqa_core.benchmarks.forms.presence import require
from fiqa_core.benchmarks.forms.record_file import RecordFile, read_record
from fiqa_core.benchmarks.listing import Listing
from fiqa_core.benchmarks.tables import empty_pairs
from fiqa_core.errors import FiqaError
from fiqa_core.images import decode_image

EXACT = 2**24  # labels are float32: larger keys are rounded, and ranges of keys with them
SPOT_CHECKS = 500
RESTORE = "restore train.rec and train.idx from one copy of the set"


@dataclass(frozen=True)
class RecordPictures:
    """The `read` of a listing of records: row -> uint8 (H, W, 3) RGB; FiqaError for a damaged record."""

    path: Path
    keys: np.ndarray
    offsets: np.ndarray

    def __call__(self, row: int) -> np.ndarray:
        place = f"{self.path}, record {self.keys[row]}"
        return decode_image(read_record(self.path, int(self.offsets[row]), place), place)


def recordio(
    name: str,
    folder: Path | str,
    stem: str = "train",
    identities: int | None = None,
    per_identity: int | None = None,
    seed: int = 0,
) -> Listing:
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
        raise FiqaError(f"{records.path} holds no image", RESTORE)
    count = len(np.unique(identity))
    if count != classes:
        notes.append(f"property announces {classes:,} identities, the records hold {count:,}")
    chosen = choose(identity, identities, per_identity, seed)
    if len(chosen) < len(keys):
        notes.append(f"{len(chosen):,} of {len(keys):,} images are drawn with seed {seed}")
    image_id = pd.Series(np.char.zfill(keys[chosen].astype(str), 8)).astype(str)
    images = pd.DataFrame({"image_id": image_id, "identity": pd.Series(identity[chosen]).astype(str)})
    return Listing(
        name,
        images.assign(template_id=images["image_id"], media_id=images["image_id"]),
        empty_pairs(),
        RecordPictures(records.path, keys[chosen], records.offsets_of(keys[chosen])),
        aligned=True,
        notes=tuple(notes),
    )


def read_property(path: Path) -> int:
    """Number of identities of the one line `identities,height,width`; FiqaError unless 112 x 112."""
    require(path, "file", "it lies beside train.rec and holds `identities,112,112`")
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
        raise FiqaError(f"{path}: key {twice} occurs twice", RESTORE)
    table = table.sort_values("key")
    return table["key"].to_numpy(), table["offset"].to_numpy()


def list_images(records: RecordFile) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Keys (N,) of the images, their identities (N,) int, and notes."""
    flag, *span = records.labels(records.keys[:1])[0]
    if records.keys[0] != 0 or flag == 0:
        return records.keys, _image_labels(records, records.keys), []
    if flag < 2:
        raise FiqaError(f"{records.path}: record 0 is a directory, but holds no range of keys", RESTORE)
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
            RESTORE,
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
            RESTORE,
        )
    place = np.searchsorted(start[order], images, side="right") - 1
    owner = order[np.maximum(place, 0)]
    owned = (place >= 0) & (images < end[owner])
    if not owned.all():
        raise FiqaError(
            f"{records.path}: {(~owned).sum()} images belong to no identity record: "
            f"{first_few(images[~owned])}",
            RESTORE,
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
            RESTORE,
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
