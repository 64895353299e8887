"""Tabs Discard and Set: the evaluation's own curves, and faces that are what they are said to be."""
import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.edc import edc
from fiqa_core.explore.discarding import brushed, cause_shares, discarding, scores_of
from fiqa_core.explore.kit import Kit
from fiqa_core.explore.portrait import portrait
from fiqa_core.explore.reference import OWN, Reference, own_faces
from fiqa_core.explore.state import State
from fiqa_core.rendering.nuisance import neutral

AT = State(method="sharpness", fmr=0.1)


def test_the_curves_are_the_evaluations(kit, faces):
    found, similarity = discarding(AT, kit, faces), faces.comparisons(kit, 0.1).similarity
    quality = faces.pairs.quality(faces.scores[kit.scorers["sharpness"].digest])
    for preset in ("iso", "paper"):
        wanted = edc(similarity, faces.pairs.genuine, quality, preset, 0.1)
        np.testing.assert_array_equal(found.curves[preset].fnmr, wanted.fnmr)
        np.testing.assert_array_equal(found.curves[preset].thresholds, wanted.thresholds)
        for at in (0.0, 0.33, 0.9):
            now = discarding(AT.but(discard=at), kit, faces).now(preset)
            assert now[0] == wanted.at(at)


def test_pairs_leave_worst_first_and_are_counted(kit, faces):
    quality = faces.pairs.quality(faces.scores[kit.scorers["sharpness"].digest])
    found = faces.comparisons(kit, 0.1)
    genuine = faces.pairs.genuine
    order = np.flatnonzero(genuine)[np.argsort(quality[genuine], kind="stable")]
    wrong = found.similarity[order] < found.cut[0]
    for at in (0.0, 0.5):
        seen = discarding(AT.but(discard=at), kit, faces)
        gone = int(at * len(order))
        assert (seen.gone, seen.errors, seen.genuine, seen.wrong) == (gone, wrong[:gone].sum(), len(order),
                                                                      wrong.sum())
        pair = seen.pairs[0]
        ids = faces.faces.images["image_id"]
        row = faces.faces.pairs.iloc[order[gone]]
        assert (ids[pair.a], ids[pair.b]) == (row["a"], row["b"]) and pair.error == wrong[gone]
        assert pair.similarity == found.similarity[order[gone]]


def test_a_preset_that_the_pairs_cannot_show_is_named(kit, faces):
    found = discarding(AT.but(fmr=0.001), kit, faces)
    assert list(found.curves) == ["paper"] and [problem.split(":")[0]
                                                for problem in found.problems] == ["Preset iso"]


@pytest.mark.parametrize("state", [AT.but(method="ediffiqa_l"), AT])
def test_what_is_not_known_is_said_so(state, kit):
    with pytest.raises(FiqaError):
        discarding(state, kit, Reference(own_faces(), 0))
    with pytest.raises(FiqaError):
        discarding(state.but(method="faceqan"), Kit(None), Reference(own_faces(), 0))


def test_the_brush_holds_the_faces_of_its_percentiles(kit, faces):
    scores = scores_of("sharpness", kit, faces)
    found = brushed(AT.but(brush=(0.0, 25.0)), kit, faces)
    assert set(found.rows) == set(np.argsort(scores)[:len(scores) // 4]) and (np.diff(scores[found.rows]) >= 0).all()
    assert found.chosen.sum() == len(found.rows)
    everything = brushed(AT.but(brush=(0.0, 100.0)), kit, faces)
    assert len(everything.rows) == len(faces.faces)
    np.testing.assert_array_equal(everything.x, found.x)


def test_a_chosen_face_is_loaded_with_its_exact_state(kit, faces):
    for row in brushed(AT, kit, faces).rows:
        state = faces.state_of(int(row), AT)
        np.testing.assert_array_equal(portrait(state)[0], faces.faces.pixels[row])
        assert state.fmr == AT.fmr and state["noise"] == faces.faces.images["noise"][row] and not state.picture
    assert faces.name == OWN


def test_causes_are_counted_among_chosen_and_all():
    images = neutral(4).assign(mask=[0.5, 0.5, 0, 0], light_level=[1, 0.5, 1, 1], noise=[0.1, 0, 0, 0])
    shares = cause_shares(images, np.array([True, True, False, False]))
    assert shares["mask"] == (1.0, 0.5) and shares["light_level"] == (0.5, 0.25) and shares["noise"] == (0.0, 0.0)
    assert next(iter(shares)) == "mask"
    assert cause_shares(pd.DataFrame({"identity": ["a"]}), np.array([True])) == {}
