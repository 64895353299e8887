"""Comparisons of one's own faces: drawn of a folder with one folder per person, into its pairs.csv."""
from pathlib import Path

import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import holding, write_text
from fiqa_core.benchmarks.loaders.drawing import draw_pairs, pair_list_hash, pair_list_text
from fiqa_core.benchmarks.loaders.folders import people_below, twins


def write_pairs(folder: Path, genuine: int, impostor: int, per_identity: int, seed: int) -> str:
    """Write FOLDER/pairs.csv and tell what is in it; an existing list stays unless it is the same."""
    table = drawn_pairs(folder, genuine, impostor, per_identity, seed)
    path, text = folder / "pairs.csv", pair_list_text(table)
    with holding(path):
        if path.is_file() and path.read_text() != text:
            raise FiqaError(f"{path} is there already and differs", "keep it, or delete it to draw a new list")
        write_text(text, path)
    count = int(table["genuine"].sum())
    return (f"wrote {path}: {count:,} genuine and {len(table) - count:,} impostor pairs, "
            f"sha256 {pair_list_hash(table)}")


def drawn_pairs(folder: Path, genuine: int, impostor: int, per_identity: int, seed: int) -> pd.DataFrame:
    """Comparisons a, b, genuine of the images below `folder`, each person a folder of it.

    Raises FiqaError for a folder that is missing, without people, or in which nobody has two images.
    """
    if not folder.is_dir():
        raise FiqaError(f"face folder {folder} is missing", "give a folder with one folder per person")
    images = people_below(folder)
    for note in twins(folder, images):
        print(note)
    table = draw_pairs(images, genuine, impostor, per_identity, seed)
    if table["genuine"].nunique() < 2:
        missing = "two people" if len(table) and table["genuine"].all() else "a person with two images"
        raise FiqaError(f"{folder} has not {missing}",
                        "make one folder per person, with several images of each")
    return table
