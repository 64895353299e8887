"""`python -m fiqa_core course ...`: what each action takes and does. Slow imports happen in the action."""
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

GRADING = """Every submission runs in a process of its own with limits on processor time (120 s), memory (6 GiB), files
(64 MiB) and wall time (--wall). First only its imports, literals, functions and classes are executed; all its cells
only where names are missing. What its functions return for secret inputs (--seed) is judged outside that process,
which can therefore not change its own marks. This protects against endless loops, memory hogs, floods of output,
crashes and patched checks. It is no sandbox: a submission may read what you may read, and use the network. For
submissions of strangers run the command in a container. Published exercises have published solutions; for exams
write exercises of your own (--private)."""


def course_arguments(adder: Callable) -> None:
    """Every action of the course."""
    adder("start", start, "put the lessons into my_course, beside what is there")
    adder("instructor", instructor, "notebooks with solutions, mistakes and notes for the lecturer")
    released = adder("release", release, "a zip of one lesson for a learning platform")
    released.add_argument("lesson", type=int)
    released.add_argument("--private", type=Path, help="folder with exercises of your own (.py, a list "
                                                       "EXERCISES each)")
    released.add_argument("--out", type=Path, help="default: report/course/lesson_N.zip")
    graded: ArgumentParser = adder("grade", grade, "marks of a folder of submissions, one file or folder a "
                                                   "student")
    graded.epilog = GRADING
    graded.add_argument("folder", type=Path)
    graded.add_argument("--out", type=Path, required=True, help="CSV to write; pages go to feedback/ beside it")
    graded.add_argument("--seed", type=int, default=2025, help="of the inputs: keep yours to yourself "
                                                               "(default: 2025)")
    graded.add_argument("--lesson", type=int, help="default: the lessons that the submissions answer")
    graded.add_argument("--private", type=Path, help="folder with exercises of your own")
    graded.add_argument("--wall", type=int, default=300, help="seconds for one submission at most (default: "
                                                              "300)")
    adder("pack", pack, "make the lessons' tables anew from the shipped networks (minutes)")
    book = adder("book", make_book, "the course as pages to read on the web and to show in class")
    book.add_argument("--lesson", type=int, action="append", help="only these; may be repeated")


def start(args: Namespace) -> None:
    """Copy the lessons."""
    from fiqa_core.course import build
    new, kept = build.start()
    for path in new:
        print(f"new: {path.name}")
    for path in kept:
        print(f"kept as you left it: {path.name} (the newer lesson lies beside it)")
    print(f"the lessons are in {build.MINE}; begin with 0_before_you_start.ipynb")


def instructor(args: Namespace) -> None:
    """Write the lecturer's notebooks."""
    from fiqa_core.course.build import write_instructor
    print("\n".join(map(str, write_instructor())))


def release(args: Namespace) -> None:
    """Write a zip."""
    from fiqa_core.base import project
    from fiqa_core.course import build
    from fiqa_core.course.exercise import private_exercises
    target = args.out or project.root() / "report" / "course" / f"lesson_{args.lesson}.zip"
    print(build.release(args.lesson, target, private_exercises(args.private)))


def grade(args: Namespace) -> None:
    """Mark a folder."""
    from fiqa_core.course.grade import grade as mark
    table = mark(args.folder, args.out, args.seed, args.lesson, args.private, args.wall)
    for student, rows in table.groupby("student", sort=False):
        print(f"{student:30s} {rows['points'].sum():>3} of {rows['of'].sum()}")
    print(f"marks: {args.out}\nfeedback: {args.out.parent / 'feedback'}")


def pack(args: Namespace) -> None:
    """Make the tables."""
    from fiqa_core.course.pack import make_pack
    print(make_pack())
    print("bring data/ up to date, and commit both: dvc repro data.dvc")


def make_book(args: Namespace) -> None:
    """Write the pages."""
    from fiqa_core.course.book import write_book
    print(write_book(args.lesson))
