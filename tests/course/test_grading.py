"""A folder of submissions: good, wrong, broken and hostile ones get the marks they deserve, and stop nobody else's."""
import hashlib

import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.course import limited
from fiqa_core.course.exercise import exercises
from fiqa_core.course.grade import grade, read_submission, submissions_in
from tests.course.submissions import write_all

pytestmark = pytest.mark.timeout(1500)      # ten processes, one after the other, on a busy machine
FOUR = {identity: exercises()[identity] for identity in ("4.1", "4.2", "4.3")}


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("submissions")
    points = write_all(folder)
    (folder / "i_cut_short.ipynb").write_text('{"cells": [{"cell_type": "code", "sour')
    (folder / "j_nothing").mkdir()
    out = tmp_path_factory.mktemp("marks") / "marks.csv"
    return folder, points, out, grade(folder, out, seed=77, lesson=4)


def of(table, student):
    own = table[table["student"] == student]
    return own[own["exercise"].isin(FOUR)].set_index("exercise")


def test_the_listed_marks(marked):
    _, points, _, table = marked
    assert {name: of(table, name)["points"].tolist() for name in points} == points


@pytest.mark.parametrize("student, exercise, text", [
    ("a_perfect", "4.3", "right"), ("b_stub", "4.1", "nothing written "
                                                     "yet"), ("f_endless_loop", "4.3", "never ends"),
    ("c_wrong", "4.1", "the step has the length of the gradient"), ("g_memory_hog", "4.3", "memory"),
    ("h_patched_judge", "4.3", "shape"), ("i_cut_short", "4.2", "not complete JSON"),
    ("j_nothing", "4.1", "no notebook or Python file")])
def test_every_mark_has_its_reason(marked, student, exercise, text):
    assert text in of(marked[3], student)["hint"][exercise]


def test_feedback_is_a_page_for_each(marked):
    _, points, out, _ = marked
    pages = {path.stem: path.read_text() for path in (out.parent / "feedback").iterdir()}
    assert set(points) <= set(pages) and len(pages) == len(points) + 2
    assert "the step has the length" in pages["c_wrong"] and "http" not in pages["c_wrong"]


@pytest.mark.slow
def test_the_same_folder_gives_the_same_bytes(tmp_path):
    """All of them, those that run into a limit too."""
    write_all(tmp_path / "all")
    digests = []
    for run in ("one", "two"):
        out = tmp_path / run / "marks.csv"
        grade(tmp_path / "all", out, seed=5, lesson=4)
        digests.append([hashlib.blake2b(path.read_bytes()).hexdigest()
                        for path in sorted(out.parent.rglob("*")) if path.is_file()])
    assert digests[0] == digests[1] and len(digests[0]) == 9


def test_a_submission_that_ends_its_process_keeps_what_was_done():
    cells = [FOUR["4.1"].solution, "def adversarial_quality(S, s_f, p):\n    import os\n    os._exit(0)\n"]
    found = limited.answers_of(cells, FOUR, seed=3)
    assert len(found["4.1"]) == 5 and "ended its own process" in found["4.2"][0].text


@pytest.mark.slow
def test_a_submission_that_sleeps_is_stopped():
    cells = ["import time\n\ndef fgsm_step(*a):\n    while True:\n        try:\n            time.sleep(60)\n"
             "        except BaseException:\n            pass\n"]
    found = limited.answers_of(cells, FOUR, seed=3, wall=8)
    assert "out of its time" in found["4.1"][0].text


def test_what_comes_back_is_never_executed():
    """A file of answers that holds a pickle or another type is refused."""
    text = "import json, sys\n\ndef fgsm_step(*a):\n    return open\n\ndef adversarial_quality(*a):\n    return {1: object()}\n"
    found = limited.answers_of([text], FOUR, seed=3)
    assert repr(found["4.1"][0]).startswith("<a builtin") and repr(found["4.2"][0][1]) == "<a object>"


def test_all_cells_are_run_where_names_are_missing():
    cells = ["1 / 0", "%matplotlib inline\nmake = lambda f: "
                      "f", FOUR["4.2"].solution.replace("def adversarial", "def my"),
             "adversarial_quality = make(my_quality)"]
    found = limited.answers_of(cells, {"4.2": FOUR["4.2"]}, seed=3)
    assert len(found["4.2"]) == 5 and found["4.2"][0].shape == (1,)


def test_a_folder_without_submissions_is_said(tmp_path):
    with pytest.raises(FiqaError, match="no submissions"):
        submissions_in(tmp_path)
    with pytest.raises(FiqaError, match="no folder"):
        submissions_in(tmp_path / "nowhere")


def test_several_files_and_old_formats_are_read(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "b.ipynb").write_text('{"worksheets": [{"cells": [{"cell_type": "code", "input": ["y = 2"]}]}]}')
    assert read_submission(tmp_path).cells == ["x = 1", "y = 2"]
