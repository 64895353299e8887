"""Faces of the open challenges: a seeded part of a benchmark, and its networks' answers to changed pixels."""
from inspect import signature

import numpy as np
import pandas as pd

from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.project import settings
from fiqa_core.pipeline.outputs import (benchmark_names, compared_recognisers, load_benchmarks,
                                        pipeline_recogniser)
from fiqa_core.pipeline.score import pipeline_method, score_face_set
from fiqa_core.recognisers.recogniser import embed
from fiqa_core.reporting.beside import load_scores, suite_methods
from fiqa_core.reporting.names import order_methods


def with_settings(function, section: str, **given):
    """`function(**given, **section of params.yaml)`.

    Raises FiqaError where the section's keys are not the rest of the function's arguments.
    """
    chosen = settings(section)
    wanted = [name for name in signature(function).parameters if name not in given]
    problems = [f"{key} is missing" for key in wanted if key not in chosen]
    problems += [f"{key} is unknown" for key in chosen if key not in wanted]
    if problems:
        raise FiqaError(f"params.yaml, {section}: {'; '.join(problems)}", f"its keys are {', '.join(wanted)}")
    return function(**given, **chosen)


def chosen_benchmark(wanted: str) -> FaceSet:
    """The prepared benchmark `wanted`; "" means the first. Raises FiqaError for one that is not prepared."""
    names = benchmark_names()
    if wanted and wanted not in names:
        raise FiqaError(f"params.yaml, challenges: benchmark {wanted} is not prepared",
                        f"choose from {', '.join(names)}")
    return load_benchmarks()[wanted or names[0]]


def chosen_recognisers(wanted: list[str]) -> dict[str, str]:
    """Slug -> display name of the `wanted` that this suite compares; of the first compared if it has none."""
    known = compared_recognisers()
    return {slug: known[slug] for slug in wanted if slug in known} or dict([next(iter(known.items()))])


def available_methods(wanted: list[str]) -> dict[str, str]:
    """Slug -> display name of the `wanted` that have scores in this suite. Raises FiqaError if none has."""
    scored, names = set(load_scores(failed=True)["method"]), suite_methods()
    found = {slug: names[slug] for slug in wanted if names.get(slug) in scored}
    if not found:
        raise FiqaError(f"params.yaml, challenges: none of {', '.join(wanted)} has scores in this suite",
                        f"scored are {', '.join(sorted(scored))}")
    return found


def pair_subset(faces: FaceSet, most: int, seed: int) -> FaceSet:
    """The images of at most `most` comparisons of each kind, drawn with `seed`, and all among them.

    Comparisons are drawn, not identities: in LFW a part of the identities would keep hardly an impostor pair.
    """
    kept = [part if len(part) <= most else part.sample(most, random_state=seed)
            for _, part in faces.pairs.groupby("genuine")]
    used = pd.Index(pd.unique(pd.concat([column for part in kept for column in (part["a"], part["b"])])))
    rows = np.flatnonzero(faces.images["template_id"].isin(used))
    if len(rows) == len(faces):
        return faces
    held = faces.pairs["a"].isin(used) & faces.pairs["b"].isin(used)
    return FaceSet(faces.name, faces.pixels[rows], faces.images.iloc[rows].reset_index(drop=True),
                   faces.pairs[held].reset_index(drop=True))


def embed_anew(slug: str, faces: FaceSet) -> np.ndarray:
    """Embeddings (N, D) float32 by recogniser `slug`, as stage `embed` makes them."""
    return embed(pipeline_recogniser(slug), faces.pixels, default_device(), **settings("embed"))


def score_anew(slugs: dict[str, str], faces: FaceSet) -> pd.DataFrame:
    """Scores of every image by methods slug -> name: one column per name, rows as in faces.images."""
    part = faces.images["crossfit"].to_numpy()
    table = pd.DataFrame(index=range(len(faces)))
    for slug, name in slugs.items():
        scores = np.empty(len(faces), dtype=np.float64)
        for model in np.unique(part):
            scores[part == model] = score_face_set(pipeline_method(slug, int(model)), faces, part == model,
                                                   batch=settings("scoring.batch"), device=default_device())
        table[name] = scores
    return table


def saved_scores(faces: FaceSet, scores: pd.DataFrame, methods: list[str] | None = None) -> pd.DataFrame:
    """Scores of stage `score_*` for these images: one column per method, NaN where an image has none.

    scores  columns benchmark, image_id, method, score; methods: names to keep, None for all that occur
    """
    own = scores[scores["benchmark"] == faces.name]
    own = own if methods is None else own[own["method"].isin(methods)]
    wide = own.pivot(index="image_id", columns="method", values="score").reindex(faces.images["image_id"])
    order = [m for m in order_methods(wide) if methods is None or m in methods]
    return wide[order].reset_index(drop=True).rename_axis(columns=None)
