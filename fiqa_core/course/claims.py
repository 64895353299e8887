"""Every measured sentence of the lessons: how it is measured on what is shipped, and the bounds it must keep.

Prose types no measured number. A sentence is filled with what was measured when it is shown; a test asserts that
each holds. Where it does not hold any more, the test names the step to rewrite.
"""
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from fiqa_core.base.errors import FiqaError
from fiqa_core.course.exercise import LESSONS


@dataclass(frozen=True)
class Claim:
    """sentence: text with {names}; measure() -> the numbers of these names; holds(**numbers) -> bool;
    bound: what is asserted, in words."""

    sentence: str
    measure: Callable[[], dict]
    holds: Callable[..., bool]
    bound: str

    def text(self) -> str:
        """The sentence with its numbers."""
        return self.sentence.format(**self.measure())


@cache
def claims() -> dict[str, Claim]:
    """Name ("1.mask") -> claim, of all lessons."""
    modules = [import_module(f"fiqa_core.course.lessons.scene{number}") for number in LESSONS]
    return {f"{number}.{name}": claim for number, module in zip(LESSONS, modules)
            for name, claim in module.claimed().items()}


def find_claim(name: str) -> Claim:
    """The claim of a name. Raises FiqaError for another."""
    if name not in claims():
        raise FiqaError(f"there is no claim {name!r}", f"choose one of: {', '.join(claims())}")
    return claims()[name]
