"""Stage `recogniser`: train one face recognition model, or load one that ships or is the user's checkpoint."""
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.engine import Job, run_shards
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.files import new_array, read_table, replacing, write_csv
from fiqa_core.base.project import settings
from fiqa_core.evaluation.comparisons import face_set_similarity
from fiqa_core.evaluation.evaluate import verification_table
from fiqa_core.evaluation.verification import error_rates
from fiqa_core.loading import load_recogniser, load_shipped, save_recogniser
from fiqa_core.pipeline.outputs import (load_benchmarks, load_prepared, load_training, pipeline_recogniser,
                                        recogniser_path)
from fiqa_core.pipeline.stage_files import forget, log_path, partial_path
from fiqa_core.recognisers.recogniser import Recogniser, embed_batch
from fiqa_core.training.recogniser import train_recogniser
from fiqa_core.weights.place import checkpoint_path

SHARD_BATCHES = 8                   # batches between two savings of half-finished embeddings
DET_POINTS = 100_000                # beyond so many pairs the DET curve keeps the points where FNMR changes


def obtain_recogniser(slug: str) -> Recogniser:
    """Train or load recogniser `slug` of params.yaml and write build/recognisers/<slug>.pt.

    A training log goes to results/recognisers/<slug>/training.csv; interrupted training resumes.
    """
    config = dict(settings(f"recognisers.{slug}"))
    config.pop("name"), config.pop("compare", None)
    log = project.results() / "recognisers" / slug / "training.csv"
    log.parent.mkdir(parents=True, exist_ok=True)
    if "checkpoint" in config:
        recogniser = load_recogniser(config["architecture"], checkpoint_path(config["checkpoint"]))
        recogniser = recogniser.to(default_device())
    elif "shipped" in config:
        recogniser = load_shipped(config["shipped"]).to(default_device())
    else:
        faces = load_training()
        partial = partial_path(f"recogniser-{slug}", "02_recogniser", faces, config=config)
        recogniser = train_recogniser(faces, config, partial, default_device(), log_path(partial))
        log.write_bytes(log_path(partial).read_bytes())
        forget(partial), forget(log_path(partial))
    save_recogniser(recogniser, recogniser_path(slug))
    return recogniser


def training_log(slug: str) -> pd.DataFrame | None:
    """The training curve of a recogniser; None where it was loaded, not trained."""
    path = project.results() / "recognisers" / slug / "training.csv"
    return read_table(path) if path.is_file() else None


def embed_face_set(slug: str, recogniser: Recogniser, faces: FaceSet, known: dict | None = None,
                   keys: list[bytes] | None = None) -> np.ndarray:
    """Embeddings (N, D) float32 of a face set, memory-mapped from build/partial, where a killed run goes on.

    known   embeddings by content: pictures that occurred before are not embedded again; it is added to
    keys    of the face set's pictures, see `picture_keys`; needed with `known`
    """
    partial = embedding_partial(slug, faces)
    if not partial.is_file():
        old = [row for row, key in enumerate(keys) if key in known] if known else []
        _embed_to(partial, slug, recogniser, faces, np.delete(np.arange(len(faces)), old),
                  {row: known[keys[row]] for row in old})
    vectors = np.load(partial, mmap_mode="r")
    if known is not None:
        known.update(zip(keys, np.asarray(vectors)))
    return vectors


def _embed_to(path: Path, slug: str, recogniser: Recogniser, faces: FaceSet, rows: np.ndarray,
              old: dict) -> None:
    """Write the embeddings of `faces`: `rows` by the recogniser in shards, `old` (row -> vector) as given."""
    options = settings("embed")
    work, size = _embedder(recogniser, faces, options), SHARD_BATCHES * options["batch"]
    parts, job = path.with_name(path.name + ".parts"), Job("embed", {"slug": slug, "faces": faces.name})
    label = f"embed {recogniser.name} {faces.name}"
    with replacing(path) as whole:
        vectors = new_array(whole, np.float32, (len(faces), recogniser.embedding_size))
        for shard, values in run_shards(work, rows, size, label, parts, job):
            vectors[shard] = values
        for row, vector in old.items():
            vectors[row] = vector
        vectors.flush()
    forget(parts)


def _embedder(recogniser: Recogniser, faces: FaceSet, options: dict):
    """rows (n,) -> embeddings (n, D), in batches that do not depend on how the rows were cut into shards."""
    size, device = options["batch"], default_device()
    recogniser = recogniser.to(device)
    return lambda rows: np.concatenate([
        embed_batch(recogniser, faces.pixels[rows[i:i + size]], device, **options)
        for i in range(0, len(rows), size)])


def embedding_work(slug: str, faces: str):
    """rows (n,) -> embeddings (n, D): what a worker process does for `embed_face_set`."""
    return _embedder(pipeline_recogniser(slug), load_prepared(faces), settings("embed"))


def picture_keys(faces: FaceSet) -> list[bytes]:
    """A 16-byte hash of each picture's pixels."""
    return [hashlib.blake2b(picture.tobytes(), digest_size=16).digest() for picture in faces.pixels]


def embedding_partial(slug: str, faces: FaceSet):
    """Where the embeddings of a face set wait between the stages `recogniser` and `embed`."""
    return partial_path(f"embedding-{slug}-{faces.name}", "03_embed", faces, [recogniser_path(slug)],
                        **settings("embed"))


def verify(slug: str, recogniser: Recogniser):
    """Verification of the first benchmark: one-row table, and the FMR and FNMR of its DET curve."""
    name, faces = next(iter(load_benchmarks().items()))
    embeddings = {(settings(f"recognisers.{slug}.name"), name): embed_face_set(slug, recogniser, faces)}
    table = verification_table({name: faces}, embeddings)
    path = project.results() / "recognisers" / slug / "verification.csv"
    write_csv(table, path)
    similarity = face_set_similarity(faces, next(iter(embeddings.values())))
    _, fmr, fnmr = error_rates(similarity, faces.pairs["genuine"].to_numpy() == 1)
    if len(fmr) > DET_POINTS:
        corner = np.diff(fnmr, prepend=-1) != 0
        fmr, fnmr = fmr[corner], fnmr[corner]
    return table, (fmr, fnmr)
