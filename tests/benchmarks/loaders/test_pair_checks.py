"""What the loaders of official forms share: how they are called, counts, folds."""
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.benchmarks.loaders.pair_checks import (count_notes, first_few, folds_by_position, pair_counts,
                                                      repeated)


def test_counts_are_compared_one_by_one():
    pairs = pd.DataFrame({"genuine": [1, 1, 0], "fold": [1, 2, 2]})
    found = pair_counts(pairs, pd.DataFrame({"identity": ["a", "b", "b"]}))
    assert count_notes(found, found) == count_notes({"genuine pairs": 2, "splits": 9}, found) == []
    assert count_notes({"genuine pairs": 3, "folds": 2, "images in pairs": 4}, found) == [
        "2 genuine pairs, published are 3", "3 images in pairs, published are 4"]
    assert "folds" not in pair_counts(pairs.assign(fold=-1), pd.DataFrame({"identity": ["a"]}))


def test_folds_of_balanced_blocks():
    folds, notes = folds_by_position(np.tile([1, 0, 0, 1], 10), Path("pairs.txt"))
    assert folds.tolist() == [fold for fold in range(1, 11) for _ in "abcd"] and notes == []
    for labels in (np.repeat([1, 0], 20), np.tile([1, 0], 11)):
        folds, notes = folds_by_position(labels, Path("pairs.txt"))
        assert (folds == -1).all() and notes == [
            "pairs.txt: its tenths are not half genuine each, folds are unknown (-1)"]


def test_a_pair_is_repeated_in_either_order():
    assert repeated(pd.Series(list("abca")), pd.Series(list("bada"))).tolist() == [False, True, False, False]


def test_long_lists_are_cut():
    assert first_few(["a", "b"]) == "a, b" and first_few(list("abcde")) == "a, b, c and 2 more"
