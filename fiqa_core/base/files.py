"""Files: written whole or not at all, hashed, and tables read without guessing. Each is done here only.

Two kinds of tables are read. A list of the user's (`read_csv`) is all text until a column is asked to hold
numbers, and every defect is named with its line. A table that a stage wrote (`read_table`) has its columns
of names as text and what else it holds as pandas finds it. A person called NA, 007, 1e5 or True stays so.
"""
import csv
import hashlib
import io
import os
import re
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from textwrap import shorten

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from fiqa_core.base.errors import FiqaError

ROOM = "make room, or name another place"
MOMENT = 0.5    # seconds in which a lock may be let go before its holder is named
# columns of the package's tables whose cells are names, whatever they look like
NAMES = frozenset(("image", "image_id", "identity", "identity_a", "identity_b", "template_id", "media_id",
                   "path", "path_a", "path_b", "a", "b", "name", "benchmark", "set", "status", "reason"))


@contextmanager
def writing(target: Path, remedy: str = ROOM) -> Iterator[None]:
    """Around what writes `target`: a full disk, a forbidden or missing place become a FiqaError."""
    try:
        yield
    except OSError as error:
        raise FiqaError(f"{target} cannot be written: {error.strerror or error}", remedy) from None


@contextmanager
def replacing(path: Path, mark: str = "", remedy: str = ROOM) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place in one step when the block ends well.

    Creates the folder. After an error or a kill `path` is what it was before. `mark` tells apart processes
    that may write the same file at once. Raises FiqaError with `remedy` where nothing can be written.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}{mark}.part")
    try:
        with writing(path, remedy):
            if path.exists() and not path.is_file():        # root could put a file in the place of /dev/null
                raise OSError("it is a folder or a device")
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            settle(part, path)
    finally:
        if part.is_file() or part.is_symlink():
            part.unlink()


@contextmanager
def holding(target: Path, what: str = "") -> Iterator[None]:
    """Around what changes `target`, a file or folder: no other process may do so meanwhile.

    The lock is a hidden file beside it, which the system frees whenever and however this process ends. Raises
    FiqaError that says who holds it, calling it `what`; nothing was changed then.
    """
    path = target.with_name(f".{target.name}.lock")
    lock = FileLock(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=MOMENT)
    except Timeout:
        raise FiqaError(f"{what or target} is in use by {_holder(path)}", "wait until that is done, or stop it") from None
    try:
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        command = shorten(shlex.join(sys.orig_argv), 200)
        path.write_text(f"process {os.getpid()} on {socket.gethostname()} ({command}), since {since}", "utf-8")
        yield
    finally:
        with suppress(OSError):         # Windows removes no open file
            path.unlink()
        lock.release()


def _holder(lock: Path) -> str:
    with suppress(OSError):
        return lock.read_text("utf-8") or "another process"
    return "another process"


def settle(part: Path, path: Path) -> None:
    """The finished file or folder `part` takes the place of `path` in one step."""
    os.replace(part, path)


def write_text(text: str, path: Path) -> None:
    """Write `text` as UTF-8 with the line ends that it has, whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def write_csv(table: pd.DataFrame, path: Path, decimals: int = 6, digits: int | None = None) -> None:
    """Write `table` in its row order, no index, "\\n" line ends, NaN as an empty cell, whole or not at all.

    decimals  places to which floats are rounded; a rounded -0 is written as 0, which a sum in another order
              could turn it into
    digits    significant digits instead, for values of any size
    """
    if digits is None:
        table = table.copy()
        for column in table.select_dtypes("floating"):
            table[column] = table[column].astype("float64").round(decimals) + 0.0
    form = f"%.{decimals}f" if digits is None else f"%.{digits}g"
    with replacing(path) as part:
        table.to_csv(part, index=False, float_format=form, lineterminator="\n")


def new_array(path: Path, dtype, shape: tuple[int, ...]) -> np.memmap:
    """A `.npy` file to be filled through memory. Its room is taken at once: OSError here where the disk is
    full, where a later write through memory would end the process without a word."""
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.path.getsize(path))
    return array


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits: what published files are known by."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(path: Path) -> str:
    """BLAKE2b of a file, 32 hexadecimal digits: what the package knows its own files by (faster)."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def stamp(path: Path) -> dict[str, int]:
    """What changes where a file is written or replaced: its size, and the times of content and entry in ns."""
    facts = Path(path).stat()
    return {"size": facts.st_size, "modified": facts.st_mtime_ns, "changed": facts.st_ctime_ns}


def read_table(path: Path, text: tuple[str, ...] = ()) -> pd.DataFrame:
    """A table that a stage wrote: columns of NAMES and of `text` as they stand, only empty cells are missing.

    Raises FiqaError if it is not there or damaged.
    """
    try:
        header = pd.read_csv(path, nrows=0).columns
        kept = [column for column in header if column in NAMES or column in text]
        return pd.read_csv(path, dtype=dict.fromkeys(kept, str), keep_default_na=False,
                           na_values={column: [""] for column in header if column not in kept})
    except FileNotFoundError:
        raise FiqaError(f"{path} is missing", "run the stage that writes it: dvc repro") from None
    except (ValueError, OSError) as error:
        raise FiqaError(f"{path} is damaged: {first_line(error)}",
                        "delete it and run the stage that writes it") from None


def read_csv(path: Path, kinds: dict[str, type], remedy: str, optional: tuple[str, ...] = (),
             separator: str = ",", other_names: dict[str, str] | None = None) -> pd.DataFrame:
    """A table of the user's: the columns of `kinds` (name -> str, int or float), any others as text.

    optional     columns of `kinds` that may be absent
    other_names  further names of columns -> the one in `kinds`
    Empty cells are "" in text and NaN in floats. Raises FiqaError with the line and `remedy` for a file that
    is missing, empty or no UTF-8, a line with more fields than the header, an absent column, a column that
    stands twice, and a number that is none or, for int, not whole.
    """
    content = read_text(path, remedy)
    # quotation marks mean nothing in tab-separated files
    style = {"sep": separator, "quoting": csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL}
    header = next(csv.reader([content.partition("\n")[0].strip("\r")], delimiter=separator), [])
    header = [(other_names or {}).get(name, name) for name in header]
    twice = [name for name in header if header.count(name) > 1]
    absent = [name for name in kinds if name not in header and name not in optional]
    if twice or absent:
        missing = f" lacks column {', '.join(absent)}"
        raise FiqaError(f"{path}" + (missing if absent else f", line 1: column {twice[0]!r} stands twice"), remedy)
    try:
        table = pd.read_csv(io.StringIO(content), header=None, skiprows=1, names=header, dtype=str,
                            keep_default_na=False, **style)
    except ValueError as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        text = (f"{path}, line {found[2]}: {found[3]} fields, the header names {found[1]}" if found else
                f"{path}: {first_line(error)}")
        raise FiqaError(text, remedy) from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes what the header does not name as an index
        raise FiqaError(f"{path}, line 2: more fields than the header names", remedy)
    table = table.fillna("")                                # the end of a line that is too short
    for column, kind in kinds.items():
        if column in table and kind is not str:
            table[column] = _numbers(table[column], kind, path, remedy)
    return table


def _numbers(cells: pd.Series, kind: type, path: Path, remedy: str) -> pd.Series:
    values = pd.to_numeric(cells.str.strip().replace("", "nan"), errors="coerce")
    wrong = values.isna() & ~cells.str.strip().str.lower().isin(("", "nan"))
    if kind is int:
        wrong |= ~np.isfinite(values) | (values % 1 != 0)
    what = "whole number" if kind is int else "number"
    refuse(wrong, path, lambda row: f"{cells.name} is {cells.iloc[row]!r}, which is no {what}", remedy)
    return values.astype(kind)


def refuse(wrong: pd.Series, path: Path, problem: str | Callable[[int], str], remedy: str) -> None:
    """FiqaError naming the line of the first row where `wrong` (N,) bool holds in the table read from `path`.

    problem   what is wrong there, or a function of the row's number that says it
    """
    wrong = np.asarray(wrong, bool)
    if wrong.any():
        row = int(wrong.argmax())
        more = f" ({int(wrong.sum()):,} such lines)" if wrong.sum() > 1 else ""
        text = problem if isinstance(problem, str) else problem(row)
        raise FiqaError(f"{path}, line {line_of(path, row)}: {text}{more}", remedy)


def line_of(path: Path, row: int) -> int:
    """The line, from 1, on which row `row` of a table with a header stands; empty lines are no rows."""
    lines = enumerate(Path(path).read_text("utf-8-sig").splitlines(), 1)
    return next(islice((number for number, line in lines if line.strip()), row + 1, None), row + 2)


def read_text(path: Path, remedy: str) -> str:
    """The UTF-8 text of a list, with or without a byte order mark. Raises FiqaError for any other file."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise FiqaError(f"{path} is missing", remedy) from None
    except OSError as error:
        raise FiqaError(f"{path} cannot be read: {error.strerror}", "check the path") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FiqaError(f"{path} is UTF-16 text", "save it as UTF-8")
    if b"\0" in data[:4096]:
        raise FiqaError(f"{path} is not a text file", "give the list, not an archive or an image")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FiqaError(f"{path}, line {line}: not UTF-8 (byte {error.start:,} is 0x{data[error.start]:02x})",
                        "save it as UTF-8") from None
    if not text.strip():
        raise FiqaError(f"{path} is empty", remedy)
    return text


def first_line(error: Exception) -> str:
    """The first line of an exception's text."""
    return str(error).strip().split("\n")[0]
