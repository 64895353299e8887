"""Verification metrics against values worked out by hand and against counting."""
import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.verification import (accuracy, consecutive_folds, dprime, equal_error_rate,
                                               error_rates, threshold_of_sorted, verification)


def best_threshold(similarity, genuine):
    return threshold_of_sorted([np.sort(similarity[genuine])], [np.sort(similarity[~genuine])])


def test_rates_by_hand():
    thresholds, fmr, fnmr = error_rates([.9, .4, .6, .1], [1, 1, 0, 0])
    assert thresholds[:-1].tolist() == [.1, .4, .6, .9]
    assert fmr.tolist() == [1, .5, .5, 0, 0] and fnmr.tolist() == [0, 0, .5, .5, 1]
    assert equal_error_rate([.9, .4, .6, .1], [1, 1, 0, 0]) == .5
    assert equal_error_rate([.9, .8, .2, .1], [1, 1, 0, 0]) == 0


def test_rates_count_pairs():
    generator = np.random.default_rng(0)
    genuine = np.arange(300) < 120
    similarity = np.round(generator.standard_normal(300) + genuine, 1)       # with ties
    for threshold, fmr, fnmr in zip(*error_rates(similarity, genuine)):
        assert fmr == pytest.approx(np.mean(similarity[~genuine] >= threshold))
        assert fnmr == pytest.approx(np.mean(similarity[genuine] < threshold))


def test_accuracy_by_hand():
    # fold 0 alone would like .5, the other fold makes it .7: the genuine pair at .6 is then rejected
    similarity = [.6, .4, .8, .6]
    genuine = [1, 0, 1, 0]
    assert accuracy(similarity, genuine, [0, 0, 1, 1]).tolist() == [.5, .5]
    assert best_threshold(np.array([.8, .6]), np.array([True, False])) == pytest.approx(.7)


def test_accuracy_is_ten_folds_of_correct_decisions():
    generator = np.random.default_rng(1)
    genuine = np.tile(np.arange(60) < 30, 10)
    fold = np.repeat(np.arange(10), 60)
    similarity = generator.standard_normal(600) + 2 * genuine
    got = accuracy(similarity, genuine, fold)
    for number in range(10):
        held = fold == number
        candidates = np.sort(similarity[~held])
        between = (candidates[1:] + candidates[:-1]) / 2
        right = [np.mean((similarity[~held] >= t) == genuine[~held]) for t in between]
        best = between[int(np.argmax(np.round(right, 12)))]
        assert got[number] == pytest.approx(np.mean((similarity[held] >= best) == genuine[held]))
    assert np.array_equal(accuracy(similarity, genuine, fold), accuracy(similarity, genuine, fold + 5))


def test_more_impostors_do_not_move_accuracy():
    similarity = np.r_[np.linspace(.4, 1, 100), np.linspace(0, .6, 100)]
    genuine = np.arange(200) < 100
    many = np.r_[similarity, np.repeat(similarity[100:], 4)]
    fold = np.r_[np.tile(np.arange(10), 20), np.repeat(np.tile(np.arange(10), 10), 4)]
    assert np.allclose(accuracy(similarity, genuine, fold[:200]), accuracy(many, np.arange(600) < 100, fold))


def test_unknown_folds_are_blocks_of_each_class():
    fold = consecutive_folds(np.arange(60) % 3 == 0)
    assert np.bincount(fold).tolist() == [6] * 10
    assert np.bincount(fold[::3]).tolist() == [2] * 10
    similarity = np.where(np.arange(60) % 3 == 0, .9, .1)
    assert np.array_equal(accuracy(similarity, np.arange(60) % 3 == 0, np.full(60, -1)), np.ones(10))


def test_dprime_by_hand():
    assert dprime(np.array([4., 6., 0., 2.]), np.array([True, True, False, False])) == pytest.approx(4)


def test_summary():
    generator = np.random.default_rng(2)
    genuine = np.arange(5000) < 1000
    similarity = generator.standard_normal(5000) + 3 * genuine
    summary = verification(similarity, genuine)
    assert summary.genuine == 1000 and summary.impostor == 4000
    assert np.mean(similarity[~genuine] >= summary.threshold) == 1e-3
    assert summary.fnmr_fmr1e3 == pytest.approx(np.mean(similarity[genuine] < summary.threshold))
    assert summary.fnmr_fmr1e2 < summary.fnmr_fmr1e3 and summary.eer < .1 < summary.accuracy
    few = verification(similarity[:1500], genuine[:1500])
    assert np.isnan(few.fnmr_fmr1e3) and np.isnan(few.threshold) and not np.isnan(few.fnmr_fmr1e2)


@pytest.mark.parametrize("metric, given, message", [
    (verification, ([.1, .2], [1, 1]), "one class only"),
    (error_rates, ([.1, .2], [1, 1, 0]), "do not match"), (error_rates, ([.1, np.nan], [1, 0]), "NaN for 1"),
    (accuracy, ([.1, .2], [1, 0], [3, 3]), "single fold")])
def test_bad_input_is_named(metric, given, message):
    with pytest.raises(FiqaError, match=message):
        metric(*given)


@pytest.mark.parametrize("seed", range(12))
def test_sorted_classes_give_the_rates_of_every_threshold(seed):
    generator = np.random.default_rng(seed)
    genuine = np.arange(150) < (20, 75, 130)[seed % 3]
    similarity = generator.standard_normal(150) + generator.choice([-1, 0, 1, 5]) * genuine
    if seed % 2:
        similarity = similarity.round(1)
    thresholds, fmr, fnmr = error_rates(similarity, genuine)
    after = int(np.argmax(fmr - fnmr <= 0))
    gap = (fmr - fnmr)[after - 1: after + 1]
    share = gap[0] / (gap[0] - gap[1])
    assert equal_error_rate(similarity, genuine) == fnmr[after - 1] + share * (fnmr[after] - fnmr[after - 1])
    place = int(np.argmin(np.round(fmr + fnmr, 12)))
    want = thresholds[place - 1: place + 1].mean() if place else thresholds[place]
    assert best_threshold(similarity, genuine) == want
    fold = generator.integers(3, size=150)
    for number, got in enumerate(accuracy(similarity, genuine, fold)):
        cut, held = best_threshold(similarity[fold != number], genuine[fold != number]), fold == number
        assert got == np.mean([np.mean(similarity[held & genuine] >= cut),
                               np.mean(similarity[held & ~genuine] < cut)])
