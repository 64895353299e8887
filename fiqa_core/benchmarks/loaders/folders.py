"""The workbook's own form, for any faces: a folder per person, pairs.csv, and images.csv if need be.

images.csv  image_id, path; optional identity, template_id, media_id, fte (1: counts as failure to extract a
            face, and is not read); other columns are kept
pairs.csv   a, b (template_id, for a still its image_id), label (1 genuine, 0 impostor), optional fold. Also
            read: path_a, path_b and genuine, as lists of photographs have them
Without images.csv an image is named by its path below the folder and belongs to the person its folder names.
"""
from pathlib import Path

import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import empty_pairs
from fiqa_core.base.images import find_images
from fiqa_core.benchmarks.loaders.listing import Listing
from fiqa_core.benchmarks.loaders.pair_checks import (FilePictures, first_few, look_aligned, missing_files,
                                                      require)

OTHER_NAMES = {"path_a": "a", "path_b": "b", "genuine": "label"}
REMEDY = (
    "complete the folder or correct the list; allow_missing: true leaves these images and their pairs out "
    "and reports their number"
)


def folders(name: str, folder: str | Path, pairs: str | Path | None = None, images: str | Path | None = None,
            aligned: bool | None = None, allow_missing: bool = False) -> Listing:
    """The comparisons of `pairs`, and the images of `folder`: those in `images`, else in `pairs`, else all.

    pairs, images  None: pairs.csv and images.csv in `folder`, if they are there. Without pairs nothing is
                   compared, as in a training set
    aligned        None: 112 x 112 pictures are aligned crops, others are photographs
    allow_missing  leave out listed images that are not there, and pairs without an image, with notes
    Raises FiqaError, naming the first line, for columns that are missing, ids or files that are not there
    or occur twice, labels that contradict the identities.
    """
    folder = require(folder, "face folder", "folder")
    listed, compared = _given(images, folder, "images.csv"), _given(pairs, folder, "pairs.csv")
    table = read_pairs(compared) if compared else empty_pairs()
    if listed:
        rows = read_images(listed)
    else:
        rows = named_by_path(pd.unique(pd.concat([table["a"], table["b"]])).tolist() or paths_below(folder),
                             folder)
    kept, notes = present_images(rows, folder, listed or compared or folder, allow_missing)
    table, dropped = check_pairs(table, rows, kept, compared)
    failed = kept.index[kept["fte"] == 1] if "fte" in kept else ()
    read = FilePictures(folder, tuple(kept["path"]), frozenset(failed))
    if aligned is None:
        aligned = look_aligned(read, len(kept), folder)
    return Listing(name, kept.drop(columns="path"), table, read, aligned, notes=(*notes, *dropped))


def _given(path: str | Path | None, folder: Path, standard: str) -> Path | None:
    if path is not None:
        return require(path, f"table ({standard})")
    return folder / standard if (folder / standard).is_file() else None


def paths_below(folder: Path) -> list[str]:
    """All images below `folder`, relative to it."""
    return [path.relative_to(folder).as_posix() for path in find_images(folder)]


def named_by_path(paths: list[str], folder: Path) -> pd.DataFrame:
    """Images table of `paths`, sorted: the path is the image_id, the name of its folder the identity."""
    loose = [path for path in paths if "/" not in path]
    if loose:
        raise FiqaError(f"{folder}: {len(loose):,} images lie in no person's folder: {first_few(loose)}",
                        "make one folder per person, or write an images.csv with image_id, path and identity")
    ids = pd.Series(sorted(paths), dtype=str)
    people = ids.str.split("/").str[-2]
    return pd.DataFrame(
        {"image_id": ids, "identity": people, "template_id": ids, "media_id": ids, "path": ids}
    )


def read_images(path: Path) -> pd.DataFrame:
    """The images table of images.csv, with the column path; FiqaError naming the first wrong line."""
    table = _read_csv(path, ("image_id", "path"))
    if "identity" not in table:
        table["identity"] = table["path"].str.replace("\\", "/").str.split("/").str[-2]
    for column in ("image_id", "path", "identity"):
        _refuse(table[column].isna(), path, f"no {column}",
                "fill it in, or put the image in a person's folder")
    for column in ("template_id", "media_id"):
        table[column] = table[column].fillna(table["image_id"]) if column in table else table["image_id"]
    _refuse(table["image_id"].duplicated(), path, "an image_id that occurs before", "name each image once")
    if "fte" in table:
        _refuse(~table["fte"].isin(("0", "1")), path, "fte is neither 0 nor 1",
                "write 1 where no face was found")
        table["fte"] = table["fte"].astype(int)
    several = table.groupby("template_id")["identity"].nunique()
    mixed = table["template_id"].isin(several.index[several > 1])
    _refuse(mixed, path, "a template of several identities", "a template is of one person")
    return table


def present_images(rows: pd.DataFrame, folder: Path, source: Path,
                   allow_missing: bool) -> tuple[pd.DataFrame, list[str]]:
    """The images whose files are there, and a note on the others; FiqaError unless these may be missing."""
    missing = missing_files(rows["path"], folder)
    if not missing:
        return rows, []
    text = f"{source}: {len(missing):,} of {len(rows):,} images are not in {folder}: {first_few(missing)}"
    kept = rows[~rows["path"].isin(missing)].reset_index(drop=True)
    if not allow_missing or kept.empty:
        raise FiqaError(text, REMEDY)
    return kept, [f"{text}; they were left out"]


def read_pairs(path: Path) -> pd.DataFrame:
    """a, b (text), genuine (1 or 0), fold (-1 unknown) of pairs.csv; FiqaError names the first wrong line."""
    table = _read_csv(path, ("a", "b", "label"))
    for side in "ab":
        _refuse(table[side].isna(), path, f"no {side}", "name both sides of the pair")
    _refuse(~table["label"].isin(("0", "1")), path, "a label that is neither 0 nor 1",
            "write 1 for one person")
    fold = table["fold"] if "fold" in table else pd.Series("-1", index=table.index)
    _refuse(~fold.fillna("").str.fullmatch(r"-1|\d+"), path, "a fold that is no number",
            "write -1 if it is unknown")
    _refuse(table["a"] == table["b"], path, "a pair of one image with itself", "leave the pair out")
    return pd.DataFrame(
        {"a": table["a"], "b": table["b"], "genuine": table["label"].astype(int), "fold": fold.astype(int)}
    )


def check_pairs(table: pd.DataFrame, rows: pd.DataFrame, kept: pd.DataFrame,
                path: Path | None) -> tuple[pd.DataFrame, list[str]]:
    """The pairs between templates of `kept`, and a note on those without; `rows` are all images listed.

    Raises FiqaError naming the first line with an unlisted template or a label that contradicts identities.
    """
    identity = rows.drop_duplicates("template_id").set_index("template_id")["identity"]
    a, b = table["a"].map(identity), table["b"].map(identity)
    _refuse(a.isna() | b.isna(), path, "a template that images.csv does not list",
            "list its images, or leave it out")
    wrong = (a == b) != (table["genuine"] == 1)
    _refuse(wrong, path, "a label that contradicts the identities",
            "correct the label, or identity in images.csv")
    held = table["a"].isin(kept["template_id"]) & table["b"].isin(kept["template_id"])
    if held.all():
        return table, []
    note = f"{path}: {int((~held).sum()):,} of {len(table):,} pairs were left out for want of their images"
    return table[held].reset_index(drop=True), [note]


def _read_csv(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """A table of text; FiqaError if it is no CSV or lacks a column that is `needed`."""
    try:
        table = pd.read_csv(path, dtype=str).rename(columns=OTHER_NAMES)
    except (ValueError, UnicodeDecodeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise FiqaError(f"{path} is no CSV table: {reason}",
                        "save it as comma-separated text in UTF-8") from None
    lacking = [column for column in needed if column not in table]
    if lacking or table.empty:
        what = f"lacks column {', '.join(lacking)}" if lacking else "has no rows"
        raise FiqaError(f"{path} {what}", f"its first line names the columns: {', '.join(needed)}")
    return table


def _refuse(mask: pd.Series, path: Path | None, problem: str, remedy: str) -> None:
    """FiqaError naming the first line where `mask` (N,) bool holds, if any does."""
    if mask.any():
        more = f" (as have {int(mask.sum()):,} lines in all)" if mask.sum() > 1 else ""
        raise FiqaError(f"{path}, line {int(mask.to_numpy().argmax()) + 2}: {problem}{more}", remedy)
