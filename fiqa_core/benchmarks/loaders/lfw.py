"""LFW as published: one folder per person with Name/Name_0001.jpg, and pairs.txt in ten folds.

Raw (250 x 250, any of the releases: original, funnelled, deep-funnelled) or aligned crops of 112 x 112.
Huang et al., UMass technical report 07-49, 2007.

Comparison lists of photographs: LFW's official pairs.txt, and CSV with fold, path_a, path_b, genuine.

Both become one table: path_a, path_b (relative to the face folder), identity_a, identity_b (names of the
images' folders), genuine (1 or 0), fold (from 1).
"""
from pathlib import Path

import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import IMAGE_SUFFIXES
from fiqa_core.benchmarks.loaders.listing import Listing
from fiqa_core.benchmarks.loaders.pair_checks import (Protocol, file_listing, fold_notes, label_notes,
                                                      read_lines, require, sha256)

CSV_COLUMNS = ("fold", "path_a", "path_b", "genuine")
LAYOUT = (
    "LFW's pairs.txt has a first line with the numbers of folds and of pairs per class and fold, then "
    "for each fold genuine lines `name n1 n2` and impostor lines `name1 n1 name2 n2`, separated by tabs"
)


def read_pair_list(path: Path, folder: Path) -> pd.DataFrame:
    """The pairs of `path` among the images below `folder`; checked for counts, labels and missing images.

    Raises FiqaError that names the first offending line or image.
    """
    path, folder = Path(path), Path(folder)
    for place, what in ((folder.is_dir(), f"face folder {folder}"), (path.is_file(), f"pair list {path}")):
        if not place:
            raise FiqaError(f"{what} is missing", "check the path in params.yaml or in the suite's file")
    pairs = _read_csv(path) if path.suffix.lower() == ".csv" else _read_official(path, folder)
    for side in "ab":
        pairs[f"identity_{side}"] = pairs[f"path_{side}"].map(lambda name: Path(name).parent.name)
    _check_labels(pairs, path)
    _check_files(pairs, path, folder)
    return pairs


def _read_csv(path: Path) -> pd.DataFrame:
    pairs = pd.read_csv(path)
    missing = [column for column in CSV_COLUMNS if column not in pairs]
    if missing:
        raise FiqaError(f"{path} lacks column {', '.join(missing)}",
                        f"name the columns {', '.join(CSV_COLUMNS)}")
    empty = pairs[list(CSV_COLUMNS)].isna().any(axis=1)
    if empty.any() or not pairs["genuine"].isin((0, 1)).all():
        line = int((empty | ~pairs["genuine"].isin((0, 1))).idxmax()) + 2
        raise FiqaError(f"{path}, line {line}: an empty field, or genuine is neither 0 nor 1",
                        "correct the line")
    return pairs[list(CSV_COLUMNS)].astype({"fold": int, "genuine": int})


def _read_official(path: Path, folder: Path) -> pd.DataFrame:
    rows = read_official_rows(path)
    return name_images(rows, identity_roots(folder, [rows["name_a"][0]])[0], folder)


def read_official_rows(path: Path) -> pd.DataFrame:
    """The lines of pairs.txt: fold (from 1), name_a, number_a, name_b, number_b, genuine (1 or 0).

    Also those of pairsDevTrain.txt and pairsDevTest.txt, whose header lacks the number of folds. Raises
    FiqaError naming the first line that is not of the layout.
    """
    lines = read_lines(path)
    header = lines[0].split() if lines else []
    if len(header) not in (1, 2) or not all(field.isdecimal() and int(field) for field in header):
        raise FiqaError(f"{path}, line 1: {(lines or [''])[0]!r} is not a header", LAYOUT)
    folds, size = int(header[0]) if len(header) == 2 else 1, int(header[-1])
    if len(lines) - 1 != 2 * folds * size:
        raise FiqaError(
            f"{path}: {len(lines) - 1} pairs, but the header announces {folds} folds of "
            f"{size} genuine and {size} impostor pairs = {2 * folds * size}",
            LAYOUT,
        )
    rows = [_official_line(path, number, line, number // (2 * size) + 1, number % (2 * size) < size)
            for number, line in enumerate(lines[1:])]
    return pd.DataFrame(rows, columns=["fold", "name_a", "number_a", "name_b", "number_b", "genuine"])


def name_images(rows: pd.DataFrame, root: Path, folder: Path) -> pd.DataFrame:
    """The CSV columns of `read_official_rows`: paths relative to `folder` of images below `root`."""
    paths = {
        f"path_{side}": [
            _image(root, folder, name, number)
            for name, number in zip(rows[f"name_{side}"], rows[f"number_{side}"])
        ]
        for side in "ab"
    }
    return rows.assign(**paths)[list(CSV_COLUMNS)]


def _official_line(path: Path, number: int, line: str, fold: int, genuine: bool) -> tuple:
    fields = line.split("\t") if "\t" in line else line.split()
    if len(fields) != (3 if genuine else 4) or not all(field.isdecimal() for field in (fields[1], fields[-1])):
        raise FiqaError(
            f"{path}, line {number + 2}: {line!r} is not a line of "
            f"{'three fields (genuine)' if genuine else 'four fields (impostor)'} for fold {fold}",
            LAYOUT,
        )
    return (fold, fields[0], int(fields[1]), fields[-2] if not genuine else fields[0], int(fields[-1]),
            int(genuine))


def identity_roots(folder: Path, identities: list[str]) -> list[Path]:
    """The folders that hold a folder of one of `identities`: `folder`, or those one or two levels below it.

    Archives unpack so. Raises FiqaError, naming the first identity, if there are none.
    """
    for pattern in ("", "*", "*/*"):
        level = sorted(path for path in folder.glob(pattern) if path.is_dir()) if pattern else [folder]
        found = [path for path in level if any((path / identity).is_dir() for identity in identities)]
        if found:
            return found
    raise FiqaError(f"{folder} holds no folder {identities[0]}, nor does a folder below it",
                    "give the folder with one folder per person, as LFW's archive unpacks")


def _image(root: Path, folder: Path, identity: str, number: int) -> str:
    """`Name/Name_0001.jpg` relative to `folder`, with the suffix that the file has."""
    stem = root / identity / f"{identity}_{number:04d}"
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if stem.with_name(stem.name + suffix).is_file()),
                  ".jpg")
    return stem.with_name(stem.name + suffix).relative_to(folder).as_posix()


def _check_labels(pairs: pd.DataFrame, path: Path) -> None:
    wrong = (pairs["identity_a"] == pairs["identity_b"]) != (pairs["genuine"] == 1)
    if wrong.any():
        first = pairs[wrong].iloc[0]
        raise FiqaError(
            f"{path}: {int(wrong.sum())} labels contradict the folders of their images, first "
            f"{first['path_a']} and {first['path_b']} with genuine = {first['genuine']}",
            "images of one person belong in one folder named after the person",
        )


def _check_files(pairs: pd.DataFrame, path: Path, folder: Path) -> None:
    names = pd.unique(pd.concat([pairs["path_a"], pairs["path_b"]]))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FiqaError(
            f"{path}: {len(missing)} of {len(names)} images are not in {folder}, {missing[0]} first",
            "complete the face folder, or give the folder that the list's paths start from",
        )


VIEW_2 = Protocol(genuine=3000, impostor=3000, folds=10, images=7701, identities=4281)
DEVELOPMENT = {"pairsDevTrain.txt": Protocol(1100, 1100, 1), "pairsDevTest.txt": Protocol(500, 500, 1)}
# SHA-256 of the published lists, as scikit-learn pins them
OFFICIAL = {"pairs.txt": "ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592",
            "pairsDevTrain.txt": "1d454dada7dfeca0e7eab6f65dc4e97a6312d44cf142207be28d688be92aabfa",
            "pairsDevTest.txt": "7cb06600ea8b2814ac26e946201cdb304296262aad67d046a16a7ec85d0ff87c"}


def lfw(name: str, folder: str | Path, pairs: str | Path, aligned: bool | None = None,
        allow_missing: bool = False) -> Listing:
    """The images of an official LFW list, image_id = Name/Name_0001.jpg.

    folder         with one folder per person, or up to two levels above it, as archives unpack
    pairs          pairs.txt, pairsDevTrain.txt or pairsDevTest.txt
    aligned        None: 112 x 112 pictures are aligned crops, others are photographs
    allow_missing  leave pairs of missing images out, with a note
    Raises FiqaError for a list that is not of the layout, labels or folds that contradict the names, and
    missing images.
    """
    folder, path = require(folder, "face folder", "folder"), require(pairs, "pair list")
    table, root, notes = official_pairs(path, folder)
    notes += label_notes(table, path) + fold_notes(table, path, disjoint=True)
    if sha256(path) not in OFFICIAL.values():
        notes.append(f"{path} is none of the lists that LFW published: its sha256 is {sha256(path)}")
    protocol = DEVELOPMENT.get(path.name, VIEW_2)
    return file_listing(name, root, table, path, protocol, notes, aligned, allow_missing)


def official_pairs(path: Path, folder: Path) -> tuple[pd.DataFrame, Path, list[str]]:
    """Pairs of a list in LFW's layout, the folder that holds the people, a note if several do."""
    rows = read_official_rows(path)
    roots = identity_roots(folder, pd.unique(rows["name_a"]).tolist())
    table = name_images(rows, roots[0], roots[0]).assign(identity_a=rows["name_a"], identity_b=rows["name_b"],
                                                         line=rows.index + 2)
    notes = [f"{root} holds these people too; images are read from {roots[0]}" for root in roots[1:]]
    return table, roots[0], notes
