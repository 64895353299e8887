"""From an image file to an aligned face: one reader per way of knowing where the face is.

A reader is a function of a file and of its name in the set. It returns a uint8 (112, 112, 3) crop and a
status, "ok" or the reason of the failure. A failure to extract a face is a result, not an exception:
dropping such images would flatter every method (ISO/IEC 29794-1 counts them as discarded first).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.benchmarks.alignment import OK, align, centre_crop, detect_and_align
from fiqa_core.benchmarks.detectors import load_detector
from fiqa_core.benchmarks.tables import POINT_COLUMNS
from fiqa_core.errors import FiqaError
from fiqa_core.images import read_image

Reader = Callable[[Path, str], tuple[np.ndarray, str]]


def face_reader(
    landmarks: Path | None = None, detector: str | Path | None = None, policy: str = "largest"
) -> Reader:
    """The reader for aligned images (neither option), given `landmarks` or a `detector`'s landmarks.

    landmarks  CSV with a column `path` (the image's name in the set) and either a column `landmarks` of
               ten numbers "x y x y ..." or ten columns left_eye_x, left_eye_y, ..., right_mouth_y; where
               a path has several rows the first counts
    detector   what `load_detector` takes; `policy` picks among several faces (`choose_face`)
    Raises FiqaError if both are given or a file is wrong.
    """
    if landmarks is not None and detector is not None:
        raise FiqaError("both landmarks and a detector are given", "give one of them")
    if landmarks is not None:
        points = read_landmarks(Path(landmarks))
        return lambda path, name: _from_landmarks(path, points.get(name))
    if detector is not None:
        find = load_detector(detector)
        return lambda path, name: _read(path, lambda image: detect_and_align(image, find, policy))
    return lambda path, name: _read(path, as_stored)


def read_landmarks(path: Path) -> dict[str, np.ndarray]:
    """Name -> (5, 2) landmarks of a CSV file as `face_reader` describes it, else FiqaError."""
    if not path.is_file():
        raise FiqaError(f"landmark file {path} is missing", "check the path")
    table = pd.read_csv(path, dtype={"path": str}).drop_duplicates("path") if _has_paths(path) else None
    if table is not None and "landmarks" in table:
        texts = table["landmarks"].fillna("").astype(str).str.split()
        wrong = table["path"][texts.str.len() != 10]
        if len(wrong):
            raise FiqaError(
                f"{path}: {len(wrong)} rows without ten landmark numbers, {wrong.iloc[0]} first",
                "write x and y of five points, separated by spaces, or leave the row out",
            )
        points = np.array(texts.tolist(), float)
    elif table is not None and set(POINT_COLUMNS) <= set(table):
        points = table[list(POINT_COLUMNS)].to_numpy(float)
    else:
        raise FiqaError(
            f"{path} has no columns path and landmarks (or path, {', '.join(POINT_COLUMNS[:3])}, ...)",
            "name the columns so",
        )
    return dict(zip(table["path"], points.reshape(-1, 5, 2)))


def _has_paths(path: Path) -> bool:
    return "path" in pd.read_csv(path, nrows=0)


def _read(path: Path, extract) -> tuple[np.ndarray, str]:
    """`extract(image)` of a file, or a black crop and the reason where the file cannot be decoded."""
    try:
        return extract(read_image(path))
    except FiqaError as error:
        return np.zeros((112, 112, 3), np.uint8), error.problem.replace(str(path), path.name)


def as_stored(image: np.ndarray) -> tuple[np.ndarray, str]:
    """An aligned crop as it is and "ok"; or the centre of a picture of another size, and why it failed."""
    if image.shape == (112, 112, 3):
        return image, OK
    return centre_crop(image), f"not an aligned 112 x 112 crop but {image.shape[1]} x {image.shape[0]} pixels"


def _from_landmarks(path: Path, points: np.ndarray | None) -> tuple[np.ndarray, str]:
    if points is None:
        return _read(path, lambda image: (centre_crop(image), "no landmarks given"))
    return _read(path, lambda image: (align(image, points), OK))
