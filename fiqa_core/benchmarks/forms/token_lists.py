"""The layout that CALFW and CPLFW share: no header, two lines `file_name token` per pair, one flat folder."""

import re
from pathlib import Path

import pandas as pd

from fiqa_core.benchmarks.pair_lists import read_lines
from fiqa_core.errors import FiqaError

LAYOUT = "the list has no header and two consecutive lines `file_name token` per pair, with the same token"


def read_token_list(path: Path, name_form: str, tokens: range) -> pd.DataFrame:
    """The pairs of a list: path_a, path_b, identity_a, identity_b, token, line (of the first image, from 1).

    name_form  regular expression of a whole file name whose first group is the identity
    tokens     those that may occur
    Raises FiqaError naming the first line that is not of the layout.
    """
    lines = read_lines(path)
    if not lines or len(lines) % 2:
        raise FiqaError(f"{path}: {len(lines)} lines, but two make a pair", LAYOUT)
    rows = [_line(path, number, line, name_form, tokens) for number, line in enumerate(lines, start=1)]
    table = pd.DataFrame(rows, columns=["path", "identity", "token"])
    a, b = (table.iloc[side::2].reset_index(drop=True) for side in (0, 1))
    differ = a["token"] != b["token"]
    if differ.any():
        pair = int(differ.idxmax())
        raise FiqaError(
            f"{path}, lines {2 * pair + 1} and {2 * pair + 2}: the tokens of a pair are {a['token'][pair]} "
            f"and {b['token'][pair]}; they differ in {int(differ.sum())} pairs",
            f"{LAYOUT}; a line that is missing or too many shifts all that follow",
        )
    return pd.DataFrame(
        {
            "path_a": a["path"],
            "path_b": b["path"],
            "identity_a": a["identity"],
            "identity_b": b["identity"],
            "token": a["token"],
            "line": 2 * a.index + 1,
        }
    )


def _line(path: Path, number: int, line: str, name_form: str, tokens: range) -> tuple[str, str, int]:
    fields = line.rsplit(maxsplit=1)
    if len(fields) != 2 or not fields[1].isdecimal() or int(fields[1]) not in tokens:
        raise FiqaError(
            f"{path}, line {number}: {line!r} is no file name and token from {tokens[0]} to {tokens[-1]}",
            LAYOUT,
        )
    named = re.fullmatch(name_form, fields[0])
    if named is None:
        raise FiqaError(
            f"{path}, line {number}: {fields[0]!r} is not a name of the form that this set has",
            "get the list again: malformed names occur in the archive, none of them in the published list",
        )
    return fields[0], named[1], int(fields[1])


def flat_folder(folder: Path, names: pd.Series) -> Path:
    """The folder that holds the files `names`: `folder` itself or the only one below it that does.

    Raises FiqaError if none does, or several: archives hold originals and aligned copies of equal names.
    """
    names = pd.unique(names)[:50]
    levels = [
        [folder],
        *(sorted(p for p in folder.glob(pattern) if p.is_dir()) for pattern in ("*", "*/*", "*/*/*")),
    ]
    for level in levels:
        found = [place for place in level if any((place / name).is_file() for name in names)]
        if len(found) > 1:
            raise FiqaError(
                f"{folder} holds the images several times: {', '.join(str(place) for place in found)}",
                "give the one you mean as folder: original or aligned images",
            )
        if found:
            return found[0]
    raise FiqaError(
        f"{folder} holds no image of the list, {names[0]} for one", "give the flat folder with all images"
    )


def aligned_note(aligned: bool, folder: Path) -> list[str]:
    """What to know about crops of 112 x 112 pixels: that they are taken as they are."""
    if not aligned:
        return []
    note = (
        f"{folder}: the crops are taken as aligned to the ArcFace template; look at the contact sheet, and "
        "use the original images with a detector if eyes and mouth lie elsewhere"
    )
    return [note]
