"""The face of a state: the pixels of the renderer, and the crop that every command cuts from a photograph."""
import cv2
import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import decode_image, jpeg
from fiqa_core.benchmarks.detectors import load_detector
from fiqa_core.benchmarks.enrolment import enrol
from fiqa_core.explore import portrait
from fiqa_core.explore.state import NEUTRAL, State
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import CAUSES
from fiqa_core.rendering.renderer import render_faces

SPOILT = {"yaw": 20.0, "mask": 0.5, "hat": 0.4, "defocus": 1.0, "motion": 3.0, "noise": 9.0, "jpeg": 40.0,
          "jitter": 1.0}


@pytest.mark.parametrize("state", [State(), State(seed=3, of=5, row=4, style=2 ** 61).but(**SPOILT)])
def test_a_rendered_face_has_the_renderers_pixels(state):
    pixels, occlusion = portrait.portrait(state)
    wanted, covered = render_faces(sample_identities(state.of, state.seed)[state.row:state.row + 1],
                                   np.array([0]), state.table())
    np.testing.assert_array_equal(pixels, wanted[0])
    assert occlusion == covered[0]


def photo(name="a.jpg", **flaws) -> State:
    return State(picture=portrait.portrait(State(seed=5))[0].tobytes(), picture_name=name).but(**flaws)


def test_a_photograph_without_flaws_is_itself():
    np.testing.assert_array_equal(portrait.portrait(photo())[0], photo().pixels())


def test_a_photograph_takes_the_cameras_flaws_only():
    for cause in CAUSES:
        _, low, high, _ = CAUSES[cause]
        changed = (portrait.portrait(photo(**{cause: low if cause in ("resolution", "jpeg") else high}))[0]
                   != photo().pixels()).any()
        assert changed == (cause in photo().movable()), cause
    np.testing.assert_array_equal(portrait.portrait(photo(jpeg=30.0))[0], jpeg(photo().pixels(), 30))


def encoded(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


def scene(faces: int) -> np.ndarray:
    """Rendered heads, 224 pixels each, beside each other on grey."""
    large = [np.pad(cv2.resize(portrait.portrait(State(seed=seed))[0], (224, 224)),
                    ((60, 60), (60, 60), (0, 0)), mode="edge")
             for seed in range(faces)]
    return np.concatenate(large, axis=1)


def test_the_crop_is_the_one_of_every_command():
    data = encoded(scene(1))
    wanted = enrol(lambda: decode_image(data, "one.png"), "one.png", None, load_detector("mtcnn"))
    assert wanted.status == "ok"
    np.testing.assert_array_equal(portrait.crop_of(data, "one.png"), wanted.crop)


def test_a_crop_is_taken_as_it_is():
    pixels = portrait.portrait(State())[0]
    np.testing.assert_array_equal(portrait.crop_of(encoded(pixels), "crop.png"), pixels)


@pytest.mark.parametrize("data, said", [
    (lambda: b"%PDF-1.4", "not a complete image"), (lambda: encoded(scene(1))[:2000], "not a complete image"),
    (lambda: encoded(np.full((300, 300, 3), 128, np.uint8)), "no face was found"),
                                        (lambda: encoded(scene(2)), "shows 2 faces"),
    (lambda: bytes(portrait.MOST_BYTES + 1), "too large")])
def test_what_is_no_photograph_of_one_face_is_refused_in_a_sentence(data, said):
    with pytest.raises(FiqaError, match=said) as error:
        portrait.crop_of(data(), "mine.png")
    assert "mine.png" in error.value.problem and "\n" not in error.value.problem


def test_too_many_pixels_are_refused(monkeypatch):
    monkeypatch.setattr(portrait, "MOST_PIXELS", 1000)
    with pytest.raises(FiqaError, match="50 x 60 pixels"):
        portrait.crop_of(encoded(np.zeros((60, 50, 3), np.uint8)), "mine.png")


def test_the_reference_has_no_flaw():
    assert photo(noise=20.0).unspoilt() == photo() and photo().flaws == NEUTRAL
