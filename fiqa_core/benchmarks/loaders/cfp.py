"""CFP as published: frontal and profile images in numbered folders, protocol files of indices into two lists.

Sengupta et al., Frontal to Profile Face Verification in the Wild, WACV 2016 (cfpw.io). The trap: in the
protocol FP the first index counts in the list of frontal images, the second in that of profile images. One
list for both yields pairs that look right and are wrong.
"""
import re
from itertools import chain
from pathlib import Path

import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders.listing import Expected, Facts, Listing
from fiqa_core.benchmarks.loaders.pair_checks import (PUBLISHED_MISTAKES, count_notes, first_few,
                                                      levels_below, list_lines, pair_listing, require)

LISTS = {"F": "Pair_list_F.txt", "P": "Pair_list_P.txt"}
VIEWS = {"F": "frontal", "P": "profile"}
IMAGES = {"images in Pair_list_F.txt": 5000, "images in Pair_list_P.txt": 2000}
FACTS = Facts("research; photographs of public figures", "take cfp-dataset.zip from cfpw.io", side=350,
              expect=(Expected(path="Data/Images", pictures=7000),
                      *(Expected(path=f"Protocol/{LISTS[view]}", lines=IMAGES[f"images in {LISTS[view]}"])
                        for view in "FP"), Expected(path="Protocol/Split", files=40)),
              counts={"genuine pairs": 3500, "impostor pairs": 3500, "folds": 10})
LIST_LAYOUT = "lines are a running index from 1 and a path such as ../Data/Images/001/frontal/01.jpg"
SPLIT_LAYOUT = "lines are two indices from 1, a comma between: the first in Pair_list_F.txt, the second in "


def cfp(name: str, folder: str | Path, protocol: str = "FP", aligned: bool | None = None,
        allow_missing: bool = False) -> Listing:
    """The images of a CFP protocol, image_id = 001/frontal/01.jpg; the column `view` is frontal or profile.

    folder     with Data and Protocol in it, or the one above
    protocol   "FP", frontal against profile (CFP-FP), or "FF", frontal against frontal (CFP-FF)
    Raises FiqaError for lists and indices that are not of the layout, a pair whose folders contradict its
    label, missing images.
    """
    if protocol not in ("FP", "FF"):
        raise FiqaError(f"CFP has no protocol {protocol!r}",
                        'use "FP" (frontal-profile) or "FF" (frontal-frontal)')
    root = _root(require(folder, "CFP folder", "folder"))
    lists = {view: read_image_list(root / "Protocol" / LISTS[view], view) for view in sorted(set(protocol))}
    splits = root / "Protocol" / "Split" / protocol
    table, notes = read_splits(splits, lists[protocol[0]], lists[protocol[1]], LISTS[protocol[1]])
    sizes = {f"images in {LISTS[view]}": len(images) for view, images in lists.items()}
    listing = pair_listing(name, root / "Data" / "Images", table, splits, FACTS.counts,
                           [*count_notes(IMAGES, sizes), *notes], aligned, allow_missing, PUBLISHED_MISTAKES)
    listing.images["view"] = listing.images["image_id"].str.split("/").str[1]
    return listing


def _root(folder: Path) -> Path:
    for root in chain(*levels_below(folder, 1)):
        if (root / "Protocol").is_dir() and (root / "Data" / "Images").is_dir():
            return root
    raise FiqaError(f"{folder} holds no folders Protocol and Data/Images, nor does a folder below it",
                    "give the folder that cfp-dataset.zip unpacks to")


def read_image_list(path: Path, view: str) -> list[str]:
    """Images of Pair_list_F.txt ("F") or Pair_list_P.txt ("P") as paths below Data/Images, in their order.

    Raises FiqaError naming the first line with another index than its own or an image of the other view.
    """
    kind, images = VIEWS[view], []
    for number, line in enumerate(list_lines(path, LIST_LAYOUT), start=1):
        found = re.fullmatch(r"(\d+)\s+\S*Data[/\\]Images[/\\](\d+)[/\\](frontal|profile)[/\\](\S+)",
                             line.strip())
        if found is None:
            raise FiqaError(f"{path}, line {number}: {line!r} is not an index and a path", LIST_LAYOUT)
        index, person, shown, file = found.groups()
        if int(index) != number:
            raise FiqaError(f"{path}, line {number}: the index is {index}",
                            f"{LIST_LAYOUT}; a line is missing or moved")
        if shown != kind:
            raise FiqaError(f"{path}, line {number}: {line.split()[-1]} is no {kind} image",
                "Pair_list_F.txt lists frontal images and Pair_list_P.txt profile images: get them again")
        images.append(f"{person}/{shown}/{file}")
    return images


def read_splits(folder: Path, first: list[str], second: list[str],
                second_list: str) -> tuple[pd.DataFrame, list[str]]:
    """All pairs of the splits in `folder` (columns as in `checks`), and a note on splits that are missing.

    first, second  images that the first and the second index count; `second_list` is the latter's file
    """
    splits = sorted((p for p in folder.glob("*") if p.is_dir() and p.name.isdecimal()),
                    key=lambda p: int(p.name))
    if not splits:
        raise FiqaError(f"{folder} holds no split", "Protocol/Split/FP and FF have folders 01 to 10")
    absent = sorted(set(range(1, 11)) - {int(path.name) for path in splits})
    notes = [f"{folder} lacks the splits {first_few(absent, 10)}"] if absent else []
    tables = []
    for split in splits:
        for genuine, file in ((1, split / "same.txt"), (0, split / "diff.txt")):
            table = read_split(file, first, second, second_list, genuine)
            tables.append(table.assign(genuine=genuine, fold=int(split.name)))
    return pd.concat(tables, ignore_index=True), notes


def read_split(file: Path, first: list[str], second: list[str], second_list: str,
               genuine: int) -> pd.DataFrame:
    """path_a, path_b, identity_a, identity_b, line of same.txt (`genuine` 1) or diff.txt (0).

    Raises FiqaError naming the first line that is no two indices, leaves the lists or contradicts `genuine`.
    """
    rows, layout = [], SPLIT_LAYOUT + second_list
    for number, line in enumerate(list_lines(file, layout), start=1):
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 2 or not all(field.isdecimal() for field in fields):
            raise FiqaError(f"{file}, line {number}: {line!r} is not two indices", layout)
        for index, images, name in zip(map(int, fields), (first, second), (LISTS["F"], second_list)):
            if not 1 <= index <= len(images):
                raise FiqaError(f"{file}, line {number}: {name} has no image {index}, it has {len(images):,}",
                                layout)
        a, b = first[int(fields[0]) - 1], second[int(fields[1]) - 1]
        rows.append((a, b, a.split("/")[0], b.split("/")[0], number))
    table = pd.DataFrame(rows, columns=["path_a", "path_b", "identity_a", "identity_b", "line"])
    wrong = (table["identity_a"] == table["identity_b"]) != bool(genuine)
    if wrong.any():
        row = table[wrong].iloc[0]
        raise FiqaError(f"{file}, line {row['line']}: {row['path_a']} and {row['path_b']} are "
                        f"{'two persons' if genuine else 'one person'}, as are {int(wrong.sum())} of this "
                        f"file's {len(table)} pairs", layout)
    return table
