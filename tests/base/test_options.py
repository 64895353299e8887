"""Options as a user writes them against the types that functions take."""
import re

import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.options import kinds_like, kinds_of, typed


def method(recogniser, epsilon: float = 1e-3, repeats: int = 5, *, flip: bool = True, name: str = "reference",
           budget: int | None = None, levels: tuple[float, ...] = (),
           generator: torch.Generator | None = None, free=None):
    """Stands for a method's class."""


KINDS = kinds_of(method)


@pytest.mark.parametrize("name, value, taken", [
    ("epsilon", 1e-3, 1e-3), ("epsilon", 2, 2), ("epsilon", float("inf"), float("inf")),
    ("repeats", 3, 3), ("repeats", 1e3, 1000),
    ("flip", False, False), ("name", "x", "x"), ("budget", None, None), ("budget", 7, 7),
    ("levels", [0.5], [0.5]),
    ("levels", (1, 2), (1, 2)), ("generator", None, None), ("free", "anything", "anything"), ("new", 3j, 3j)])
def test_what_fits_passes(name, value, taken):
    found = typed({name: value}, KINDS, "faceqan")[name]
    assert found == taken and type(found) is type(taken)


@pytest.mark.parametrize("name, value, remedy", [
    ("repeats", 2.5, "give a whole number"), ("repeats", "3", "give a whole number"),
    ("repeats", True, "give a whole number"), ("epsilon", "1e-3", "give a number"),
    ("epsilon", float("nan"), "give a number"), ("free", float("nan"), "give a number"),
    ("epsilon", None, "give a number"), ("flip", 1, "give true or false"), ("name", 5, "give text"),
    ("budget", 2.5, "give a whole number or null"), ("levels", 0.5, "give a list"),
    ("generator", 1, "give null")])
def test_what_does_not_fit_is_named_with_what_would(name, value, remedy):
    with pytest.raises(FiqaError, match=rf"faceqan: {name} is '?{re.escape(str(value))}'?\n.*{remedy}"):
        typed({name: value}, KINDS, "faceqan")


def test_defaults_tell_their_types():
    assert [kinds_like(default) for default in (1, 1.0, True, "a", (1,), [1], {}, None)] == [
        (int,), (float,), (bool,), (str,), (list,), (list,), (dict,), ()]
