"""XQLFW as published: LFW's layout, images and a list whose pairs differ much in quality, scores beside.

Knoche et al., Cross-Quality LFW, FG 2021 (github.com/Martlgap/xqlfw, release 1.0).
"""
from dataclasses import replace
from pathlib import Path

import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import sha256
from fiqa_core.benchmarks.loaders.lfw import OFFICIAL, official_pairs
from fiqa_core.benchmarks.loaders.listing import Expected, Facts, Listing
from fiqa_core.benchmarks.loaders.pair_checks import first_few, list_lines, pair_listing, require

SCORES = 13_233  # images, all of which xqlfw_scores.txt rates
FACTS = Facts("MIT (package), the photographs are LFW's",
              "take xqlfw.zip and xqlfw_pairs.txt of release 1.0 on github.com/Martlgap/xqlfw",
              expect=(Expected("folder", pictures=SCORES), Expected("pairs", lines=6001)),
              counts={"genuine pairs": 3000, "impostor pairs": 3000, "folds": 10, "images in pairs": 7263,
                      "identities": 3743})
SCORE_LAYOUT = ("xqlfw_scores.txt has the header `ID Num Score` and lines of a name, an image number, a "
                "score in [0, 1]")
LFW_FOLDERS = ("lfw", "lfw_funneled", "lfw-funneled", "lfw-deepfunneled", "images_deepfunneled")


def xqlfw(name: str, folder: str | Path, pairs: str | Path, scores: str | Path | None = None,
          aligned: bool | None = None, allow_missing: bool = False) -> Listing:
    """The images of xqlfw_pairs.txt; with xqlfw_scores.txt as `scores` also their column `xqlfw_score`.

    folder   of the unpacked archive: people are looked for in it and up to two levels below
    Raises FiqaError for a list that is not of LFW's layout or is LFW's own, labels that contradict the
    names, missing images and a score file of another layout.
    """
    folder, path = require(folder, "face folder", "folder"), require(pairs, "pair list")
    if sha256(path) == OFFICIAL["pairs.txt"]:
        raise FiqaError(f"{path} is LFW's own list, not XQLFW's", "give xqlfw_pairs.txt")
    table, root, notes = official_pairs(path, folder)
    if root.name in LFW_FOLDERS:
        notes.append(f"{root} is named as LFW's folder: XQLFW's images have LFW's names but are not LFW's "
                     "images")
    listing = pair_listing(name, root, table, path, FACTS.counts, notes, aligned, allow_missing)
    return listing if scores is None else with_scores(listing, require(scores, "score file"))


def with_scores(listing: Listing, path: Path) -> Listing:
    """`listing` with the scores of xqlfw_scores.txt, joined by person and number; empty where it has none."""
    scores = read_scores(path)
    stems = listing.images["image_id"].str.extract(r"/(.+)_(\d+)\.[^.]+$")
    keys = pd.MultiIndex.from_arrays([stems[0], stems[1].astype(int)])
    column = scores.reindex(keys).to_numpy()
    unrated = listing.images["image_id"][pd.isna(column)].tolist()
    if len(unrated) == len(column):
        raise FiqaError(f"{path} rates none of the images of {listing.name}",
                        "give the scores of the same release")
    notes = [f"{path}: scores rest partly on SER-FIQ, which they flatter"]
    if len(scores) != SCORES:
        notes.append(f"{path} has {len(scores):,} scores, the published file {SCORES:,}")
    if unrated:
        notes.append(f"{path} has no score for {len(unrated):,} images: {first_few(unrated)}")
    return replace(listing, images=listing.images.assign(xqlfw_score=column), notes=(*listing.notes, *notes))


def read_scores(path: Path) -> pd.Series:
    """Scores (float, [0, 1]) by person and image number; FiqaError naming the first wrong line."""
    lines = list_lines(path, SCORE_LAYOUT)
    if lines[0].split() != ["ID", "Num", "Score"]:
        raise FiqaError(f"{path}, line 1: {lines[0]!r} is not the header", SCORE_LAYOUT)
    rows = [_score_line(path, number, line) for number, line in enumerate(lines[1:], start=2)]
    table = pd.DataFrame(rows, columns=["ID", "Num", "Score"])
    twice = table.duplicated(["ID", "Num"])
    if twice.any():
        raise FiqaError(f"{path}, line {int(twice.idxmax()) + 2}: this image has a score already",
                        SCORE_LAYOUT)
    return table.set_index(["ID", "Num"])["Score"]


def _score_line(path: Path, number: int, line: str) -> tuple[str, int, float]:
    fields = line.split()
    try:
        person, image, score = fields[0], int(fields[1]), float(fields[2])
    except (ValueError, IndexError):
        fields = []
    if len(fields) != 3 or not 0 <= score <= 1:
        raise FiqaError(f"{path}, line {number}: {line!r} is not a name, a number and a score in [0, 1]",
                        SCORE_LAYOUT)
    return person, image, score
