"""Measures of whole pictures: against closed forms, and on rendered heads whose truth is known."""
import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE
from fiqa_core.challenges import portrait_measures
from fiqa_core.challenges.portrait_measures import HEAD, background_uniformity, eye_distance, head_pose
from fiqa_core.challenges.portraits import (TRUTHS, photograph_measures, portrait_truth, render_portraits,
                                            whole_picture_measures)
from fiqa_core.rendering.camera import rotation

FACE = ARCFACE_TEMPLATE + (100, 80)             # a frontal face of 35 pixels between the eyes


@pytest.fixture(scope="module")
def portraits():
    return render_portraits(120, seed=3)


@pytest.mark.parametrize("yaw, pitch, roll", [(0, 0, 0), (30, 0, 0), (0, -20, 0), (0, 0, 75), (-40, 15, -25)])
def test_the_pose_of_the_average_head_is_exact_from_afar(yaw, pitch, roll):
    import torch
    turn = rotation(*(torch.tensor([float(angle)]) for angle in (yaw, pitch, roll)))[0].numpy()
    points = 3.7 * (HEAD @ turn.T)[:, :2] + (210, 130)
    assert head_pose(points[None])[0] == pytest.approx([yaw, pitch, roll], abs=1e-3)
    assert eye_distance(points[None])[0] == pytest.approx(3.7 * 6.4 * np.hypot(np.cos(np.radians(yaw)), np.sin(
        np.radians(yaw)) * np.sin(np.radians(pitch))) / np.cos(np.radians(yaw)), rel=1e-3)


def test_a_turned_camera_changes_roll_alone_and_unknown_points_stay_unknown():
    angle = np.radians(20)
    turned = FACE @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    pose = head_pose(np.stack([FACE, turned, np.full((5, 2), np.nan)]))
    assert pose[1] - pose[0] == pytest.approx([0, 0, 20], abs=1e-6) and np.isnan(pose[2]).all()
    table = portrait_measures.landmark_measures(np.stack([FACE, 2 * turned, np.full((5, 2), np.nan)]))
    assert table["face alignment"][:2] == pytest.approx([0, 0], abs=1e-9)
    assert table["inter-eye distance"][1] == pytest.approx(2 * table["inter-eye distance"][0])
    assert all(np.isnan(values[2]) for values in table.values())


def test_each_component_follows_its_truth_on_rendered_heads(portraits):
    table, every = portrait_truth(portraits)
    table = table.set_index("component")
    assert list(table.index) == list(TRUTHS)
    assert (table["spearman"] < -0.25).all() and (table["detection"] > 0.7).all()
    assert table.loc["head pose yaw", "error"] < 6 and table.loc["head pose roll", "error"] < 3
    assert table.loc["head pose pitch", "error"] < 10 and table.loc["inter-eye distance", "error"] < 1.5
    others = every.pivot(index="component", columns="cause", values="spearman")
    for component in ("head pose yaw", "head pose pitch", "head pose roll", "inter-eye distance", "background uniformity"):
        assert others.loc[component].idxmin() == TRUTHS[component]


def test_what_the_landmarks_err_by_shows_in_the_residual_of_frontal_faces():
    rng = np.random.default_rng(0)
    points = FACE + rng.normal(size=(200, 5, 2)) * np.repeat((0.5, 3.0), 100)[:, None, None]
    residual = -portrait_measures.landmark_measures(points)["face alignment"]
    assert residual[:100].max() < residual[100:].mean() and residual[100:].mean() == pytest.approx(3.2, abs=0.6)


def wall(contrast: float) -> np.ndarray:
    """A picture (240, 312, 3) of nothing but stripes."""
    across = np.round(128 + 60 * contrast * np.sin(np.arange(312) / 2)).astype(np.uint8)
    return np.tile(across[None, :, None], (240, 1, 3))


def test_background_is_what_is_beside_the_head_at_any_size():
    flat, striped = (background_uniformity(wall(contrast), FACE) for contrast in (0, 1))
    assert flat == pytest.approx(0, abs=1e-4) and striped < -0.02
    head = wall(0)
    head[90:160, 130:185] = np.random.default_rng(0).integers(0, 256, (70, 55, 3))
    assert background_uniformity(head, FACE) == pytest.approx(0, abs=1e-4)      # a face's own edges do not count
    large = np.kron(wall(1), np.ones((2, 2, 1), np.uint8))
    assert background_uniformity(large, 2 * FACE + 0.5) == pytest.approx(striped, rel=0.1)
    assert np.isnan(background_uniformity(wall(1)[80:192, 100:212], FACE - (100, 80)))      # a crop has none
    assert np.isnan(background_uniformity(wall(1), np.full((5, 2), np.nan)))


def test_pictures_that_are_not_at_hand_have_no_background(portraits):
    table = whole_picture_measures([portraits.pixels[0], None], portraits.points[:2])
    assert np.isfinite(table.loc[0]).all() and table.loc[1].isna().tolist() == [False] * 5 + [True]


def test_a_set_of_crops_has_no_whole_pictures():
    images = pd.DataFrame({"image_id": ["a"], "identity": "a", "template_id": ["a"], "media_id": ["a"], "crossfit": 0})
    faces = FaceSet("LFW", np.zeros((1, 112, 112, 3), np.uint8), images, empty_pairs())
    assert photograph_measures(faces).shape == (1, 0)


def test_the_same_seed_renders_the_same_people(portraits):
    again = render_portraits(2, seed=5)
    assert np.array_equal(again.pixels, render_portraits(2, seed=5).pixels)
    assert not np.array_equal(again.pixels, portraits.pixels[:2])
