"""Scores of whole sets: folders of faces, prepared benchmarks, rendered faces of different realism.

Each source is a mapping from the set's name to its faces, (N, 112, 112, 3) uint8 RGB, and a mask (N,) of
those that hold a face; `score_sets` gives every method the same faces.
"""

import numpy as np
import pandas as pd

from fiqa_core import project
from fiqa_core.benchmarks.alignment import OK
from fiqa_core.benchmarks.reading import face_reader
from fiqa_core.benchmarks.tables import load_face_set
from fiqa_core.device import default_device
from fiqa_core.errors import FiqaError
from fiqa_core.images import find_images, to_batch
from fiqa_core.names import METHODS
from fiqa_core.pipeline.score import pipeline_method
from fiqa_core.progress import progress
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import draw
from fiqa_core.rendering.protocol import load_protocol
from fiqa_core.rendering.realism import LEVELS
from fiqa_core.rendering.renderer import render_faces

Faces = tuple[np.ndarray, np.ndarray]


def rendered_sets(count: int, seed: int, group: str = "good") -> dict[str, Faces]:
    """One set per level of `realism.LEVELS`: the same `count` persons in the same pose, light and noise.

    group  which images of the training protocol the nuisance is drawn like ("good" or "spoilt")
    """
    groups = load_protocol("training")["groups"]
    if group not in groups:
        raise FiqaError(f"the training protocol has no images {group!r}", f"choose among {', '.join(groups)}")
    people = sample_identities(count, seed)
    nuisance = draw(groups[group]["nuisance"], count, np.random.default_rng(seed))
    everyone = np.ones(count, dtype=bool)
    return {
        name: (render_faces(people, np.arange(count), nuisance, default_device(), name, realism)[0], everyone)
        for name, realism in LEVELS.items()
    }


def folder_sets(
    folders: dict[str, str], count: int = 0, seed: int = 0, detector: str | None = None
) -> dict[str, Faces]:
    """Sets from folders of images, searched with their subfolders; paths relative to the project or absolute.

    count     at most so many images of each, drawn with `seed`; 0: all
    detector  None for aligned 112 x 112 crops, else what `load_detector` takes
    An image without a face, or that cannot be read, stays in the set and counts as failed.
    """
    read, sets = face_reader(detector=detector), {}
    for name, folder in folders.items():
        paths = find_images(project.root() / folder)
        chosen = sample(len(paths), count, seed)
        rows = progress(chosen, f"read {name}", len(chosen), "images")
        faces = [read(paths[i], paths[i].name) for i in rows]
        sets[name] = np.stack([crop for crop, _ in faces]), np.array([status == OK for _, status in faces])
    return sets


def benchmark_sets(names: list[str], count: int = 0, seed: int = 0) -> dict[str, Faces]:
    """Sets drawn from prepared benchmarks ("XQLFW"); images marked as failures to extract count as failed."""
    sets = {}
    for name in names:
        faces = load_face_set(project.build() / "benchmarks" / name)
        chosen = sample(len(faces), count, seed)
        failed = (
            faces.images["fte"].to_numpy()[chosen] == 1
            if "fte" in faces.images
            else np.zeros(len(chosen), bool)
        )
        sets[name] = np.asarray(faces.pixels[chosen]), ~failed
    return sets


def sample(total: int, count: int, seed: int) -> np.ndarray:
    """Rows of `count` of `total` images in ascending order, all of them for 0 or where there are fewer."""
    if count == 0 or count >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, count, replace=False))


def score_sets(sets: dict[str, Faces], slugs: list[str], batch: int = 32) -> pd.DataFrame:
    """Scores of every face of every set by every method: set, method, image (its number), score.

    slugs  methods of params.yaml, scored with its networks (model 0). Faces that failed get -inf.
    """
    parts = []
    for slug in slugs:
        method = pipeline_method(slug)
        total = sum(len(faces) for faces, _ in sets.values())
        for name in progress(sets, METHODS[slug], total, "images", weight=lambda name: len(sets[name][0])):
            faces, good = sets[name]
            scores = np.full(len(faces), -np.inf)
            scores[good] = score_faces(method, faces[good], batch)
            parts.append(
                pd.DataFrame(
                    {"set": name, "method": METHODS[slug], "image": np.arange(len(faces)), "score": scores}
                )
            )
    return pd.concat(parts, ignore_index=True)


def score_faces(method, faces: np.ndarray, batch: int) -> np.ndarray:
    """Scores (N,) of faces (N, 112, 112, 3) uint8, `batch` at a time."""
    device = default_device()
    parts = [
        method(to_batch(faces[i : i + batch], device)).cpu().numpy() for i in range(0, len(faces), batch)
    ]
    return np.concatenate(parts) if parts else np.empty(0)
