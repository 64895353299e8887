"""Types of options at the door: what a user writes against what a function takes."""
import math
from collections.abc import Callable, Mapping
from inspect import signature
from types import NoneType, UnionType
from typing import get_args, get_origin

from fiqa_core.base.errors import FiqaError

WORDS = {bool: "true or false", int: "a whole number", float: "a number", list: "a list",
         str: "text, in quotation marks where it looks like a number", dict: "keys and values",
         NoneType: "null"}


def kinds_of(build: Callable) -> dict[str, tuple[type, ...]]:
    """Types that each argument of a function or class takes: of its annotation, else of its default."""
    return {name: kinds_like(each.default) if each.annotation is each.empty else _kinds(each.annotation)
            for name, each in signature(build, eval_str=True).parameters.items()}


def kinds_like(default) -> tuple[type, ...]:
    """Types that may take the place of a default; () where it does not tell, as None does not."""
    kind = list if isinstance(default, tuple) else type(default)
    return (kind,) if kind in WORDS and default is not None else ()


def kinds_like_each(defaults: Mapping) -> dict[str, tuple[type, ...]]:
    """`kinds_like` of each default, by its name."""
    return {name: kinds_like(default) for name, default in defaults.items()}


def typed(options: Mapping, kinds: Mapping[str, tuple[type, ...]], what: str) -> dict:
    """`options`, whole numbers as int where only these are taken. Names without kinds are not looked at.

    what   what the options belong to, for the message
    Raises FiqaError for a value of another type, and for the number that is none (NaN).
    """
    return {name: _typed(value, kinds.get(name, ()), f"{what}: {name}") for name, value in options.items()}


def _typed(value, kinds: tuple[type, ...], name: str):
    kind = list if isinstance(value, tuple) else type(value)
    fits = not kinds or kind in kinds or (kind is int and float in kinds)
    if fits and not (kind is float and math.isnan(value)):
        return value
    if kind is float and int in kinds and value.is_integer():
        return int(value)
    raise FiqaError(f"{name} is {value!r}", f"give {' or '.join(WORDS[kind] for kind in kinds or (float,))}")


def _kinds(annotation) -> tuple[type, ...]:
    """The types in an annotation that a user can write, such as (int, NoneType) of `int | None`."""
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    plain = (get_origin(part) or part for part in parts)
    return tuple(kind for kind in (list if part is tuple else part for part in plain) if kind in WORDS)
