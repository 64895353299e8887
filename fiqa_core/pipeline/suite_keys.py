"""Which keys a suite may have: a misspelt one would be ignored, and the run measure something else.

Known are the arguments and options of the functions that the sections reach, so that a new option needs no
entry here.
"""

from collections.abc import Iterator
from inspect import signature

from fiqa_core.benchmarks.forms import FORMS, form_options
from fiqa_core.benchmarks.photographs import photograph_suite
from fiqa_core.diffusion.training import PAPER as DIFFUSION
from fiqa_core.evaluation.measuring import Settings
from fiqa_core.methods import (
    cr_fiqa,
    distillation,
    faceqgen_training,
    faceqnet,
    froq,
    lightqnet_training,
    pcnet,
    pfe,
    sdd_fiqa,
)
from fiqa_core.methods.diffiqa import DifFIQA
from fiqa_core.methods.faceqan import FaceQAN
from fiqa_core.methods.files import KINDS, PUBLISHED
from fiqa_core.methods.grafiqs import GraFIQs
from fiqa_core.methods.magface import MagFace
from fiqa_core.methods.prefiqs import PreFIQs
from fiqa_core.methods.ser_fiq import SERFIQ
from fiqa_core.names import REFERENCE_LINES
from fiqa_core.pipeline.official import STORE_OPTIONS
from fiqa_core.recognisers.catalogue import FAMILIES, PREPARATION
from fiqa_core.recognisers.embedding import embed
from fiqa_core.recognisers.training import DEFAULTS as RECOGNISER
from fiqa_core.recognisers.training import HEAD_OPTIONS

SOURCES = {
    "rendered": {"training", "protocols", "scale"},
    "photographs": set(signature(photograph_suite).parameters) - {"root", "seed"},
    "official": {"training", "benchmarks", "missing"},
}
FILE = {"checkpoint", "model"}  # of a method that is loaded, not trained
SCORED = {"recogniser", "subset"}
CLASSES = {
    "faceqan": FaceQAN,
    "diffiqa": DifFIQA,
    "magface": MagFace,
    "ser_fiq": SERFIQ,
    "grafiqs": GraFIQs,
    "prefiqs": PreFIQs,
}
TRAINED = {
    "faceqnet": faceqnet.DEFAULTS,
    "sdd_fiqa": sdd_fiqa.DEFAULTS,
    "pfe": pfe.PAPER,
    "pcnet": pcnet.DEFAULTS,
    "lightqnet": lightqnet_training.DEFAULTS,
    "cr_fiqa": {**cr_fiqa.PAPER, **RECOGNISER},
    "faceqgen": faceqgen_training.DEFAULTS,
    "froq": froq.DEFAULTS,
}
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
    "distilled": lambda slug, entry: FILE if "checkpoint" in entry else {"backbone", *distillation.PAPER},
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
