"""What the loaders of official forms share: how they are called, counts, folds."""
import inspect

import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders import FORMS, PATH_OPTIONS, form_options, load_listing
from fiqa_core.benchmarks.loaders.pair_checks import Protocol, count_notes, first_few, folds_by_position


def test_forms_are_looked_up_by_name():
    assert form_options("calfw") == (["folder", "pairs", "aligned", "allow_missing"], ["folder", "pairs"])
    with pytest.raises(FiqaError, match="no form is called 'lwf'\n.*choose from lfw, xqlfw"):
        load_listing("lwf", "LFW")
    with pytest.raises(FiqaError, match="LFW: form lfw needs the option pairs"):
        load_listing("lfw", "LFW", folder=".")
    with pytest.raises(FiqaError, match="LFW: form lfw has no option pair\n.*folder, pairs, aligned"):
        load_listing("lfw", "LFW", folder=".", pair="pairs.txt")


@pytest.mark.parametrize("form", FORMS)
def test_every_option_that_is_a_path_is_named_so(form):
    options = inspect.signature(FORMS[form]).parameters.values()
    paths = {option.name for option in options if "Path" in str(option.annotation)}
    assert "folder" in paths or "file" in paths
    assert paths <= set(PATH_OPTIONS)


def test_counts_are_compared_one_by_one():
    pairs = pd.DataFrame({"genuine": [1, 1, 0], "fold": [1, 2, 2]})
    images = pd.DataFrame({"identity": ["a", "b", "b"]})
    assert count_notes(Protocol(2, 1, 2, 3, 2), pairs, images) == []
    assert count_notes(Protocol(2, 1), pairs, images) == []
    assert count_notes(Protocol(3, 1, 2, 4, 2), pairs, images) == [
        "2 genuine pairs, the published protocol has 3",
        "3 images in pairs, the published protocol has 4",
    ]


def test_folds_of_balanced_blocks():
    assert folds_by_position(np.tile([1, 0, 0, 1], 10)).tolist() == [
        fold for fold in range(1, 11) for _ in "abcd"
    ]
    assert (folds_by_position(np.repeat([1, 0], 20)) == -1).all()
    assert (folds_by_position(np.tile([1, 0], 11)) == -1).all()


def test_long_lists_are_cut():
    assert first_few(["a", "b"]) == "a, b" and first_few(list("abcde")) == "a, b, c and 2 more"
