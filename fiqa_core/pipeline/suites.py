"""params.yaml, the one place of every number a stage uses, and the suites that fill it.

A suite file in `fiqa_core/suites` is either complete (`demo.yaml`) or names a `base` and lists only
what differs; sections named under `replaces` stand alone, nothing of the base's is merged into them.
`write_params` merges and writes `params.yaml`, which DVC and the notebooks then read.

Which keys a suite may have: a misspelt one would be ignored, and the run measure something else.

Known are the arguments and options of the functions that the sections reach, so that a new option needs no
entry here.
"""
from collections.abc import Iterator
from inspect import signature
from pathlib import Path

import yaml
from ruamel.yaml import YAML

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import replacing, write_text
from fiqa_core.base.method import SECTIONS
from fiqa_core.base.project import SUITES, _read, suite_names
from fiqa_core.benchmarks.crossfit import photograph_suite
from fiqa_core.benchmarks.loaders import FORMS, form_options
from fiqa_core.evaluation.curves import Settings
from fiqa_core.pipeline.prepare import STORE_OPTIONS
from fiqa_core.recognisers.recogniser import embed
from fiqa_core.recognisers.zoo import FAMILIES, PREPARATION
from fiqa_core.registry import methods
from fiqa_core.training.diffusion import PAPER as DIFFUSION
from fiqa_core.training.recogniser import DEFAULTS as RECOGNISER
from fiqa_core.training.recogniser import HEAD_OPTIONS

HEADER = """\
# The active suite: every number the stages use. Written by `python -m fiqa_core suite {name}`.
# Change values here for an experiment, or switch the suite: make repro SUITE=ci
# (demo, ci, lfw, faces, open, paper; what each needs: python -m fiqa_core doctor --suite NAME).
"""


def load_suite(name: str) -> dict:
    """A suite with its base merged in. Raises FiqaError for an unknown name."""
    path = SUITES / f"{name}.yaml"
    if not path.is_file():
        raise FiqaError(f"there is no suite {name!r}", f"choose one of: {', '.join(suite_names())}")
    suite = _read(path)
    base, replaced = suite.pop("base", None), suite.pop("replaces", ())
    if base is None:
        return suite
    return merge({key: value for key, value in load_suite(base).items() if key not in replaced}, suite)


def merge(base: dict, changes: dict) -> dict:
    """`base` with `changes` laid over it: mappings merge, everything else is replaced, `null` removes a key."""
    merged = dict(base)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def chosen_suite(name: str, overrides: list[str] = ()) -> dict:
    """Suite `name` with "section.key=value" overrides; `null` for a whole entry leaves the entry out.

    Raises FiqaError for an override of another form.
    """
    suite = load_suite(name)
    for override in overrides:
        _set(suite, *key_and_value(override))
    return suite


def write_params(name: str, overrides: list[str] = ()) -> list[str]:
    """Make suite `name` the active one, with "section.key=value" overrides.

    Every suite has folders of its own below build, results and report. What DVC knows of the suite before,
    `dvc.lock`, waits in its build folder and comes back with it, so that the way back runs nothing. Returns
    a line that says what params.yaml held beyond its suite and the new one does not: it waits there too.
    """
    suite = chosen_suite(name, overrides)
    text = yaml.safe_dump(suite, sort_keys=False, width=110, default_flow_style=None)
    if not overrides and "base" not in _read(SUITES / f"{name}.yaml"):
        text = (SUITES / f"{name}.yaml").read_text()      # a complete suite keeps its comments
    root, notes = project.root(), []
    if (root / "params.yaml").is_file():
        before = project.settings()
        kept, old = project.build(), before["suite"]
        own = [change for change in changes(load_suite(old), before) if old in suite_names()]
        if own and before != suite:
            write_text((root / "params.yaml").read_text(), kept / "params.yaml")
            notes = [f"params.yaml was suite {old!r} with {', '.join(own)}: that is in {kept / 'params.yaml'}"]
        if old != name:
            swap(root / "dvc.lock", kept / "dvc.lock", root / "build" / name / "dvc.lock")
    write_text(HEADER.format(name=name) + text, root / "params.yaml")
    return notes


def change_params(overrides: list[str]) -> None:
    """Change values of params.yaml, "section.key=value", and nothing else: comments and other changes stay."""
    path, form = project.root() / "params.yaml", YAML()
    form.width = 110
    suite = form.load(path.read_text())
    for override in overrides:
        _set(suite, *key_and_value(override))
    with replacing(path) as part, open(part, "w", encoding="utf-8") as file:
        form.dump(suite, file)


def changes(old: dict, new: dict, prefix: str = "") -> list[str]:
    """What `new` says otherwise than `old`, as "section.key=value"; "null" for what it lacks.

    >>> changes({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}})
    ['a.b=3', 'a.c=null']
    """
    found = []
    for key in dict.fromkeys((*old, *new)):
        if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
            found += changes(old[key], new[key], f"{prefix}{key}.")
        elif old.get(key) != new.get(key):
            found.append(f"{prefix}{key}={'null' if new.get(key) is None else new[key]}")
    return found


def swap(file: Path, away: Path, back: Path) -> None:
    """Put `file` to `away`, and `back`, if there is one, in its place."""
    if file.is_file():
        write_text(file.read_text(), away)
        file.unlink()
    if back.is_file():
        write_text(back.read_text(), file)


def key_and_value(text: str) -> tuple[str, object]:
    """("key", value) of "key=value", the value read as YAML. Raises FiqaError for other texts.

    >>> key_and_value("dropout=0.4")
    ('dropout', 0.4)
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise FiqaError(f"{text!r} is not of the form key=value", "for instance: method=faceqan or faces.folder=corpora/lfw/images")
    return key, yaml.safe_load(value)


def _set(suite: dict, dotted: str, value) -> None:
    *path, last = dotted.split(".")
    for key in path:
        if not isinstance(suite.get(key), dict):
            raise FiqaError(f"the suite has no section {dotted}", f"top level: {', '.join(suite)}")
        suite = suite[key]
    if value is None and isinstance(suite.get(last), dict):
        del suite[last]
    else:
        suite[last] = value


SOURCES = {"rendered": {"training", "protocols", "scale"},
           "photographs": set(signature(photograph_suite).parameters) - {"root", "seed"},
           "official": {"training", "benchmarks", "missing"}}
FILE = {"checkpoint", "model"}  # of a method that is loaded, not trained
# what else an entry of a method may say, by section
PLACE = {"on_recogniser": {"recogniser", "subset"}, "on_diffusion": {"subset"}, "distilled": {"backbone", "subset"},
         "trained": {"subset"}, "on_pixels": {"subset"}}
NETWORKS = {argument for _, arguments, *_ in FAMILIES.values() for argument in arguments}
TRAINING = {"network", "head", "name", "compare", *HEAD_OPTIONS, *RECOGNISER, *NETWORKS, *PREPARATION}
LOADED = {"name", "compare", "architecture", "checkpoint"}  # of a recogniser
PLAIN = {
    "embed": set(signature(embed).parameters) - {"recogniser", "pixels", "device"},
    "diffusion": {"checkpoint", "only", *DIFFUSION},
    "scoring": {"recogniser", "batch"},
    "labels": {"images", *methods()["diffiqa"].options()},
    "evaluation": set(Settings.__annotations__),
    "ablation": {"benchmarks", "images", "repeats", "epsilons", "timesteps"},
    "timing": {"repeats", "images", "warm_up", "batch"},
}
NOTEBOOKS = {"challenges", "challenge_notebooks", "artefacts"}
OTHERS = {"suite", "about", "seed", "faces", "small_iresnet", *NOTEBOOKS}


def unknown_keys(suite: dict) -> list[str]:
    """Dotted names of the keys that no function takes, in the order of the suite."""
    found = []
    for section, content in suite.items():
        if section == "recognisers":
            found += [f"recognisers.{slug}.{key}" for slug, entry in content.items() for key in entry
                      if key not in (LOADED if "checkpoint" in entry else TRAINING)]
        elif section in SECTIONS:
            found += list(_of_methods(section, content or {}))
        elif section in PLAIN:
            found += [f"{section}.{key}" for key in content or {} if key not in PLAIN[section]]
        elif section not in OTHERS:
            found.append(section)
    return found + _of_faces(suite.get("faces") or {})


def _of_methods(section: str, content: dict) -> Iterator[str]:
    """Methods that do not belong to the section, and keys that neither they nor their stages take."""
    for slug, entry in content.items():
        method = methods().get(slug)
        if method is None or method.section != section:
            yield f"{section}.{slug}"
        else:
            known = FILE if "checkpoint" in (entry or {}) else method.options()
            yield from (f"{section}.{slug}.{key}" for key in entry or {} if key not in {*known, *PLACE[section]})


def _of_faces(faces: dict) -> list[str]:
    known = SOURCES.get(faces.get("source"))
    if known is None:
        return ["faces.source"]
    found = [f"faces.{key}" for key in faces if key not in {"source", *known}]
    if faces["source"] == "official":
        sets = {"training": faces.get("training"), **(faces.get("benchmarks") or {})}
        found += [f"faces.{name}.{key}" for name, options in sets.items() for key in _of_form(options or {})]
    return found


def _of_form(options: dict) -> list[str]:
    """Keys of a benchmark that neither its form's loader nor the store takes; `form` where it names none."""
    if not options:
        return []
    if options.get("form") not in FORMS:
        return ["form"]
    known = {"form", *form_options(options["form"])[0], *STORE_OPTIONS}
    return [key for key in options if key not in known]
