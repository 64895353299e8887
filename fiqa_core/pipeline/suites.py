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

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.project import SUITES, _read, suite_names
from fiqa_core.benchmarks.crossfit import photograph_suite
from fiqa_core.benchmarks.loaders import FORMS, form_options
from fiqa_core.evaluation.curves import Settings
from fiqa_core.kernels import ediffiqa
from fiqa_core.kernels.diffiqa import DifFIQA
from fiqa_core.kernels.faceqan import FaceQAN
from fiqa_core.loading import KINDS, PUBLISHED
from fiqa_core.methods import cr_fiqa, faceqgen, faceqnet, froq, lightqnet, pcnet, pfe, sdd_fiqa
from fiqa_core.methods.grafiqs import GraFIQs
from fiqa_core.methods.magface import MagFace
from fiqa_core.methods.prefiqs import PreFIQs
from fiqa_core.methods.ser_fiq import SERFIQ
from fiqa_core.pipeline.prepare import STORE_OPTIONS
from fiqa_core.recognisers.recogniser import embed
from fiqa_core.recognisers.zoo import FAMILIES, PREPARATION
from fiqa_core.reporting.names import REFERENCE_LINES
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
        key, equals, value = override.partition("=")
        if not equals:
            raise FiqaError(f"{override!r} is not of the form section.key=value",
                            "for instance: faces.folder=corpora/lfw/images")
        _set(suite, key, yaml.safe_load(value))
    return suite


def write_params(name: str, overrides: list[str] = ()) -> Path:
    """Make suite `name` the active one, with "section.key=value" overrides; returns the file written."""
    suite = chosen_suite(name, overrides)
    text = yaml.safe_dump(suite, sort_keys=False, width=110, default_flow_style=None)
    if not overrides and "base" not in _read(SUITES / f"{name}.yaml"):
        text = (SUITES / f"{name}.yaml").read_text()      # a complete suite keeps its comments
    path = project.root() / "params.yaml"
    path.write_text(HEADER.format(name=name) + text)
    return path


def key_and_value(text: str) -> tuple[str, object]:
    """("key", value) of "key=value", the value read as YAML. Raises FiqaError for other texts.

    >>> key_and_value("dropout=0.4")
    ('dropout', 0.4)
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise FiqaError(f"{text!r} is not of the form key=value", "for instance: method=faceqan")
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
SCORED = {"recogniser", "subset"}
CLASSES = {"faceqan": FaceQAN, "diffiqa": DifFIQA, "magface": MagFace, "ser_fiq": SERFIQ, "grafiqs": GraFIQs,
           "prefiqs": PreFIQs}
TRAINED = {"faceqnet": faceqnet.DEFAULTS, "sdd_fiqa": sdd_fiqa.DEFAULTS, "pfe": pfe.PAPER,
           "pcnet": pcnet.DEFAULTS, "lightqnet": lightqnet.DEFAULTS,
           "cr_fiqa": {**cr_fiqa.PAPER, **RECOGNISER}, "faceqgen": faceqgen.DEFAULTS, "froq": froq.DEFAULTS}
NETWORKS = {argument for _, arguments, *_ in FAMILIES.values() for argument in arguments}
TRAINING = {"network", "head", "name", "compare", *HEAD_OPTIONS, *RECOGNISER, *NETWORKS, *PREPARATION}
BUILT = {"lightqnet": KINDS["LightQNet"].options}
# sections whose entries are methods or networks, and what may stand in an entry of a slug
ENTRIES = {
    "recognisers": lambda slug, entry: (
        {"name", "compare", "architecture", "checkpoint"} if "checkpoint" in entry else TRAINING
    ),
    "methods": lambda slug, entry: options_of(slug),
    "training_free": lambda slug, entry: options_of(slug),
    "baselines": lambda slug, entry: (
        FILE if "checkpoint" in entry else {*TRAINED.get(slug, ()), *SCORED, *BUILT.get(slug, ())}
    ),
    "distilled": lambda slug, entry: FILE if "checkpoint" in entry else {"backbone", *ediffiqa.PAPER},
}
SLUGS = {"methods": CLASSES, "training_free": CLASSES, "baselines": TRAINED, "distilled": PUBLISHED}
PLAIN = {
    "embed": set(signature(embed).parameters) - {"recogniser", "pixels", "device"},
    "diffusion": {"checkpoint", "only", *DIFFUSION},
    "scoring": {"recogniser", "batch"},
    "labels": {"images", *signature(DifFIQA).parameters},
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
        if section not in (*OTHERS, "analytical", *ENTRIES, *PLAIN):
            found.append(section)
        elif section == "analytical":
            found += [f"analytical.{slug}" for slug in content or () if slug not in REFERENCE_LINES]
        elif section in ENTRIES:
            found += list(_of_entries(section, content or {}))
        elif section in PLAIN:
            found += [f"{section}.{key}" for key in content or {} if key not in PLAIN[section]]
    return found + _of_faces(suite.get("faces") or {})


def options_of(slug: str) -> set[str]:
    """Options of a method that is a class on a recogniser; none for an unknown slug."""
    return {*signature(CLASSES[slug]).parameters, *SCORED} if slug in CLASSES else set()


def _of_entries(section: str, content: dict) -> Iterator[str]:
    for slug, entry in content.items():
        if section in SLUGS and slug not in SLUGS[section]:
            yield f"{section}.{slug}"
        else:
            known = ENTRIES[section](slug, entry or {})
            yield from (f"{section}.{slug}.{key}" for key in entry or {} if key not in known)


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
