"""LFW as published: one folder per person with Name/Name_0001.jpg, and pairs.txt in ten folds.

Raw (250 x 250, any of the releases: original, funnelled, deep-funnelled) or aligned crops of 112 x 112.
Huang et al., UMass technical report 07-49, 2007.
"""
from pathlib import Path

import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import sha256
from fiqa_core.base.images import IMAGE_SUFFIXES
from fiqa_core.benchmarks.loaders.listing import Expected, Facts, Listing
from fiqa_core.benchmarks.loaders.pair_checks import levels_below, list_lines, pair_listing, require

# SHA-256 of the published lists, as scikit-learn pins them
OFFICIAL = {"pairs.txt": "ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592",
            "pairsDevTrain.txt": "1d454dada7dfeca0e7eab6f65dc4e97a6312d44cf142207be28d688be92aabfa",
            "pairsDevTest.txt": "7cb06600ea8b2814ac26e946201cdb304296262aad67d046a16a7ec85d0ff87c"}
DEVELOPMENT = {"pairsDevTrain.txt": {"genuine pairs": 1100, "impostor pairs": 1100, "folds": 1},
               "pairsDevTest.txt": {"genuine pairs": 500, "impostor pairs": 500, "folds": 1}}
FACTS = Facts("no formal licence; research, photographs remain their owners'",
              "python -m fiqa_core data fetch lfw",
              expect=(Expected("folder", pictures=13_233),
                      Expected("pairs", lines=6001, sha256={OFFICIAL["pairs.txt"]: "the official list"})),
              counts={"genuine pairs": 3000, "impostor pairs": 3000, "folds": 10, "images in pairs": 7701,
                      "identities": 4281})
LAYOUT = ("LFW's pairs.txt has a first line with the numbers of folds and of pairs per class and fold, then "
          "for each fold genuine lines `name n1 n2` and impostor lines `name1 n1 name2 n2`, separated by "
          "tabs")


def lfw(name: str, folder: str | Path, pairs: str | Path, aligned: bool | None = None,
        allow_missing: bool = False) -> Listing:
    """The images of an official LFW list, image_id = Name/Name_0001.jpg.

    folder   with one folder per person, or up to two levels above it, as archives unpack
    pairs    pairs.txt, pairsDevTrain.txt or pairsDevTest.txt
    Raises FiqaError for a list that is not of the layout, labels or folds that contradict the names, and
    missing images.
    """
    folder, path = require(folder, "face folder", "folder"), require(pairs, "pair list")
    table, root, notes = official_pairs(path, folder)
    if sha256(path) not in OFFICIAL.values():
        notes.append(f"{path} is none of the lists that LFW published: its sha256 is {sha256(path)}")
    return pair_listing(name, root, table, path, DEVELOPMENT.get(path.name, FACTS.counts), notes, aligned,
                        allow_missing, disjoint=True)


def official_pairs(path: Path, folder: Path,
                   within: Path | None = None) -> tuple[pd.DataFrame, Path, list[str]]:
    """Pairs of a list in LFW's layout, the folder that holds the people, a note if several do.

    within   the folder that paths start from; None: the one that holds the people
    """
    rows = read_official_rows(path)
    root, *others = identity_roots(folder, pd.unique(rows["name_a"]).tolist())
    table = pd.DataFrame({"genuine": rows["genuine"], "fold": rows["fold"], "line": rows.index + 2})
    for side in "ab":
        table[f"identity_{side}"] = names = rows[f"name_{side}"]
        images = zip(names, rows[f"number_{side}"])
        table[f"path_{side}"] = [_image(root, within or root, *image) for image in images]
    return table, root, [f"{place} holds these people too; images are read from {root}" for place in others]


def read_official_rows(path: Path) -> pd.DataFrame:
    """The lines of pairs.txt: fold (from 1), name_a, number_a, name_b, number_b, genuine (1 or 0).

    Also those of pairsDevTrain.txt and pairsDevTest.txt, whose header lacks the number of folds. Raises
    FiqaError naming the first line that is not of the layout.
    """
    lines = list_lines(path, LAYOUT)
    header = lines[0].split()
    if len(header) not in (1, 2) or not all(field.isdecimal() and int(field) for field in header):
        raise FiqaError(f"{path}, line 1: {lines[0]!r} is not a header", LAYOUT)
    folds, size = int(header[0]) if len(header) == 2 else 1, int(header[-1])
    if len(lines) - 1 != 2 * folds * size:
        raise FiqaError(f"{path}: {len(lines) - 1} pairs, but the header announces {folds} folds of {size} "
                        f"genuine and {size} impostor pairs = {2 * folds * size}", LAYOUT)
    rows = [_official_line(path, number, line, number // (2 * size) + 1, number % (2 * size) < size)
            for number, line in enumerate(lines[1:])]
    return pd.DataFrame(rows, columns=["fold", "name_a", "number_a", "name_b", "number_b", "genuine"])


def _official_line(path: Path, number: int, line: str, fold: int, genuine: bool) -> tuple:
    fields = line.split("\t") if "\t" in line else line.split()
    if len(fields) != (3 if genuine else 4) or not fields[1].isdecimal() or not fields[-1].isdecimal():
        wanted = "three fields (genuine)" if genuine else "four fields (impostor)"
        raise FiqaError(f"{path}, line {number + 2}: {line!r} is not a line of {wanted} for fold {fold}",
                        LAYOUT)
    return (fold, fields[0], int(fields[1]), fields[-2] if not genuine else fields[0], int(fields[-1]),
            int(genuine))


def identity_roots(folder: Path, identities: list[str]) -> list[Path]:
    """The folders that hold a folder of one of `identities`: `folder`, or those one or two levels below it.

    Archives unpack so. Raises FiqaError, naming the first identity, if there are none.
    """
    for level in levels_below(folder, 2):
        found = [path for path in level if any((path / identity).is_dir() for identity in identities)]
        if found:
            return found
    raise FiqaError(f"{folder} holds no folder {identities[0]}, nor does a folder below it",
                    "give the folder with one folder per person, as LFW's archive unpacks")


def _image(root: Path, within: Path, identity: str, number: int) -> str:
    """`Name/Name_0001.jpg` below `root`, relative to `within`, with the suffix that the file has."""
    stem = root / identity / f"{identity}_{number:04d}"
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if stem.with_name(stem.name + suffix).is_file()),
                  ".jpg")
    return stem.with_name(stem.name + suffix).relative_to(within).as_posix()
