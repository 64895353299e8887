"""Stage `label`: DifFIQA scores of the training faces, from which the distilled methods learn."""
import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.project import settings
from fiqa_core.pipeline.prepare import load_training, models
from fiqa_core.pipeline.score import pipeline_method, score_face_set, scoring_job
from fiqa_core.pipeline.stage_files import forget, partial_path


def label_training_faces() -> pd.DataFrame:
    """Write build/labels/<model>.csv (image_id, score) and results/labels/labels.csv; returns the latter.

    `labels.images` training faces are labelled for each model, whole identities drawn with the seed
    (class centres need several images of one person); the rest of `labels` are options of DifFIQA. With 0
    images, for suites that take every distilled method from its authors, there are no labels.
    """
    chosen = dict(settings("labels"))
    count = chosen.pop("images")
    tables = _label(count, chosen) if count else [pd.DataFrame({"image_id": [], "score": [], "model": []})]
    result = pd.concat(tables, ignore_index=True)
    for folder in (label_path(0).parent, project.results() / "labels"):
        folder.mkdir(parents=True, exist_ok=True)
    result.to_csv(project.results() / "labels" / "labels.csv", index=False, float_format="%.6f",
                  lineterminator="\n")
    return result


def _label(count: int, options: dict) -> list[pd.DataFrame]:
    """Label training faces for every cross-fitted model and write what it learns from; returns the tables."""
    faces, tables = load_training(), []
    for model in models(faces):
        mask = draw_identities(faces.images, faces.images["crossfit"] != model, count, settings("seed"))
        partial = partial_path(f"labels-{model}", "06_label", faces, config=settings("labels"))
        scores = score_face_set(pipeline_method("diffiqa", model, **options), faces, mask=mask, partial=partial,
                                batch=settings("scoring.batch"), device=default_device(),
                                job=scoring_job("diffiqa", model, faces, **options))
        table = pd.DataFrame({"image_id": faces.images.loc[mask, "image_id"], "score": scores})
        label_path(model).parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(label_path(model), index=False, float_format="%.6f", lineterminator="\n")
        tables.append(table.assign(model=model))
        forget(partial)
    return tables


def draw_identities(images: pd.DataFrame, allowed: pd.Series, count: int, seed: int) -> np.ndarray:
    """Mask of about `count` allowed images: whole identities in a seeded order, those with most images first.

    Identities of one size class (1, 2-3, 4-7, ... images) are shuffled among themselves.
    """
    sizes = images.loc[allowed, "identity"].value_counts().sort_index()
    shuffled = sizes.iloc[np.random.default_rng(seed).permutation(len(sizes))]
    classes = np.floor(np.log2(shuffled.to_numpy())).astype(int)
    ordered = shuffled.iloc[np.argsort(-classes, kind="stable")]
    chosen = ordered.index[: int(np.searchsorted(ordered.cumsum().to_numpy(), count)) + 1]
    return (allowed & images["identity"].isin(chosen)).to_numpy()


def label_path(model: int):
    return project.build() / "labels" / f"{model}.csv"


def load_labels(model: int) -> pd.DataFrame:
    """Labels for one cross-fitted model: image_id, score."""
    return pd.read_csv(label_path(model), dtype={"image_id": str})
