"""Large text tables of numbers: read by pandas' C parser, searched line by line only to name a defect."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from fiqa_core.benchmarks.forms.presence import require
from fiqa_core.errors import FiqaError


def read_columns(path: Path, kinds: dict[str, type], layout: str, separator: str = " ") -> pd.DataFrame:
    """The lines of `path` as a table with the columns of `kinds` (name -> str, float or an integer type).

    layout     what a line holds, for the remedy; the file has no header
    separator  one character, or "\\\\s+" for any white space
    Raises FiqaError naming the first line with another number of fields or a field of another kind.
    """
    require(path, "file", f"restore it; its lines hold {layout}")
    options = {"sep": separator, "header": None, "quoting": 3, "keep_default_na": False, "engine": "c"}
    try:
        table = pd.read_csv(path, dtype=dict(enumerate(kinds.values())), **options)
    except (ValueError, OverflowError) as error:  # a ragged line raises ParserError, a ValueError
        raise _first_defect(path, kinds, layout, separator, str(error)) from None
    if table.shape[1] != len(kinds):
        raise _first_defect(path, kinds, layout, separator, f"{table.shape[1]} columns")
    return table.set_axis(list(kinds), axis=1)


def read_csv(path: Path, columns: list[str], remedy: str, separator: str = ",") -> pd.DataFrame:
    """A table of text with a header that names at least `columns`; missing fields are empty text.

    Raises FiqaError for a file that is missing or no such table, and a header without one of the columns.
    """
    require(path, "file", remedy)
    quoting = 3 if separator == "\t" else 0  # quotation marks mean nothing in tab-separated files
    try:
        table = pd.read_csv(path, sep=separator, dtype=str, quoting=quoting, keep_default_na=False).fillna("")
    except ValueError as error:
        raise FiqaError(f"{path} cannot be read: {error}", remedy) from None
    missing = [column for column in columns if column not in table]
    if missing:
        raise FiqaError(f"{path} lacks column {', '.join(missing)}", remedy)
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes what the header does not name as an index
        raise FiqaError(f"{path}: the header names fewer fields than the lines have", remedy)
    return table


def _first_defect(path: Path, kinds: dict[str, type], layout: str, separator: str, found: str) -> FiqaError:
    remedy = f"its lines hold {layout}; restore the file"
    parsers = [_parser(kind) for kind in kinds.values()]
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            fields = line.split() if separator == r"\s+" else line.rstrip("\r\n").split(separator)
            if line.strip() and not _parses(fields, parsers):
                return FiqaError(f"{path}, line {number}: {line.strip()[:80]!r} is not {layout}", remedy)
    return FiqaError(f"{path} cannot be read: {found}", remedy)


def _parses(fields: list[str], parsers: list[Callable]) -> bool:
    try:
        return len([parse(field) for parse, field in zip(parsers, fields, strict=True)]) == len(parsers)
    except ValueError:
        return False


def _parser(kind: type) -> Callable:
    if kind is str:
        return str
    return float if kind is float else int
