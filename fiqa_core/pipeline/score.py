"""Stages `score_*`: quality scores of the benchmark images by one method."""
from functools import partial as bound
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.engine import Job, run_shards
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.images import to_batch
from fiqa_core.base.project import settings
from fiqa_core.loading import load_method
from fiqa_core.pipeline.outputs import (diffusion_path, load_benchmarks, load_prepared, pipeline_recogniser,
                                        recogniser_path, subset_mask)
from fiqa_core.pipeline.stage_files import forget, partial_path, write_rows
from fiqa_core.registry import methods, methods_of
from fiqa_core.reporting.names import order_methods

PLACE = ("subset", "recogniser")            # keys that say where a method works, not how


def score_benchmarks(slug: str) -> pd.DataFrame:
    """Write results/scores/<slug>.csv (benchmark, image_id, method, score) and return it.

    Every image is scored by the model of its `crossfit` part. Methods with `subset: true` score only the
    images marked `subset` where a benchmark marks any; the others have no row.
    """
    tables = [score_benchmark(slug, faces) for faces in load_benchmarks().values()]
    table = pd.concat(tables, ignore_index=True)
    check_scores(table["score"], slug)
    write_rows(table, project.results() / "scores" / f"{slug}.csv")
    return table


def check_scores(scores: pd.Series, slug: str) -> None:
    """Raise FiqaError where a method gives every image one score: it tells none from another."""
    if len(scores) > 1 and scores.nunique() == 1:
        section = methods()[slug].section
        remedy = (f"its training collapsed: lower its learning rates (head_lr, backbone_lr, learning_rate) in params.yaml, "
                  f"{section}.{slug}" if "model" in methods()[slug].needs else f"look at its options in {section}.{slug}")
        raise FiqaError(f"{methods()[slug].name} gives all {len(scores):,} images the same score, {scores.iloc[0]:.6g}", remedy)


def score_benchmark(slug: str, faces: FaceSet) -> pd.DataFrame:
    """Scores of one benchmark by one method; resumes where an interrupted run stopped."""
    chosen = entry_of(slug)
    scores = np.full(len(faces), np.nan, dtype=np.float32)
    for model in sorted(set(faces.images["crossfit"])):
        mask = subset_mask(faces, chosen.get("subset", False))
        mask &= (faces.images["crossfit"] == model).to_numpy()
        partial = partial_path(f"scores-{slug}-{faces.name}-{model}", f"05_score@{slug}", faces,
                               weights_of(slug, model), config=chosen)
        scores[mask] = score_face_set(pipeline_method(slug, model), faces, mask=mask, partial=partial,
                                      batch=settings("scoring.batch"), device=default_device(),
                                      job=scoring_job(slug, model, faces))
        forget(partial)
    table = pd.DataFrame({"benchmark": faces.name, "image_id": faces.images["image_id"],
                          "method": methods()[slug].name, "score": scores})
    return table[table["score"].notna()]


def pipeline_methods() -> list[str]:
    """Slugs of all methods of the suite, in the order of the papers' tables, those that they do not know last."""
    slugs = {methods()[slug].name: slug for slug in methods_of(settings())}
    return [slugs[name] for name in order_methods(slugs)]


def entry_of(slug: str) -> dict:
    """What params.yaml says about a method. Raises FiqaError for a method that it does not name."""
    chosen = pipeline_methods()
    if slug not in chosen:
        raise FiqaError(f"params.yaml names no method {slug!r}", f"it has: {', '.join(chosen)}")
    return dict(settings(methods()[slug].section)[slug] or {})


def pipeline_method(slug: str, model: int = 0, **changes):
    """Quality method `slug` as params.yaml describes it, with the pipeline's networks and model `model`.

    `changes` overrides options of the method (an ablation, for instance).
    """
    chosen, needs, device = entry_of(slug), methods()[slug].needs, default_device()
    precision = settings("scoring").get("precision", "float32")
    if "model" in needs:
        return load_method(chosen.get("model", slug), model=quality_path(slug, model), device=device,
                           precision=precision)
    options = {key: value for key, value in chosen.items() if key not in PLACE} | changes
    return load_method(slug, pipeline_recogniser(recogniser_of(slug)) if "recogniser" in needs else None,
                       diffusion_path(model) if "diffusion" in needs else None, device=device,
                       **{"precision": precision, **options})


def scoring_job(slug: str, model: int, faces: FaceSet, **changes) -> Job:
    """Scoring a prepared face set by `pipeline_method(slug, model, **changes)`, for worker processes."""
    return Job("score", {"slug": slug, "model": int(model), "faces": faces.name, "changes": changes})


def scoring_work(slug: str, model: int, faces: str, changes: dict):
    """rows (n,) -> scores (n,): what a worker does with the arguments of `scoring_job`."""
    return bound(score_rows, pipeline_method(slug, model, **changes), load_prepared(faces),
                 batch=settings("scoring.batch"), device=default_device())


def recogniser_of(slug: str) -> str:
    """Slug of the recogniser that a method works with or learns from."""
    return entry_of(slug).get("recogniser", settings("scoring.recogniser"))


def weights_of(slug: str, model: int) -> list[Path]:
    """The files of networks that scores of one cross-fitted model depend on."""
    paths = {"model": lambda: quality_path(slug, model), "diffusion": lambda: diffusion_path(model),
             "recogniser": lambda: recogniser_path(recogniser_of(slug))}
    return [paths[need]() for need in methods()[slug].needs]


def quality_path(slug: str, model: int) -> Path:
    """Where model `model` of a method with weights of its own is; a user's checkpoint serves all parts."""
    number = 0 if "checkpoint" in entry_of(slug) else model
    return project.build() / "quality" / slug / f"{number}.pt"


SHARD = 256                         # images between two savings of half-finished scores


def score_face_set(method, faces: FaceSet, mask: np.ndarray | None = None, partial: Path | None = None,
                   batch: int = 64, device=None, job: Job | None = None) -> np.ndarray:
    """Scores (M,) float32 of the images of `faces` that `mask` (N,) marks (None: all), in their order.

    partial   folder for finished parts: an interrupted call continues from them; None: nothing is kept
    job       the same scoring for worker processes (see `engine.run_shards`); None: this process scores
    """
    rows = np.flatnonzero(mask) if mask is not None else np.arange(len(faces))
    parts = run_shards(lambda shard: score_rows(method, faces, shard, batch, device), rows, SHARD,
                       f"score {faces.name}", partial, job)
    return np.concatenate([np.empty(0, dtype=np.float32), *(values for _, values in parts)])


def score_rows(method, faces: FaceSet, rows: np.ndarray, batch: int, device) -> np.ndarray:
    """Scores (n,) float32 of the images `rows`. Raises FiqaError for a score that is no number."""
    scores = score_pixels(method, faces.pixels, batch, device, rows)
    if not np.isfinite(scores).all():
        bad = faces.images["image_id"].iloc[rows[~np.isfinite(scores)][0]]
        raise FiqaError(f"{faces.name}: the score of image {bad} is not a number", "look at the image and the networks")
    return scores


def score_pixels(method, pixels: np.ndarray, batch: int, device,
                 rows: np.ndarray | None = None) -> np.ndarray:
    """Scores (n,) float32 of faces (N, 112, 112, 3) uint8, or of `rows` (n,) of them, `batch` at a time."""
    rows = np.arange(len(pixels)) if rows is None else rows
    parts = [method(to_batch(np.asarray(pixels[rows[i: i + batch]]), device)).cpu().numpy()
             for i in range(0, len(rows), batch)]
    return np.concatenate([np.empty(0, dtype=np.float32), *parts])
