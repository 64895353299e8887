"""CALFW as published: LFW's people at other ages, a flat folder and a list whose tokens are the folds.

Zheng et al., Cross-Age LFW, arXiv 1708.08197, 2017 (whdeng.cn/CALFW). The list was revised on 2018-09-19.
"""
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import sha256
from fiqa_core.benchmarks.loaders.listing import Expected, Facts, Listing
from fiqa_core.benchmarks.loaders.pair_checks import (PUBLISHED_MISTAKES, aligned_note, flat_folder,
                                                      pair_listing, read_token_list, require)

REVISED = "871a2f047d57754bd8ed176b9bbcdb42a7b9ba03cd839702c0a28dfdebc9f8fc"  # sha256, list of 2018-09-19
FACTS = Facts("research only", "follow the links on whdeng.cn/CALFW (Google Drive or Baidu)",
              expect=(Expected("folder", pictures=12_174),
                      Expected("pairs", lines=12_000, sha256={REVISED: "the list revised on 2018-09-19"})),
              counts={"genuine pairs": 3000, "impostor pairs": 3000, "folds": 10})
NAME = r"(.+)_\d{4}\.jpg"


def calfw(name: str, folder: str | Path, pairs: str | Path, aligned: bool | None = None,
          allow_missing: bool = False) -> Listing:
    """The images of pairs_CALFW.txt, image_id = Name_0001.jpg; the notes say which list it is.

    folder   the flat folder of images, or one above the only one
    Raises FiqaError for a list that is not of the layout, labels that contradict the names, missing images.
    """
    folder, path = require(folder, "face folder", "folder"), require(pairs, "pair list")
    table = read_token_list(path, NAME, range(11))
    table = table.assign(genuine=(table["token"] != 0).astype(int), fold=folds_of(table["token"], path))
    notes = [list_note(path)]
    if (table["fold"] == -1).any():
        notes.append(f"{path}: impostor pairs are not as many as genuine ones, their folds are unknown (-1)")
    root = flat_folder(folder, table["path_a"])
    return aligned_note(pair_listing(name, root, table, path, FACTS.counts, notes, aligned, allow_missing,
                                     PUBLISHED_MISTAKES), root)


def folds_of(tokens: pd.Series, path: Path) -> np.ndarray:
    """Folds (N,): the token of a genuine pair; of impostor pairs, all token 0, the position among them.

    Published: 300 in turn for each fold. -1 for impostors where genuine folds are not of one size or
    impostors not as many. Raises FiqaError if a genuine pair comes after an impostor pair.
    """
    folds, impostor = tokens.to_numpy().copy(), tokens.to_numpy() == 0
    late = np.flatnonzero(impostor[:-1] & ~impostor[1:]) + 1
    if len(late):
        raise FiqaError(f"{path}, line {2 * late[0] + 1}: a genuine pair (token {tokens[late[0]]}) after "
                        "impostor pairs",
                        "genuine pairs come first, tokens 1 to 10, then impostor pairs, token 0, in the "
                        "folds' order")
    numbers, sizes = np.unique(folds[~impostor], return_counts=True)
    regular = len(set(sizes)) == 1 and impostor.sum() == sizes.sum()
    folds[impostor] = np.repeat(numbers, sizes) if regular else -1
    return folds


def list_note(path: Path) -> str:
    """Which of CALFW's lists `path` is: results on the two differ."""
    digest = sha256(path)
    if digest == REVISED:
        return f"{path} is the list revised on 2018-09-19 (sha256 {digest})"
    return f"{path} is not the list revised on 2018-09-19: its sha256 is {digest}; name it beside results"
