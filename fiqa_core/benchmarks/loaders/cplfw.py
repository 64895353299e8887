"""CPLFW as published: LFW's people at other poses, a flat folder and a list whose tokens are the labels.

Zheng and Deng, Cross-Pose LFW, BUPT technical report 18-01, 2018 (whdeng.cn/CPLFW).
"""
from dataclasses import replace
from pathlib import Path

from fiqa_core.benchmarks.loaders.listing import Listing
from fiqa_core.benchmarks.loaders.pair_checks import (PUBLISHED_MISTAKES, Protocol, aligned_note,
                                                      file_listing, flat_folder, fold_notes,
                                                      folds_by_position, label_notes, read_token_list,
                                                      require)

PUBLISHED = Protocol(genuine=3000, impostor=3000, folds=10)
NAME = r"(.+)_\d+\.jpg"
KNOWN = (
    "some published impostor pairs show one person; with 3,000 impostors the third highest of their scores "
    "is the threshold at FMR 1e-3, so these pairs decide it"
)


def cplfw(name: str, folder: str | Path, pairs: str | Path, aligned: bool | None = None,
          allow_missing: bool = False) -> Listing:
    """The images of pairs_CPLFW.txt, image_id = Name_1.jpg.

    The list codes no folds: they are ten equal blocks if each is half genuine, else unknown (-1).

    folder         the flat folder of images, or one above the only one
    aligned        None: 112 x 112 pictures are aligned crops, others are photographs
    allow_missing  leave pairs of missing images out, with a note
    Raises FiqaError for a list that is not of the layout, labels that contradict the names, missing images.
    """
    folder, path = require(folder, "face folder", "folder"), require(pairs, "pair list")
    table = read_token_list(path, NAME, range(2)).rename(columns={"token": "genuine"})
    table = table.assign(fold=folds_by_position(table["genuine"].to_numpy()))
    notes = [KNOWN, *label_notes(table, path, PUBLISHED_MISTAKES), *fold_notes(table, path, False)]
    if (table["fold"] == -1).any():
        notes.append(f"{path}: its tenths are not half genuine each, folds are unknown (-1)")
    root = flat_folder(folder, table["path_a"])
    listing = file_listing(name, root, table, path, PUBLISHED, notes, aligned, allow_missing)
    return replace(listing, notes=(*listing.notes, *aligned_note(listing.aligned, root)))
