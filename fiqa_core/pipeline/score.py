"""Stages `score_*`: quality scores of the benchmark images by one method."""
import numpy as np
import pandas as pd

from fiqa_core import project
from fiqa_core.benchmarks import FaceSet
from fiqa_core.device import default_device
from fiqa_core.names import METHODS
from fiqa_core.pipeline.diffuse import diffusion_path
from fiqa_core.pipeline.partial import forget, partial_path
from fiqa_core.pipeline.prepare import load_benchmarks, subset_mask
from fiqa_core.pipeline.recognise import pipeline_recogniser
from fiqa_core.pipeline.settings import settings
from fiqa_core.scoring import build_method, score_face_set


def score_benchmarks(slug: str) -> pd.DataFrame:
    """Write results/scores/<slug>.csv (benchmark, image_id, method, score) and return it.

    Every image is scored by the model of its `crossfit` part. Methods with `subset: true` score only the
    images marked `subset` where a benchmark marks any; the others have no row.
    """
    tables = [score_benchmark(slug, faces) for faces in load_benchmarks().values()]
    table = pd.concat(tables, ignore_index=True)
    path = project.results() / "scores" / f"{slug}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6f", lineterminator="\n")
    return table


def score_benchmark(slug: str, faces: FaceSet) -> pd.DataFrame:
    """Scores of one benchmark by one method; resumes where an interrupted run stopped."""
    chosen = settings("methods").get(slug, {})
    scores = np.full(len(faces), np.nan, dtype=np.float32)
    for model in sorted(set(faces.images["crossfit"])):
        mask = subset_mask(faces, chosen.get("subset", False)) & (faces.images["crossfit"] == model).to_numpy()
        partial = partial_path(f"scores-{slug}-{faces.name}-{model}", "05_score", faces, config=chosen)
        scores[mask] = score_face_set(pipeline_method(slug, model), faces, mask=mask, partial=partial,
                                      batch=settings("scoring.batch"), device=default_device())
        forget(partial)
    table = pd.DataFrame({"benchmark": faces.name, "image_id": faces.images["image_id"],
                          "method": METHODS[slug], "score": scores})
    return table[table["score"].notna()]


def pipeline_method(slug: str, model: int = 0, **changes):
    """Quality method `slug` as params.yaml describes it, with the pipeline's networks and model `model`.

    `changes` overrides options of the method (an ablation, for instance).
    """
    chosen = {key: value for key, value in settings("methods").get(slug, {}).items() if key != "subset"}
    distilled = slug in settings("distilled")
    return build_method(slug, None if distilled else pipeline_recogniser(settings("scoring.recogniser")),
                        diffusion_path=diffusion_path(model) if slug == "diffiqa" else None,
                        model_path=quality_path(slug, model) if distilled else None, **{**chosen, **changes})


def quality_path(slug: str, model: int):
    """Where stage `distil` keeps model `model` of a distilled method."""
    return project.build() / "quality" / slug / f"{model}.pt"


def load_scores() -> pd.DataFrame:
    """All score tables of results/scores in one: benchmark, image_id, method, score."""
    files = sorted((project.results() / "scores").glob("*.csv"))
    return pd.concat([pd.read_csv(path, dtype={"image_id": str}) for path in files], ignore_index=True)
