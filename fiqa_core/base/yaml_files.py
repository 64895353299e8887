"""YAML as every reader and writer of the workbook means it: by the core schema of YAML 1.2, as DVC reads it.

PyYAML's own rules are those of YAML 1.1, to which 1e-3 is text, 010 eight, 12:30 a number, and no is false.
"""
import re
from pathlib import Path

import yaml

from fiqa_core.base.errors import FiqaError

# tag, what is of that kind, its first characters (None: any)
CORE = (("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
         list("-+.0123456789")),
        ("merge", "<<", ["<"]))


class Loader(yaml.SafeLoader):
    """Plain values only, by the rules above."""

    yaml_implicit_resolvers = {}


class Dumper(yaml.SafeDumper):
    """Puts text that either version would take for something else into quotation marks."""


for kind, pattern, first in CORE:
    for side in (Loader, Dumper):
        side.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^({pattern})$"), first)
Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(
    node.value, {"0o": 8, "0x": 16}.get(node.value[:2], 10)))


def parse_yaml(text: str):
    """The value of a text, such as an option's. Raises FiqaError.

    >>> parse_yaml("[1e-3, 010, no, ~]")
    [0.001, 10, 'no', None]
    """
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise FiqaError(f"{text!r} is no value: {getattr(error, 'problem', error)}",
                        "close its brackets, or put it into quotation marks") from None


def read_yaml(path: Path, remedy: str = "correct it, or restore it with git") -> dict:
    """The mapping in a file. Raises FiqaError with `remedy` for a file that is missing or holds none."""
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8-sig"), Loader)
    except FileNotFoundError:
        raise FiqaError(f"{path} is missing", remedy) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else path
        raise FiqaError(f"{where} is not valid YAML: {getattr(error, 'problem', error)}", remedy) from None
    if not isinstance(content, dict):
        raise FiqaError(f"{path} holds {type(content).__name__} instead of keys and values", remedy)
    return content


def yaml_text(content: dict) -> str:
    """The text of a mapping, in its order."""
    return yaml.dump(content, Dumper=Dumper, sort_keys=False, width=110, default_flow_style=None)
