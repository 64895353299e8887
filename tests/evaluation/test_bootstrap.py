"""Resampling of identities against whole curves of resamples written out pair by pair."""
import numpy as np
import pytest
from scipy import stats

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.bootstrap import (DiscardWeights, JointWeights, ResampledPairs, grid_pauc,
                                            multiplicities, pair_weights, percentile_interval)
from fiqa_core.evaluation.discard import UNSCORED, discard_steps, level_starts, ranks
from fiqa_core.evaluation.edc import edc, oracle_fnmr, oracle_pauc_raw, step_area
from fiqa_core.evaluation.thresholds import threshold_at_fmr

RESAMPLES = 60


@pytest.fixture(scope="module", params=[False, True], ids=["distinct", "tied"])
def sample(request):
    """similarity, genuine, quality and weights of 700 pairs of 40 identities."""
    generator = np.random.default_rng(5)
    a = generator.integers(40, size=700)
    genuine = np.arange(700) < 200
    b = np.where(genuine, a, (a + generator.integers(1, 40, size=700)) % 40)
    quality = generator.integers(0, 12, 700) if request.param else generator.random(700)
    similarity = np.tanh(.5 * genuine + .3 * generator.standard_normal(700) + .02 * quality * genuine)
    return similarity, genuine, quality.astype(float), pair_weights(multiplicities(40, RESAMPLES, 1), a, b)


def test_multiplicities_are_draws_with_replacement():
    drawn = multiplicities(30, 500, 0)
    assert drawn.shape == (30, 500) and np.all(drawn.sum(axis=0) == 30)
    assert np.array_equal(drawn, multiplicities(30, 500, 0))
    assert drawn.var() == pytest.approx(29 / 30, abs=.05)           # binomial(30, 1/30)
    with pytest.raises(FiqaError):
        multiplicities(0, 5, 0)


def test_weights_of_pairs():
    drawn = np.array([[2., 0.], [3., 1.]], dtype=np.float32)
    weights = pair_weights(drawn, np.array([0, 0, 1]), np.array([0, 1, 1]))
    assert weights.tolist() == [[2, 0], [6, 0], [3, 1]]


def copies(weights, r):
    return np.repeat(np.arange(len(weights)), weights[:, r].astype(int))


@pytest.mark.parametrize("limit", [.05, .3, 1])
def test_iso_equals_written_out_resamples(sample, limit):
    similarity, genuine, quality, weights = sample
    curve = edc(similarity, genuine, quality, fmr=.01)
    errors = np.stack([similarity[genuine] < curve.threshold, similarity[genuine] < .2])
    rank = ranks(quality)
    discard = DiscardWeights(rank[genuine], weights[genuine])
    areas, bands = discard.pauc(errors, limit), discard.fnmr(errors, np.arange(20) / 20)
    for r in range(RESAMPLES):
        chosen = copies(weights[genuine], r)
        for i, wrong in enumerate(errors):
            x, y = discard_steps(wrong[chosen], rank[genuine][chosen])
            assert areas[i, r] == pytest.approx(step_area(x, y, limit) / (limit * y[0]), abs=2e-5)
            at = y[np.searchsorted(x, np.arange(20) / 20 + 1e-9, side="right") - 1]
            assert np.allclose(bands[i, :, r], at, atol=1e-6)


def test_unit_weights_give_the_curve_itself(sample):
    similarity, genuine, quality, _ = sample
    curve = edc(similarity, genuine, quality, fmr=.01)
    once = DiscardWeights(ranks(quality[genuine]), np.ones((200, 1), dtype=np.float32))
    area = once.pauc(similarity[genuine][None] < curve.threshold, .3)[0, 0]
    assert area == pytest.approx(curve.pauc(.3), abs=1e-5)
    paper = edc(similarity, genuine, quality, "paper", fmr=.01)
    joint = JointWeights(ranks(quality), genuine, np.ones((700, 1), dtype=np.float32))
    fnmr = joint.fnmr(similarity[genuine] < paper.thresholds[:, None])
    defined = ~np.isnan(paper.thresholds)
    assert np.allclose(fnmr[defined, 0], paper.fnmr[defined], atol=1e-6, equal_nan=True)
    assert grid_pauc(fnmr, .3)[0] == pytest.approx(paper.pauc(.3), abs=1e-5)


def test_paper_equals_written_out_resamples(sample):
    similarity, genuine, quality, weights = sample
    thresholds = edc(similarity, genuine, quality, "paper", fmr=.01).thresholds
    fnmr = JointWeights(ranks(quality), genuine, weights).fnmr(similarity[genuine] < thresholds[:, None])
    for r in range(RESAMPLES):
        chosen = copies(weights, r)
        own, mated = quality[chosen], genuine[chosen]
        for level, start in enumerate(level_starts(len(chosen))):
            cut = np.sort(own)[start]
            kept = (own > cut) + (np.sum(own <= cut) - start) / np.sum(own == cut) * (own == cut)
            total, wrong = kept[mated].sum(), kept[mated & (similarity[chosen] < thresholds[level])].sum()
            assert fnmr[level, r] == pytest.approx(wrong / total if total else np.nan, abs=1e-6, nan_ok=True)


def test_the_order_of_the_rows_and_unscored_pairs_move_no_replicate(sample):
    similarity, genuine, quality, weights = sample
    thresholds = edc(similarity, genuine, quality, "paper", fmr=.01).thresholds[:, None]
    found = []
    for unscored in (0, 50):
        o = np.random.default_rng(unscored).permutation(700 + unscored)
        rank = np.append(ranks(quality), np.full(unscored, UNSCORED))[o]
        mated, s, w = (np.append(part, part[:unscored], axis=0)[o] for part in (genuine, similarity, weights))
        iso, joint = DiscardWeights(rank[mated], w[mated]), JointWeights(rank, mated, w)
        errors = s[None, mated] < .3
        found.append([iso.pauc(errors, .3), iso.fnmr(errors, np.arange(9) / 9),
                      joint.fnmr(s[mated] < thresholds)])
    assert all(np.array_equal(*pair, equal_nan=True) for pair in zip(*found))


def test_interval_against_scipy():
    """With every pair an identity of its own, this is the ordinary percentile bootstrap of scipy."""
    generator = np.random.default_rng(11)
    quality = generator.random(150)
    wrong = generator.random(150) < .6 - .5 * quality
    weights = multiplicities(150, 4000, 2)
    rank = ranks(quality)
    low, high = percentile_interval(DiscardWeights(rank, weights).pauc(wrong[None], .3)[0])

    def pauc(chosen):
        x, y = discard_steps(wrong[chosen], rank[chosen])
        return step_area(x, y, .3) / (.3 * y[0])

    reference = stats.bootstrap((np.arange(150),), pauc, n_resamples=4000, method="percentile",
                                vectorized=False, rng=np.random.default_rng(3)).confidence_interval
    assert (low, high) == (pytest.approx(reference.low, abs=.02), pytest.approx(reference.high, abs=.02))


def test_percentiles_leave_undefined_replicates_out():
    values = np.random.default_rng(0).standard_normal((3, 41))
    values[1, ::3], values[2] = np.nan, np.nan
    low, high = percentile_interval(values)
    want = np.percentile(values[1][~np.isnan(values[1])], [2.5, 97.5])
    assert np.allclose([low[:2], high[:2]], np.transpose([np.percentile(values[0], [2.5, 97.5]), want]))
    assert np.isnan(low[2]) and np.isnan(high[2])


def test_resample_without_errors_is_undefined():
    weights = np.array([[1, 0], [1, 2]], dtype=np.float32)
    area = DiscardWeights(ranks([.1, .2]), weights).pauc(np.array([[True, False]]), .5)[0]
    assert area[0] == pytest.approx(1) and np.isnan(area[1])


def test_oracle_of_resampled_counts():
    errors, genuine = np.array([0, 3, 7, 10]), np.array([10, 10, 9, 10])
    for limit in (.1, .35, 1):
        for e, n, area in zip(errors, genuine, oracle_pauc_raw(errors, genuine, limit)):
            left = np.arange(n)
            assert area == pytest.approx(step_area(left / n, oracle_fnmr(e, n, left), limit))


def test_resampled_rates_are_those_of_the_repeated_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 12, (2, 600))
    genuine = a == b
    similarity = np.round(rng.normal(size=600) + genuine, 1)             # with ties
    resampled = ResampledPairs(genuine, a, b, 25, 3)
    thresholds = resampled.thresholds(similarity, 0.02)
    for r in range(25):
        drawn = resampled.drawn[:, r].astype(int)
        copies = np.where(genuine, drawn[a], drawn[a] * drawn[b])
        impostor = np.repeat(similarity[~genuine], copies[~genuine])
        mated = np.repeat(similarity[genuine], copies[genuine])
        assert thresholds[r] == threshold_at_fmr(impostor, 0.02)
        assert resampled.fnmr(similarity, thresholds)[r] == pytest.approx(np.mean(mated < thresholds[r]))
        assert resampled.fmr(similarity, 0.5)[r] == pytest.approx(np.mean(impostor >= 0.5))


def test_few_impostors_in_a_resample_let_none_pass():
    genuine = np.array([True, False, False])
    resampled = ResampledPairs(genuine, np.array([0, 0, 0]), np.array([0, 1, 2]), 50, 0)
    thresholds = resampled.thresholds(np.array([0.9, 0.3, 0.4]), 0.1)
    none = resampled.impostors == 0
    assert none.any() and np.isnan(thresholds[none]).all()
    assert set(thresholds[~none]) <= {np.nextafter(0.3, 1), np.nextafter(0.4, 1)}


def test_undrawn_identities_take_part():
    genuine = np.array([True, False])
    resampled = ResampledPairs(genuine, np.array([0, 0]), np.array([0, 1]), 400, 0, identities=50)
    assert resampled.drawn.shape == (50, 400) and np.mean(resampled.drawn[0] == 0) > 0.25


def test_pairs_of_one_kind_are_refused():
    with pytest.raises(FiqaError, match="one kind only"):
        ResampledPairs(np.ones(2, bool), np.zeros(2, int), np.zeros(2, int), 5, 0)
