"""Crops and what they do, against the plain EDC and warps known by hand."""
import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE
from fiqa_core.challenges.crops import (CHANGED, SCORES_ONLY, Condition, Variability, crop_matrix,
                                        jitter_matrices, rewarp)
from fiqa_core.evaluation.comparisons import benchmark_pairs
from fiqa_core.evaluation.edc import edc
from tests.helpers.small_clips import noisy_embeddings, small_faces


def test_jitter_grows_along_one_direction_and_depends_on_the_image_alone():
    names = ["a", "b", "c"]
    small, large = jitter_matrices(names, 2, 7), jitter_matrices(names, 4, 7)
    assert np.allclose(jitter_matrices(["c"], 4, 7)[0], large[2]) and not np.allclose(large[0], large[1])
    assert np.allclose(jitter_matrices(names, 0, 7), np.eye(3)[:2])
    moved = [np.abs(ARCFACE_TEMPLATE @ m[:, :2].T + m[:, 2] - ARCFACE_TEMPLATE).max()
             for m in (small[0], large[0])]
    assert 0 < moved[0] < moved[1] < 8
    with pytest.raises(FiqaError, match="-1 pixels"):
        jitter_matrices(names, -1, 7)


def test_crops_move_and_enlarge_about_the_centre():
    picture = np.zeros((1, 112, 112, 3), np.uint8)
    picture[0, 50:62, 50:62] = 200                                       # a square about the centre, 55.5
    assert np.array_equal(rewarp(picture, crop_matrix()), picture)
    down = rewarp(picture, crop_matrix(down=4))[0]
    assert np.array_equal(down[54:66, 50:62], picture[0, 50:62, 50:62])
    larger = rewarp(picture, crop_matrix(scale=2))[0, :, :, 0] > 100
    rows = np.flatnonzero(larger.any(axis=1))
    assert abs(rows.mean() - 55.5) < 1 and abs(len(rows) - 24) <= 2
    with pytest.raises(FiqaError, match="crop scale is 0"):
        crop_matrix(scale=0)


def test_variability_of_nothing_is_nothing_and_pauc_is_that_of_the_edc():
    faces = small_faces(identities=20, clips=3, frames=1)
    noise = np.random.default_rng(1).uniform(0.2, 2, len(faces))
    pairs = benchmark_pairs(faces)
    aligned = Condition("landmark jitter", 0, noisy_embeddings(faces, noise), pd.DataFrame({"m": -noise}))
    other = Condition("scale", 2, noisy_embeddings(faces, 2 * noise), pd.DataFrame({"m": -noise - 1}))
    measure = Variability(pairs, aligned, 0.01, 0.3, 100, 0)
    same = measure.quality(aligned).iloc[0]
    assert same["spearman"] == pytest.approx(1) and same["shift"] == 0
    changed = measure.quality(other).set_index("compared")
    similarity = pairs.similarity(other.embeddings)
    expected = edc(similarity, pairs.genuine, pairs.quality(-noise - 1), fmr=0.01).pauc(0.3)
    assert changed.loc[CHANGED, "pauc"] == pytest.approx(expected)
    assert changed.loc[SCORES_ONLY, "pauc"] == pytest.approx(same["pauc"])       # the order is the same
    assert changed.loc[CHANGED, "shift"] == pytest.approx(-1 / np.std(noise))
    rates = measure.verification(other)
    assert rates["fnmr"] == pytest.approx(np.mean(similarity[pairs.genuine] < measure.threshold))
    assert measure.verification(aligned)["fnmr"] < rates["fnmr"]
    assert rates["low"] <= rates["fnmr"] <= rates["high"]
    with pytest.raises(FiqaError, match="no scores of m"):
        measure.quality(Condition("scale", 2, other.embeddings, pd.DataFrame({"n": noise})))
