"""Stage `inputs`: which files of the user's there are, so that what was computed from a replaced one is stale.

A manifest of each stage that reads such files lies in build/<suite>/inputs; DVC compares these texts. Of a network
that ships it holds the digest, so that another one counts. A suite
with files of the user's says `inputs: {fixed: [], watched: [files]}`: the stage then always looks. One without
has it the other way round, and a second run runs nothing. (DVC takes `always_changed` from no parameter.)
"""
import shutil
from collections.abc import Iterable
from pathlib import Path

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import digest, stamp, write_text
from fiqa_core.base.images import files_below, name_of
from fiqa_core.base.project import settings
from fiqa_core.benchmarks.loaders import PATH_OPTIONS
from fiqa_core.weights.place import checkpoint_path
from fiqa_core.weights.presence import parts_of
from fiqa_core.weights.shipped import find_shipped

FINDERS = ("mtcnn", "yunet")        # detectors that are named, not given as a path
LISTS = (*PATH_OPTIONS, "landmarks", "aliases")
SMALL = 64 * 2**20                  # bytes up to which a named file is known by its content


def write_inputs() -> list[Path]:
    """Write build/<suite>/inputs/{faces,diffusion,recognisers/<slug>,quality/<slug>}.txt; returns the files.

    Raises FiqaError where params.yaml names files of the user's and does not have them watched.
    """
    suite, folder = settings(), project.build() / "inputs"
    named = user_files(suite)
    if any(named.values()) and not suite["inputs"]["watched"]:
        raise FiqaError(f"params.yaml names {next(text for texts in named.values() for text in texts)}, but its "
                        "section `inputs` says that no file of yours is looked at",
                        "write there: inputs: {fixed: [], watched: [files]}")
    shutil.rmtree(folder, ignore_errors=True)
    for name, texts in named.items():
        paths = [path for text in texts
                 for path in ([located(text)] if name == "faces" else parts_of(checkpoint_path(text)))]
        ships = network_of(suite, name)
        write_text(manifest(paths) or (f"{ships} {find_shipped(ships).sha256}\n" if ships else "no file of yours\n"),
                   folder / f"{name}.txt")
    return [folder / f"{name}.txt" for name in named]


def network_of(suite: dict, name: str) -> str | None:
    """The network that ships and that the stage with manifest `name` loads, if it does."""
    section, _, slug = name.partition("/")
    entry = _entries(suite.get(section)).get(slug) if slug else suite.get(section)
    return _entries(entry).get("shipped")


def inputs_of(suite: dict) -> dict[str, list[str]]:
    """Section `inputs` of a suite: watched where it names files of the user's."""
    named = any(user_files(suite).values())
    return {"fixed": [] if named else ["files"], "watched": ["files"] if named else []}


def user_files(suite: dict) -> dict[str, list[str]]:
    """Name of the manifest -> files and folders of the user's that its stage reads, as the suite names them."""
    faces = _entries(suite.get("faces"))
    sets = {"photographs": [faces], "official": [faces.get("training"), *_entries(faces.get("benchmarks")).values()]}
    found = {"faces": [text for options in sets.get(faces.get("source"), ()) for text in named_by(options)],
             "diffusion": _checkpoint(suite.get("diffusion"))}
    for section, name in (("recognisers", "recognisers"), ("distilled", "quality"), ("trained", "quality")):
        found |= {f"{name}/{slug}": _checkpoint(entry) for slug, entry in _entries(suite.get(section)).items()}
    return found


def named_by(options: dict | None) -> list[str]:
    """Files and folders that the options of a benchmark or training set name."""
    return [str(value) for key, value in _entries(options).items() if is_path(key, value)]


def _checkpoint(entry: dict | None) -> list[str]:
    return [str(entry["checkpoint"])] if "checkpoint" in _entries(entry) else []


def _entries(section) -> dict:
    return section if isinstance(section, dict) else {}


def is_path(key: str, value) -> bool:
    """True for options that name a file or folder; a detector does unless it is one of the known names."""
    if key == "detector":
        return value is not None and value not in FINDERS
    return value is not None and key in LISTS


def located(value: str | Path) -> Path:
    """The file or folder that an option means."""
    return project.root() / value


def manifest(paths: Iterable[Path]) -> str:
    """A line per file: its place, its size, and its times or, of a small file that is named itself, its digest.

    Of a folder every file below it counts, linked folders too, hidden files not. A missing one has a line.
    """
    lines = []
    for path in paths:
        if path.is_dir():
            lines += sorted(f"{path}/{name_of(file, path)} {_times(file)}" for file in files_below(path))
        elif path.is_file() and path.stat().st_size <= SMALL:
            lines.append(f"{path} {path.stat().st_size} {digest(path)}")
        else:
            lines.append(f"{path} {_times(path)}")
    return "".join(f"{line}\n" for line in lines)


def _times(path: Path) -> str:
    try:
        return " ".join(map(str, stamp(path).values()))
    except OSError:                     # gone, or a link to nowhere
        return "missing"
