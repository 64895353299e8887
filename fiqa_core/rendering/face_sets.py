"""Rendered benchmarks and the rendered training set: protocol in, face set out.

A protocol file says which persons, images and comparisons make up a set.
"""
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import IMAGE_COLUMNS, FaceSet, empty_pairs
from fiqa_core.base.yaml_files import read_yaml
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import CAUSES, COLUMNS, draw, severity
from fiqa_core.rendering.renderer import render_faces


def make_pairs(templates: pd.DataFrame, genuine: int, impostor: int, across: list | None,
               generator: np.random.Generator) -> pd.DataFrame:
    """Draw a pairs table (columns a, b, genuine, fold) without repeats.

    templates: one row per template with template_id, identity, group, fold. Folds share no identity, and
    both members of an impostor pair come from the same fold, as in LFW. across: two groups; each pair
    then has its first member in one and its second in the other. FiqaError if there are too few pairs.
    """
    first, second = np.triu_indices(len(templates), 1)
    person, fold = (templates[c].to_numpy() for c in ("identity", "fold"))
    allowed = fold[first] == fold[second]
    if across:
        group = templates["group"].to_numpy()
        swap = (group[first] == across[1]) & (group[second] == across[0])
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        allowed &= (group[first] == across[0]) & (group[second] == across[1])
    same = person[first] == person[second]
    chosen = [_choose(np.flatnonzero(allowed & same), genuine, "genuine", generator),
              _choose(np.flatnonzero(allowed & ~same), impostor, "impostor", generator)]
    rows = np.concatenate(chosen)
    names = templates["template_id"].to_numpy()
    return pd.DataFrame({"a": names[first[rows]], "b": names[second[rows]],
                         "genuine": np.repeat((1, 0), [len(c) for c in chosen]), "fold": fold[first[rows]]})


def _choose(candidates, count, kind, generator):
    if len(candidates) < count:
        raise FiqaError(f"the protocol asks for {count} {kind} pairs, its images allow {len(candidates)}",
                        "give it more identities or images, or ask for fewer pairs")
    return np.sort(generator.choice(candidates, count, replace=False))


BENCHMARKS = ("lfw", "calfw", "cplfw", "cfp_fp", "xqlfw", "adience", "ijb_c", "ytf")
FOLDER = Path(__file__).resolve().parents[1] / "inputs" / "protocols"
_KEYS = {"name", "identities", "pairs", "groups", "templates"}


def load_protocol(path: str | Path) -> dict:
    """Read a protocol file, or one shipped with the package by its short name ("lfw", "training").

    Keys: name; identities; groups: name -> {images per identity, nuisance, drift}; pairs: {genuine,
    impostor, across: [group, group]}; templates: list of templates per identity, each a list of groups.
    Raises FiqaError if the file is missing or does not make sense.
    """
    path = Path(path)
    if path.suffix == "":
        path = FOLDER / f"{path}.yaml"
    if not path.is_file():
        shipped = sorted(file.stem for file in FOLDER.glob("*.yaml"))
        raise FiqaError(f"protocol {path} is missing", "use one of " + ", ".join(shipped))
    protocol = read_yaml(path)
    check_protocol(protocol, str(path))
    return protocol


def check_protocol(protocol: dict, source: str = "protocol") -> None:
    """Raise FiqaError, naming `source`, unless the protocol is complete and its groups and causes known."""
    problems = [f"{key} is missing" for key in ("name", "identities", "groups") if key not in protocol]
    problems += [f"{key} is not a protocol key" for key in set(protocol) - _KEYS]
    groups = protocol.get("groups", {})
    named = {group for template in protocol.get("templates", []) for group in template}
    named |= set(protocol.get("pairs", {}).get("across", []))
    problems += [f"group {group} is used but not described" for group in sorted(named - set(groups))]
    for name, group in groups.items():
        causes = set(group.get("nuisance", {})) | set(group.get("drift", {}))
        problems += [f"group {name}: unknown cause {cause}" for cause in sorted(causes - set(CAUSES))]
        if "images" not in group and "templates" not in protocol:
            problems.append(f"group {name}: number of images is missing")
    if problems:
        raise FiqaError(f"{source}: " + "; ".join(problems), "compare with data/protocols/lfw.yaml")


LEAST_IDENTITIES, LEAST_IMPOSTORS, FOLDS = 20, 1000, 10


def rendered_benchmark(protocol: dict, seed: int, device="cpu", scale: float = 1.0) -> FaceSet:
    """Render a benchmark.

    protocol: as from `load_protocol`; seed: whole number, the same for all sets of a suite; scale < 1
    shrinks identities and pairs (never below 20 identities and 1000 impostor pairs). images.csv holds,
    besides the identity and the template, the true value of every nuisance. crossfit is 0. The persons
    are this benchmark's own: the seed of their parameters is made of the suite's seed and its name.
    """
    check_protocol(protocol)
    own = _own_seed(protocol["name"], seed)
    generator = np.random.default_rng(own)
    persons = max(LEAST_IDENTITIES, round(protocol["identities"] * scale))
    images = _plan(protocol, persons, generator)
    pairs = _pairs(protocol, images, scale, generator)
    return _rendered(protocol["name"], images.assign(crossfit=0), pairs, persons, own, device)


def rendered_training_set(protocol: dict, seed: int, device="cpu", scale: float = 1.0) -> FaceSet:
    """Render a training set: no pairs, crossfit -1, persons who occur in no benchmark. See above."""
    check_protocol(protocol)
    own = _own_seed(protocol["name"], seed)
    persons = max(LEAST_IDENTITIES, round(protocol["identities"] * scale))
    images = _plan(protocol, persons, np.random.default_rng(own))
    return _rendered(protocol["name"], images.assign(crossfit=-1), empty_pairs(), persons, own, device)


def _own_seed(name, seed):
    return zlib.crc32(f"{name}/{seed}".encode())


def _rendered(name, images, pairs, persons, seed, device):
    identities = sample_identities(persons, seed)
    who = images["person"].to_numpy()
    pixels, occlusion = render_faces(identities, who, images, device, f"render {name}")
    images["occlusion"] = occlusion
    images["severity"] = severity(images)
    order = [*IMAGE_COLUMNS, "group", *COLUMNS, "occlusion", "severity"]
    return FaceSet(name, pixels, images[order], pairs)


def _plan(protocol, persons, generator) -> pd.DataFrame:
    """One row per image: who, template, medium, group, and the nuisance drawn for it."""
    layout = protocol.get("templates") or [[name] for name, group in protocol["groups"].items()
                                           for _ in range(group["images"])]
    slug = protocol["name"].lower().replace("-", "_")
    rows = []
    for person in range(persons):
        for t, template in enumerate(layout):
            for k, group in enumerate(template):
                name = f"{slug}_{person:04d}"
                rows.append((person, name, f"{name}_{t:02d}", k, len(template), group))
    images = pd.DataFrame(rows, columns=["person", "identity", "template_id", "frame", "length", "group"])
    frame = images["template_id"] + "_" + images["frame"].astype(str)
    images["image_id"] = np.where(images["length"] > 1, frame, images["template_id"])
    moving = [name for name, group in protocol["groups"].items() if "drift" in group]
    clip = images["group"].isin(moving)
    images["media_id"] = np.where(clip, images["template_id"], images["image_id"])
    nuisance = _draw_groups(protocol["groups"], images, generator)
    return pd.concat([images, nuisance], axis=1)


def _draw_groups(groups, images, generator):
    """Nuisance of every image; the frames of a clip start from the same values and drift away."""
    parts = []
    for name, group in groups.items():
        rows = images.index[images["group"] == name]
        table = draw(group.get("nuisance", {}), len(rows), generator).set_index(rows)
        if "drift" in group:
            table = _drifting(table, images.loc[rows], group["drift"], generator)
        parts.append(table)
    return pd.concat(parts).sort_index()


def _drifting(table, images, drift, generator):
    """Frame k of a clip has the values of the clip's first frame plus k times the clip's own drift.

    The style is the clip's: place, camera and look of the person stay, as does the grain of the noise.
    """
    first = images.groupby("template_id")["frame"].transform("idxmin").to_numpy()
    step = (images["frame"] - images["frame"].loc[first].to_numpy()).to_numpy()
    style = table["style"].loc[first].to_numpy()
    table = table.loc[first].set_index(images.index).assign(style=style)
    clip = pd.factorize(images["template_id"])[0]
    for cause, deviation in drift.items():
        _, smallest, largest, _ = CAUSES[cause]
        speed = generator.normal(0, deviation, clip.max() + 1)[clip]
        table[cause] = (table[cause] + step * speed).clip(smallest, largest)
    return table


def _pairs(protocol, images, scale, generator):
    templates = images.drop_duplicates("template_id")
    person = templates["person"].to_numpy()
    folds = FOLDS if person.max() >= 5 * FOLDS else 2
    templates = templates.assign(fold=person * folds // (person.max() + 1))
    wanted = protocol["pairs"]
    share = (person.max() + 1) / protocol["identities"]  # fewer persons offer fewer genuine pairs
    impostors = max(LEAST_IMPOSTORS, round(wanted["impostor"] * scale))
    return make_pairs(templates, int(wanted["genuine"] * share), impostors, wanted.get("across"), generator)
