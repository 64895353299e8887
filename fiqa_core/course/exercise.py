"""What an exercise is, and where all of them are found.

An exercise asks for a function or a value of a given name. Its answer is judged by what it returns for drawn
inputs: compared with the package's own kernel, then with the wrong answers that the author foresaw.
"""
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module, util
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from fiqa_core.base.errors import FiqaError

LESSONS = range(1, 9)


@dataclass(frozen=True)
class Wrong:
    """A wrong answer that learners give: the solution with `old` replaced by `new`, and what to tell them."""

    hint: str
    old: str
    new: str


@dataclass(frozen=True)
class Verdict:
    """passed; text: the sentence for the learner; kind: right, nothing, hint, counter-example or failed."""

    passed: bool
    text: str
    kind: str


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    id, name   "4.2" and what the learner defines
    minutes    planned; points: of the mark
    task       what to write, Markdown; stub: code to start from; solution: code
    wrong      foreseen wrong answers
    draw       a generator -> cases, each a tuple of arguments; None where a value is wanted
    kernel     the package's own answer for the arguments of a case
    judge      (outputs, cases, seed) -> Verdict, for designs; None: compare with the kernel
    monkey     a generator -> code of a random design, of which at most 2 % may pass
    tolerance  relative, of comparisons with the kernel
    seeds      drawings that tests try: fewer where faces are rendered
    """

    id: str
    name: str
    minutes: int
    task: str
    stub: str
    solution: str
    wrong: tuple[Wrong, ...]
    draw: Callable[[np.random.Generator], list[tuple]] | None = None
    kernel: Callable | None = None
    judge: Callable | None = None
    monkey: Callable[[np.random.Generator], str] | None = None
    points: int = 1
    tolerance: float = 1e-6
    seeds: int = 50

    @property
    def lesson(self) -> int:
        """The lesson it belongs to."""
        return int(self.id.partition(".")[0])

    def cases(self, seed: int) -> list[tuple]:
        """The arguments of every case, the same for the same seed."""
        return self.draw(np.random.default_rng([seed, *map(int, self.id.split("."))])) if self.draw else [()]

    def wrong_code(self, wrong: Wrong) -> str:
        """The code of a wrong answer. Raises FiqaError where it is no edit of the solution."""
        if self.solution.count(wrong.old) != 1:
            raise FiqaError(f"exercise {self.id}: {wrong.old!r} stands {self.solution.count(wrong.old)} "
                            f"times in "
                            "its solution", "let it name one place")
        return self.solution.replace(wrong.old, wrong.new)


def namespace() -> dict:
    """What answers may use without an import."""
    return {"np": np, "torch": torch, "F": F}


def defined(code: str, name: str):
    """What trusted `code` calls `name`."""
    space = namespace()
    exec(code, space)
    return space[name]


@cache
def exercises() -> dict[str, Exercise]:
    """Every published exercise by its id."""
    modules = [import_module(f"fiqa_core.course.exercises.l{number}") for number in LESSONS]
    return {exercise.id: exercise for module in modules for exercise in module.EXERCISES}


def private_exercises(folder: Path | None) -> dict[str, Exercise]:
    """Exercises of the lecturer's own: every `.py` file of `folder` has a list EXERCISES, as the published ones.

    Raises FiqaError for a file without one.
    """
    found = {}
    for path in sorted(folder.glob("*.py")) if folder else ():
        spec = util.spec_from_file_location(f"private_{path.stem}", path)
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if not hasattr(module, "EXERCISES"):
            raise FiqaError(f"{path} has no list EXERCISES", "write it as fiqa_core/course/exercises/l4.py")
        found |= {exercise.id: exercise for exercise in module.EXERCISES}
    return found


def find_exercise(identity: str, private: dict[str, Exercise] | None = None) -> Exercise:
    """The exercise of an id. Raises FiqaError for another."""
    known = exercises() | (private or {})
    if identity not in known:
        raise FiqaError(f"there is no exercise {identity!r}", f"choose one of: {', '.join(known)}")
    return known[identity]
