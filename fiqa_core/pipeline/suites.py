"""params.yaml, the one place of every number a stage uses, and the suites that fill it.

A suite file in `fiqa_core/suites` is either complete (`demo.yaml`) or names a `base` and lists only
what differs; sections named under `replaces` stand alone, nothing of the base's is merged into them.
`write_params` merges and writes `params.yaml`, which DVC and the notebooks then read.

A misspelt key would be ignored, and the run measure something else: known are the arguments and options of
the functions that the sections reach, so that a new option needs no entry here.
"""
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

from ruamel.yaml import YAML

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import replacing, write_text
from fiqa_core.base.method import SECTIONS
from fiqa_core.base.options import kinds_like_each, kinds_of, typed
from fiqa_core.base.project import SUITES, suite_names
from fiqa_core.base.yaml_files import parse_yaml, read_yaml, yaml_text
from fiqa_core.benchmarks.crossfit import photograph_suite
from fiqa_core.benchmarks.loaders import FORMS, form_options
from fiqa_core.evaluation.curves import Settings
from fiqa_core.pipeline.inputs import inputs_of
from fiqa_core.pipeline.prepare import SET_OPTIONS
from fiqa_core.recognisers.recogniser import embed
from fiqa_core.recognisers.zoo import FAMILIES, PREPARATION
from fiqa_core.registry import methods
from fiqa_core.training.diffusion import PAPER as DIFFUSION
from fiqa_core.training.recogniser import DEFAULTS as RECOGNISER
from fiqa_core.training.recogniser import HEAD_OPTIONS
from fiqa_core.weights.place import checkpoint_path

HEADER = """\
# The active suite: every number the stages use. Written by `python -m fiqa_core suite {name}`.
# Change values here for an experiment, or switch the suite: make repro SUITE=ci
# (demo, ci, scratch, pretrain, lfw, faces, open, paper; what each needs: python -m fiqa_core doctor --suite NAME).
"""


def load_suite(name: str) -> dict:
    """A suite with its base merged in. Raises FiqaError for an unknown name."""
    path = SUITES / f"{name}.yaml"
    if not path.is_file():
        raise FiqaError(f"there is no suite {name!r}", f"choose one of: {', '.join(suite_names())}")
    suite = read_yaml(path)
    base, replaced = suite.pop("base", None), suite.pop("replaces", ())
    if base is None:
        return suite
    return merge({key: value for key, value in load_suite(base).items() if key not in replaced}, suite)


def merge(base: dict, changes: dict) -> dict:
    """`base` with `changes` laid over it: mappings merge, everything else is replaced, `null` removes a
    key."""
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

    So does `missing: skip` of a method whose checkpoint is not here.
    Raises FiqaError for an override of another form and for a value of a wrong type.
    """
    suite = load_suite(name)
    for override in overrides:
        _set(suite, *key_and_value(override))
    suite = without_absent(check_types(suite))
    return {**suite, "inputs": inputs_of(suite)} if overrides else suite


def without_absent(suite: dict) -> dict:
    """`suite` without the methods that say `missing: skip` and whose checkpoints are not here."""
    def here(entry) -> bool:
        return not isinstance(entry, dict) or entry.get("missing") != "skip" or \
            checkpoint_path(entry["checkpoint"]).is_file()

    return suite | {section: {slug: entry for slug, entry in suite[section].items() if here(entry)}
                    for section in ("distilled", "trained") if isinstance(suite.get(section), dict)}


def write_params(name: str, overrides: list[str] = ()) -> list[str]:
    """Make suite `name` the active one, with "section.key=value" overrides.

    Every suite has folders of its own below build, results and report. What DVC knows of the suite before,
    `dvc.lock`, waits in its build folder and comes back with it, so that the way back runs nothing. Returns
    a line that says what params.yaml held beyond its suite and the new one does not: it waits there too.
    """
    suite = chosen_suite(name, overrides)
    text = yaml_text(suite)
    if not overrides and "base" not in read_yaml(SUITES / f"{name}.yaml"):
        text = (SUITES / f"{name}.yaml").read_text()      # a complete suite keeps its comments
    root, notes = project.root(), []
    path = root / "params.yaml"
    gone = changes(load_suite(name), without_absent(load_suite(name)))
    if gone:
        left = ", ".join(change.removesuffix("=null") for change in gone)
        notes.append(f"left out, since their checkpoints are not here: {left}")
    if path.is_file():
        before = project.settings()
        kept, old = project.build(), before["suite"]
        own = changes(without_absent(load_suite(old)), before) if old in suite_names() else []
        if own and before != suite:
            write_text(path.read_text(), kept / path.name)
            notes += [f"params.yaml was suite {old!r} with {', '.join(own)}: that is in {kept / 'params.yaml'}"]
        if old != name:
            swap(root / "dvc.lock", kept / "dvc.lock", root / "build" / name / "dvc.lock")
    write_text(HEADER.format(name=name) + text, path)
    return notes


def change_params(overrides: list[str]) -> None:
    """Change values of params.yaml, "section.key=value", and nothing else: comments and other changes
    stay."""
    path, plain, form = project.root() / "params.yaml", project.settings(), YAML()
    pairs = [key_and_value(override) for override in overrides]
    for key, value in pairs:
        _set(plain, key, value)
    check_types(plain)
    form.width = 110
    suite = form.load(path.read_text())
    for key, _ in pairs:
        _set(suite, key, reduce(lambda part, name: part.get(name), key.split("."), plain))
    if suite.get("inputs") != inputs_of(plain):
        suite["inputs"] = inputs_of(plain)
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
    """Put `file` to `away`, and `back`, if there is one, in its place; in no moment is what it holds
    nowhere."""
    if file.is_file():
        write_text(file.read_text(), away)
    if back.is_file():
        write_text(back.read_text(), file)
    else:
        file.unlink(missing_ok=True)


def key_and_value(text: str) -> tuple[str, object]:
    """("key", value) of "key=value", the value read as YAML. Raises FiqaError for other texts.

    >>> key_and_value("dropout=0.4")
    ('dropout', 0.4)
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise FiqaError(f"{text!r} is not of the form key=value",
                        "for instance: method=faceqan or faces.folder=corpora/lfw/images")
    return key, parse_yaml(value)


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


ANY = ()                            # types of what is looked at where it is used
LIST, TEXT, WHOLE = (list,), (str,), (int,)
SOURCES = {"rendered": {"training": LIST, "protocols": LIST, "scale": (float,), "training_scale": (float,)},
           "photographs": kinds_of(photograph_suite),
           "official": {"training": ANY, "benchmarks": ANY, "missing": ANY}}
FILE = {"checkpoint": TEXT, "model": TEXT, "missing": TEXT}     # of a method that is loaded, not trained
# what else an entry of a method may say, by section
SUBSET = {"subset": ANY}
PLACE = {"on_recogniser": {"recogniser": TEXT, **SUBSET}, "distilled": {"backbone": TEXT, **SUBSET},
         **dict.fromkeys(("on_diffusion", "trained", "on_pixels"), SUBSET)}
NETWORKS = [argument for _, arguments, *_ in FAMILIES.values() for argument in arguments]
TRAINING = {**dict.fromkeys(("network", "head", "name"), TEXT), "compare": (bool,),
            **dict.fromkeys((*HEAD_OPTIONS, *NETWORKS, *PREPARATION), ANY), **kinds_like_each(RECOGNISER)}
SHIPPED = {"name": TEXT, "shipped": TEXT, "compare": (bool,)}
LOADED = {"name": TEXT, "architecture": TEXT, "checkpoint": TEXT, "compare": (bool,)}       # of a recogniser
PLAIN = {
    "embed": kinds_of(embed),
    "diffusion": {"checkpoint": TEXT, "shipped": TEXT, "only": (dict,), **kinds_like_each(DIFFUSION)},
    "scoring": {"recogniser": TEXT, "batch": WHOLE, "precision": TEXT},
    "labels": {"images": WHOLE, **methods()["diffiqa"].kinds()},
    "evaluation": kinds_of(Settings),
    "ablation": {"benchmarks": LIST, "images": WHOLE, "repeats": LIST, "epsilons": LIST, "timesteps": LIST},
    "timing": {"repeats": LIST, **dict.fromkeys(("images", "warm_up", "batch"), WHOLE)},
}
GIVEN = {"faces": ("root", "seed"), "embed": ("recogniser", "pixels", "device")}     # by the stage itself
NOTEBOOKS = {"challenges", "challenge_notebooks", "artefacts"}
OTHERS = {"suite", "about", "seed", "faces", "small_iresnet", "inputs", "targets", "seeds", *NOTEBOOKS}


def unknown_keys(suite: dict) -> list[str]:
    """Dotted names of the keys that no function takes."""
    found = [section for section in suite if section not in (*OTHERS, "recognisers", *SECTIONS, *PLAIN)]
    found += [f"{section}.{slug}" for section in SECTIONS for slug in _mapping(suite, section)
              if slug not in methods() or methods()[slug].section != section]
    faces = _mapping(suite, "faces")
    if faces.get("source") not in SOURCES:
        return [*found, "faces.source"]
    found += [f"faces.{name}.form" for name, entry in _official(faces) if entry.get("form") not in FORMS]
    return found + [f"{name}.{key}" for name, entry, known in _entries(suite) for key in entry
                    if key not in known or key in GIVEN.get(name, ())]


def check_types(suite: dict) -> dict:
    """The suite, whole numbers as int where only these are taken. Raises FiqaError for a value of a type that
    the function which takes it does not know."""
    for name, entry, known in _entries(suite):
        entry.update(typed(entry, known, name))
    return suite


def _entries(suite: dict) -> Iterator[tuple[str, dict, dict]]:
    """Every part of a suite whose keys are options: its dotted name, itself, and the types of each option."""
    recognisers, faces = _mapping(suite, "recognisers"), _mapping(suite, "faces")
    for slug in recognisers:
        entry = _mapping(recognisers, slug, "recognisers.")
        yield f"recognisers.{slug}", entry, LOADED if "checkpoint" in entry else SHIPPED if "shipped" in entry else TRAINING
    for section in SECTIONS:
        content = _mapping(suite, section)
        for slug in content:
            entry, method = _mapping(content, slug, f"{section}."), methods().get(slug)
            if method and method.section == section:
                options = FILE if "checkpoint" in entry else method.kinds()
                yield f"{section}.{slug}", entry, {**options, **PLACE[section]}
    yield from ((section, _mapping(suite, section), known) for section, known in PLAIN.items())
    if faces.get("source") in SOURCES:
        yield "faces", faces, {"source": TEXT, **SOURCES[faces["source"]]}
    for name, entry in _official(faces):
        if entry.get("form") in FORMS:
            options = ("form", *form_options(entry["form"])[0], *SET_OPTIONS)
            yield f"faces.{name}", entry, dict.fromkeys(options, ANY)


def _official(faces: dict) -> Iterator[tuple[str, dict]]:
    """The training set and the benchmarks that are official copies, by name, those that are named at all."""
    if faces.get("source") == "official":
        sets = {"training": faces.get("training"), **_mapping(faces, "benchmarks", "faces.")}
        yield from ((name, _mapping(sets, name, "faces.")) for name in sets if sets[name])


def _mapping(content: dict, key: str, above: str = "") -> dict:
    """A part of a suite, {} where there is none. Raises FiqaError where it is a single value or a list."""
    part = content.get(key) or {}
    if not isinstance(part, dict):
        raise FiqaError(f"{above}{key} is {part!r}", "give keys and values")
    return part
