"""How many faces and comparisons a suite means: counted where they are here, else as published."""
from dataclasses import dataclass

import pandas as pd
import yaml

from fiqa_core.base import project
from fiqa_core.doctor.copies import counted, lines
from fiqa_core.doctor.facts import find_form
from fiqa_core.rendering.face_sets import LEAST_IDENTITIES, LEAST_IMPOSTORS, load_protocol

COUNTED, PUBLISHED, ASSUMED = "counted", "published", "assumed"
GUESS = 10_000  # images of a folder that is not there


@dataclass(frozen=True)
class Faces:
    """Size of one set: images, comparisons, shorter side of a photograph, detector, and how it is known."""

    name: str
    images: int
    genuine: int = 0
    impostor: int = 0
    side: int = 112
    detector: str | None = None
    basis: str = PUBLISHED


def face_sets(suite: dict) -> list[Faces]:
    """Size of the training set (name "training") and of every benchmark of a suite."""
    faces = suite["faces"]
    known = prepared(suite["suite"])
    found = {"rendered": _rendered, "photographs": _photographs, "official": _official}[faces["source"]](
        faces
    )
    return [known.get(each.name) or each for each in found]


def prepared(name: str) -> dict[str, Faces]:
    """Sizes that stage `prepare` wrote, where the active suite is the one that is asked for."""
    params, table = project.root() / "params.yaml", project.results() / "prepare" / "faces.csv"
    if not (params.is_file() and table.is_file()) or yaml.safe_load(params.read_text()).get("suite") != name:
        return {}
    return {row.name: Faces(row.name, int(row.images), int(row.genuine), int(row.impostor), basis=COUNTED)
            for row in pd.read_csv(table).itertuples(index=False)}


def _rendered(faces: dict) -> list[Faces]:
    """What the protocols ask for; `scale` shrinks identities and pairs as rendering does."""
    found = []
    for name in (faces["training"], *faces["protocols"]):
        protocol = load_protocol(name)
        each = (
            sum(map(len, protocol["templates"]))
            if "templates" in protocol
            else sum(group["images"] for group in protocol["groups"].values())
        )
        people = max(LEAST_IDENTITIES, round(protocol["identities"] * faces["scale"]))
        pairs = protocol.get("pairs", {"genuine": 0, "impostor": 0})
        genuine = int(pairs["genuine"] * people / protocol["identities"])
        impostor = max(LEAST_IMPOSTORS, round(pairs["impostor"] * faces["scale"])) if pairs["impostor"] else 0
        found.append(Faces(protocol["name"], people * each, genuine, impostor, basis=COUNTED))
    return found


def _photographs(faces: dict) -> list[Faces]:
    """All pictures of the folder for training, those of the pairs twice: as they are and degraded."""
    folder, pairs = project.root() / faces["folder"], project.root() / faces["pairs"]
    images, basis = (counted("pictures", folder), COUNTED) if folder.is_dir() else (GUESS, ASSUMED)
    comparisons = lines(pairs) if pairs.is_file() else 6000
    options = dict(genuine=comparisons // 2, impostor=comparisons // 2, detector=faces.get("detector"),
                   basis=basis)
    training = round(images * (1 + faces.get("degraded_training", 0)))
    names = [faces.get("name", "LFW"), faces.get("cross_quality", "LFW-XQ")]
    return [Faces("training", training, side=250, detector=faces.get("detector"), basis=basis),
            *(Faces(name, min(images, 2 * comparisons), side=250, **options) for name in names if name)]


def _official(faces: dict) -> list[Faces]:
    found = [official(name, options) for name, options in (faces.get("benchmarks") or {}).items() if options]
    return ([official("training", faces["training"])] if faces.get("training") else []) + found


def official(name: str, options: dict) -> Faces:
    """One set by its form: published numbers, or what its own folder holds where nothing is published."""
    form = find_form(options.get("form"), f"faces.{name}")
    images, genuine, impostor, basis = form.images, form.genuine or 0, form.impostor or 0, PUBLISHED
    folder = project.root() / str(options.get("folder", ""))
    if images is None and (folder / "train.idx").is_file():
        images, basis = lines(folder / "train.idx"), COUNTED
    elif images is None:
        images, basis = (counted("pictures", folder), COUNTED) if folder.is_dir() else (GUESS, ASSUMED)
    if options.get("identities") and options.get("per_identity"):  # what is drawn of a training set, at most
        limit = options["identities"] * options["per_identity"]
        images = min(images, limit) if basis == COUNTED else limit
    pairs = folder / "pairs.csv"
    if form.name == "folders":
        comparisons = lines(pairs) - 1 if pairs.is_file() else 6000
        genuine = impostor = comparisons // 2
    return Faces(name, images, genuine, impostor, form.side,
                 None if form.aligned else options.get("detector"), basis)
