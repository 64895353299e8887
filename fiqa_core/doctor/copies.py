"""The user's copies of benchmarks: are the official files there, and as many as were published?"""
import os
from collections.abc import Iterator
from pathlib import Path

from fiqa_core.base import project
from fiqa_core.base.images import IMAGE_SUFFIXES
from fiqa_core.doctor.facts import Expected, Form, find_form
from fiqa_core.doctor.findings import LEFT_OUT, MISSING, MISSIZED, OTHER, PRESENT, Finding
from fiqa_core.weights.presence import BLOCK, sha256_of

COUNTED = {"pictures": "pictures", "folders": "clips", "files": "files", "lines": "lines"}


def benchmark_findings(faces: dict) -> list[Finding]:
    """A finding for every benchmark and the training set of section `faces` of a suite.

    Raises FiqaError for an unknown form or an entry that is no mapping with a form.
    """
    if faces["source"] == "rendered":
        return [Finding("faces", "rendered", PRESENT, "the workbook renders its own faces")]
    if faces["source"] == "photographs":
        return [_copy(key, project.root() / faces[key]) for key in ("folder", "pairs")]
    found = []
    for name, options in (faces.get("benchmarks") or {}).items():
        finding = None if options is None else official_finding(name, options)
        if finding is not None and finding.state == MISSING and faces.get("missing") == "skip":
            finding = Finding(finding.section, name, LEFT_OUT, f"{finding.detail} (missing: skip)",
                              finding.terms)
        found += [finding] if finding else []
    if faces.get("training"):
        found.append(official_finding("training", faces["training"]))
    return found


def official_finding(name: str, options: dict) -> Finding:
    """One benchmark by its official form: the first fault, or what was counted."""
    form, where = find_form(options.get("form"), f"faces.{name}"), "faces"
    counted = []
    for expected, path in expected_paths(form, options):
        if not path.exists():
            return Finding(where, name, MISSING, f"no {shown(path)}", form.terms, form.get)
        state, detail = compare(expected, path)
        if state != PRESENT:
            return Finding(where, name, state, detail, form.terms, _again(state, form))
        counted += [detail] if detail else []
    return Finding(where, name, PRESENT, ", ".join(counted) or shown(path), form.terms)


def expected_paths(form: Form, options: dict) -> Iterator[tuple[Expected, Path]]:
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
    for what, unit in COUNTED.items():
        published = getattr(expected, what)
        if published is None:
            continue
        number = counted(what, path)
        enough = number == published if expected.at_least is None else number >= expected.at_least
        if not enough:
            return MISSIZED, f"{shown(path)} holds {number:,} {unit}, published are {published:,}"
        if not expected.sha256:
            return PRESENT, f"{number:,} {unit}"
    if expected.sha256:
        version = expected.sha256.get(sha256_of(path))
        return (
            (PRESENT, version)
            if version
            else (OTHER, f"{shown(path)} is not {next(iter(expected.sha256.values()))}")
        )
    return PRESENT, ""


def counted(what: str, path: Path) -> int:
    """How many lines a file has, or how many pictures, files or clips a folder holds."""
    if what == "lines":
        return lines(path)
    if what == "folders":  # Name/v: clips of people
        return sum(entry.is_dir() for person in os.scandir(path) if person.is_dir()
                   for entry in os.scandir(person))
    names = (name for _, _, files in os.walk(path) for name in files)
    return sum(what == "files" or Path(name).suffix.lower() in IMAGE_SUFFIXES for name in names)


def lines(path: Path) -> int:
    """Lines of a text file, the last one with or without its line end; read in blocks."""
    total, last = 0, b"\n"
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            total += block.count(b"\n")
            last = block[-1:]
    return total + (last != b"\n")


def shown(path: Path) -> str:
    """A path as the suite would write it: relative to the project where it lies in it."""
    return path.relative_to(project.root()).as_posix() if path.is_relative_to(project.root()) else str(path)


def _copy(key: str, path: Path) -> Finding:
    if path.exists():
        return Finding("faces", key, PRESENT, shown(path))
    return Finding("faces", key, MISSING, f"no {shown(path)}",
                   remedy=f"put or link your copy there, or name another place: --set faces.{key}=PATH")


def _again(state: str, form: Form) -> str:
    if state == OTHER:
        return "say in the report which list you used"
    return f"complete the copy ({form.get}), or measure on the part that you have and say so"
