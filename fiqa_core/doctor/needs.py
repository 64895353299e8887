"""What a suite names: keys, benchmarks, checkpoints, detectors; and whether it is there, whole and usable."""
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import sha256
from fiqa_core.base.images import files_below, is_picture
from fiqa_core.benchmarks.detectors import load_detector
from fiqa_core.benchmarks.loaders import facts
from fiqa_core.benchmarks.loaders.listing import Expected, Facts
from fiqa_core.loading import ONNX_RECOGNISERS
from fiqa_core.pipeline.suites import unknown_keys
from fiqa_core.recognisers.zoo import CATALOGUE
from fiqa_core.weights.catalogue import COMMAND, Model, find_model, models
from fiqa_core.weights.place import checkpoint_path
from fiqa_core.weights.presence import path_of, state_of

PRESENT, MISSING, MISSIZED, OTHER = "present", "missing", "mis-sized", "other version"
UNVERIFIED, HASH_UNKNOWN, NO_NETWORK, LEFT_OUT = "unverified", "hash unknown", "no network", "left out"
UNKNOWN_KEY, TOO_LITTLE = "unknown key", "too little"
# states with which a run would stop, or measure something else than it says
PROBLEMS = {MISSING, MISSIZED, NO_NETWORK, UNKNOWN_KEY, TOO_LITTLE}
COUNTED = {"pictures": "pictures", "folders": "clips", "files": "files", "lines": "lines"}
NETWORKS = ("recognisers", "trained", "distilled")


@dataclass(frozen=True)
class Finding:
    """One thing a suite needs.

    section, name   where the suite names it: ("recognisers", "adaface")
    state    one of the words above
    detail   what was found, or where it was looked for
    terms    licence or terms of use; "" where there are none
    remedy   what to do about it; "" where there is nothing to do
    """

    section: str
    name: str
    state: str
    detail: str
    terms: str = ""
    remedy: str = ""

    @property
    def problem(self) -> bool:
        return self.state in PROBLEMS


def findings(suite: dict) -> list[Finding]:
    """Misspelt keys, then a finding for every benchmark, checkpoint and detector, in the suite's order.

    Raises FiqaError for an unknown form of a benchmark.
    """
    misspelt = [Finding("suite", key, UNKNOWN_KEY, "no function takes it",
                        remedy="correct or remove it in the suite") for key in unknown_keys(suite)]
    found = [checkpoint_finding(section, slug, options) for section, slug, options in checkpoints(suite)]
    return [*misspelt, *benchmark_findings(suite["faces"]), *found, *detector_findings(suite["faces"])]


def benchmark_findings(faces: dict) -> list[Finding]:
    """A finding for every benchmark and the training set of section `faces` of a suite."""
    if faces["source"] == "rendered":
        return [Finding("faces", "rendered", PRESENT, "the workbook renders its own faces")]
    if faces["source"] == "photographs":
        return [own_copy(f"faces.{key}", "faces", key, project.root() / faces[key], PRESENT)
                for key in ("folder", "pairs")]
    found = [official_finding(name, options) for name, options in (faces.get("benchmarks") or {}).items()
             if options is not None]
    if faces.get("missing") == "skip":
        found = [replace(finding, state=LEFT_OUT, detail=f"{finding.detail} (missing: skip)", remedy="")
                 if finding.state == MISSING else finding for finding in found]
    return found + ([official_finding("training", faces["training"])] if faces.get("training") else [])


def official_finding(name: str, options: dict) -> Finding:
    """One benchmark by its official form: the first fault, or what was counted."""
    form, details = facts(options.get("form"), f"faces.{name}"), []
    for expected, path in expected_paths(form, options):
        if not path.exists():
            return Finding("faces", name, MISSING, f"no {shown(path)}", form.terms, form.get)
        state, detail = compare(expected, path)
        if state != PRESENT:
            remedy = ("say in the report which list you used" if state == OTHER else
                      f"complete the copy ({form.get}), or measure on the part that you have and say so")
            return Finding("faces", name, state, detail, form.terms, remedy)
        details += [detail] if detail else []
    return Finding("faces", name, PRESENT, ", ".join(details) or shown(path), form.terms)


def expected_paths(form: Facts, options: dict) -> Iterator[tuple[Expected, Path]]:
    """What the form expects and where this suite puts it; options that the suite leaves out are not."""
    for expected in form.expect:
        if expected.option and options.get(expected.option):
            yield expected, project.root() / str(options[expected.option])
        elif expected.path is not None:
            places = [place_of(path, options) for path in expected.path.split("|")]
            yield expected, next((place for place in places if place.exists()), places[0])


def place_of(path: str, options: dict) -> Path:
    """A path of the form below its folder; `meta/a.txt` below the option meta where the suite gives one."""
    first, _, rest = path.partition("/")
    if rest and options.get(first):
        return project.root() / str(options[first]) / rest
    return project.root() / str(options.get("folder", "")) / path


def compare(expected: Expected, path: Path) -> tuple[str, str]:
    """State and detail of a file or folder that exists: counted and hashed as far as it is published."""
    detail = ""
    for what, unit in COUNTED.items():
        published = getattr(expected, what)
        if published is None:
            continue
        number = counted(what, path)
        enough = number == published if expected.at_least is None else number >= expected.at_least
        if not enough:
            return MISSIZED, f"{shown(path)} holds {number:,} {unit}, published are {published:,}"
        detail = f"{number:,} {unit}"
    if not expected.sha256:
        return PRESENT, detail
    version, published = expected.sha256.get(sha256(path)), next(iter(expected.sha256.values()))
    return (PRESENT, version) if version else (OTHER, f"{shown(path)} is not {published}")


def counted(what: str, path: Path) -> int:
    """How many lines a file has, or how many pictures, files or clips a folder holds."""
    if what == "lines":
        return lines(path)
    if what == "folders":  # Name/v: clips of people
        people = [person for person in os.scandir(path) if person.is_dir()]
        return sum(clip.is_dir() for person in people for clip in os.scandir(person))
    return sum(what == "files" or is_picture(file) for file in files_below(path))


def lines(path: Path) -> int:
    """Lines of a text file, the last one with or without its line end; read in blocks."""
    total, last = 0, b"\n"
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total, last = total + block.count(b"\n"), block[-1:]
    return total + (last != b"\n")


def checkpoints(suite: dict) -> Iterator[tuple[str, str, dict]]:
    """Section, slug and options of every entry that names a checkpoint, the diffusion model last."""
    for section in NETWORKS:
        for slug, options in (suite.get(section) or {}).items():
            if options and options.get("checkpoint"):
                yield section, slug, options
    if (suite.get("diffusion") or {}).get("checkpoint"):
        yield "diffusion", "diffusion", suite["diffusion"]


def checkpoint_finding(section: str, slug: str, options: dict) -> Finding:
    """One checkpoint: by the catalogue where it is an official file, else whether it is there.

    Cheap: size and record of an official file are compared, no digest is computed.
    """
    path, architecture = checkpoint_path(options["checkpoint"]), options.get("architecture")
    if section == "recognisers" and architecture not in {*CATALOGUE, *ONNX_RECOGNISERS}:
        return Finding(section, slug, NO_NETWORK, f"there is no architecture {architecture!r}",
                       remedy=f"name one of fiqa_core/recognisers/zoo.py in {section}.{slug}.architecture")
    model = official(path)
    if model is None:
        option, note = f"{section}.{slug}.checkpoint", ", not in the catalogue"
        return own_copy(option, section, slug, path, HASH_UNKNOWN, note)
    found, detail, remedy = state_of(model), shown(path), ""
    if found == "valid":
        state = PRESENT
    elif found == "missing":
        state, remedy = MISSING, model.how_to_get()
        detail += f", {model.size / 1e6:.1f} MB" if model.size else ""
    elif found == "damaged":
        state, remedy = MISSIZED, f"delete it and get it again: {model.how_to_get()}"
        detail += f": {path.stat().st_size:,} bytes instead of {model.size:,}"
    else:
        state, remedy = UNVERIFIED if model.sha256 else HASH_UNKNOWN, f"{COMMAND} check {model.slug}"
        detail += ", not checked yet"
    return Finding(section, slug, state, detail, model.source.licence, remedy)


def own_copy(option: str, section: str, name: str, path: Path, state: str, note: str = "") -> Finding:
    """A file of the user's own, or the folder of photographs, only looked for: `state` if it is there."""
    if path.is_dir() if option == "faces.folder" else path.is_file():
        return Finding(section, name, state, f"{shown(path)}{note}")
    return Finding(section, name, MISSING, f"no {shown(path)}",
                   remedy=f"put or link your copy there, or name another place: --set {option}=PATH")


def official(path: Path) -> Model | None:
    """The catalogue's model whose place is `path`."""
    return {path_of(model): model for model in models().values()}.get(path)


def detector_findings(faces: dict) -> list[Finding]:
    """A finding for each detector that benchmarks or photographs name, after loading it."""
    entries = [faces, *filter(None, (faces.get("benchmarks") or {}).values())]
    found = []
    for name in dict.fromkeys(str(entry["detector"]) for entry in entries if entry.get("detector")):
        model = find_model("yunet") if name == "yunet" else None
        state, detail, remedy = PRESENT, "loads; its digest is the published one", ""
        try:
            load_detector(name if name in ("mtcnn", "yunet") else project.root() / name)
        except FiqaError as error:
            state, detail, remedy = MISSING, error.problem, model.how_to_get() if model else error.remedy
        found.append(Finding("detector", name, state, detail, model.source.licence if model else "", remedy))
    return found


def shown(path: Path) -> str:
    """A path as the suite would write it: relative to the project where it lies in it."""
    return path.relative_to(project.root()).as_posix() if path.is_relative_to(project.root()) else str(path)
