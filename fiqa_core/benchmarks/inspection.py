"""Looking at prepared faces: where landmarks lie in a crop, how large the face was, what a second look finds.

Everything here works on any face set. Faces that came aligned (or rendered so) carry no landmarks; for them,
and as an independent check of the others, a detector can be asked where it sees the five points of the crop.
"""
import cv2
import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.faces import POINT_COLUMNS, FaceSet
from fiqa_core.base.files import read_table
from fiqa_core.benchmarks.alignment import choose_face, in_crop, misfit

MARGIN, GREY = 56, 127  # a detector wants surroundings: grey pixels about a crop
NOTHING = "reason not recorded"


def prepared_names() -> list[str]:
    """Names of the benchmarks that stage `prepare` wrote last, sorted; FiqaError if it has not run."""
    names = read_table(project.results() / "prepare" / "faces.csv")["name"]
    return sorted(name for name in names if name != "training")


def landmarks_used(images: pd.DataFrame) -> np.ndarray:
    """(N, 5, 2) landmarks by which each face was aligned, in pixels of its photograph; NaN where unknown."""
    if not set(POINT_COLUMNS) <= set(images):
        return np.full((len(images), 5, 2), np.nan)
    return images[list(POINT_COLUMNS)].to_numpy(float).reshape(-1, 5, 2)


def eye_distance(points: np.ndarray) -> np.ndarray:
    """(N,) distance of the eyes in pixels of the photograph, from landmarks (N, 5, 2)."""
    return np.linalg.norm(points[:, 1] - points[:, 0], axis=1)


def measures(name: str, images: pd.DataFrame) -> pd.DataFrame:
    """benchmark, image_id, eye_distance, misfit, detector_score per image; NaN where unknown."""
    points = landmarks_used(images)
    score = images.get("detector_score", np.nan)
    return pd.DataFrame(
        {
            "benchmark": name,
            "image_id": images["image_id"],
            "eye_distance": eye_distance(points),
            "misfit": misfit(in_crop(points)),
            "detector_score": score,
        }
    )


def summary(name: str, images: pd.DataFrame) -> dict:
    """One row on how a benchmark was aligned: images, failures, found at the second attempt, medians."""
    known = measures(name, images)
    failed = images["fte"] if "fte" in images else pd.Series(0, images.index)
    again = images["attempt"] == 2 if "attempt" in images else pd.Series(False, images.index)
    medians = {column: known[column].median() for column in ("eye_distance", "misfit", "detector_score")}
    return {"benchmark": name, "images": len(images), "failures": int(failed.sum()),
            "share": float(failed.mean()), "second_attempt": int(again.sum()),
            "landmarks": int(known["misfit"].notna().sum()), **medians}


def failures(names: list[str]) -> pd.DataFrame:
    """Images of the benchmarks without an aligned face: benchmark, image_id, reason, row in the set."""
    path, parts = project.results() / "prepare" / "failures.csv", []
    told = read_table(path) if path.is_file() else pd.DataFrame(columns=["benchmark", "image_id", "reason"])
    for name in names:
        images = read_table(project.build() / "benchmarks" / name / "images.csv")
        rows = np.flatnonzero(images["fte"]) if "fte" in images else []
        parts.append(
            pd.DataFrame({"benchmark": name, "image_id": images["image_id"].iloc[rows], "row": rows})
        )
    table = pd.concat(parts, ignore_index=True).merge(told, how="left", on=["benchmark", "image_id"])
    return table.assign(reason=table["reason"].fillna(NOTHING))[["benchmark", "image_id", "reason", "row"]]


def found_again(faces: FaceSet, rows: np.ndarray, find) -> np.ndarray:
    """(M, 5, 2) landmarks that the detector `find` sees in the crops of `rows`, NaN if it sees none."""
    points = np.full((len(rows), 5, 2), np.nan)
    for i, row in enumerate(rows):
        image = cv2.copyMakeBorder(np.array(faces.pixels[row]), *[MARGIN] * 4, cv2.BORDER_CONSTANT,
                                   value=[GREY] * 3)
        seen = find(image)
        if len(seen.scores):
            points[i] = seen.landmarks[choose_face(seen.boxes, image.shape, "central")] - MARGIN
    return points


def spread_rows(faces: FaceSet, count: int, seed: int = 0) -> np.ndarray:
    """`count` rows drawn without repeats from images that did not fail, ascending; all if there are fewer."""
    rows = np.flatnonzero(faces.images["fte"] == 0) if "fte" in faces.images else np.arange(len(faces))
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])
