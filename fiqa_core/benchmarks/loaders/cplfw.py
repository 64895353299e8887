"""CPLFW as published: LFW's people at other poses, a flat folder and a list whose tokens are the labels.

Zheng and Deng, Cross-Pose LFW, BUPT technical report 18-01, 2018 (whdeng.cn/CPLFW).
"""
from pathlib import Path

from fiqa_core.benchmarks.loaders.listing import Expected, Facts, Listing
from fiqa_core.benchmarks.loaders.pair_checks import (PUBLISHED_MISTAKES, aligned_note, flat_folder,
                                                      folds_by_position, pair_listing, read_token_list,
                                                      require)

FACTS = Facts("research only", "follow the links on whdeng.cn/CPLFW (Google Drive or Baidu)",
              expect=(Expected("folder", pictures=11_652), Expected("pairs", lines=12_000)),
              counts={"genuine pairs": 3000, "impostor pairs": 3000, "folds": 10})
NAME = r"(.+)_\d+\.jpg"
KNOWN = ("some published impostor pairs show one person; with 3,000 impostors the third highest of their "
         "scores is the threshold at FMR 1e-3, so these pairs decide it")


def cplfw(name: str, folder: str | Path, pairs: str | Path, aligned: bool | None = None,
          allow_missing: bool = False) -> Listing:
    """The images of pairs_CPLFW.txt, image_id = Name_1.jpg.

    The list codes no folds: they are ten equal blocks if each is half genuine, else unknown (-1).
    folder   the flat folder of images, or one above the only one
    Raises FiqaError for a list that is not of the layout, labels that contradict the names, missing images.
    """
    folder, path = require(folder, "face folder", "folder"), require(pairs, "pair list")
    table = read_token_list(path, NAME, range(2)).rename(columns={"token": "genuine"})
    fold, unknown = folds_by_position(table["genuine"], path)
    root = flat_folder(folder, table["path_a"])
    return aligned_note(pair_listing(name, root, table.assign(fold=fold), path, FACTS.counts,
                                     [KNOWN, *unknown],
                                     aligned, allow_missing, PUBLISHED_MISTAKES), root)
