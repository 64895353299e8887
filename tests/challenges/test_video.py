"""Choosing and weighting frames against small cases worked out by hand."""
import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.challenges import video
from fiqa_core.evaluation.comparisons import benchmark_pairs
from fiqa_core.rendering.face_sets import check_protocol, load_protocol
from tests.helpers.small_clips import noisy_embeddings, small_faces


def test_best_frames_by_hand():
    clip = np.array([0, 1, 0, 1, 0, 1, 2])
    quality = np.array([.1, .5, .3, .5, .2, .4, -np.inf])
    assert video.best_frames(quality, clip).tolist() == [False, True, True, False, False, False, True]
    assert video.best_frames(quality, clip, 0.5).tolist() == [False, True, True, True, True, False, True]
    assert video.best_frames(quality, clip, 1.0).all()


def test_frames_without_a_score_are_refused():
    with pytest.raises(FiqaError, match="1 frames have no score"):
        video.best_frames(np.array([np.nan, 1.0]), np.zeros(2, int))


def test_focus_weights_do_not_depend_on_the_scale_of_the_score():
    quality = np.array([.2, .4, .9, -np.inf])
    weights = video.focus_weights(quality, 1.5)
    assert np.allclose(weights, video.focus_weights(100 * quality + 7, 1.5)) and weights[3] == 0
    assert np.allclose(video.focus_weights(quality, 0)[:3], 1) and (np.diff(weights[:3]) > 0).all()
    assert video.focus_weights(np.array([3.0, 3.0]), 2).tolist() == [1, 1]


def test_similarity_of_chosen_frames_by_hand():
    faces = small_faces()
    pairs, vectors = benchmark_pairs(faces), noisy_embeddings(faces, np.full(len(faces), 0.5))
    keep = np.arange(len(faces)) % 3 == 1
    unit = vectors[keep] / np.linalg.norm(vectors[keep], axis=1, keepdims=True)
    by_hand = (unit[pairs.a] * unit[pairs.b]).sum(1)
    assert np.allclose(pairs.similarity(vectors, keep=keep), by_hand, atol=1e-6)
    assert np.allclose(pairs.similarity(vectors, weight=keep.astype(float)), by_hand, atol=1e-6)


def test_failed_frames_are_never_chosen_and_a_failed_clip_is_like_nothing():
    faces = small_faces()
    failed = np.zeros(len(faces), int)
    failed[[0, 3, 4, 5]] = 1                                             # a frame of clip 0, all of clip 1
    faces = FaceSet(faces.name, faces.pixels, faces.images.assign(fte=failed), faces.pairs)
    pairs, vectors = benchmark_pairs(faces), noisy_embeddings(faces, np.full(len(faces), 0.5))
    vectors[0] = 1e6
    quality = np.where(pairs.failed, -np.inf, 1.0)
    keep = video.best_frames(quality, video.clip_codes(pairs))
    one = pairs.similarity(vectors, keep=keep)
    without = pairs.similarity(np.where(pairs.failed[:, None], 0, vectors).astype(np.float32), keep=keep)
    lost = (pairs.a == 1) | (pairs.b == 1)
    assert (one[lost] == -1).all() and np.allclose(one[~lost], without[~lost])


def test_true_quality_helps_and_its_opposite_harms():
    faces = small_faces(identities=60, clips=3, frames=4)
    noise = np.random.default_rng(1).uniform(0.2, 3, len(faces))
    table = video.compare_strategies(benchmark_pairs(faces), {"R": noisy_embeddings(faces, noise)},
                                     pd.DataFrame({"good": -noise}),
                                     video.Plan(fmr=0.01, resamples=200, draws=5))
    at = table.set_index(["method", "strategy"])
    assert list(table.columns) == video.COLUMNS
    assert at.loc[("good", video.BEST), "difference_high"] < 0
    assert at.loc[("good", video.WORST), "difference_low"] > 0
    assert at.loc[("good", video.WEIGHTED), "fnmr"] <= at.loc[("", video.ALL), "fnmr"]
    assert at.loc[("", video.RANDOM_ONE), "against"] != at.loc[("good", video.BEST), "against"]
    assert (at["low"] <= at["high"]).all() and (at["frames_per_clip"] == 4).all()


def test_longer_clips_make_a_valid_protocol_with_slower_movement():
    protocol = load_protocol("ytf")
    longer = video.longer_clips(protocol, 5, 0.5, 300)
    check_protocol(longer)
    assert longer["name"] == "YTF-5" and {len(t) for t in longer["templates"]} == {5}
    assert longer["groups"]["steady"]["drift"]["yaw"] == protocol["groups"]["steady"]["drift"]["yaw"] / 2
    with pytest.raises(FiqaError, match="LFW has no clips"):
        video.longer_clips(load_protocol("lfw"), 5, 0.5, 300)
