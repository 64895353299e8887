"""The panel without a browser: controls make states, slow work waits and is cancelled, refusals are said."""
import asyncio
import json
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.images import read_image
from fiqa_core.explore import app, saving
from fiqa_core.explore.app import CURVE, DISCARD, PUSH, REPAIR, SET, Explorer
from fiqa_core.explore.frame import frame
from fiqa_core.explore.kit import Kit
from fiqa_core.explore.portrait import portrait
from fiqa_core.explore.state import NEUTRAL, State
from fiqa_core.explore.views import decision
from fiqa_core.rendering.nuisance import CAUSES
from tests.explore.test_portrait import encoded, scene


@pytest.fixture
def explorer(faces, monkeypatch):
    monkeypatch.setattr(app, "PAUSE", 0.0)
    monkeypatch.setattr(app, "REST", 0.0)
    return Explorer(State(fmr=0.1))


def rest(explorer, *first):
    """Let the user pause."""
    asyncio.run(explorer._idle(*first))


def uploaded(data: bytes, name="mine.png"):
    return ({"name": name, "type": "image/png", "size": len(data), "content": memoryview(data),
             "last_modified": datetime(2026, 1, 1)},)


def text(*widgets) -> str:
    return "".join(widget.value for widget in widgets)


def test_a_slider_changes_the_face_and_the_decision_at_once(explorer, kit, faces):
    before = text(explorer.now, explorer.verdict)
    explorer.sliders["mask"].value = 0.7
    assert explorer.state == State(fmr=0.1).but(mask=0.7)
    shown = frame(explorer.state, kit, faces)
    np.testing.assert_array_equal(explorer.shown.pixels, shown.pixels)
    assert decision(shown).replace("<", "&lt;") in text(explorer.verdict) and text(explorer.now,
                                                                                   explorer.verdict) != before


def test_every_cause_has_a_slider_and_a_named_box_at_one_value(explorer):
    assert list(explorer.sliders) == list(explorer.boxes) == list(CAUSES)
    for cause, box in explorer.boxes.items():
        slider = explorer.sliders[cause]
        assert box.description and (box.min, box.max, box.value) == (slider.min, slider.max, slider.value)


def test_slow_work_waits_and_stale_results_are_said_to_be_so(explorer):
    assert explorer.slow == {} and "Computing" in explorer.panes[PUSH].value
    rest(explorer)
    assert "Of an earlier state" not in explorer.panes[PUSH].value and "similarities with mean" in explorer.panes[PUSH].value
    assert "FaceQAN" in explorer.scores.value
    explorer.sliders["noise"].value = 30.0
    assert "Of an earlier state" in explorer.panes[PUSH].value and 'class="old"' in explorer.scores.value
    rest(explorer)
    assert "Of an earlier state" not in explorer.panes[PUSH].value and 'class="old"' not in explorer.scores.value


def test_a_newer_state_cancels_the_work_of_the_older(explorer, monkeypatch):
    seen = []
    monkeypatch.setattr(explorer, "_push",
                        lambda: iter(seen.append(explorer.state["yaw"]) for _ in range(50)))

    async def drag():
        for yaw in (5.0, 10.0, 15.0):
            explorer.sliders["yaw"].value = yaw
            for _ in range(5):
                await asyncio.sleep(0)
        await explorer.task
    asyncio.run(drag())
    assert seen.count(15.0) == 50 and 0 < seen.count(5.0) < 50 and 0 < seen.count(10.0) < 50
    assert seen == sorted(seen)


def test_changes_of_one_control_are_undone_together(explorer):
    explorer.sliders["yaw"].value = 5.0
    explorer.sliders["yaw"].value = 9.0
    explorer.sliders["hat"].value = 0.5
    explorer._undo()
    assert explorer.state == State(fmr=0.1).but(yaw=9.0) and explorer.sliders["hat"].value == 0
    explorer._undo()
    explorer._undo()
    assert explorer.state == State(fmr=0.1)


def test_a_photograph_becomes_the_face_and_disables_what_it_cannot_take(explorer):
    explorer.upload.value = uploaded(encoded(scene(1)))
    assert explorer.state.picture_name == "mine.png" and explorer.state.flaws == NEUTRAL
    assert explorer.sliders["yaw"].disabled and not explorer.sliders["noise"].disabled
    assert "A photograph: pose, light" in explorer.message.value and "weights list" in explorer.message.value
    explorer._to_rendered()
    assert explorer.state == State(fmr=0.1) and not explorer.sliders["yaw"].disabled


@pytest.mark.parametrize("data, said",
                         [(b"text", "not a complete image"), (encoded(scene(2)), "shows 2 faces"),
                                        (encoded(np.zeros((200, 200, 3), np.uint8)), "no face was found")])
def test_a_wrong_photograph_is_one_sentence_and_the_state_stays(explorer, data, said):
    explorer.sliders["yaw"].value = 12.0
    before = explorer.state
    explorer.upload.value = uploaded(data)
    assert explorer.state == before and said in explorer.message.value and explorer.sliders["yaw"].value == 12.0


def test_the_tabs_show_curve_discard_and_set(explorer):
    explorer.tabs.selected_index = CURVE
    explorer.methods[0].value = "sharpness"
    assert explorer.methods[1].value == "sharpness"
    rest(explorer, explorer._curve_points)
    assert "11 of 11 points" in explorer.panes[CURVE].value
    explorer.sliders["yaw"].value = 20.0
    assert "Press the button" in explorer.panes[CURVE].value
    explorer.tabs.selected_index = DISCARD
    explorer.discard.value = 0.5
    rest(explorer)
    assert "30 of 60 genuine pairs have left" in explorer.panes[DISCARD].value and "cosine" in explorer.leaving.value
    explorer.tabs.selected_index = SET
    explorer.brush.value = (0, 20)
    assert "chosen by Sharpness" in explorer.panes[SET].value and explorer.state.brush == (0.0, 20.0)
    explorer.faces[1][1].click()
    assert (explorer.state.of, explorer.state.fmr, explorer.state.brush) == (4, 0.1, (0.0, 20.0))
    row = explorer.compared.faces.images.query(f"person == {explorer.state.row} and style == {explorer.state.style}").index
    np.testing.assert_array_equal(explorer.shown.pixels, explorer.compared.faces.pixels[row[0]])


def test_ten_repeats_are_computed_when_asked(explorer):
    explorer.tabs.selected_index = REPAIR
    explorer._start = lambda *first: None
    for _ in explorer._ten_repeats():
        pass
    assert "(n = 10)" in explorer.panes[REPAIR].value


def test_what_is_saved_holds_everything_and_is_never_replaced(explorer, root, kit):
    explorer.upload.value = uploaded(encoded(portrait(State(seed=3))[0]), "crop.png")
    explorer.sliders["noise"].value = 20.5
    rest(explorer)
    explorer._save()
    explorer._save()
    names = sorted(path.name for path in (root / "explorations").iterdir() if not path.name.startswith("."))
    assert names == [f"exploration_000{i}{end}" for i in (1, 2)
                     for end in (".csv", ".json", "_face.png", "_panel.png")]
    place = root / "explorations" / "exploration_0002"
    again = Explorer(str(place.with_suffix(".json")))
    assert again.state == explorer.state
    np.testing.assert_array_equal(again.shown.pixels, explorer.shown.pixels)
    np.testing.assert_array_equal(read_image(f"{place}_face.png"), explorer.shown.pixels)
    row = pd.read_csv(place.with_suffix(".csv")).iloc[0]
    assert (row["noise"], row["picture"], row["recogniser"], row["fmr"]) == (20.5, "crop.png",
                                                                             "run:cosface", 0.1)
    assert row["similarity"] == explorer.shown.similarity and row["threshold"] == explorer.shown.threshold
    assert row["faceqan"] == explorer.slow["faceqan"][1].mark.value and row["digest_run:cosface"] == kit.recogniser_digest
    assert {f"version_{name}" for name in saving.PACKAGES} <= set(row.index)


def test_a_state_is_loaded_from_its_file_and_nothing_else(explorer):
    state = State(seed=12, fmr=0.1).but(hat=0.25)
    explorer.restore.value = uploaded(state.to_json().encode(), "s.json")
    assert explorer.state == state and explorer.sliders["hat"].value == explorer.boxes["hat"].value == 0.25
    explorer.restore.value = uploaded(json.dumps([1]).encode(), "s.json")
    assert explorer.state == state and "no state of the explorer" in explorer.message.value


def test_without_networks_the_panel_says_what_to_run(faces, monkeypatch):
    monkeypatch.setattr(app, "kit_of", lambda key: Kit(None))
    monkeypatch.setattr(app, "recognisers", dict)
    explorer = Explorer()
    rest(explorer)
    assert "Sharpness" in explorer.scores.value and "make repro" in text(explorer.message, explorer.verdict)
    for tab in (PUSH, REPAIR, DISCARD):
        explorer.tabs.selected_index = tab
        assert "make repro" in explorer.panes[tab].value or "choose" in explorer.panes[tab].value


def test_the_notebook_shows_the_panel(explorer):
    assert explorer.panel.children == (explorer.top, explorer.message, explorer.main, explorer.tabs)
