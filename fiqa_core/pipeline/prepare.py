"""Stage `prepare`: the benchmarks and the training faces of the active suite, in one form."""
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from fiqa_core import project
from fiqa_core.benchmarks import FaceSet, load_face_set
from fiqa_core.device import default_device
from fiqa_core.errors import FiqaError
from fiqa_core.pipeline.settings import settings


def prepare_faces() -> pd.DataFrame:
    """Write build/benchmarks/<name>, build/training and results/prepare; returns its table faces.csv.

    The table has a row per set: images, identities, templates, genuine and impostor pairs. The table
    failures.csv beside it names the images in which no face was found: benchmark, image_id, reason.
    """
    chosen = dict(settings("faces"))
    makers = {"rendered": _rendered, "photographs": _photographs, "official": _official}
    source = chosen.pop("source")
    if source not in makers:
        raise FiqaError(f"params.yaml, faces.source is {source!r}", f"choose one of: {', '.join(makers)}")
    rows, failed = [], []
    for faces in make(makers[source], chosen):
        folder = project.build() / "training" if faces.name == "training" else benchmark_folder(faces.name)
        if source != "official":                # those are too large to hold, and stored already
            faces.save(folder)
        rows.append(describe(faces))
        failed.append(failures(faces, folder if source == "official" else None))
    table, results = pd.DataFrame(rows), project.results() / "prepare"
    results.mkdir(parents=True, exist_ok=True)
    table.to_csv(results / "faces.csv", index=False, lineterminator="\n")
    pd.concat(failed).to_csv(results / "failures.csv", index=False, lineterminator="\n")
    return table


def make(maker, chosen: dict):
    """The face sets of `maker`; keys of section `faces` that it does not have are a FiqaError."""
    try:
        return maker(**chosen)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise FiqaError(f"params.yaml, faces: {error}", "add, remove or rename that key") from error


def failures(faces: FaceSet, folder: Path | None) -> pd.DataFrame:
    """Images without an aligned face: benchmark, image_id, reason; `folder` is where `store` wrote them."""
    if folder is not None:
        table = pd.read_csv(folder / "failures.csv", dtype=str)
    else:
        marked = faces.images["fte"] == 1 if "fte" in faces.images else np.zeros(len(faces), bool)
        table = faces.images.loc[marked, ["image_id"]].assign(reason="printed by stage prepare")
    table.insert(0, "benchmark", faces.name)
    return table


def benchmark_folder(name: str):
    return project.build() / "benchmarks" / name


def benchmark_names() -> list[str]:
    """Names of the prepared benchmarks, in the order of results/prepare/faces.csv."""
    path = project.results() / "prepare" / "faces.csv"
    if not path.is_file():
        raise FiqaError(f"{path} is missing", "prepare the faces first: dvc repro prepare")
    names = pd.read_csv(path)["name"]
    return [name for name in names if name != "training"]


def load_benchmarks() -> dict[str, FaceSet]:
    """All prepared benchmarks by name; pixels stay on disk."""
    return {name: load_face_set(benchmark_folder(name)) for name in benchmark_names()}


def load_prepared(name: str) -> FaceSet:
    """The prepared training faces ("training") or one benchmark."""
    return load_training() if name == "training" else load_face_set(benchmark_folder(name))


def load_training() -> FaceSet:
    """The prepared training faces. Raises FiqaError where the suite has none."""
    faces = load_face_set(project.build() / "training")
    if len(faces) == 0:
        raise FiqaError("the active suite has no training faces",
                        "name some in params.yaml, faces.training, or give checkpoints for all networks")
    return faces


def load_sets() -> dict[str, FaceSet]:
    """Every prepared set that has faces, "training" first; pixels stay on disk."""
    training = load_face_set(project.build() / "training")
    return {**({"training": training} if len(training) else {}), **load_benchmarks()}


def models(faces: FaceSet) -> list[int]:
    """Indices of the cross-fitted models: 0 alone, or one per part of the training set held out."""
    return sorted(set(faces.images["crossfit"]) - {-1}) or [0]


def describe(faces: FaceSet) -> dict:
    images, pairs = faces.images, faces.pairs
    return {"name": faces.name, "images": len(images), "identities": images["identity"].nunique(),
            "templates": images["template_id"].nunique(), "genuine": int(pairs["genuine"].sum()),
            "impostor": int((pairs["genuine"] == 0).sum())}


def _rendered(protocols: list[str], training: str, scale: float):
    """Training faces, then the benchmarks, rendered after data/protocols/<name>.yaml."""
    from fiqa_core.rendering.benchmarks import rendered_benchmark, rendered_training_set
    seed, device = settings("seed"), default_device()
    yield rendered_training_set(_protocol(training), seed, device, scale=scale)
    for name in protocols:
        yield rendered_benchmark(_protocol(name), seed, device, scale=scale)


def _protocol(name: str) -> dict:
    path = project.data() / "protocols" / f"{name}.yaml"
    if not path.is_file():
        raise FiqaError(f"{path} is missing", "fetch the versioned inputs: dvc repro data.dvc")
    return yaml.safe_load(path.read_text())


def _photographs(**chosen):
    """A user's own aligned photographs: training faces, the benchmark, its cross-quality copy."""
    from fiqa_core.benchmarks.photographs import photograph_suite
    return photograph_suite(root=project.root(), seed=settings("seed"), **chosen)


def _official(**chosen):
    """A user's own copies of the benchmarks, in the forms in which they are given out."""
    from fiqa_core.pipeline.official import official_faces
    return official_faces(**chosen)


def subset_mask(faces: FaceSet, subset: bool) -> np.ndarray:
    """Images that a slow method scores: those marked `subset`, or all where the set marks none."""
    if subset and "subset" in faces.images:
        return faces.images["subset"].to_numpy() == 1
    return np.ones(len(faces), dtype=bool)
