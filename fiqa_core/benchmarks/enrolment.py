"""From one picture to its aligned crop, and what became of it: the points used, the score, the failure.

Where a detector finds no face it searches again at other sizes, as insightface's pack builder does. That
builder also lowers the threshold, which a RetinaFace bears. MTCNN does not: on 43 faces of LFW that it missed
under strong blur, noise and coarse pixels, thresholds of 0.4, 0.3 and 0.05 brought 41 answers of which 4 lay
on the face, and "faces" in 15 of 16 pictures of noise. The thresholds therefore stay: a failure is a better
answer than a wrong crop.

From an image file to an aligned face: one reader per way of knowing where the face is.

A reader is a function of a file and of its name in the set. It returns a uint8 (112, 112, 3) crop and a
status, "ok" or the reason of the failure. A failure to extract a face is a result, not an exception:
dropping such images would flatter every method (ISO/IEC 29794-1 counts them as discarded first).
"""
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import POINT_COLUMNS
from fiqa_core.base.images import read_image
from fiqa_core.benchmarks.alignment import NO_FACE, OK, align, centre_crop, choose_face, detect_and_align
from fiqa_core.benchmarks.detectors import Faces, load_detector

Reader = Callable[[Path, str], tuple[np.ndarray, str]]


def face_reader(landmarks: Path | None = None, detector: str | Path | None = None,
                policy: str = "largest") -> Reader:
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
            raise FiqaError(f"{path}: {len(wrong)} rows without ten landmark numbers, {wrong.iloc[0]} first",
                            "write x and y of five points, separated by spaces, or leave the row out")
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


RETRY_ZOOMS = (0.75, 2.0)
NO_POINTS = "no landmarks given"


def unknown() -> np.ndarray:
    """Five landmarks that nobody knows."""
    return np.full((5, 2), np.nan)


@dataclass(frozen=True)
class Enrolment:
    """What became of one picture.

    crop     (112, 112, 3) uint8 RGB; after a failure the picture's centre, black where it could not be read
    failure  "" or why no aligned face could be cut out
    points   (5, 2) landmarks used, in pixels of the picture; NaN where there were none
    score    the detector's score of the face, NaN where none was found or none was asked
    attempt  0: no detector found a face (or none was asked), 1: at the first look, 2: at another size
    """

    crop: np.ndarray
    failure: str = ""
    points: np.ndarray = field(default_factory=unknown)
    score: float = np.nan
    attempt: int = 0


def enrol(read, row: int, points: np.ndarray | None = None, find=None, policy: str = "central",
          aligned: bool = False) -> Enrolment:
    """Picture `row` of a listing as an aligned crop; a bad picture is an answer, never an exception.

    read      row number -> uint8 (H, W, 3) RGB, as `Listing.read`
    points    (5, 2) landmarks in pixels of the picture; used where they are known and finite
    find      detector as `load_detector` returns it, asked where no points are known; None: nobody is asked
    aligned   the picture is a crop on the ArcFace template already
    """
    try:
        picture = read(row)
    except (FiqaError, OSError, cv2.error) as error:
        return Enrolment(np.zeros((112, 112, 3), np.uint8), reason(error))
    try:
        if aligned:
            crop, status = as_stored(picture)
            return Enrolment(crop, "" if status == OK else status)
        return extract(picture, points, find, policy)
    except (FiqaError, cv2.error) as error:
        return Enrolment(centre_crop(picture), reason(error))


def extract(picture: np.ndarray, points: np.ndarray | None, find, policy: str) -> Enrolment:
    """The face at the given points, else the one that the detector finds, else the picture's centre."""
    if points is not None and np.isfinite(points).all():
        return Enrolment(align(picture, points), points=points)
    if find is None:
        return Enrolment(centre_crop(picture), NO_POINTS)
    faces, attempt = look(picture, find)
    if len(faces.scores) == 0:
        return Enrolment(centre_crop(picture), NO_FACE)
    chosen = choose_face(faces.boxes, picture.shape, policy)
    found = faces.landmarks[chosen]
    return Enrolment(align(picture, found), "", found, float(faces.scores[chosen]), attempt)


def look(picture: np.ndarray, find) -> tuple[Faces, int]:
    """Faces and the attempt that found them: 1, or 2 where only another size of the picture showed any."""
    faces = find(picture)
    if len(faces.scores):
        return faces, 1
    again = [find(picture, zoom) for zoom in RETRY_ZOOMS]
    return Faces(
        *(
            np.concatenate([getattr(part, name) for part in again])
            for name in ("boxes", "landmarks", "scores")
        )
    ), 2


def reason(error: Exception) -> str:
    """An exception as one line of a table."""
    text = error.problem if isinstance(error, FiqaError) else str(error)
    return " ".join(text.split())[:300]
