"""Stage `prepare`: the benchmarks and the training faces of the active suite, in one form.

Source `official` reads benchmarks in the forms in which they are given out. Section `faces` of a suite:
    source: official
    missing: error                   # or skip: benchmarks that are not on this machine are left out, and
    named training: null                   # or as below, for instance {form: recordio, folder:
    corpora/ms1mv3} benchmarks:
      LFW: {form: lfw, folder: corpora/lfw, pairs: corpora/pairs.txt, detector: mtcnn}
Options are those of the form's loader (`benchmarks.loaders`), four of `store` (detector, landmarks, policy,
workers), and cross_quality, the name of a harder copy of a benchmark of stills (`benchmarks.degraded`). Paths
are absolute, or relative to the project's folder.
"""
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import IMAGE_COLUMNS, FaceSet, empty_pairs
from fiqa_core.base.files import read_table, write_csv
from fiqa_core.base.project import settings
from fiqa_core.base.yaml_files import read_yaml
from fiqa_core.benchmarks.crossfit import photograph_suite
from fiqa_core.benchmarks.degraded import cross_quality_benchmark
from fiqa_core.benchmarks.loaders import form_options, load_listing
from fiqa_core.benchmarks.store import store
from fiqa_core.pipeline.inputs import is_path, located, manifest, named_by
from fiqa_core.pipeline.outputs import benchmark_folder
from fiqa_core.pipeline.stage_files import partial_path
from fiqa_core.rendering.face_sets import rendered_benchmark, rendered_training_set


def prepare_faces() -> pd.DataFrame:
    """Write build/benchmarks/<name>, build/training and results/prepare; returns its table faces.csv.

    The table has a row per set: images, identities, templates, genuine and impostor pairs. The table
    failures.csv beside it names the images in which no face was found: benchmark, image_id, reason.
    """
    chosen = dict(settings("faces"))
    makers = {"rendered": _rendered, "photographs": _photographs, "official": official_faces}
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
    write_csv(table, results / "faces.csv")
    write_csv(pd.concat(failed), results / "failures.csv")
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
        table = read_table(folder / "failures.csv")
    else:
        marked = faces.images["fte"] == 1 if "fte" in faces.images else np.zeros(len(faces), bool)
        table = faces.images.loc[marked, ["image_id"]].assign(reason="printed by stage prepare")
    table.insert(0, "benchmark", faces.name)
    return table


def describe(faces: FaceSet) -> dict:
    images, pairs = faces.images, faces.pairs
    return {"name": faces.name, "images": len(images), "identities": images["identity"].nunique(),
            "templates": images["template_id"].nunique(), "genuine": int(pairs["genuine"].sum()),
            "impostor": int((pairs["genuine"] == 0).sum())}


def _rendered(protocols: list[str], training: list[str], scale: float, training_scale: float = 1.0):
    """Training faces, then the benchmarks, rendered after data/protocols/<name>.yaml."""
    seed, device = settings("seed"), default_device()
    yield joined([rendered_training_set(_protocol(name), seed, device, scale=scale * training_scale)
                  for name in training])
    for name in protocols:
        yield rendered_benchmark(_protocol(name), seed, device, scale=scale)


def joined(sets: list[FaceSet]) -> FaceSet:
    """Training faces of several protocols as one set; its column `protocol` tells them apart."""
    images = [faces.images.assign(protocol=faces.name) for faces in sets]
    pixels = [faces.pixels for faces in sets]
    return FaceSet("training", np.concatenate(pixels) if len(sets) > 1 else pixels[0],
                   pd.concat(images, ignore_index=True), empty_pairs())


def _protocol(name: str) -> dict:
    return read_yaml(project.data() / "protocols" / f"{name}.yaml",
                     "fetch the versioned inputs: dvc repro data.dvc")


def _photographs(**chosen):
    """A user's own aligned photographs: training faces, the benchmark, its cross-quality copy."""
    return photograph_suite(root=project.root(), seed=settings("seed"), **chosen)


STORE_OPTIONS = ("detector", "landmarks", "policy", "workers")
SET_OPTIONS = (*STORE_OPTIONS, "cross_quality")     # those that are not the loader's
WORK = "prepare-"  # how the folders of work in progress begin


def official_faces(benchmarks: dict, training: dict | None = None,
                   missing: str = "error") -> Iterator[FaceSet]:
    """Training faces, then every benchmark, each stored in its folder below `build` before it is yielded.

    benchmarks  name -> {form, options}; `training` likewise, None: an empty set
    missing     "error": a path that does not exist stops before any work; "skip": its benchmark is left out
    Work in progress is kept until all sets are done. Raises FiqaError that names the benchmark and the path.
    """
    wanted = {name: check(name, options) for name, options in {"training": training, **benchmarks}.items()
              if name != "training" or options is not None}
    present = available(wanted, missing)
    if not set(present) - {"training"}:
        raise FiqaError("params.yaml, faces.benchmarks: no benchmark is left",
                        "name one that is on this machine")
    if "training" not in present:
        yield empty_training()
    for name, options in present.items():
        faces = prepare(name, options)
        yield faces
        if options.get("cross_quality"):
            yield harder_copy(options["cross_quality"], faces)
    for path in (project.build() / "partial").glob(f"{WORK}*"):
        shutil.rmtree(path)


def check(name: str, options: dict) -> dict:
    """The options of one set with absolute paths; FiqaError for unknown ones, before any work is done."""
    place = f"params.yaml, faces.benchmarks.{name}" if name != "training" else "params.yaml, faces.training"
    if not isinstance(options, dict) or "form" not in options:
        raise FiqaError(f"{place} names no form", "for instance {form: lfw, folder: corpora/lfw, pairs: ...}")
    for own in (name, options.get("cross_quality") or name):
        if Path(own).name != own:
            raise FiqaError(f"{place}: {own!r} cannot name a folder", "leave slashes out of the name")
    known, needed = form_options(options["form"])
    known = ["form", *known, *SET_OPTIONS]
    wrong = [f"has no option {key}" for key in options if key not in known]
    wrong += [f"needs the option {key}" for key in needed if key not in options]
    if wrong:
        raise FiqaError(f"{place}: form {options['form']} {wrong[0]}", f"known are {', '.join(known)}")
    return {key: located(value) if is_path(key, value) else value for key, value in options.items()}


def available(wanted: dict[str, dict], missing: str) -> dict[str, dict]:
    """The sets all of whose paths exist; the others are an error, or are named and left out (`skip`)."""
    if missing not in ("error", "skip"):
        raise FiqaError(f"params.yaml, faces.missing is {missing!r}", "choose error or skip")
    gone = {name: [path for path in options.values() if isinstance(path, Path) and not path.exists()]
            for name, options in wanted.items()}
    lines = [f"{name}: {path} is missing" for name, paths in gone.items() for path in paths]
    if lines and missing == "error":
        raise FiqaError("; ".join(lines), 'put the files there, name other places (make repro '
                        'SET="faces.benchmarks.LFW.folder=/my/lfw"), or leave out what is not here '
                        '(faces.missing=skip)')
    for line in lines:
        print(f"left out, {line}")
    return {name: options for name, options in wanted.items() if not gone[name]}


def prepare(name: str, options: dict) -> FaceSet:
    """Load the listing of one set, align it, and store it where the stages after this one look for it."""
    build, training = project.build(), name == "training"
    own = {key: value for key, value in options.items() if key in STORE_OPTIONS}
    form = {key: value for key, value in options.items() if key not in SET_OPTIONS}
    folder = build / "training" if training else build / "benchmarks" / name
    same = {key: value for key, value in options.items() if key != "workers"}
    partial = partial_path(f"{WORK}{name}", "01_prepare", options=same, inputs=manifest(map(located, named_by(options))))
    listing = load_listing(name=name, **form)
    return store(listing, folder, partial, crossfit=-1 if training else 0, training=training, **own)


def harder_copy(name: str, faces: FaceSet) -> FaceSet:
    """A benchmark's copy in which one side of every pair is degraded with known severity, stored as its own
    set."""
    copy, folder = cross_quality_benchmark(name, faces, settings("seed")), benchmark_folder(name)
    copy.save(folder)
    failed = copy.images.loc[copy.images["fte"] == 1, ["image_id"]]
    write_csv(failed.assign(reason=f"its origin in {faces.name}"), folder / "failures.csv")
    return copy


def empty_training() -> FaceSet:
    """A training set without faces: a suite of official checkpoints trains nothing."""
    kinds = {column: int if column == "crossfit" else str for column in IMAGE_COLUMNS}
    images = pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in kinds.items()})
    faces = FaceSet("training", np.empty((0, 112, 112, 3), np.uint8), images, empty_pairs())
    folder = project.build() / "training"
    faces.save(folder)
    write_csv(faces.images[["image_id"]].assign(reason=""), folder / "failures.csv")
    return faces
