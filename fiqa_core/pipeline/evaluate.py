"""Stage `evaluate`: all curves, areas, intervals and correlations, once, for every table that follows."""
from functools import partial

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.files import write_csv
from fiqa_core.base.project import settings
from fiqa_core.evaluation.evaluate import FILE, evaluate, verification_table
from fiqa_core.kernels.ediffiqa import EDifFIQA
from fiqa_core.loading import load_quality
from fiqa_core.pipeline.embed import load_embeddings
from fiqa_core.pipeline.outputs import compared_recognisers, load_benchmarks
from fiqa_core.pipeline.score import quality_path
from fiqa_core.recognisers.recogniser import embed
from fiqa_core.registry import methods, methods_of
from fiqa_core.reporting.beside import load_scores
from fiqa_core.weights.tensors import ONNX, recognise


def evaluate_benchmarks() -> dict[str, pd.DataFrame]:
    """Write results/evaluation/{pauc,edc,means,differences,verification,ranks,causes,double_role}.csv and
    replicates.npy (a row per row of pauc.csv); returns the tables."""
    benchmarks, names = load_benchmarks(), compared_recognisers()
    embeddings = {(name, benchmark): partial(load_embeddings, slug, benchmark)
                  for slug, name in names.items() for benchmark in benchmarks}
    tables = evaluate(benchmarks, embeddings, load_scores(failed=True), settings("evaluation"))
    tables["double_role"] = double_role(benchmarks)
    replicates = tables.pop("replicates")
    for name, table in tables.items():
        write_csv(table, project.results() / "evaluation" / f"{name}.csv")
    np.save(project.results() / "evaluation" / FILE, replicates.to_numpy(np.float32))
    return tables


def double_role(benchmarks: dict) -> pd.DataFrame:
    """Verification by eDifFIQA's own embeddings: it was trained to stay a recogniser (eDifFIQA, section 3)."""
    slugs = [slug for slug in methods_of(settings()) if methods()[slug].build is EDifFIQA
             and recognise(quality_path(slug, 0)) is not ONNX]          # an ONNX model tells its score alone
    embeddings = {(methods()[slug].name, benchmark): partial(_own_embeddings, slug, faces)
                  for slug in slugs for benchmark, faces in benchmarks.items()}
    return verification_table(benchmarks, embeddings)


def _own_embeddings(slug: str, faces: FaceSet) -> np.ndarray:
    """Embeddings (N, D) of each image by the cross-fitted model that scores it."""
    vectors, crossfit = None, faces.images["crossfit"].to_numpy()
    for model in np.unique(crossfit):
        recogniser = load_quality(slug, quality_path(slug, model)).as_recogniser()
        rows = np.flatnonzero(crossfit == model)
        part = embed(recogniser, faces.pixels, default_device(), **settings("embed"), rows=rows)
        vectors = np.empty((len(faces), part.shape[1]), dtype=np.float32) if vectors is None else vectors
        vectors[rows] = part
    return vectors
