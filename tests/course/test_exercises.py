"""Every exercise: its solution passes, its stub is recognised, every foreseen mistake meets its own hint."""
from dataclasses import replace

import numpy as np
import pytest

from fiqa_core.course.exercise import defined, exercises
from fiqa_core.course.judge import check_answer

ALL = exercises()


def seeds_of(exercise):
    """50 drawings; fewer where faces are rendered for each."""
    return range(exercise.seeds)


@pytest.fixture(params=ALL.values(), ids=ALL)
def exercise(request):
    return request.param


def test_the_solution_passes(exercise):
    answer = defined(exercise.solution, exercise.name)
    for seed in seeds_of(exercise):
        verdict = check_answer(exercise, answer, seed)
        assert verdict.passed, (seed, verdict)


def test_the_stub_is_nothing_yet(exercise):
    assert check_answer(exercise, defined(exercise.stub, exercise.name), 1).kind == "nothing"


def test_every_wrong_answer_meets_its_hint(exercise):
    for wrong in exercise.wrong:
        answer = defined(exercise.wrong_code(wrong), exercise.name)
        for seed in seeds_of(exercise):
            verdict = check_answer(exercise, answer, seed)
            assert not verdict.passed and wrong.hint in verdict.text, (seed, wrong.hint, verdict)


def test_an_unforeseen_mistake_is_a_counter_example(exercise):
    """The author forgets each mistake in turn: it is caught all the same."""
    if exercise.judge:
        pytest.skip("a design is judged by what it does")
    for wrong in exercise.wrong:
        answer = defined(exercise.wrong_code(wrong), exercise.name)
        verdict = check_answer(replace(exercise, wrong=()), answer, 3)
        assert verdict.kind == "counter-example" and "wanted" in verdict.text, verdict


def test_no_hint_holds_a_line_of_the_solution(exercise):
    lines = [line.strip() for line in exercise.solution.splitlines() if len(line.strip()) > 12]
    new = [line for line in lines if line not in exercise.stub and "def " not in line]
    assert new
    assert not any(line in text for line in new for text in [exercise.task, *(w.hint for w in exercise.wrong)])


def passed_at_random(exercise, tries: int) -> int:
    rng = np.random.default_rng(5)
    return sum(check_answer(exercise, defined(exercise.monkey(rng), exercise.name), 7).passed for _ in range(tries))


QUICK = {identity: exercise for identity, exercise in ALL.items() if exercise.monkey and exercise.seeds == 50}
RENDERED = {identity: exercise for identity, exercise in ALL.items() if exercise.monkey and exercise.seeds < 50}


@pytest.mark.parametrize("exercise", QUICK.values(), ids=QUICK)
def test_random_designs_do_not_pass(exercise):
    assert passed_at_random(exercise, 150) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("exercise", RENDERED.values(), ids=RENDERED)
def test_random_designs_that_are_rendered_do_not_pass(exercise):
    assert passed_at_random(exercise, 150) <= 3
