"""Stage `embed`: embeddings of every benchmark image by every compared recogniser."""
from dataclasses import replace

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.engine import write_whole
from fiqa_core.base.files import write_csv
from fiqa_core.evaluation.comparisons import face_set_similarity
from fiqa_core.pipeline.outputs import compared_recognisers, load_benchmarks, pipeline_recogniser
from fiqa_core.pipeline.recognise import embed_face_set, embedding_partial, picture_keys
from fiqa_core.pipeline.stage_files import forget

BLOCK = 32_768                      # rows of embeddings whose lengths are taken at once


def embed_benchmarks() -> pd.DataFrame:
    """Write build/embeddings/<recogniser slug>/<benchmark>.npy (float32, (N, D)) and results/embed/norms.csv.

    Returns the latter: recogniser, benchmark, images, embedding size, mean and deviation of the norm.
    """
    benchmarks, rows = load_benchmarks(), []
    keys = {benchmark: picture_keys(faces) for benchmark, faces in benchmarks.items()}
    for slug, name in compared_recognisers().items():
        recogniser = pipeline_recogniser(slug)
        known: dict = {}
        for benchmark, faces in benchmarks.items():
            vectors = embed_face_set(slug, recogniser, faces, known, keys[benchmark])
            write_whole(embedding_path(slug, benchmark), vectors)
            norms = np.concatenate([np.linalg.norm(vectors[i:i + BLOCK], axis=1)
                                    for i in range(0, len(vectors), BLOCK)])
            rows.append({"recogniser": name, "benchmark": benchmark, "images": len(vectors),
                         "embedding_size": vectors.shape[1], "norm_mean": norms.mean(), "norm_sd": norms.std()})
    for slug in compared_recognisers():
        for faces in benchmarks.values():
            forget(embedding_partial(slug, faces))
    table = pd.DataFrame(rows)
    write_csv(table, project.results() / "embed" / "norms.csv", decimals=4)
    return table


def embedding_path(slug: str, benchmark: str):
    return project.build() / "embeddings" / slug / f"{benchmark}.npy"


def load_embeddings(slug: str, benchmark: str) -> np.ndarray:
    """Embeddings of one benchmark by one recogniser, float32 (N, D), memory-mapped, rows as in images.csv."""
    return np.load(embedding_path(slug, benchmark), mmap_mode="r")


def pair_similarities(most: int = 200_000) -> pd.DataFrame:
    """Cosine similarity of the pairs by the first compared recogniser: benchmark, genuine, similarity.

    A benchmark with more than `most` impostor pairs shows `most` of them, evenly spaced in its list.
    """
    slug, tables = next(iter(compared_recognisers())), []
    for name, faces in load_benchmarks().items():
        shown = replace(faces, pairs=thinned(faces.pairs, most))
        tables.append(pd.DataFrame({"benchmark": name, "genuine": shown.pairs["genuine"],
                                    "similarity": face_set_similarity(shown, load_embeddings(slug, name))}))
    return pd.concat(tables, ignore_index=True)


def thinned(pairs: pd.DataFrame, most: int) -> pd.DataFrame:
    """All genuine pairs and at most `most` impostor pairs, evenly spaced, in their order."""
    impostor = np.flatnonzero(pairs["genuine"] == 0)
    if len(impostor) <= most:
        return pairs
    chosen = impostor[np.linspace(0, len(impostor) - 1, most).astype(np.int64)]
    rows = np.sort(np.append(np.flatnonzero(pairs["genuine"] == 1), chosen))
    return pairs.iloc[rows].reset_index(drop=True)
