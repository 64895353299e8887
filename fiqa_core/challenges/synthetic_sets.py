"""Challenge: quality of whole sets of faces, real or generated (notebook 50).

Sets come from folders, prepared benchmarks, or the renderer at different levels of realism. Each source is a
mapping from the set's name to its faces, (N, 112, 112, 3) uint8 RGB, and a mask (N,) of those that hold a
face; `score_sets` gives every method the same faces.

A mean by itself says little, because every method has a scale of its own. Beside it stands the distance to a
reference set in units of that set's deviation: what a slide prints for one method and what is measured for
another can be compared there, in sign and order.
"""
import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import load_face_set
from fiqa_core.base.images import find_images
from fiqa_core.base.progress import progress
from fiqa_core.benchmarks.enrolment import face_reader
from fiqa_core.pipeline.score import pipeline_method, score_pixels
from fiqa_core.registry import methods
from fiqa_core.rendering.face_sets import load_protocol
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import draw
from fiqa_core.rendering.realism import LEVELS
from fiqa_core.rendering.renderer import render_faces
from fiqa_core.reporting.names import order_methods
from fiqa_core.reporting.published import load_published

Faces = tuple[np.ndarray, np.ndarray]
SCORE_COLUMNS = ("set", "method", "score")
REAL = "Tufts"           # the only set of true faces on the slide


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
    return {name: (render_faces(people, np.arange(count), nuisance, default_device(), name, realism)[0],
                   everyone)
            for name, realism in LEVELS.items()}


def folder_sets(folders: dict[str, str], count: int = 0, seed: int = 0,
                detector: str | None = None) -> dict[str, Faces]:
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
        sets[name] = np.stack([face.crop for face in faces]), np.array([not face.failure for face in faces])
    return sets


def benchmark_sets(names: list[str], count: int = 0, seed: int = 0) -> dict[str, Faces]:
    """Sets drawn from prepared benchmarks ("XQLFW"); images marked as failures to extract count as failed."""
    sets = {}
    for name in names:
        faces = load_face_set(project.build() / "benchmarks" / name)
        chosen = sample(len(faces), count, seed)
        failed = np.asarray(faces.images.get("fte", np.zeros(len(faces))))[chosen]
        sets[name] = np.asarray(faces.pixels[chosen]), failed != 1
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
        for name in progress(sets, methods()[slug].name, total, "images", weight=lambda name: len(sets[name][0])):
            faces, good = sets[name]
            scores = np.full(len(faces), -np.inf)
            scores[good] = score_pixels(method, faces[good], batch, default_device())
            parts.append(pd.DataFrame({"set": name, "method": methods()[slug].name, "image": np.arange(len(faces)),
                                       "score": scores}))
    return pd.concat(parts, ignore_index=True)


def summarise(scores: pd.DataFrame, reference: str = "") -> pd.DataFrame:
    """One row per method and set, methods in the papers' order, sets as they come.

    scores     set, method, score; -inf or NaN: no face was extracted or no score given
    reference  name of a set; its own distance is 0
    Returns method, set, images (with a score), failed, mean, sd (sample, NaN for one image), distance (to the
    reference's mean in units of its sd; NaN without a reference). Raises FiqaError for an unknown reference
    or a missing column.
    """
    lacking = [c for c in SCORE_COLUMNS if c not in scores]
    if lacking:
        raise FiqaError(f"scores lack the column {lacking[0]}", f"the columns are {', '.join(SCORE_COLUMNS)}")
    if reference and reference not in set(scores["set"]):
        raise FiqaError(f"there is no set {reference!r}",
                        f"choose among {', '.join(dict.fromkeys(scores['set']))}")
    finite = scores.assign(score=scores["score"].where(np.isfinite(scores["score"])))
    table = finite.groupby(["method", "set"], sort=False)["score"].agg(
        images="count", failed=lambda values: int(values.isna().sum()), mean="mean", sd="std").reset_index()
    order = order_methods(finite["method"])
    table = table.sort_values("method", key=lambda names: names.map(order.index), kind="stable",
                              ignore_index=True)
    return with_distance(table, ["method"], reference)


def with_distance(table: pd.DataFrame, groups: list[str], reference: str) -> pd.DataFrame:
    """`table` with the column distance, (mean - reference mean) / reference sd, within `groups`."""
    own = table[table["set"] == reference].set_index(groups)
    keys = pd.MultiIndex.from_frame(table[groups]) if len(groups) > 1 else pd.Index(table[groups[0]])
    mean, sd = (own[column].reindex(keys).to_numpy() for column in ("mean", "sd"))
    return table.assign(distance=(table["mean"].to_numpy() - mean) / sd)


def published_sets() -> pd.DataFrame:
    """The slide's CR-FIQA scores: spectrum, place, set, assigned, mean, sd, distance to the real set.

    Six of sixteen values cannot be assigned to their sets with certainty; `assigned` is False for them and
    their distance, which does not depend on the name, is given all the same.
    """
    table = load_published("cr_fiqa_synthetic")
    parts = table["setting"].str.extract(r"(?P<spectrum>.*), place (?P<place>\d+)")
    table = table.assign(spectrum=parts["spectrum"], place=parts["place"].astype(int), set=table["benchmark"],
                         assigned=table["mark"] == "")
    keys = ["spectrum", "place", "set", "assigned"]
    wide = table.pivot(index=keys, columns="quantity", values="value").reset_index().rename_axis(columns=None)
    wide = wide.rename(columns={"quality score mean": "mean", "quality score sd": "sd"})
    wide = wide.sort_values(["spectrum", "place"], ascending=[False, True], ignore_index=True)
    return with_distance(wide, ["spectrum"], REAL)
