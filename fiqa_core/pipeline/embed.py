"""Stage `embed`: embeddings of every benchmark image by every compared recogniser."""
import numpy as np
import pandas as pd

from fiqa_core import project
from fiqa_core.evaluation.pairs import face_set_similarity
from fiqa_core.pipeline.partial import forget
from fiqa_core.pipeline.prepare import load_benchmarks
from fiqa_core.pipeline.recognise import (
    compared_recognisers,
    embed_face_set,
    embedding_partial,
    pipeline_recogniser,
)


def embed_benchmarks() -> pd.DataFrame:
    """Write build/embeddings/<recogniser slug>/<benchmark>.npy (float32, (N, D)) and results/embed/norms.csv.

    Returns the latter: recogniser, benchmark, images, embedding size, mean and deviation of the norm.
    """
    benchmarks, rows = load_benchmarks(), []
    for slug, name in compared_recognisers().items():
        recogniser = pipeline_recogniser(slug)
        known: dict = {}
        for benchmark, faces in benchmarks.items():
            vectors = embed_face_set(slug, recogniser, faces, known)
            path = embedding_path(slug, benchmark)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, vectors)
            norms = np.linalg.norm(vectors, axis=1)
            rows.append({"recogniser": name, "benchmark": benchmark, "images": len(vectors),
                         "embedding_size": vectors.shape[1], "norm_mean": norms.mean(), "norm_sd": norms.std()})
    for slug in compared_recognisers():
        for faces in benchmarks.values():
            forget(embedding_partial(slug, faces))
    table = pd.DataFrame(rows)
    path = project.results() / "embed" / "norms.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.4f", lineterminator="\n")
    return table


def embedding_path(slug: str, benchmark: str):
    return project.build() / "embeddings" / slug / f"{benchmark}.npy"


def load_embeddings(slug: str, benchmark: str) -> np.ndarray:
    """Embeddings of one benchmark by one recogniser, float32 (N, D), rows as in images.csv."""
    return np.load(embedding_path(slug, benchmark))


def pair_similarities() -> pd.DataFrame:
    """Cosine similarity of every pair by the first compared recogniser: benchmark, genuine, similarity."""
    slug = next(iter(compared_recognisers()))
    tables = [pd.DataFrame({"benchmark": name, "genuine": faces.pairs["genuine"],
                            "similarity": face_set_similarity(faces, load_embeddings(slug, name))})
              for name, faces in load_benchmarks().items()]
    return pd.concat(tables, ignore_index=True)
