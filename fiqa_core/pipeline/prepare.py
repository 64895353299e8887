"""Stage `prepare`: the benchmarks and the training faces of the active suite, in one form."""
import numpy as np
import pandas as pd
import yaml

from fiqa_core import project
from fiqa_core.benchmarks import FaceSet, load_face_set
from fiqa_core.device import default_device
from fiqa_core.errors import FiqaError
from fiqa_core.pipeline.settings import settings


def prepare_faces() -> pd.DataFrame:
    """Write build/benchmarks/<name>, build/training and results/prepare/faces.csv; returns that table.

    The table has a row per set: images, identities, templates, genuine and impostor pairs, failures.
    """
    chosen = dict(settings("faces"))
    makers = {"rendered": _rendered, "photographs": _photographs}
    source = chosen.pop("source")
    if source not in makers:
        raise FiqaError(f"params.yaml, faces.source is {source!r}", f"choose one of: {', '.join(makers)}")
    rows = []
    for faces in makers[source](**chosen):
        folder = project.build() / "training" if faces.name == "training" else benchmark_folder(faces.name)
        faces.save(folder)
        rows.append(describe(faces))
    table = pd.DataFrame(rows)
    (project.results() / "prepare").mkdir(parents=True, exist_ok=True)
    table.to_csv(project.results() / "prepare" / "faces.csv", index=False, lineterminator="\n")
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


def load_training() -> FaceSet:
    """The prepared training faces."""
    return load_face_set(project.build() / "training")


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


def subset_mask(faces: FaceSet, subset: bool) -> np.ndarray:
    """Images that a slow method scores: those marked `subset`, or all where the set marks none."""
    if subset and "subset" in faces.images:
        return faces.images["subset"].to_numpy() == 1
    return np.ones(len(faces), dtype=bool)
