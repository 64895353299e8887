"""LFW as published: one folder per person with Name/Name_0001.jpg, and pairs.txt in ten folds.

Raw (250 x 250, any of the releases: original, funnelled, deep-funnelled) or aligned crops of 112 x 112.
Huang et al., UMass technical report 07-49, 2007.
"""

from pathlib import Path

import pandas as pd

from fiqa_core.benchmarks.forms.checks import Protocol, fold_notes, label_notes, require, sha256
from fiqa_core.benchmarks.forms.files import file_listing
from fiqa_core.benchmarks.listing import Listing
from fiqa_core.benchmarks.pair_lists import identity_roots, name_images, read_official_rows

VIEW_2 = Protocol(genuine=3000, impostor=3000, folds=10, images=7701, identities=4281)
DEVELOPMENT = {"pairsDevTrain.txt": Protocol(1100, 1100, 1), "pairsDevTest.txt": Protocol(500, 500, 1)}
# SHA-256 of the published lists, as scikit-learn pins them
OFFICIAL = {
    "pairs.txt": "ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592",
    "pairsDevTrain.txt": "1d454dada7dfeca0e7eab6f65dc4e97a6312d44cf142207be28d688be92aabfa",
    "pairsDevTest.txt": "7cb06600ea8b2814ac26e946201cdb304296262aad67d046a16a7ec85d0ff87c",
}


def lfw(
    name: str,
    folder: str | Path,
    pairs: str | Path,
    aligned: bool | None = None,
    allow_missing: bool = False,
) -> Listing:
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
    table = name_images(rows, roots[0], roots[0]).assign(
        identity_a=rows["name_a"], identity_b=rows["name_b"], line=rows.index + 2
    )
    notes = [f"{root} holds these people too; images are read from {roots[0]}" for root in roots[1:]]
    return table, roots[0], notes
