"""From a folder of submissions, as a learning platform hands it out, to marks and a page of feedback each.

A submission is a notebook or Python file, or a folder of them; its name is the student's. The same folder and
seed give the same bytes.
"""
import hashlib
import html
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import write_csv, write_text
from fiqa_core.course import limited
from fiqa_core.course.exercise import Exercise, Verdict, exercises, private_exercises
from fiqa_core.course.judge import judge

LARGEST = 20 << 20          # bytes of one file
COLUMNS = ["student", "exercise", "points", "of", "hint", "digest"]


@dataclass(frozen=True)
class Submission:
    """name; cells: code; digest of the files; problem: why there is no code, or ""."""

    name: str
    cells: list[str]
    digest: str
    problem: str = ""


def submissions_in(folder: Path) -> list[Submission]:
    """Every submission of a folder, by name. Raises FiqaError where there is none."""
    if not folder.is_dir():
        raise FiqaError(f"{folder} is no folder", "unpack the submissions into one, a file or folder for "
                                                  "each student")
    places = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    found = [read_submission(place) for place in places if place.is_dir() or place.suffix in (".ipynb", ".py")]
    if not found:
        raise FiqaError(f"{folder} holds no submissions", "a file (.ipynb, .py) or a folder for each student")
    return found


def read_submission(place: Path) -> Submission:
    """What a student handed in, without executing any of it; a broken file is a problem of this one alone."""
    files = [place] if place.is_file() else sorted(
        path for path in place.rglob("*") if path.suffix in (".ipynb", ".py") and path.is_file()
        and ".ipynb_checkpoints" not in path.parts and "__MACOSX" not in path.parts)
    name, cells, problems, digest = place.stem if place.is_file() else place.name, [], [], hashlib.blake2b(digest_size=8)
    for path in files:
        try:
            if path.stat().st_size > LARGEST:
                raise ValueError(f"it is larger than {LARGEST >> 20} MB")
            content = path.read_bytes()
            digest.update(content)
            text = content.decode("utf-8-sig")
            cells += notebook_cells(json.loads(text)) if path.suffix == ".ipynb" else [text]
        except (ValueError, OSError, AttributeError, TypeError, RecursionError) as error:
            reason = "it is not complete JSON" if isinstance(error, json.JSONDecodeError) else str(error)[:120]
            problems.append(f"{path.name} cannot be read: {reason}")
    problem = "" if cells else "; ".join(problems) or "no notebook or Python file was handed in"
    return Submission(name, cells, digest.hexdigest(), problem)


def notebook_cells(notebook: dict) -> list[str]:
    """The code of a notebook of format 3 or 4; metadata do not matter."""
    cells = [cell for sheet in notebook.get("worksheets", [notebook]) for cell in sheet.get("cells", [])]
    sources = [cell.get("source", cell.get("input", "")) for cell in cells if cell.get("cell_type") == "code"]
    return ["".join(source) for source in sources]


def asked(submissions: list[Submission], lesson: int | None, known: dict[str, Exercise]) -> dict[str, Exercise]:
    """The exercises to mark: of a lesson, or of every lesson of which some submission defines a name."""
    text = "\n".join(cell for submission in submissions for cell in submission.cells)
    lessons = [lesson] if lesson else {
        exercise.lesson for exercise in known.values()
        if re.search(rf"^\s*(def {exercise.name}\b|{exercise.name}\s*=)", text, re.MULTILINE)}
    chosen = {identity: exercise for identity, exercise in known.items() if exercise.lesson in lessons}
    if not chosen:
        raise FiqaError("no submission answers a known exercise", "name the lesson: --lesson 4")
    return chosen


def grade(folder: Path, out: Path, seed: int, lesson: int | None = None, private: Path | None = None,
          wall: int = limited.WALL) -> pd.DataFrame:
    """Write marks to `out` and a page for each student to `feedback/` beside it; returns the marks.

    Raises FiqaError for a folder without submissions.
    """
    submissions = submissions_in(folder)
    wanted = asked(submissions, lesson, exercises() | private_exercises(private))
    rows = []
    for submission in submissions:
        verdicts = verdicts_of(submission, wanted, seed, wall)
        own = [[submission.name, identity, wanted[identity].points * verdict.passed, wanted[identity].points,
                verdict.text, submission.digest] for identity, verdict in verdicts.items()]
        rows += own
        write_text(feedback(submission.name, own, wanted), out.parent / "feedback" / f"{safe(submission.name)}.html")
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_csv(table, out)
    return table


def verdicts_of(submission: Submission, wanted: dict[str, Exercise], seed: int, wall: int) -> dict[str, Verdict]:
    """Exercise id -> verdict; a submission that cannot be read has one reason for all."""
    if submission.problem:
        return {identity: Verdict(False, submission.problem, "failed") for identity in wanted}
    outputs = limited.answers_of(submission.cells, wanted, seed, min(wall, limited.CPU), wall)
    found = {}
    for identity, exercise in wanted.items():
        try:
            found[identity] = judge(exercise, outputs[identity], exercise.cases(seed), seed)
        except Exception as error:      # an answer of a kind that nobody thought of is its own fault, and only that
            found[identity] = Verdict(False, f"it returns what cannot be judged "
                                             f"({type(error).__name__})", "failed")
    return found


def safe(name: str) -> str:
    """A name as that of a file."""
    return re.sub(r"[^\w. -]", "_", name).strip(". ") or "student"


def feedback(name: str, rows: list[list], wanted: dict[str, Exercise]) -> str:
    """A page that needs nothing else."""
    lines = "".join(
        f"<tr><td>{html.escape(identity)}</td><td><code>{html.escape(wanted[identity].name)}</code></td>"
        f"<td>{points} of "
        f"{of}</td><td>{html.escape(text)}</td></tr>" for _, identity, points, of, text, _ in rows)
    total, most = sum(row[2] for row in rows), sum(row[3] for row in rows)
    return ('<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{html.escape(name)}</title><style>body{{font:16px/1.5 "
            f"sans-serif;max-width:50em;margin:2em auto;"
            "padding:0 1em}td,th{padding:.4em .8em;text-align:left;vertical-align:top;border-top:1px solid "
            "#ccc}</style>"
            f"<h1>{html.escape(name)}: {total} of "
            f"{most}</h1><table><tr><th>exercise<th>answer<th>points<th>what was "
            f"found</tr>{lines}</table></html>\n")
