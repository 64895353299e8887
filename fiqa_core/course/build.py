"""From the one source of a lesson to what a learner, a lecturer and a class get.

A notebook of `notebooks/course` names its exercises (cells tagged `exercise:4.2`) and holds no answer, so that
nothing has to be stripped. Notes for the lecturer are cells tagged `instructor`.
"""
import json
import re
import zipfile
from copy import deepcopy
from io import BytesIO
from pathlib import Path

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import replacing, write_text
from fiqa_core.course.exercise import Exercise, find_exercise

MINE, INSTRUCTOR = "my_course", "build/course/instructor"


def sources() -> dict[int, Path]:
    """Lesson number -> its source notebook; 0 is the test of what a learner brings along."""
    paths = sorted((project.root() / "notebooks" / "course").glob("[0-9]_*.ipynb"))
    return {int(path.name[0]): path for path in paths}


def source_of(lesson: int) -> Path:
    """The source of a lesson. Raises FiqaError for another number."""
    if lesson not in sources():
        raise FiqaError(f"there is no lesson {lesson}", f"lessons here: {', '.join(map(str, sources()))}")
    return sources()[lesson]


def read_notebook(path: Path) -> dict:
    """A notebook as plain data."""
    return json.loads(path.read_text(encoding="utf-8"))


def tags(cell: dict) -> list[str]:
    """The tags of a cell."""
    return cell["metadata"].get("tags", [])


def exercise_in(cell: dict, private: dict[str, Exercise] | None = None) -> Exercise | None:
    """The exercise that a cell names."""
    named = [tag.partition(":")[2] for tag in tags(cell) if tag.startswith("exercise:")]
    return find_exercise(named[0], private) if named else None


def markdown(text: str, identity: str, *names: str) -> dict:
    """A cell of text."""
    return {"cell_type": "markdown", "id": identity, "metadata": {"tags": [*names]} if names else {},
            "source": text.splitlines(keepends=True)}


def code(text: str, identity: str, *names: str) -> dict:
    """A cell of code, not run yet."""
    return {"cell_type": "code", "execution_count": None, "id": identity, "outputs": [],
            "metadata": {"tags": [*names]} if names else {}, "source": text.rstrip("\n").splitlines(keepends=True)}


def heading(exercise: Exercise) -> str:
    """Number, name, minutes and task of an exercise."""
    sign = "⌨ " if exercise.draw else ""
    return (f"### {sign}Exercise {exercise.id}: `{exercise.name}` ({exercise.minutes} min, {exercise.points} "
            f"point{'s' * (exercise.points > 1)})\n\n{exercise.task}")


def asking(exercise: Exercise) -> list[dict]:
    """Task, and the stub with its check."""
    place = exercise.id.replace(".", "-")
    answer = f"{exercise.stub.rstrip()}\n\n\ncheck(\"{exercise.id}\", {exercise.name})"
    return [markdown(heading(exercise), f"task-{place}"), code(answer, f"answer-{place}", "answer")]


def telling(exercise: Exercise) -> list[dict]:
    """The solution and the mistakes that are recognised."""
    place = exercise.id.replace(".", "-")
    mistakes = "\n".join(f"- {wrong.hint}" for wrong in exercise.wrong)
    solved = f"{exercise.solution.rstrip()}\n\n\ncheck(\"{exercise.id}\", {exercise.name})"
    return [code(solved, f"solution-{place}", "solution"),
            markdown(f"**Mistakes that are recognised ({exercise.id})**\n\n{mistakes}", f"mistakes-{place}",
                     "instructor")]


def built(notebook: dict, instructor: bool = False, private: dict[str, Exercise] | None = None) -> dict:
    """The notebook with its exercises filled in; for a lecturer with solutions and notes."""
    result, cells = deepcopy(notebook), []
    for cell in notebook["cells"]:
        exercise = exercise_in(cell, private)
        if exercise:
            cells += asking(exercise) + (telling(exercise) if instructor else [])
        elif instructor or "instructor" not in tags(cell):
            cells.append(deepcopy(cell))
    result["cells"] = cells
    return result


def text_of(notebook: dict) -> str:
    """A notebook as the text of its file."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def start() -> tuple[list[Path], list[Path]]:
    """Learner's notebooks in `my_course`: (new ones, those that were there and differ from the lessons of today).

    Nothing is overwritten: a newer lesson comes beside the old one, under a name that says so.
    """
    folder, new, kept = project.root() / MINE, [], []
    for path in sources().values():
        text, target = text_of(built(read_notebook(path))), folder / path.name
        stamp = folder / ".lessons" / path.name             # the lesson as it was handed out
        if target.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") != text:
            kept.append(target)
            target = next(beside for number in range(2, 1000)
                          if not (beside := folder / f"{path.stem}_new{number}.ipynb").is_file())
        if not target.is_file():
            write_text(text, target)
            write_text(text, stamp)
            new.append(target)
    return new, kept


def write_instructor() -> list[Path]:
    """The lecturer's notebooks, with solutions, mistakes and notes."""
    folder = project.root() / INSTRUCTOR
    for path in sources().values():
        write_text(text_of(built(read_notebook(path), instructor=True)), folder / path.name)
    return [folder / path.name for path in sources().values()]


def release(lesson: int, target: Path, private: dict[str, Exercise]) -> Path:
    """A zip with the learner's notebook of a lesson; of private exercises it holds the stubs alone, at its end."""
    source = source_of(lesson)
    notebook = built(read_notebook(source), private=private)
    for exercise in private.values():
        if exercise.lesson == lesson:
            task, answer = asking(exercise)
            answer["source"] = exercise.stub.rstrip().splitlines(keepends=True)     # its check stays with the lecturer
            notebook["cells"] += [task, answer]
    with replacing(target) as part:
        content = BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(source.name), text_of(notebook))
        part.write_bytes(content.getvalue())
    return target


def words(notebook: dict) -> int:
    """Words that a learner reads: text cells and tasks, without code."""
    text = " ".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return len(re.findall(r"\w[\w'-]*", text))
