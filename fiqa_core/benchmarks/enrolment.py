"""The one way from a picture to its aligned crop: `score` and stage `prepare` accept the same pictures.

`enrol` yields the crop and what became of it: the points used, the detector's score, the failure. A failure
to extract a face is a result, not an exception: dropping such images would flatter every method
(ISO/IEC 29794-1 counts them as discarded first).

Where a detector finds no face it searches again at other sizes, as insightface's pack builder does; faces
found only so are scored too. That builder also lowers the threshold, which a RetinaFace bears. MTCNN does
not: on 43 faces of LFW that it missed under strong blur, noise and coarse pixels, thresholds of 0.4, 0.3 and
0.05 brought 41 answers of which 4 lay on the face, and "faces" in 15 of 16 pictures of noise. The thresholds
therefore stay: a failure is a better answer than a wrong crop.
"""
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import POINT_COLUMNS
from fiqa_core.base.files import read_csv, refuse
from fiqa_core.base.images import read_image
from fiqa_core.benchmarks.alignment import align, centre_crop, choose_face, misshape
from fiqa_core.benchmarks.detectors import Faces, load_detector

OK, NO_FACE, NO_POINTS = "ok", "no face found", "no landmarks given"
RETRY_ZOOMS = (0.75, 2.0)
POINT_FILE = (f"name the columns path and landmarks (x and y of five points, separated by spaces), or path, "
              f"{', '.join(POINT_COLUMNS[:3])}, ...; leave out rows without landmarks")


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
    points: np.ndarray = field(default_factory=lambda: np.full((5, 2), np.nan))
    score: float = np.nan
    attempt: int = 0

    @property
    def status(self) -> str:
        """"ok" or the failure."""
        return self.failure or OK


Reader = Callable[[Path, str], Enrolment]


def face_reader(landmarks: Path | None = None, detector: str | Path | None = None,
                policy: str = "largest") -> Reader:
    """`enrol` as a function of a file and of its name in the set.

    Pictures are aligned crops, unless one of two options says where faces are:
    landmarks  file of `read_landmarks`
    detector   what `load_detector` takes; `policy` picks among several faces (`choose_face`)
    Raises FiqaError if both are given or a file is wrong.
    """
    if landmarks is not None and detector is not None:
        raise FiqaError("both landmarks and a detector are given", "give one of them")
    points = read_landmarks(Path(landmarks)) if landmarks is not None else {}
    find = load_detector(detector) if detector is not None else None
    aligned = landmarks is None and detector is None
    return lambda path, name: enrol(lambda: read_image(path), name, points.get(name), find, policy, aligned)


def read_landmarks(path: Path) -> dict[str, np.ndarray]:
    """Name -> (5, 2) landmarks of a CSV file; where a name has several rows the first counts.

    Its columns are path (the image's name in the set) and either landmarks, ten numbers "x y x y ...", or
    ten columns left_eye_x, left_eye_y, ..., right_mouth_y. Raises FiqaError for any other file.
    """
    kinds = {"path": str, "landmarks": str, **dict.fromkeys(POINT_COLUMNS, float)}
    table = read_csv(path, kinds, POINT_FILE, optional=("landmarks", *POINT_COLUMNS))
    if "landmarks" in table:
        numbers = table["landmarks"].map(_ten_numbers)
        refuse(numbers.isna(), path, "landmarks are no ten numbers", POINT_FILE)
        points = np.array(numbers.tolist(), float)
    elif set(POINT_COLUMNS) <= set(table):
        points = table[list(POINT_COLUMNS)].to_numpy(float)
    else:
        raise FiqaError(f"{path} has no columns landmarks or {', '.join(POINT_COLUMNS[:3])}, ...", POINT_FILE)
    first = ~table["path"].duplicated()
    return dict(zip(table["path"][first], points[first].reshape(-1, 5, 2)))


def _ten_numbers(text: str) -> list[float] | None:
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return None
    return numbers if len(numbers) == 10 else None


def enrol(read: Callable[[], np.ndarray], name: str, points: np.ndarray | None = None, find=None,
          policy: str = "central", aligned: bool = False) -> Enrolment:
    """A picture as an aligned crop; a bad picture is an answer, never an exception.

    read      gives the picture, uint8 (H, W, 3) RGB; `name`, its image_id, is left out of reasons
    points    (5, 2) landmarks in pixels of the picture; used where they are known and finite
    find      detector as `load_detector` returns it, asked where no points are known; None: nobody is asked
    aligned   the picture is a crop on the ArcFace template already
    """
    try:
        picture = read()
    except (FiqaError, OSError, cv2.error) as error:
        return Enrolment(np.zeros((112, 112, 3), np.uint8), reason(error, name))
    try:
        return as_stored(picture) if aligned else extract(picture, points, find, policy)
    except (FiqaError, cv2.error) as error:
        return Enrolment(centre_crop(picture), reason(error, name))


def as_stored(picture: np.ndarray) -> Enrolment:
    """An aligned crop as it is; or the centre of a picture of another size, and why it failed."""
    if picture.shape == (112, 112, 3):
        return Enrolment(picture)
    return Enrolment(centre_crop(picture),
                     f"not an aligned 112 x 112 crop but {picture.shape[1]} x {picture.shape[0]} pixels")


def extract(picture: np.ndarray, points: np.ndarray | None, find, policy: str) -> Enrolment:
    """The face at the given points, else the one that the detector finds, else the picture's centre."""
    if points is not None and np.isfinite(points).all():
        return aligned_face(picture, points)
    if find is None:
        return Enrolment(centre_crop(picture), NO_POINTS)
    faces, attempt = look(picture, find)
    if len(faces.scores) == 0:
        return Enrolment(centre_crop(picture), NO_FACE)
    chosen = choose_face(faces.boxes, picture.shape, policy)
    return aligned_face(picture, faces.landmarks[chosen], float(faces.scores[chosen]), attempt)


def aligned_face(picture: np.ndarray, points: np.ndarray, score: float = np.nan,
                 attempt: int = 0) -> Enrolment:
    """The crop by five landmarks, or why they cannot be a face's."""
    wrong = misshape(points, picture.shape)
    if wrong:
        return Enrolment(centre_crop(picture), wrong)
    return Enrolment(align(picture, points), "", points, score, attempt)


def look(picture: np.ndarray, find) -> tuple[Faces, int]:
    """Faces and the attempt that found them: 1, or 2 where only another size of the picture showed any."""
    faces = find(picture)
    if len(faces.scores):
        return faces, 1
    again = [find(picture, zoom) for zoom in RETRY_ZOOMS]
    return Faces(*(np.concatenate([getattr(part, name) for part in again])
                   for name in ("boxes", "landmarks", "scores"))), 2


def reason(error: Exception, name: str) -> str:
    """An exception as one line of a table, without the file's path, which every machine has otherwise."""
    text = " ".join((error.problem if isinstance(error, FiqaError) else str(error)).split())[:300]
    place, file, rest = text.partition(name.rsplit("/", 1)[-1])
    return f"the picture{rest}" if file and (not place or place.endswith("/")) else text
