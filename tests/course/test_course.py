"""What a learner and a lecturer call: start, release, check, solution, quiz; and how kindly bad answers are met."""
import json
import zipfile

import numpy as np
import pytest

from fiqa_core import cli
from fiqa_core.base.errors import FiqaError
from fiqa_core.course import build, desk
from fiqa_core.course.exercise import defined, exercises, find_exercise, private_exercises
from fiqa_core.course.judge import check_answer

PRIVATE = '''
from fiqa_core.course.exercise import Exercise, Wrong

EXERCISES = [Exercise("4.9", "secret", 5, "Twice.", "def secret(x):\\n    return ...\\n",
                      "def secret(x):\\n    return 2 * x  # the secret line\\n", (Wrong("that is x", "2 * x", "x"),),
                      lambda rng: [(float(v),) for v in rng.normal(size=5)], lambda x: 2 * x)]
'''


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    """A root with the sources of all lessons."""
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    folder = tmp_path / "notebooks" / "course"
    folder.mkdir(parents=True)
    for path in build.sources().values():
        (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    return tmp_path


def test_start_never_overwrites(workbook):
    new, kept = build.start()
    assert len(new) == 9 and not kept
    mine = workbook / "my_course" / "1_utility.ipynb"
    mine.write_text(mine.read_text().replace("my_order", "our_order"))
    assert build.start() == ([], [])
    source = workbook / "notebooks" / "course" / "1_utility.ipynb"
    source.write_text(source.read_text().replace("Which would you refuse", "Whom would you refuse"))
    new, kept = build.start()
    assert [path.name for path in new] == ["1_utility_new2.ipynb"] and kept == [mine]
    assert "our_order" in mine.read_text()


def test_the_commands_of_the_lecturer(workbook, capsys):
    assert cli.main(["course", "start"]) == 0
    assert cli.main(["course", "instructor"]) == 0
    assert "solution-4-2" in (workbook / build.INSTRUCTOR / "4_faceqan.ipynb").read_text()
    assert cli.main(["course", "release", "12"]) == 2
    assert "there is no lesson 12" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["course", "grade", "--help"])
    assert "It is no sandbox" in " ".join(capsys.readouterr().out.split())


def test_a_release_holds_stubs_alone(workbook):
    (workbook / "mine").mkdir()
    (workbook / "mine" / "exam.py").write_text(PRIVATE)
    assert cli.main(["course", "release", "4", "--private", str(workbook / "mine")]) == 0
    target = workbook / "report" / "course" / "lesson_4.zip"
    with zipfile.ZipFile(target) as archive:
        text = {name: archive.read(name).decode() for name in archive.namelist()}
    assert list(text) == ["4_faceqan.ipynb"] and "def secret" in text["4_faceqan.ipynb"]
    assert "the secret line" not in text["4_faceqan.ipynb"] and 'check(\\"4.9\\"' not in text["4_faceqan.ipynb"]
    first = target.read_bytes()
    cli.main(["course", "release", "4", "--private", str(workbook / "mine")])
    assert target.read_bytes() == first
    private = private_exercises(workbook / "mine")
    assert check_answer(find_exercise("4.9", private), lambda x: x, 1).text == "that is x"


def test_a_private_file_without_exercises_is_said(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    with pytest.raises(FiqaError, match="no list EXERCISES"):
        private_exercises(tmp_path)


def test_three_tries_open_the_solution(workbook, capsys):
    build.start()
    desk.check("2.1", lambda quality, a, b: ...)
    for _ in range(3):
        desk.solution("2.1")
        desk.check("2.1", lambda quality, a, b: np.maximum(quality[a], quality[b]))
    told = capsys.readouterr().out
    assert "nothing written yet" in told and told.count("better of the two") == 3
    assert "np.minimum" not in told and "The solution is open now" in told
    desk.solution("2.1")
    assert "np.minimum" in capsys.readouterr().out
    assert json.loads((workbook / "my_course" / "progress.json").read_text()) == {"2.1": [False, False, False]}


def test_a_damaged_record_begins_anew(workbook, capsys):
    build.start()
    (workbook / "my_course" / "progress.json").write_text("[1, 2")
    desk.check("2.1", defined(exercises()["2.1"].solution, "pair_quality"))
    assert "✓ 2.1" in capsys.readouterr().out
    desk.answer(1, 1, "b")
    assert capsys.readouterr().out.startswith("✓ b")
    with pytest.raises(FiqaError, match="no option 'z'"):
        desk.answer(1, 1, "z")
    with pytest.raises(FiqaError, match="no exercise '9.9'"):
        desk.check("9.9", None)


def endless(quality, a, b):
    while True:
        pass


def loud(quality, a, b):
    print("x" * 10_000_000)


def changing(quality, a, b):
    quality *= 0
    return quality[a]


def deep(quality, a, b):
    return deep(quality, a, b)


def leaving(quality, a, b):
    raise SystemExit


@pytest.mark.parametrize("answer, text", [
    (lambda quality, a, b: 1 / 0, "stopped with ZeroDivisionError"), (lambda quality: 1, "TypeError"),
    (lambda quality, a, b: "good", "str"), (lambda quality, a, b: np.zeros(3), "it returns the shape (3,)"),
    (lambda quality, a, b: {1: 2}, "it returns a dict"), (lambda quality, a, b: [[1], 2], "list"),
    (lambda quality, a, b: np.minimum(quality[a], quality[b]) + 1e-3, "is wanted"),
    (lambda quality, a, b: np.full(len(a), np.nan), "is wanted"), (endless, "never ends"), (loud, "prints more than"),
    (changing, "changes the arguments"), (deep, "calls itself without end"), (leaving, "SystemExit"),
    (None, "nothing written yet"), (42, "is wanted")])
def test_bad_answers_get_one_kind_sentence(answer, text, monkeypatch):
    monkeypatch.setattr("fiqa_core.course.judge.LONGEST", 0.5)
    verdict = check_answer(exercises()["2.1"], answer, 1)
    assert not verdict.passed and text in verdict.text and len(verdict.text) < 500 and "\n" not in verdict.text


@pytest.mark.parametrize("identity, answer, text", [
    ("1.3", ["yaw"], "six names"), ("1.3", 5, "six names"), ("1.4", [({"yaw": 1}, {"fog": 2}), ({}, {})], "no flaw 'fog'"),
    ("1.4", [({"yaw": 900}, {"hat": 1})] * 2, "from -90 to 90"), ("3.4", "noise", "no capture"),
    ("4.4", {"yaw": "falls"}, "dictionary from"), ("7.3", {}, "keys a, b"), ("7.3", None, "nothing written"),
    ("6.4", lambda identity, share, rng: 1, "a bool for "
                                            "each"), ("8.3", lambda m, centres, spread: "pose", "whole number"),
    ("2.4", lambda similarity, genuine: 3, "one number for each")])
def test_bad_designs_get_one_kind_sentence(identity, answer, text):
    verdict = check_answer(exercises()[identity], answer, 1)
    assert not verdict.passed and text in verdict.text and "\n" not in verdict.text
