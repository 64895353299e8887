"""The state: every bit survives a file, and what cannot be is refused."""
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiqa_core.base.errors import FiqaError
from fiqa_core.explore.state import CAPTURE, NEUTRAL, State, from_json, steps_of
from fiqa_core.rendering.nuisance import CAUSES

FLAWS = st.tuples(*(st.floats(low, high) for _, low, high, _ in CAUSES.values()))


@settings(max_examples=25, deadline=None)
@given(FLAWS, st.integers(0, 2 ** 62), st.sampled_from((b"", bytes(range(196)) * 192)), st.text())
def test_a_state_comes_back_bit_for_bit(flaws, style, picture, name):
    state = State(flaws=flaws, style=style, picture=picture, picture_name=name, discard=0.1 + 0.2)
    assert from_json(state.to_json()) == state
    assert np.array(from_json(state.to_json()).flaws).tobytes() == np.array(flaws).tobytes()


@pytest.mark.parametrize("changes",
                         [{"yaw": 91.0}, {"mask": float("nan")}, {"fmr": 0.02}, {"preset": "nearest"},
                          {"discard": 1.0},
                                     {"row": 1}, {"seed": -1}, {"picture": b"short"}, {"flaw": "beauty"},
                          {"brush": (60.0, 40.0)}])
def test_what_cannot_be_is_refused(changes):
    with pytest.raises(FiqaError):
        State().but(**changes)


@pytest.mark.parametrize("text", ["", "[]", "{}", "no json", json.dumps({"seed": 1}), b"\xff\xfe"])
def test_other_files_are_no_states(text):
    with pytest.raises(FiqaError, match="no state of the explorer"):
        from_json(text)


def test_a_value_of_another_type_is_no_state():
    values = json.loads(State().to_json())
    for name, wrong in (("seed", "7"), ("fmr", 1), ("picture_name", None), ("style", 1.5)):
        with pytest.raises(FiqaError):
            from_json(json.dumps(values | {name: wrong}))


def test_flaws_are_read_and_changed_by_name():
    state = State().but(mask=0.5, seed=3)
    assert state["mask"] == 0.5 and state.seed == 3 and state.unspoilt().flaws == NEUTRAL
    assert state.table()["mask"][0] == 0.5


def test_a_photograph_takes_the_flaws_of_a_camera_alone():
    photo = State(picture=bytes(112 * 112 * 3))
    assert photo.movable() == CAPTURE and State().movable() == tuple(CAUSES)


@pytest.mark.parametrize("flaw", CAUSES)
def test_steps_cover_the_range(flaw):
    _, low, high, _ = CAUSES[flaw]
    steps = steps_of(flaw)
    assert len(steps) == 11 and (np.diff(steps) > 0).all()
    assert steps[0] == pytest.approx(low) and steps[-1] == pytest.approx(high) and steps.min() >= low and steps.max() <= high
