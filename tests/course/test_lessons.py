"""Every lesson: obeys the rules of all notebooks, is of the planned size, runs as a learner gets it, needs no network."""
import ast
import json
import re
import socket

import pytest

from fiqa_core.course import build
from fiqa_core.course.claims import claims
from fiqa_core.course.exercise import exercises
from fiqa_core.course.questions import as_text, feedback, questions

SOURCES = build.sources()
BUILT = {number: build.built(build.read_notebook(path)) for number, path in SOURCES.items()}


def sources_of(notebook, kind="code"):
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


@pytest.fixture(params=SOURCES, ids=lambda number: f"lesson{number}")
def lesson(request):
    return request.param


def test_there_are_nine_and_each_exercise_is_in_its_lesson_once():
    assert list(SOURCES) == list(range(9))
    named = [build.exercise_in(cell).id for path in SOURCES.values() for cell in build.read_notebook(path)["cells"]
             if build.exercise_in(cell)]
    assert sorted(named) == sorted(exercises()) and len(named) == 32
    assert sum(len(exercise.wrong) for exercise in exercises().values()) >= 65


def test_the_source_obeys_the_rules_of_notebooks(lesson):
    notebook = build.read_notebook(SOURCES[lesson])
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert cells[0]["metadata"]["tags"] == ["parameters"]
    for statement in ast.parse("".join(cells[0]["source"])).body:
        ast.literal_eval(statement.value)
    first = "".join(notebook["cells"][0]["source"])
    assert first.startswith("# ") and all(word in first for word in ("Question", "Inputs", "Outputs", "Time", "see"))
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for text in sources_of(notebook):
        assert len(text.splitlines()) <= 20
        assert not any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in ast.walk(ast.parse(text)))


def test_it_fits_into_its_time(lesson):
    notebook = BUILT[lesson]
    assert len(notebook["cells"]) <= 45 and build.words(notebook) <= 1800
    minutes = sum(exercise.minutes for exercise in exercises().values() if exercise.lesson == lesson)
    assert minutes <= 30                                    # 15 in class, the rest at home
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def test_what_its_solutions_use_is_imported(lesson):
    text = "\n".join(sources_of(build.read_notebook(SOURCES[lesson])))
    for exercise in exercises().values():
        for name, line in (("np", "import numpy as "
                                  "np"), ("torch", "import torch\n"), ("F", "import torch.nn.functional as F")):
            if exercise.lesson == lesson and f"{name}." in exercise.solution:
                assert line in text, f"{exercise.id} uses {name}"


def test_the_learners_notebook_holds_no_answer(lesson):
    """Neither in cells nor in metadata; the lecturer's holds all of them."""
    text = json.dumps(BUILT[lesson])
    full = json.dumps(build.built(build.read_notebook(SOURCES[lesson]), instructor=True))
    given = "\n".join(exercise.stub for exercise in exercises().values())
    for exercise in exercises().values():
        if exercise.lesson == lesson:
            new = [line.strip() for line in exercise.solution.splitlines()
                   if len(line.strip()) > 12 and line.strip() not in given]
            assert new and not any(json.dumps(line)[1:-1] in text for line in new), exercise.id
            assert all(json.dumps(line)[1:-1] in full for line in new)
    assert "Notes for the lecturer" not in text and "Notes for the lecturer" in full


def test_it_runs_as_a_learner_gets_it(lesson, monkeypatch, tmp_path, capsys):
    """From its first cell to its last, with stubs, in a folder without a demo, without sockets."""
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))

    def refused(*args, **kwargs):
        raise AssertionError("a lesson opened a socket")

    monkeypatch.setattr(socket, "socket", refused)
    run(BUILT[lesson])
    told = capsys.readouterr().out
    for exercise in exercises().values():
        if exercise.lesson == lesson:
            assert f"✗ {exercise.id} {exercise.name}: nothing written yet" in told


@pytest.mark.parametrize("lesson", [4, 5])
def test_with_the_solutions_written_it_runs_too(lesson, monkeypatch, tmp_path, capsys):
    """The learner's functions give the package's scores on real faces."""
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    notebook = build.read_notebook(SOURCES[lesson])
    kept = [cell for cell in notebook["cells"] if build.exercise_in(cell) or "after" in str(build.tags(cell))
            or "import" in "".join(cell["source"])]
    results = run(build.built(notebook | {"cells": kept}, instructor=True))
    told = capsys.readouterr().out
    assert all(f"✓ {exercise.id}" in told for exercise in exercises().values() if exercise.lesson == lesson)
    assert any(str(result).startswith("the same scores") for result in results)


def run(notebook) -> list:
    """Execute the code cells as a kernel does; the values of their last expressions."""
    space, results = {"display": lambda *objects: None}, []
    for text in sources_of(notebook):
        tree = ast.parse(text)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), space)
        if last is not None:
            results.append(eval(compile(ast.Expression(last.value), "cell", "eval"), space))
    return results


def test_figures_say_what_they_show(lesson):
    """Every figure of a scene has an alt text: `sketch.show` demands it."""
    from fiqa_core.course import sketch
    assert sketch.show.__defaults__ == ("",)               # of the title; the alt text has none


@pytest.mark.parametrize("name", claims())
def test_the_claim_holds(name):
    claim = claims()[name]
    numbers = claim.measure()
    assert claim.holds(**numbers), f"{name}: {claim.bound}; measured {numbers}; rewrite the step"
    assert "{" not in claim.text()


@pytest.mark.parametrize("name", claims())
def test_the_bounds_of_a_claim_can_fail(name):
    """With numbers that mean nothing they do."""
    names = re.findall(r"{(\w+)", claims()[name].sentence)
    assert not claims()[name].holds(**dict.fromkeys(names, 0.0))


def test_every_claim_is_made_once_and_no_other():
    text = " ".join(" ".join(sources_of(notebook)) for notebook in BUILT.values())
    made = [name for name in claims() if text.count(f'claim("{name}")') == 1]
    assert made == list(claims()) and text.count("claim(") == len(made)


def test_every_lesson_has_a_quiz(lesson):
    for number, question in enumerate(questions(lesson), 1):
        rights = [option for option in question["options"] if option.get("right")]
        assert len(rights) == 1 and all(option["feedback"] for option in question["options"])
        assert any(feedback(lesson, number, letter).startswith("✓") for letter in "abc"[:len(question["options"])])
    assert "Q1" in as_text(lesson)


def test_the_claims_of_published_tables_stand_there():
    from fiqa_core.course.lessons.scene7 import printed
    from fiqa_core.course.published_claims import CLAIMS
    from fiqa_core.reporting.published import pick
    for claim in CLAIMS.values():
        found = [pick(printed(claim.table), **row)["value"].item() for row in claim.rows]
        assert tuple(found) == claim.numbers
    times = pick(printed("runtime_and_parameters"), quantity="run time mean")
    slow, fast = (pick(times, method=name)["value"].iloc[0] for name in ("DifFIQA", "eDifFIQA(L)"))
    assert 800 < slow / fast < 1200                         # lesson 6: a thousand times faster
    column = pick(printed("ediffiqa_pauc"), recogniser="ArcFace", benchmark="CFP-FP")
    assert column.sort_values("value")["method"].iloc[0] == "FaceQAN"
