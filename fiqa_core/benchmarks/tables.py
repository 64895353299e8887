"""The one form of a benchmark or training set: packed pixels, an images table, a pairs table.

On disk a face set is a folder with `pixels.npy` (uint8, memory-mapped on load), `images.csv` and the pairs
(`pairs.csv`, or `pairs.npz` where there are millions). Loose image files are never tracked: thousands of
them slow DVC down.
"""
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.benchmarks.pair_files import read_pairs, used_templates, write_pairs
from fiqa_core.errors import FiqaError

IMAGE_COLUMNS = ("image_id", "identity", "template_id", "media_id", "crossfit")
POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")     # as seen in the image
POINT_COLUMNS = tuple(f"{point}_{axis}" for point in POINTS for axis in "xy")
# Columns that some benchmarks have and that are no cause of quality loss: scored by slow methods, no face found,
# the detector's score, the attempt that found the face (0: none did), landmarks in pixels of the source picture.
IMAGE_MARKS = ("subset", "fte", "detector_score", "attempt", *POINT_COLUMNS)
PAIR_COLUMNS = ("a", "b", "genuine", "fold")


@dataclass(frozen=True)
class FaceSet:
    """Aligned faces of one benchmark or training set.

    name    the benchmark's name as the papers print it ("CFP-FP"), or "training"
    pixels  (N, 112, 112, 3) uint8, RGB, aligned to the ArcFace template; row i belongs to images row i
    images  N rows: image_id (unique), identity, template_id, media_id, crossfit, then true nuisance
            values or provenance. A still image is a template of its own (template_id == image_id).
            crossfit: in a benchmark, the index of the trained model that scores the image; in a
            training set, the index of the model that must not see it, -1 where every model may.
    pairs   comparisons: a, b (template_id; text or categorical), genuine (1 or 0), fold (-1 unknown); empty
            for training
    """

    name: str
    pixels: np.ndarray
    images: pd.DataFrame
    pairs: pd.DataFrame

    def __post_init__(self):
        check(self)

    def __len__(self) -> int:
        return len(self.images)

    def save(self, folder: Path) -> None:
        """Write the set to `folder`, replacing what is there. Pixels that lie in that very file stay."""
        folder.mkdir(parents=True, exist_ok=True)
        if not lies_in(self.pixels, folder / "pixels.npy"):
            part = folder / "pixels.npy.part"               # the old file may be what `pixels` is read from
            with open(part, "wb") as file:
                np.save(file, self.pixels)
            os.replace(part, folder / "pixels.npy")
        self.save_tables(folder)

    def save_tables(self, folder: Path) -> None:
        """Write all but the pixels, for sets whose pixels are in `folder` already."""
        self.images.to_csv(folder / "images.csv", index=False, float_format="%.6g", lineterminator="\n")
        write_pairs(self.pairs, folder)


def lies_in(pixels: np.ndarray, path: Path) -> bool:
    """Whether `pixels` is the memory-mapped whole of the file `path`."""
    if not isinstance(pixels, np.memmap) or pixels.filename is None or not path.is_file():
        return False
    whole = np.load(path, mmap_mode="r")
    return path.samefile(pixels.filename) and pixels.flags.c_contiguous and pixels.shape == whole.shape


def empty_pairs() -> pd.DataFrame:
    """The pairs table of a set that is not compared (a training set)."""
    return pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in
                         zip(PAIR_COLUMNS, ("str", "str", "int64", "int64"))})


def load_face_set(folder: Path) -> FaceSet:
    """Read a face set; pixels are memory-mapped. Raises FiqaError if a file is missing or inconsistent."""
    folder = Path(folder)
    for name in ("pixels.npy", "images.csv"):
        if not (folder / name).is_file():
            raise FiqaError(f"{folder / name} is missing", "run the stage that prepares faces: dvc repro prepare")
    text = {"image_id": str, "identity": str, "template_id": str, "media_id": str}
    return FaceSet(folder.name, np.load(folder / "pixels.npy", mmap_mode="r"),
                   pd.read_csv(folder / "images.csv", dtype=text), read_pairs(folder))


def check(faces: FaceSet) -> None:
    """Raise FiqaError unless pixels, images and pairs fit together."""
    images, pairs, pixels = faces.images, faces.pairs, faces.pixels
    problems = []
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (112, 112, 3):
        problems.append(f"pixels are {pixels.dtype} {pixels.shape}, want uint8 (N, 112, 112, 3)")
    if len(pixels) != len(images):
        problems.append(f"{len(pixels)} pictures for {len(images)} rows of images")
    problems += [f"images lack column {c}" for c in IMAGE_COLUMNS if c not in images]
    problems += [f"pairs lack column {c}" for c in PAIR_COLUMNS if c not in pairs]
    if not problems:
        if images["image_id"].duplicated().any():
            problems.append(f"image_id {images['image_id'][images['image_id'].duplicated()].iloc[0]} occurs twice")
        named = used_templates(pairs)
        unknown = sorted(map(str, named[~named.isin(images["template_id"].unique())]))
        if unknown:
            problems.append(f"{len(unknown)} templates in pairs are not in images, {unknown[0]} first")
        if not pairs["genuine"].isin((0, 1)).all():
            problems.append("pairs.genuine holds values other than 0 and 1")
    if problems:
        raise FiqaError(f"face set {faces.name}: " + "; ".join(problems),
                        "prepare it again (dvc repro prepare), or correct the loader's input")
