"""params.yaml, the one place of every number a stage uses, and the suites that fill it.

A suite file in `fiqa_core/suites` is either complete (`demo.yaml`) or names a `base` and lists only
what differs; sections named under `replaces` stand alone, nothing of the base's is merged into them.
`write_params` merges and writes `params.yaml`, which DVC and the notebooks then read.
"""
from pathlib import Path

import yaml

from fiqa_core import project
from fiqa_core.errors import FiqaError

SUITES = Path(__file__).resolve().parent.parent / "suites"

HEADER = """\
# The active suite: every number the stages use. Written by `python -m fiqa_core suite {name}`.
# Change values here for an experiment, or switch the suite: make repro SUITE=ci
# (demo, ci, lfw, faces, open, paper; what each needs: python -m fiqa_core doctor --suite NAME).
"""


def settings(section: str | None = None) -> dict:
    """The whole of params.yaml, or one section of it ("methods.faceqan").

    Raises FiqaError if the file is missing or has no such section.
    """
    path = project.root() / "params.yaml"
    if not path.is_file():
        raise FiqaError(f"{path} is missing", "restore it with: python -m fiqa_core suite demo")
    value = _read(path)
    for key in section.split(".") if section else ():
        if not isinstance(value, dict) or key not in value:
            raise FiqaError(f"{path} has no section {section}",
                            f"known here: {', '.join(value) if isinstance(value, dict) else 'nothing'}")
        value = value[key]
    return value


def suite_names() -> list[str]:
    """Names of the suites that come with the workbook."""
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


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


def _read(path: Path) -> dict:
    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise FiqaError(f"{path} is not valid YAML: {error}", "correct it, or: python -m fiqa_core suite demo") from None
