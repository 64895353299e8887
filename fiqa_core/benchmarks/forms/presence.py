"""What loaders of large official forms share: required files, missing pictures, published counts."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fiqa_core.benchmarks.forms.checks import first_few
from fiqa_core.errors import FiqaError
from fiqa_core.images import read_image


@dataclass(frozen=True)
class CutPictures:
    """The `read` of a listing of faces labelled in whole pictures: row -> uint8 (H, W, 3) RGB inside a box.

    boxes   (N, 4) int left, top, right, bottom in pixels of folder/names[row], cut to its borders
    Raises FiqaError if the file cannot be decoded or the box lies outside it.
    """

    folder: Path
    names: tuple[str, ...]
    boxes: np.ndarray

    def __call__(self, row: int) -> np.ndarray:
        name = self.names[row]
        return cut(read_image(self.folder / name), self.boxes[row], name)


def cut(picture: np.ndarray, box: np.ndarray, name: str) -> np.ndarray:
    """The part of `picture` (H, W, 3) inside `box` (left, top, right, bottom); FiqaError if there is none."""
    left, top = np.maximum(box[:2], 0)
    part = picture[top : max(box[3], 0), left : max(box[2], 0)]
    if not part.size:
        size = f"{picture.shape[1]} x {picture.shape[0]}"
        raise FiqaError(f"{name}: the labelled face lies outside the {size} pixels", "correct its box")
    return part


def boxes_around(centres: np.ndarray, sizes: np.ndarray, margin: float) -> np.ndarray:
    """(N, 4) int left, top, right, bottom around centres (N, 2), `margin` times as large as sizes (N, 2)."""
    half = sizes * margin / 2
    return np.rint(np.hstack([centres - half, centres + half])).astype(np.int64)


def require(path: Path, what: str, remedy: str) -> Path:
    """`path` if it exists, else FiqaError."""
    if not path.exists():
        raise FiqaError(f"{what} {path} is missing", remedy)
    return path


def first_existing(candidates: list[Path]) -> Path | None:
    """The first of the paths that exists, None if none does."""
    return next((path for path in candidates if path.exists()), None)


def which_missing(folder: Path, names) -> np.ndarray:
    """(N,) bool: which of the `names`, relative to `folder`, are not there.

    Lists every folder once: half a million pictures cost a second, not half a million look-ups.
    """
    listed: dict[str, set[str]] = {}
    absent = np.empty(len(names), bool)
    for row, name in enumerate(names):
        parent, _, file = name.rpartition("/")
        if parent not in listed:
            place = folder / parent
            listed[parent] = set(os.listdir(place)) if place.is_dir() else set()
        absent[row] = file not in listed[parent]
    return absent


def check_missing(names, total: int, what: str, folder: Path, allow_missing: bool) -> None:
    """FiqaError that counts the missing `names` and shows the first; none, or some if allowed, are fine."""
    if len(names) == total or (len(names) and not allow_missing):
        raise FiqaError(
            f"{len(names)} of {total} {what} are not in {folder}: {first_few(names)}",
            "complete the folder, or set allow_missing: true to leave out the comparisons that need them",
        )


def number_notes(counts: dict[str, int], published: dict[str, int], source: str) -> list[str]:
    """One note for every count that is not the published one."""
    return [
        f"{counts[what]:,} {what}; {source} has {published[what]:,}"
        for what in published
        if counts[what] != published[what]
    ]
