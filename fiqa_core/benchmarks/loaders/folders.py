"""The workbook's own form, for any faces: a folder per person, pairs.csv, and images.csv if need be.

images.csv  image_id, path; optional identity, template_id, media_id, fte (1: counts as failure to extract a
            face, and is not read); other columns are kept
pairs.csv   a, b (template_id, for a still its image_id), label (1 genuine, 0 impostor), optional fold. Also
            read: path_a, path_b and genuine, as lists of photographs have them
Without images.csv an image is named by its path below the folder and belongs to the person its folder names.
"""
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import empty_pairs
from fiqa_core.base.files import digest, read_csv, refuse
from fiqa_core.base.images import find_images, name_of, path_of
from fiqa_core.benchmarks.loaders.lfw import official_pairs
from fiqa_core.benchmarks.loaders.listing import Expected, Facts, FilePictures, Listing
from fiqa_core.benchmarks.loaders.pair_checks import (first_few, left_out_note, look_aligned, missing_note,
                                                      pair_listing, repeated, require, which_missing)

FACTS = Facts("your own", "one folder per person; pairs.csv is drawn by: python -m fiqa_core data pairs "
                          "FOLDER",
              expect=(Expected("folder"), Expected("pairs", "pairs.csv")))
PAIRS = "its first line names the columns a, b, label (1 for one person, else 0) and, if known, fold"
IMAGES = "its first line names the columns image_id and path, and others if need be"
OTHER_NAMES = {"path_a": "a", "path_b": "b", "genuine": "label"}


def folders(name: str, folder: str | Path, pairs: str | Path | None = None, images: str | Path | None = None,
            aligned: bool | None = None, allow_missing: bool = False) -> Listing:
    """The comparisons of `pairs`, and the images of `folder`: those in `images`, else in `pairs`, else all.

    pairs, images  None: pairs.csv and images.csv in `folder`, if they are there. Without pairs nothing is
                   compared, as in a training set
    allow_missing  leave out listed images that are not there, and pairs without an image, with notes
    Raises FiqaError, naming the first line, for columns that are missing, ids or files that are not there
    or occur twice, labels that contradict the identities.
    """
    folder = require(folder, "face folder", "folder")
    return own_listing(name, folder, _given(pairs, folder, "pairs.csv"), _given(images, folder, "images.csv"),
                       aligned, allow_missing)


def _given(path: str | Path | None, folder: Path, standard: str) -> Path | None:
    if path is not None:
        return require(path, f"table ({standard})")
    return folder / standard if (folder / standard).is_file() else None


def read_pair_list(path: Path, folder: Path) -> Listing:
    """The listing of aligned photographs below `folder` that LFW's pairs.txt, or a CSV file, compares.

    image_id is the path below `folder`, identity the name of the image's folder. Raises FiqaError as
    `folders` and `lfw` do.
    """
    folder, path = require(folder, "face folder", "folder"), require(path, "pair list")
    if path.suffix.lower() == ".csv":
        return own_listing(path.stem, folder, path, aligned=True)
    table, _, notes = official_pairs(path, folder, folder)
    return pair_listing(path.stem, folder, table, path, {}, notes, aligned=True)


def own_listing(name: str, folder: Path, pairs: Path | None, images: Path | None = None,
                aligned: bool | None = None, allow_missing: bool = False) -> Listing:
    """`folders`, with the tables that there are."""
    table = read_pairs(pairs) if pairs else empty_pairs()
    if images:
        rows = read_images(images)
    else:
        named = pd.unique(pd.concat([table["a"], table["b"]])).tolist()
        rows = named_by_path(named, folder) if named else people_below(folder)
    absent = which_missing(folder, rows["path"])
    notes = missing_note(rows["path"][absent].tolist(), len(rows), "images", images or pairs or folder,
                         folder,
                         allow_missing)
    kept = rows[~absent].reset_index(drop=True)
    notes += twins(folder, kept)
    usable = check_pairs(table, rows, kept, pairs)
    notes += left_out_note(usable, pairs)
    failed = kept.index[kept["fte"] == 1] if "fte" in kept else ()
    read = FilePictures(folder, tuple(kept["path"]), frozenset(failed))
    if aligned is None:
        aligned = look_aligned(read, len(kept), folder)
    return Listing(name, kept.drop(columns="path"), table[usable].reset_index(drop=True), read, aligned,
                   notes=tuple(notes))


def paths_below(folder: Path) -> list[str]:
    """All images below `folder`, relative to it."""
    return [name_of(path, folder) for path in find_images(folder)]


def people_below(folder: Path, left_out: Callable[[str], bool] = lambda path: False) -> pd.DataFrame:
    """`named_by_path` of all images below `folder` that are not `left_out`, where nothing else names people.

    Raises FiqaError unless the folders with images lie side by side: otherwise it is a guess which of the
    folders above an image is the person, and which a session, a split or an album.
    """
    paths = [path for path in paths_below(folder) if not left_out(path)]
    table = named_by_path(paths, folder)
    above = {}
    for path in paths:
        above.setdefault(path.rpartition("/")[0].rpartition("/")[0], path)
    if len(above) > 1:
        raise FiqaError(f"{folder} is not one folder per person: the folders of "
                        f"{first_few(sorted(above.values()), 2)} "
                        "do not lie side by side, so it is open which folder is a person",
                        "put the people's folders beside each other, or write an images.csv with image_id, "
                        "path and "
                        "identity")
    return table


def twins(folder: Path, images: pd.DataFrame) -> list[str]:
    """A note on files of equal content that belong to two people; `images` has path and identity."""
    files = images.assign(file=[path_of(folder, path) for path in images["path"]])
    files["size"] = [file.stat().st_size if file.is_file() else -1 for file in files["file"]]
    several = files.groupby("size")["identity"].transform("nunique") > 1
    files = files[several & (files["size"] >= 0)]
    files["digest"] = [digest(file) for file in files["file"]]
    shared = files[files.groupby("digest")["identity"].transform("nunique") > 1].sort_values(["digest",
                                                                                              "path"])
    if shared.empty:
        return []
    return [f"{folder}: {len(shared)} pictures are the same file under two people: "
            f"{first_few(shared['path'], 2)}"]


def named_by_path(paths: list[str], folder: Path) -> pd.DataFrame:
    """Images table of `paths`, sorted: the path is the image_id, the name of its folder the identity."""
    loose = [path for path in paths if "/" not in path]
    if loose:
        raise FiqaError(f"{folder}: {len(loose):,} images lie in no person's folder: {first_few(loose)}",
                        "make one folder per person, or write an images.csv with image_id, path and identity")
    ids = pd.Series(sorted(paths), dtype=str)
    return pd.DataFrame({"image_id": ids, "identity": ids.str.split("/").str[-2], "template_id": ids,
                         "media_id": ids, "path": ids})


def read_images(path: Path) -> pd.DataFrame:
    """The images table of images.csv, with the column path; FiqaError naming the first wrong line."""
    table = read_csv(path, {"image_id": str, "path": str}, IMAGES)
    _check_rows(table, path)
    if "identity" not in table:
        table["identity"] = table["path"].str.replace("\\", "/").str.split("/").str[-2].fillna("")
    for column in ("image_id", "path", "identity"):
        refuse(table[column] == "", path, f"no {column}", "fill it in, or put the image in a person's folder")
    for column in ("template_id", "media_id"):
        named = table.get(column, pd.Series("", table.index))
        table[column] = named.where(named != "", table["image_id"])
    refuse(table["image_id"].duplicated(), path, "an image_id that occurs before", "name each image once")
    if "fte" in table:
        refuse(~table["fte"].isin(("0", "1")), path, "fte is neither 0 nor 1", "write 1 where no face was "
                                                                               "found")
        table["fte"] = table["fte"].astype(int)
    several = table.groupby("template_id")["identity"].nunique()
    refuse(table["template_id"].isin(several.index[several > 1]), path, "a template of several identities",
           "a template is of one person")
    return table


def read_pairs(path: Path) -> pd.DataFrame:
    """a, b (text), genuine (1 or 0), fold (-1 unknown) of pairs.csv; FiqaError names the first wrong line."""
    table = read_csv(path, {"a": str, "b": str, "label": str, "fold": int}, PAIRS, optional=("fold",),
                     other_names=OTHER_NAMES)
    _check_rows(table, path)
    for side in "ab":
        refuse(table[side] == "", path, f"no {side}", "name both sides of the pair")
    refuse(~table["label"].isin(("0", "1")), path, "a label that is neither 0 nor 1", "write 1 for one "
                                                                                      "person")
    fold = table["fold"] if "fold" in table else -1
    refuse(table["a"] == table["b"], path, "a pair of one image with itself", "leave the pair out")
    refuse(repeated(table["a"], table["b"]), path, "a pair that stands before already", "list each pair once")
    return pd.DataFrame({"a": table["a"], "b": table["b"], "genuine": table["label"].astype(int),
                         "fold": fold})


def _check_rows(table: pd.DataFrame, path: Path) -> None:
    if table.empty:
        raise FiqaError(f"{path} has no rows", "list something, or delete the file")


def check_pairs(table: pd.DataFrame, rows: pd.DataFrame, kept: pd.DataFrame, path: Path | None) -> pd.Series:
    """Mask of the pairs between templates of `kept`; `rows` are all images listed.

    Raises FiqaError naming the first line with an unlisted template or a label that contradicts identities.
    """
    identity = rows.drop_duplicates("template_id").set_index("template_id")["identity"]
    a, b = table["a"].map(identity), table["b"].map(identity)
    refuse(a.isna() | b.isna(), path, "a template that images.csv does not list", "list its images, or leave "
                                                                                  "it out")
    refuse((a == b) != (table["genuine"] == 1), path, "a label that contradicts the identities",
           "correct the label, or identity in images.csv")
    return table["a"].isin(kept["template_id"]) & table["b"].isin(kept["template_id"])
