"""How many faces and comparisons a suite means: as `prepare` counted, as found here, else as published."""
from dataclasses import dataclass, replace

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import read_table
from fiqa_core.base.project import settings
from fiqa_core.benchmarks.loaders import facts
from fiqa_core.doctor.needs import counted, lines
from fiqa_core.rendering.face_sets import LEAST_IDENTITIES, LEAST_IMPOSTORS, load_protocol

GUESS, COMPARISONS = 10_000, 6000  # images of a folder, and lines of a list, that are not there


@dataclass(frozen=True)
class Faces:
    """Size of one set: images, comparisons, and of a photograph the shorter side and what finds its face."""

    name: str
    images: int
    genuine: int = 0
    impostor: int = 0
    side: int = 112
    detector: str | None = None


def face_sets(suite: dict) -> list[Faces]:
    """Size of the training set (name "training") and of every benchmark of a suite."""
    source = {"rendered": _rendered, "photographs": _photographs, "official": _official}
    known = prepared(suite["suite"])
    return [known.get(each.name) or each for each in source[suite["faces"]["source"]](suite["faces"])]


def active(name: str) -> bool:
    """Whether what lies in results is of suite `name`."""
    try:
        return settings("suite") == name
    except FiqaError:
        return False


def prepared(name: str) -> dict[str, Faces]:
    """Sizes that stage `prepare` wrote, where the active suite is the one that is asked for."""
    table = project.results() / "prepare" / "faces.csv"
    if not (active(name) and table.is_file()):
        return {}
    return {row.name: Faces(row.name, int(row.images), int(row.genuine), int(row.impostor))
            for row in read_table(table).itertuples(index=False)}


def _rendered(faces: dict) -> list[Faces]:
    """What the protocols ask for; `scale` shrinks identities and pairs as rendering does."""
    learnt = faces["scale"] * faces.get("training_scale", 1.0)
    training = sum(_planned(load_protocol(name), learnt).images for name in faces["training"])
    return [Faces("training", training), *(_planned(load_protocol(name), faces["scale"]) for name in faces["protocols"])]


def _planned(protocol: dict, scale: float) -> Faces:
    each = (sum(map(len, protocol["templates"])) if "templates" in protocol else
            sum(group["images"] for group in protocol["groups"].values()))
    people = max(LEAST_IDENTITIES, round(protocol["identities"] * scale))
    pairs = protocol.get("pairs", {"genuine": 0, "impostor": 0})
    genuine = int(pairs["genuine"] * people / protocol["identities"])
    impostor = max(LEAST_IMPOSTORS, round(pairs["impostor"] * scale)) if pairs["impostor"] else 0
    return Faces(protocol["name"], people * each, genuine, impostor)


def _photographs(faces: dict) -> list[Faces]:
    """All pictures of the folder for training, those of the pairs twice: as they are and degraded."""
    images, comparisons = pictures(faces["folder"]), listed(faces["pairs"])
    training = round(images * (1 + faces.get("degraded_training", 0)))
    names, find = (faces.get("name", "LFW"), faces.get("cross_quality", "LFW-XQ")), faces.get("detector")
    return [Faces("training", training, 0, 0, 250, find),
            *(Faces(name, min(images, 2 * comparisons), comparisons // 2, comparisons // 2, 250, find)
              for name in names if name)]


def _official(faces: dict) -> list[Faces]:
    sets = {"training": faces.get("training"), **(faces.get("benchmarks") or {})}
    found = []
    for name, options in sets.items():
        if options:
            found.append(official(name, options))
            if options.get("cross_quality"):        # both sides of a pair, one degraded
                found.append(replace(found[-1], name=options["cross_quality"], images=2 * found[-1].images,
                                     side=112, detector=None))
    return found


def official(name: str, options: dict) -> Faces:
    """One set by its form: published numbers, or what its own folder holds where nothing is published."""
    form = facts(options.get("form"), f"faces.{name}")
    folder = project.root() / str(options.get("folder", ""))
    index, detector = folder / "train.idx", None if form.aligned else options.get("detector")
    genuine, impostor = form.genuine or 0, form.impostor or 0
    images = form.images or (lines(index) if index.is_file() else pictures(folder))
    if options.get("identities") and options.get("per_identity"):  # what is drawn of a training set, at most
        drawn = options["identities"] * options["per_identity"]
        images = min(images, drawn) if folder.is_dir() else drawn
    if options["form"] == "folders":
        genuine = impostor = (listed(folder / "pairs.csv", COMPARISONS + 1) - 1) // 2
    return Faces(name, images, genuine, impostor, form.side, detector)


def pictures(folder) -> int:
    """Pictures below a folder of the project, or a guess."""
    path = project.root() / folder
    return counted("pictures", path) if path.is_dir() else GUESS


def listed(file, otherwise: int = COMPARISONS) -> int:
    """Lines of a file of the project, or a guess."""
    path = project.root() / file
    return lines(path) if path.is_file() else otherwise
