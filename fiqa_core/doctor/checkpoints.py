"""The checkpoints and detectors that a suite names: there, of the published size, and loadable here?"""
from collections.abc import Iterator
from pathlib import Path

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.detectors import load_detector
from fiqa_core.doctor.copies import shown
from fiqa_core.doctor.findings import (HASH_UNKNOWN, MISSING, MISSIZED, NO_NETWORK, PRESENT, UNVERIFIED,
                                       Finding)
from fiqa_core.loading import ONNX_RECOGNISERS
from fiqa_core.recognisers.zoo import CATALOGUE
from fiqa_core.weights.catalogue import COMMAND, Model, find_model, models
from fiqa_core.weights.place import checkpoint_path
from fiqa_core.weights.presence import path_of, state_of

SECTIONS = ("recognisers", "baselines", "distilled")


def checkpoint_findings(suite: dict) -> list[Finding]:
    """A finding for every `checkpoint:` of a suite, in its order, the diffusion model last."""
    found = [checkpoint_finding(section, slug, options) for section, slug, options in checkpoints(suite)]
    return found + detector_findings(suite["faces"])


def checkpoints(suite: dict) -> Iterator[tuple[str, str, dict]]:
    """Section, slug and options of every entry that names a checkpoint."""
    for section in SECTIONS:
        for slug, options in (suite.get(section) or {}).items():
            if options and options.get("checkpoint"):
                yield section, slug, options
    if (suite.get("diffusion") or {}).get("checkpoint"):
        yield "diffusion", "diffusion", suite["diffusion"]


def checkpoint_finding(section: str, slug: str, options: dict) -> Finding:
    """One checkpoint: by the catalogue where it is an official file, else whether it is there."""
    path = checkpoint_path(options["checkpoint"])
    architecture = options.get("architecture")
    if section == "recognisers" and architecture not in {*CATALOGUE, *ONNX_RECOGNISERS}:
        return Finding(section, slug, NO_NETWORK, f"there is no architecture {architecture!r}",
                       remedy=f"name one of fiqa_core/recognisers/zoo.py in {section}.{slug}.architecture")
    model = official(path)
    if model is not None:
        return official_finding(section, slug, model)
    if path.is_file():
        return Finding(section, slug, HASH_UNKNOWN, f"{shown(path)}, not in the catalogue")
    return Finding(section, slug, MISSING, f"no {shown(path)}",
                   remedy=f"put the file there, or name another: --set {section}.{slug}.checkpoint=PATH")


def official_finding(section: str, slug: str, model: Model) -> Finding:
    """A model of the catalogue. Cheap: size and record are compared, no digest is computed."""
    state, path, licence = state_of(model), path_of(model), model.source.licence
    if state == "missing":
        size = f", {model.size / 1e6:.1f} MB" if model.size else ""
        return Finding(section, slug, MISSING, f"{shown(path)}{size}", licence, model.how_to_get())
    if state == "damaged":
        size = path.stat().st_size
        return Finding(section, slug, MISSIZED, f"{shown(path)}: {size:,} bytes instead of {model.size:,}",
                       licence, f"delete it and get it again: {model.how_to_get()}")
    if state == "valid":
        return Finding(section, slug, PRESENT, shown(path), licence)
    known = UNVERIFIED if model.sha256 else HASH_UNKNOWN
    return Finding(section, slug, known, f"{shown(path)}, not checked yet", licence,
                   f"{COMMAND} check {model.slug}")


def official(path: Path) -> Model | None:
    """The catalogue's model whose place is `path`."""
    return {path_of(model): model for model in models().values()}.get(path)


def detector_findings(faces: dict) -> list[Finding]:
    """A finding for each detector that benchmarks or photographs name."""
    options = [faces, *(entry for entry in (faces.get("benchmarks") or {}).values() if entry)]
    names = dict.fromkeys(str(entry["detector"]) for entry in options if entry.get("detector"))
    return [detector_finding(name) for name in names]


def detector_finding(name: str) -> Finding:
    """A detector by its name or path; it is loaded, which takes no time."""
    model = find_model("yunet") if name == "yunet" else None
    licence = model.source.licence if model else ""
    try:
        load_detector(name if name in ("mtcnn", "yunet") else project.root() / name)
    except FiqaError as error:
        return Finding("detector", name, MISSING, error.problem, licence,
                       model.how_to_get() if model else error.remedy)
    return Finding("detector", name, PRESENT, "loads; its digest is the published one", licence)
