"""Stage `recogniser`: train one face recognition model on the training faces, or load the user's checkpoint."""
import hashlib

import numpy as np
import pandas as pd

from fiqa_core import project
from fiqa_core.benchmarks import FaceSet
from fiqa_core.device import default_device
from fiqa_core.evaluation.benchmarking import verification_table
from fiqa_core.evaluation.csv import write_csv
from fiqa_core.evaluation.pairs import face_set_similarity
from fiqa_core.evaluation.verification import error_rates
from fiqa_core.pipeline.partial import forget, partial_path
from fiqa_core.pipeline.prepare import load_benchmarks, load_training
from fiqa_core.pipeline.settings import settings
from fiqa_core.recognisers import Recogniser, load_recogniser, save_recogniser
from fiqa_core.recognisers.embedding import embed
from fiqa_core.recognisers.training import train_recogniser


def obtain_recogniser(slug: str) -> Recogniser:
    """Train or load recogniser `slug` of params.yaml and write build/recognisers/<slug>.pt.

    A training log goes to results/recognisers/<slug>/training.csv; interrupted training resumes.
    """
    config = dict(settings(f"recognisers.{slug}"))
    config.pop("name"), config.pop("compare", None)
    log = project.results() / "recognisers" / slug / "training.csv"
    log.parent.mkdir(parents=True, exist_ok=True)
    if "checkpoint" in config:
        recogniser = load_recogniser(config["architecture"], project.root() / config["checkpoint"])
        recogniser = recogniser.to(default_device())
    else:
        faces = load_training()
        checkpoint = partial_path(f"recogniser-{slug}", "02_recogniser", faces, config=config)
        partial_log = checkpoint.with_name(checkpoint.name + ".csv")
        recogniser = train_recogniser(faces, config, checkpoint, default_device(), partial_log)
        log.write_bytes(partial_log.read_bytes())
        forget(checkpoint), forget(partial_log)
    path = recogniser_path(slug)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_recogniser(recogniser, path)
    return recogniser


def recogniser_path(slug: str):
    return project.build() / "recognisers" / f"{slug}.pt"


def pipeline_recogniser(slug: str) -> Recogniser:
    """The recogniser that its stage trained or loaded, on the default device."""
    return load_recogniser(slug, recogniser_path(slug)).to(default_device())


def compared_recognisers() -> dict[str, str]:
    """Slug -> display name of the recognisers that tables compare (`compare: false` leaves one out)."""
    return {slug: config["name"] for slug, config in settings("recognisers").items() if config.get("compare", True)}


def training_log(slug: str) -> pd.DataFrame | None:
    """The training curve of a recogniser; None where it was loaded, not trained."""
    path = project.results() / "recognisers" / slug / "training.csv"
    return pd.read_csv(path) if path.is_file() else None


def embed_face_set(slug: str, recogniser: Recogniser, faces: FaceSet, known: dict | None = None) -> np.ndarray:
    """Embeddings (N, D) of a face set, kept in build/partial so that an interrupted run does not repeat them.

    known   embeddings by image content: pictures that occurred before are not embedded again; it is added to
    """
    partial = embedding_partial(slug, faces)
    known = {} if known is None else known
    keys = [hashlib.blake2b(picture.tobytes(), digest_size=16).digest() for picture in faces.pixels]
    if partial.is_file():
        vectors = np.load(partial)
    else:
        new = np.array([key not in known for key in keys])
        fresh = embed(recogniser, np.asarray(faces.pixels[new]), default_device(), **settings("embed"))
        vectors = np.empty((len(faces), recogniser.embedding_size), dtype=np.float32)
        vectors[new] = fresh
        for row in np.flatnonzero(~new):
            vectors[row] = known[keys[row]]
        with open(partial, "wb") as file:
            np.save(file, vectors)
    known.update(zip(keys, vectors))
    return vectors


def embedding_partial(slug: str, faces: FaceSet):
    """Where the embeddings of a face set wait between the stages `recogniser` and `embed`."""
    weights = hashlib.blake2b(recogniser_path(slug).read_bytes(), digest_size=16).hexdigest()
    return partial_path(f"embedding-{slug}-{faces.name}", "03_embed", faces, weights=weights, **settings("embed"))


def verify(slug: str, recogniser: Recogniser):
    """Verification of the first benchmark: one-row table, and the FMR and FNMR of its DET curve."""
    name, faces = next(iter(load_benchmarks().items()))
    embeddings = {(settings(f"recognisers.{slug}.name"), name): embed_face_set(slug, recogniser, faces)}
    table = verification_table({name: faces}, embeddings)
    path = project.results() / "recognisers" / slug / "verification.csv"
    write_csv(table, path)
    similarity = face_set_similarity(faces, next(iter(embeddings.values())))
    _, fmr, fnmr = error_rates(similarity, faces.pairs["genuine"].to_numpy() == 1)
    return table, (fmr, fnmr)
