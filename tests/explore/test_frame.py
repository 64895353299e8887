"""What is seen of a face: the kernels' own values, each at its place among the faces to compare with."""
import numpy as np
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import to_batch
from fiqa_core.challenges.component_measures import COMPONENTS
from fiqa_core.evaluation.edc import edc
from fiqa_core.evaluation.thresholds import threshold_at_fmr
from fiqa_core.explore.frame import Frame, Mark, advice, cosine, curve, frame, ordinal, push, repair
from fiqa_core.explore.kit import Kit
from fiqa_core.explore.portrait import portrait
from fiqa_core.explore.reference import place
from fiqa_core.explore.state import State
from fiqa_core.kernels.diffiqa import DifFIQA
from fiqa_core.kernels.faceqan import FaceQAN
from fiqa_core.pipeline.score import pipeline_method
from fiqa_core.recognisers.recogniser import embed
from fiqa_core.registry import methods

STATES = [State(), State(seed=3).but(yaw=30.0, mask=0.6),
          State(picture=portrait(State(seed=9))[0].tobytes()).but(noise=20.0)]


@pytest.mark.parametrize("state", STATES)
def test_every_number_is_the_kernels_own(state, kit, faces):
    shown = frame(state, kit, faces)
    image = to_batch(shown.pixels[None])
    assert set(shown.scores) >= {"ser_fiq", "grafiqs", "prefiqs", "sharpness", "illumination", "symmetry"}
    for slug, mark in shown.scores.items():
        if slug == "magface":                                   # on its own recogniser, which ships
            assert kit.scorers[slug].on == "shipped:magface"
            continue
        assert mark.value == float(pipeline_method(slug)(image)[0]), slug
    for name, mark in shown.components.items():
        assert mark.value == float(COMPONENTS[name](image)[0])
    vectors = embed(kit.recogniser, np.stack([shown.pixels, portrait(state.unspoilt())[0]]), batch=2)
    assert shown.similarity == pytest.approx(float(torch.cosine_similarity(*torch.as_tensor(vectors),
                                                                           dim=0)), abs=1e-5)


@pytest.mark.parametrize("state", STATES)
def test_faceqan_and_diffiqa_are_seen_at_work(state, kit, faces):
    pixels = portrait(state)[0]
    image = to_batch(pixels[None])
    pushed, method = push(pixels, kit, faces), pipeline_method("faceqan")
    s, symmetry = method.similarities(image)
    assert pushed.mark.value == float(method(image)[0])
    np.testing.assert_array_equal(pushed.similarities, s[0].numpy())
    assert pushed.symmetry == float(symmetry[0])
    steps = method.epsilon * 255 * method.iterations
    assert 0 < pushed.largest <= steps * 1.001
    again = (pushed.delta.astype(float) / 255 - 0.5) / 200                                  # what the picture shows
    assert np.abs(again).max() * 255 <= pushed.largest + 0.01
    repaired, method = repair(pixels, kit, faces), pipeline_method("diffiqa")
    assert repaired.mark.value == float(method(image)[0])
    assert {name: float(value[0]) for name, value in repaired.similarities.items()} == {
        name: float(value[0, 0]) for name, value in method.similarities(image).items()}
    assert (repaired.noisy != repaired.repaired).any()


def test_more_repeats_are_the_papers(kit, faces):
    pixels = portrait(State())[0]
    found = repair(pixels, kit, faces, 10)
    assert found.mark.percentile is None and len(found.similarities["flip"]) == 10
    wanted = DifFIQA(kit.diffusion, kit.recogniser, **kit.options("diffiqa")
                     | {"repeats": 10})(to_batch(pixels[None]))
    assert found.mark.value == float(wanted[0])


def test_the_pushed_face_is_pushed_away(kit, faces):
    """The noise that is shown is the attack's: the recogniser finds that face less alike than the start."""
    pixels = portrait(State())[0]
    s = push(pixels, kit, faces).similarities
    assert s[:, -1].mean() < s[:, 0].mean()
    assert FaceQAN(kit.recogniser, iterations=1, epsilon=0.0)(to_batch(pixels[None])) > 0


@pytest.mark.parametrize("preset", ["iso", "paper"])
def test_the_threshold_is_that_of_the_curves(preset, kit, faces):
    found = faces.comparisons(kit, 0.1)
    shown = frame(State(fmr=0.1, preset=preset), kit, faces)
    wanted = edc(found.similarity, found.genuine, np.zeros(len(found.similarity)), preset, 0.1).threshold
    assert shown.threshold == wanted and shown.accepted == (shown.similarity >= wanted)
    if preset == "iso":
        assert shown.threshold == threshold_at_fmr(found.similarity[~found.genuine], 0.1)


def test_pairs_that_cannot_show_an_fmr_are_said_so(kit, faces):
    shown = frame(State(fmr=0.001), kit, faces)
    assert shown.threshold is None and shown.accepted is None and "200 impostor" in shown.problem


def test_a_percentile_is_the_share_below():
    assert place(np.array([1.0, 2.0, 2.0, 4.0, np.nan]), 2.0) == 50 and place(np.array([np.nan]), 1.0) is None
    assert place(None, 1.0) is None and [ordinal(v) for v in (1, 2.4, 3, 11, 12, 13, 21, 100)] == [
        "1st", "2nd", "3rd", "11th", "12th", "13th", "21st", "100th"]


def shown(scores: dict, components: dict) -> Frame:
    marks = [{name: Mark(name, 0.0, value) for name, value in values.items()}
             for values in (scores, components)]
    return Frame(State(), None, None, 0, 0, None, None, *marks)


def test_the_advice_says_who_disagrees_and_where_to_look():
    said = advice(shown({"A": 5.0, "B": 81.0, "C": None}, {"eyes open": 3.0, "noise": 50.0}))
    assert said == ("The scores disagree: A puts this face at the 5th percentile, B at the 81st. Look at eyes open: 3rd "
                    "percentile.")
    assert advice(shown({"A": 40.0, "B": 60.0}, {})) == "The scores agree within 20 percentiles."
    assert advice(shown({"A": None}, {})) == ""


def test_a_curve_goes_through_the_whole_range_point_by_point(kit):
    state = State(flaw="mask").but(mask=0.3)
    points = list(curve(state, kit, "sharpness"))
    assert len(points) == 11 and points[0].value == 0 and points[-1].value == 1
    pixels = portrait(state.but(mask=points[4].value))[0]
    assert points[4].score == float(pipeline_method("sharpness")(to_batch(pixels[None]))[0])
    assert points[4].similarity == cosine(kit, pixels, portrait(state.unspoilt())[0])


@pytest.mark.parametrize("state, slug", [(State(), "ediffiqa_l"), (STATES[2].but(flaw="yaw"), "sharpness")])
def test_a_curve_that_cannot_be_is_refused(state, slug, kit):
    with pytest.raises(FiqaError):
        next(curve(state, kit, slug))


def test_without_networks_pixels_are_measured_and_the_rest_says_what_to_run(faces):
    bare = Kit(None)
    assert set(bare.scorers) == {"sharpness", "illumination", "symmetry"}
    assert all("make repro" in why or "weights list" in why for why in bare.missing)
    assert sum(map(len, bare.missing.values())) + 3 == len(methods())
    seen = frame(State(), bare, faces)
    assert seen.similarity is None and seen.scores["sharpness"].value > 0 and "make repro" in seen.problem
