"""Stage `ablate`: the papers' ablations of FaceQAN and DifFIQA on a subset of one or more benchmarks.

Similarities are computed once per setting of the noise; switching a part off then only leaves terms out.
"""
import numpy as np
import pandas as pd
import torch

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.files import write_csv
from fiqa_core.base.images import to_batch
from fiqa_core.base.progress import progress
from fiqa_core.base.project import settings
from fiqa_core.evaluation.evaluate import evaluate
from fiqa_core.kernels import diffiqa, faceqan
from fiqa_core.pipeline.embed import load_embeddings
from fiqa_core.pipeline.outputs import compared_recognisers, load_benchmarks
from fiqa_core.pipeline.score import pipeline_method, pipeline_methods

COLUMNS = ["ablation", "benchmark", "recogniser", "preset", "discard_limit", "pauc", "low", "high", "fnmr0"]


def ablate_faceqan() -> pd.DataFrame:
    """FaceQAN without symmetry, with fewer repeats k, other epsilons; writes results/ablations/faceqan.csv."""
    chosen = settings("ablation")

    def scores(faces, rows):
        full = pipeline_method("faceqan")
        s, symmetry = _batched(full.similarities, faces, rows, "FaceQAN ablation")
        yield "full", faceqan.quality(s, symmetry, full.exponent)
        yield "without symmetry", faceqan.quality(s, None, full.exponent)
        for k in chosen["repeats"]:
            yield f"k={k}", faceqan.quality(s[:, :k], symmetry, full.exponent)
        for epsilon in chosen["epsilons"]:
            other = pipeline_method("faceqan", epsilon=epsilon)
            s, _ = _batched(other.similarities, faces, rows, f"FaceQAN with epsilon {epsilon}")
            yield f"epsilon={epsilon}", faceqan.quality(s, symmetry, full.exponent)

    return _ablate(scores, "faceqan")


def ablate_diffiqa() -> pd.DataFrame:
    """DifFIQA without forward, backward or mirror terms, over t; writes results/ablations/diffiqa.csv."""
    chosen = settings("ablation")

    def scores(faces, rows):
        names = ("forward", "backward", "forward_flip", "backward_flip", "flip")
        s = dict(zip(names, _terms(pipeline_method("diffiqa"), faces, rows, "DifFIQA ablation")))
        yield "full", diffiqa.quality(s)
        for part in ("forward", "backward"):
            yield f"without {part}", diffiqa.quality({k: v for k, v in s.items() if not k.startswith(part)})
        yield "without flip", diffiqa.quality({k: v for k, v in s.items() if "flip" not in k})
        for t in chosen["timesteps"]:
            method = pipeline_method("diffiqa", timestep=t)
            yield f"t={t}", diffiqa.quality(dict(zip(names, _terms(method, faces, rows, f"DifFIQA with t = {t}"))))

    return _ablate(scores, "diffiqa")


def _terms(method, faces, rows, label):
    return _batched(lambda images: tuple(method.similarities(images).values()), faces, rows, label)


def _batched(kernel, faces: FaceSet, rows: np.ndarray, label: str) -> list[torch.Tensor]:
    """`kernel(images)` over batches of the chosen rows; each of its results concatenated."""
    size = settings("scoring.batch")
    batches = [rows[first: first + size] for first in range(0, len(rows), size)]
    parts = [kernel(to_batch(np.asarray(faces.pixels[batch]), default_device()))
             for batch in progress(batches, label, total=len(rows), unit="images", weight=len)]
    return [torch.cat([value.cpu() for value in values]) for values in zip(*parts)]


def _ablate(scores, name: str) -> pd.DataFrame:
    """Evaluate every (ablation, scores) pair as if it were a method; one table in `COLUMNS`.

    Empty for a suite without the method; without the rows of a preset that so few images cannot show.
    """
    if name not in pipeline_methods():
        return _written(pd.DataFrame(columns=COLUMNS), name)
    benchmarks, tables = load_benchmarks(), []
    for benchmark in settings("ablation.benchmarks"):
        faces = benchmarks[benchmark]
        rows = image_subset(faces, settings("ablation.images"), settings("seed"))
        ids = faces.images["image_id"].to_numpy()[rows]
        tables += [pd.DataFrame({"benchmark": benchmark, "image_id": ids, "method": ablation, "score": value.numpy()})
                   for ablation, value in scores(faces, rows)]
    names = compared_recognisers()
    embeddings = {(name_, benchmark): load_embeddings(slug, benchmark)
                  for slug, name_ in names.items() for benchmark in settings("ablation.benchmarks")}
    chosen = {benchmark: benchmarks[benchmark] for benchmark in settings("ablation.benchmarks")}
    result = evaluate(chosen, embeddings, pd.concat(tables, ignore_index=True), settings("evaluation"))["pauc"]
    shown = result[result["fnmr0"].notna()].rename(columns={"method": "ablation"})
    return _written(shown[COLUMNS], name)


def _written(table: pd.DataFrame, name: str) -> pd.DataFrame:
    write_csv(table, project.results() / "ablations" / f"{name}.csv")
    return table


def image_subset(faces: FaceSet, count: int, seed: int) -> np.ndarray:
    """Rows of about `count` images: those of randomly drawn genuine pairs, so that pairs stay whole."""
    genuine = faces.pairs[faces.pairs["genuine"] == 1].sample(frac=1, random_state=seed)
    rows = faces.images.groupby("template_id", sort=False).indices
    if "subset" in faces.images:
        scored = set(faces.images.loc[faces.images["subset"] == 1, "template_id"])
        genuine = genuine[genuine["a"].isin(scored) & genuine["b"].isin(scored)]
    chosen: set = set()
    for a, b in zip(genuine["a"], genuine["b"]):
        if len(chosen) >= count:
            break
        chosen.update(rows[a], rows[b])
    return np.array(sorted(chosen))
