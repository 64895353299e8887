"""What a lesson's notebook calls: check, solution, quiz, answer, claim.

Attempts are kept in `my_course/progress.json` and go nowhere else.
"""
import json
from pathlib import Path

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import write_text
from fiqa_core.course import questions
from fiqa_core.course.build import MINE
from fiqa_core.course.claims import find_claim
from fiqa_core.course.exercise import Exercise, find_exercise
from fiqa_core.course.judge import check_answer

TRIES = 3
_here: dict[str, list[bool]] = {}           # attempts of this session, where nothing can be written


def check(identity: str, answer) -> None:
    """Judge an answer on fresh inputs and say what was found, in one sentence."""
    exercise = find_exercise(identity)
    tries = attempts()
    verdict = check_answer(exercise, answer, 1 + len(tries.get(identity, [])))
    if verdict.kind != "nothing":
        tries.setdefault(identity, []).append(verdict.passed)
        keep(tries)
    print(f"{'✓' if verdict.passed else '✗'} {identity} {exercise.name}: {verdict.text}")
    if not verdict.passed and not any(tries.get(identity, [])) and len(tries.get(identity, [])) == TRIES:
        print(f"  The solution is open now: solution(\"{identity}\")")


def solution(identity: str, force: bool = False) -> None:
    """Show the solution after three tries or a right answer; at once with force=True."""
    exercise = find_exercise(identity)
    tries = attempts().get(identity, [])
    if not force and len(tries) < TRIES and not any(tries):
        print(f"{len(tries)} of {TRIES} tries so far. Try again, or solution(\"{identity}\", force=True)")
        return
    print(told(exercise))


def told(exercise: Exercise) -> str:
    """A solution with the mistakes that are recognised."""
    return exercise.solution + "".join(f"\n# not: {wrong.hint}" for wrong in exercise.wrong)


def quiz(lesson: int) -> None:
    """Show the quiz of a lesson."""
    from IPython.display import Markdown, display
    display(Markdown(questions.as_text(lesson)))
    display(questions.buttons(lesson))


def answer(lesson: int, number: int, letter: str) -> None:
    """Answer a question without clicking."""
    print(questions.feedback(lesson, number, letter))


def claim(name: str):
    """A measured sentence: its numbers come from the shipped networks, and a test holds its bounds."""
    from IPython.display import Markdown
    return Markdown(f"**What to see.** {find_claim(name).text()}")


def record() -> Path | None:
    """Where attempts are kept: in the learner's folder, or nowhere."""
    try:
        folder = project.root() / MINE
    except FiqaError:
        return None
    return folder / "progress.json" if folder.is_dir() else None


def attempts() -> dict[str, list[bool]]:
    """Exercise -> whether each try was right. A record that cannot be read begins anew."""
    path = record()
    if path is None or not path.is_file():
        return _here if path is None else {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): [bool(one) for one in tries] for key, tries in content.items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def keep(tries: dict[str, list[bool]]) -> None:
    """Remember the attempts."""
    path = record()
    if path is None:
        _here.update(tries)
    else:
        write_text(json.dumps(tries, indent=1) + "\n", path)
