"""From one picture to its aligned crop, and what became of it: the points used, the score, the failure.

Where a detector finds no face it searches again at other sizes, as insightface's pack builder does. That
builder also lowers the threshold, which a RetinaFace bears. MTCNN does not: on 43 faces of LFW that it missed
under strong blur, noise and coarse pixels, thresholds of 0.4, 0.3 and 0.05 brought 41 answers of which 4 lay
on the face, and "faces" in 15 of 16 pictures of noise. The thresholds therefore stay: a failure is a better
answer than a wrong crop.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from fiqa_core.benchmarks.alignment import NO_FACE, OK, align, centre_crop, choose_face
from fiqa_core.benchmarks.detectors import Faces
from fiqa_core.benchmarks.reading import as_stored
from fiqa_core.errors import FiqaError

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


def enrol(
    read,
    row: int,
    points: np.ndarray | None = None,
    find=None,
    policy: str = "central",
    aligned: bool = False,
) -> Enrolment:
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
