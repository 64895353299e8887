"""What a loader of an official form yields, what is published about the form, and how pictures are read.

A listing holds no pixels. `benchmarks/store.py` reads its images in order, aligns them and writes a face set.
"""
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import PAIR_COLUMNS
from fiqa_core.base.images import path_of, read_image

LISTING_COLUMNS = ("image_id", "identity", "template_id", "media_id")


@dataclass(frozen=True)
class Expected:
    """One file or folder of a form: named by an option of the suite, or by a path below its folder
    ("a|b": the first of them that is there).

    pictures, folders, files, lines   how many the published copy holds; at_least: fewer than this is a fault
    sha256   digest -> which version of the file has it
    """

    option: str | None = None
    path: str | None = None
    pictures: int | None = None
    folders: int | None = None
    files: int | None = None
    lines: int | None = None
    at_least: int | None = None
    sha256: dict[str, str] | None = None


@dataclass(frozen=True)
class Facts:
    """What is published about a form: the loader compares its counts, the doctor reads all of it.

    terms, get   what to accept, and how to come by it
    side         shorter side of a photograph in pixels, for the detector's time
    expect       files and folders of a copy
    counts       what the published copy holds, by the name that notes give it ("genuine pairs")
    estimates    the like where nothing is published or the suite decides: reckoned with, not compared
    aligned      True where no detector is needed
    """

    terms: str
    get: str
    side: int = 250
    expect: tuple[Expected, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    estimates: dict[str, int] = field(default_factory=dict)
    aligned: bool = False

    @property
    def known(self) -> dict[str, int]:
        """Counts and estimates."""
        return self.estimates | self.counts

    @property
    def genuine(self) -> int | None:
        """Comparisons of one person."""
        return self.known.get("genuine pairs")

    @property
    def impostor(self) -> int | None:
        """Comparisons of two people."""
        every = self.known.get("pairs")
        return self.known.get("impostor pairs") if every is None else every - self.genuine

    @property
    def images(self) -> int | None:
        """Faces that are prepared at most: two of each pair, and no more than there are pictures."""
        faces = self.known.get("images in pairs", self.known.get("faces"))
        if faces is not None or self.genuine is None:
            return faces
        return min([2 * (self.genuine + self.impostor),
                    *(part.pictures for part in self.expect if part.pictures)])


@dataclass(frozen=True)
class Listing:
    """The images and comparisons of one benchmark or training set, before alignment.

    name       the benchmark's name as the papers print it ("CFP-FP"), or "training"
    images     N rows of text: image_id (unique), identity, template_id, media_id; further columns are kept
    pairs      a, b (template_id), genuine (1 or 0), fold (-1 unknown); empty for training
    read       row number -> the picture, uint8 (H, W, 3) RGB; raises FiqaError if it cannot be decoded
    aligned    True where pictures are 112 x 112 crops on the ArcFace template already
    landmarks  (N, 5, 2) float x, y in pixels of the picture, NaN where unknown; None: none are given
    notes      what the loader found that is not an error: a known trap, a count other than the published one
    Raises FiqaError if the tables do not fit together.
    """

    name: str
    images: pd.DataFrame
    pairs: pd.DataFrame
    read: Callable[[int], np.ndarray]
    aligned: bool = False
    landmarks: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        problems = [f"images lack column {c}" for c in LISTING_COLUMNS if c not in self.images]
        problems += [f"pairs lack column {c}" for c in PAIR_COLUMNS if c not in self.pairs]
        if not problems and not self.images["image_id"].is_unique:
            twice = self.images["image_id"][self.images["image_id"].duplicated()].iloc[0]
            problems.append(f"image {twice} is listed twice")
        if self.landmarks is not None and self.landmarks.shape != (len(self.images), 5, 2):
            problems.append(f"landmarks are {self.landmarks.shape} for {len(self.images)} images")
        if problems:
            raise FiqaError(f"listing {self.name}: " + "; ".join(problems), "correct the loader's input")

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class FilePictures:
    """Row -> picture of the file `folder / names[row]`, uint8 (H, W, 3); FiqaError if it is not intact.

    `failed` are rows whose list says that no face was found: a FiqaError too, so that they count as failures.
    """

    folder: Path
    names: tuple[str, ...]
    failed: frozenset[int] = frozenset()

    def __call__(self, row: int) -> np.ndarray:
        if row in self.failed:
            raise FiqaError(f"{self.names[row]} is listed as a failure (fte = 1)", "set fte to 0 to use the "
                                                                                   "image")
        return read_image(path_of(self.folder, self.names[row]))


@dataclass(frozen=True)
class CutPictures:
    """Faces labelled in whole pictures: row -> uint8 (H, W, 3) RGB inside a box.

    boxes   (N, 4) int left, top, right, bottom in pixels of folder/names[row], cut to its borders
    Raises FiqaError if the file cannot be decoded or the box lies outside it.
    """

    folder: Path
    names: tuple[str, ...]
    boxes: np.ndarray

    def __call__(self, row: int) -> np.ndarray:
        picture, box = read_image(path_of(self.folder, self.names[row])), self.boxes[row]
        left, top = np.maximum(box[:2], 0)
        part = picture[top : max(box[3], 0), left : max(box[2], 0)]
        if not part.size:
            size = f"{picture.shape[1]} x {picture.shape[0]}"
            raise FiqaError(f"{self.names[row]}: the labelled face lies outside the {size} pixels",
                            "correct its box")
        return part


def boxes_around(centres: np.ndarray, sizes: np.ndarray, margin: float) -> np.ndarray:
    """(N, 4) int left, top, right, bottom around centres (N, 2), `margin` times as large as sizes (N, 2)."""
    half = sizes * margin / 2
    return np.rint(np.hstack([centres - half, centres + half])).astype(np.int64)
