"""InsightFace's packed verification sets: lfw.bin, cfp_fp.bin, agedb_30.bin, calfw.bin, cplfw.bin.

One pickle of 2N encoded crops and N labels; crops 2i and 2i + 1 are pair i. There are no file names: a crop
is named after the first pair that has it, identical crops are one image, and people are what genuine pairs
connect (github.com/deepinsight/insightface).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fiqa_core.benchmarks.forms.bin_pickle import Array, read_pickle, to_array
from fiqa_core.benchmarks.forms.checks import (
    PUBLISHED_MISTAKES,
    Protocol,
    count_notes,
    fold_notes,
    folds_by_position,
    label_notes,
    require,
)
from fiqa_core.benchmarks.forms.files import look_aligned
from fiqa_core.benchmarks.listing import Listing
from fiqa_core.errors import FiqaError
from fiqa_core.images import decode_image

LAYOUT = "a .bin holds two things: a list of 2 N encoded images and a list of N labels, True for one person"
PUBLISHED = {
    **dict.fromkeys(("lfw", "calfw", "cplfw", "agedb_30"), Protocol(3000, 3000)),
    **dict.fromkeys(("cfp_fp", "cfp_ff"), Protocol(3500, 3500)),
}


@dataclass(frozen=True)
class EncodedPictures:
    """Row -> picture of the bytes `encoded[row]`, uint8 (H, W, 3); FiqaError naming `names[row]`."""

    encoded: tuple[bytes, ...]
    names: tuple[str, ...]

    def __call__(self, row: int) -> np.ndarray:
        return decode_image(self.encoded[row], self.names[row])


def insightface_bin(name: str, file: str | Path) -> Listing:
    """The images of a .bin, image_id = cfp_fp/000017_1: the file's stem, the pair from 0, the side 0 or 1.

    Folds are ten equal blocks if each is half genuine, else unknown (-1). identity is the id of the first
    image that genuine pairs connect an image with; who occurs in no genuine pair is a person of their own.
    Raises FiqaError for a pickle that asks for anything else, parts that do not fit, wrong labels.
    """
    path = require(file, "verification set")
    encoded, genuine = read_bin(path)
    contents, first = unique_contents(encoded)
    sides = contents.reshape(-1, 2)
    images = people(path.stem, first, sides[genuine == 1])
    ids, identities = images["image_id"].to_numpy(), images["identity"].to_numpy()
    pairs = pd.DataFrame(
        {"genuine": genuine, "fold": folds_by_position(genuine), "line": np.arange(len(sides))}
    )
    for side, rows in zip("ab", sides.T):
        pairs = pairs.assign(**{f"path_{side}": ids[rows], f"identity_{side}": identities[rows]})
    read = EncodedPictures(tuple(encoded[row] for row in first), tuple(ids))
    table = pairs.rename(columns={"path_a": "a", "path_b": "b"})[["a", "b", "genuine", "fold"]]
    notes = _notes(path, pairs, images, len(encoded))
    return Listing(name, images, table, read, look_aligned(read, len(images), path), notes=notes)


def read_bin(path: Path) -> tuple[list[bytes], np.ndarray]:
    """The 2 N encoded images and N labels (int64, 1 genuine) of a .bin, else FiqaError."""
    content = read_pickle(path)
    if not isinstance(content, list | tuple) or len(content) != 2:
        raise FiqaError(f"{path} holds no two lists but {type(content).__name__}", LAYOUT)
    images, labels = content
    if not isinstance(images, list | tuple):
        raise FiqaError(f"{path}: the images are no list but {type(images).__name__}", LAYOUT)
    genuine = _labels(labels, path)
    if len(images) != 2 * len(genuine):
        raise FiqaError(f"{path}: {len(images):,} images for {len(genuine):,} labels", LAYOUT)
    if len(np.unique(genuine)) < 2:
        raise FiqaError(f"{path}: all {len(genuine):,} labels are the same, or there are none", LAYOUT)
    return [_encoded(image, row, path) for row, image in enumerate(images)], genuine


def _labels(labels, path: Path) -> np.ndarray:
    try:
        values = to_array(labels).tolist() if isinstance(labels, Array) else labels
        values = [to_array(value).item() if isinstance(value, Array) else value for value in values]
    except (TypeError, ValueError) as error:
        raise FiqaError(f"{path}: the labels are no list of booleans: {error}", LAYOUT) from None
    wrong = [row for row, value in enumerate(values) if not isinstance(value, int) or value not in (0, 1)]
    if wrong:
        raise FiqaError(
            f"{path}: label {wrong[0]} is {str(values[wrong[0]])[:40]}, neither True nor False", LAYOUT
        )
    return np.array(values, np.int64)


def _encoded(image, row: int, path: Path) -> bytes:
    """The bytes of image `row`, given as bytes or as a uint8 array of one dimension."""
    if isinstance(image, bytes | bytearray):
        return bytes(image)
    try:
        values = to_array(image) if isinstance(image, Array) else None
    except ValueError as error:
        raise FiqaError(f"{path}: image {row} is {error}", LAYOUT) from None
    if values is None or values.dtype != np.uint8 or values.ndim != 1:
        raise FiqaError(f"{path}: image {row} is no encoded image but {type(image).__name__}", LAYOUT)
    return values.tobytes()


def unique_contents(encoded: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Number of each image's content (N,), counted by first occurrence, and the row of each one's first."""
    contents, _ = pd.factorize(pd.Series([hashlib.sha256(data).digest() for data in encoded]))
    return contents, np.flatnonzero(~pd.Series(contents).duplicated())


def people(stem: str, first: np.ndarray, genuine: np.ndarray) -> pd.DataFrame:
    """Images table of the contents that first occur at rows `first`; `genuine` (M, 2) connects contents."""
    links = coo_array((np.ones(len(genuine)), (genuine[:, 0], genuine[:, 1])), shape=(len(first), len(first)))
    person = connected_components(links, directed=False)[1]
    _, leader = np.unique(person, return_index=True)
    ids = np.array([f"{stem}/{row // 2:06d}_{row % 2}" for row in first])
    images = pd.DataFrame({"image_id": ids, "identity": ids[leader[person]]})
    return images.assign(template_id=ids, media_id=ids)


def _notes(path: Path, pairs: pd.DataFrame, images: pd.DataFrame, pictures: int) -> tuple[str, ...]:
    notes = label_notes(pairs, path, PUBLISHED_MISTAKES, unit="pair") + fold_notes(
        pairs, path, disjoint=False
    )
    if pictures > len(images):
        notes.append(
            f"{path}: {pictures - len(images):,} of {pictures:,} images repeat another; each is kept once"
        )
    if (pairs["fold"] == -1).any():
        notes.append(f"{path}: its tenths are not half genuine each, folds are unknown (-1)")
    published = PUBLISHED.get(path.stem.lower())
    return (*notes, *(count_notes(published, pairs, images) if published else ()))
