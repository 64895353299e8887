"""What is published about each official form: `forms.yaml`, read and checked once."""
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import yaml

from fiqa_core.base.errors import FiqaError

FORMS_FILE = Path(__file__).with_name("forms.yaml")


@dataclass(frozen=True)
class Expected:
    """One file or folder of a form: named by an option of the suite, or by a path below its folder
    ("a|b": the first of them that is there).

    pictures, folders, files, lines   how many the published copy holds; at_least: fewer than this is a fault
    sha256   digest -> which version of the file has it
    """

    option: str | None = None
    path: str | None = None
    pictures: int | None = None
    folders: int | None = None
    files: int | None = None
    lines: int | None = None
    at_least: int | None = None
    sha256: dict | None = None


@dataclass(frozen=True)
class Form:
    """The published facts of one form, as `forms.yaml` explains them; None where nothing is published."""

    name: str
    side: int
    expect: tuple[Expected, ...]
    terms: str
    get: str
    images: int | None = None
    templates: int | None = None
    genuine: int | None = None
    impostor: int | None = None
    aligned: bool = False


@cache
def forms() -> dict[str, Form]:
    """Every form by the name that suites use. Raises FiqaError for a malformed entry."""
    content = yaml.safe_load(FORMS_FILE.read_text())
    return {name: _form(name, row) for name, row in content.items()}


def find_form(name: str, where: str) -> Form:
    """The form of a name; FiqaError that says `where` it stands if there is none."""
    if name not in forms():
        raise FiqaError(f"{where}: there is no form {name!r}", f"choose one of: {', '.join(forms())}")
    return forms()[name]


def _form(name: str, row: dict) -> Form:
    expected = tuple(_entry(Expected, name, part) for part in row["expect"])
    return _entry(Form, name, {**row, "name": name, "expect": expected})


def _entry(kind: type, name: str, row: dict):
    unknown = set(row) - {field.name for field in fields(kind)}
    if unknown:
        raise FiqaError(f"{FORMS_FILE}, {name}: unknown fields {sorted(unknown)}", "compare with its head")
    return kind(**row)
