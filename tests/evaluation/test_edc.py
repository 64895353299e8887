"""EDC and pAUC: the golden fixture, closed forms, and a brute-force reading of the definitions."""
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation import edc as module
from fiqa_core.evaluation.discard import LEVELS, discard_steps, ranks
from fiqa_core.evaluation.edc import edc, flat_curve, oracle_curve, oracle_pauc_raw, random_curves, step_area
from fiqa_core.evaluation.thresholds import match_rate, paper_index, threshold_at_fmr

GOLDEN = Path(__file__).parents[1] / "golden" / "edc"
JOINT = "grid05_joint_"


@pytest.fixture(scope="module")
def golden():
    pairs = pd.read_csv(GOLDEN / "pairs.csv.gz")
    quality = pd.read_csv(GOLDEN / "quality.csv.gz").set_index("img")
    expected = json.loads((GOLDEN / "expected.json").read_text())
    columns = {name: np.minimum(*(quality.loc[pairs[side], name].to_numpy() for side in ("img1", "img2")))
               for name in ("quality", "quality_int")}
    return pairs["similarity"].to_numpy(), pairs["is_genuine"].to_numpy(), columns, expected


@pytest.fixture
def synthetic():
    """3000 genuine and 3000 impostor similarities, genuine ones the lower the lower their quality."""
    generator = np.random.default_rng(7)
    genuine = np.arange(6000) < 3000
    quality = generator.random(6000)
    similarity = np.where(genuine, 0.2 + 0.5 * quality, 0.0) + 0.12 * generator.standard_normal(6000)
    return similarity, genuine, quality


@pytest.mark.parametrize("column", ["quality", "quality_int"])
def test_iso_matches_golden(golden, column):
    similarity, genuine, qualities, expected = golden
    want = expected[column]["exact_mated_fixed"]
    curve = edc(similarity, genuine, qualities[column])
    assert curve.threshold == want["threshold_similarity"]
    assert (curve.fmr, curve.fnmr0) == (want["fmr_at_threshold"], pytest.approx(want["fnmr0"], abs=1e-9))
    assert len(curve.discard) == want["n_distinct"]
    assert np.allclose(np.c_[curve.discard, curve.fnmr][:6], want["first_points"], rtol=0, atol=1e-9)
    for limit, name in ((0.2, "02"), (0.3, "03")):
        assert curve.pauc_raw(limit) == pytest.approx(want[f"pauc{name}"], abs=1e-9)
        assert curve.pauc(limit) == pytest.approx(want[f"npauc{name}"], abs=1e-9)
        assert curve.best(limit) == pytest.approx(want[f"best{name}_exact"], abs=1e-9)
        assert curve.best(limit, linear=True) == pytest.approx(want[f"best{name}"], abs=1e-9)
    assert curve.pauc_raw(1.0) == pytest.approx(want["auc1"], abs=1e-9)


def in_row_order(quality):
    """Quality without ties: in the fixture's grid presets tied pairs leave in the order of their rows."""
    return np.argsort(np.argsort(quality, kind="stable"))


@pytest.mark.parametrize("column", ["quality", "quality_int"])
def test_paper_matches_golden(golden, column):
    similarity, genuine, qualities, expected = golden
    want = expected[column][JOINT + "divide10_recomputed"]
    curve = edc(similarity, genuine, in_row_order(qualities[column]), "paper")
    assert np.allclose(curve.fnmr, want["fnmr"], rtol=0, atol=1e-9)
    assert np.allclose(np.arccos(curve.thresholds) / np.pi, want["threshold_distance"], rtol=0, atol=1e-9)
    assert curve.pauc(0.2) == pytest.approx(want["npauc02_left"], abs=1e-9)
    assert curve.pauc(0.3) == pytest.approx(want["npauc03_left"], abs=1e-9)


@pytest.mark.parametrize("column", ["quality", "quality_int"])
def test_nearest_matches_golden(golden, column):
    similarity, genuine, qualities, expected = golden
    want = expected[column][JOINT + "closest_recomputed"]
    curve = edc(similarity, genuine, in_row_order(qualities[column]), "nearest")
    assert np.allclose(curve.fnmr, want["fnmr"], rtol=0, atol=1e-9)
    assert curve.pauc(0.3) == pytest.approx(want["npauc03_trapz"], abs=1e-9)
    assert curve.pauc_raw(0.95) == pytest.approx(want["auc095_trapz"], abs=1e-9)


@pytest.mark.parametrize("preset", ["paper", "nearest"])
@pytest.mark.parametrize("column", ["quality", "quality_int"])
def test_shared_ties_lie_amid_the_orders_of_the_golden_rows(golden, column, preset):
    """Pairs that share their worse image tie, so the fixture's own order is one of many."""
    similarity, genuine, qualities, _ = golden
    shared = edc(similarity, genuine, qualities[column], preset).pauc(.3)
    orders = [np.random.default_rng(seed).permutation(6000) for seed in range(40)]
    areas = [edc(similarity[o], genuine[o], in_row_order(qualities[column][o]), preset).pauc(.3)
             for o in orders]
    assert min(areas) < shared < max(areas)
    assert abs(shared - np.mean(areas)) < np.std(areas)


@pytest.mark.parametrize("preset", ["iso", "paper", "nearest"])
@pytest.mark.parametrize("different", [1, 2, 7, 60])
def test_the_order_of_the_rows_moves_no_number(synthetic, preset, different):
    similarity, genuine, quality = synthetic
    quality, similarity = np.floor(quality * different), similarity.round(2)
    first = edc(similarity, genuine, quality, preset)
    for seed in range(3):
        o = np.random.default_rng(seed).permutation(6000)
        other = edc(similarity[o], genuine[o], quality[o], preset)
        for name in ("discard", "fnmr", "thresholds"):
            assert np.array_equal(getattr(first, name), getattr(other, name), equal_nan=True), name
        assert (first.fmr, first.errors, first.tied) == (other.fmr, other.errors, other.tied)


@pytest.mark.parametrize("preset", ["paper", "nearest"])
@pytest.mark.parametrize("seed", range(8))
def test_ties_are_shared_as_all_orders_pooled(preset, seed):
    generator = np.random.default_rng(seed)
    genuine, quality = np.arange(24) < 9, generator.integers(0, 4, 24)
    similarity = np.clip(generator.standard_normal(24) / 3 + .3 * genuine, -1, 1).round(1 + seed % 2)
    curve = edc(similarity, genuine, quality, preset, fmr=.1)
    for level, start in enumerate(np.floor(LEVELS * 24 + 1e-9).astype(int)):
        cut = np.sort(quality)[start]
        block, above = np.flatnonzero(quality == cut), np.flatnonzero(quality > cut)
        orders = [[*above, *part] for part in combinations(block, 24 - start - len(above))]
        pooled = np.concatenate(orders)
        mated, impostor = similarity[pooled[genuine[pooled]]], similarity[pooled[~genuine[pooled]]]
        if preset == "paper":
            index = paper_index(len(impostor) // len(orders), .1)
            threshold = np.nan if index is None else np.sort(impostor)[::-1][index * len(orders)]
        else:
            threshold = max(closest(mated, impostor, .1), -2)
        want = np.mean(mated <= threshold) if len(mated) and not np.isnan(threshold) else np.nan
        assert curve.fnmr[level] == pytest.approx(want, nan_ok=True)


def closest(mated, impostor, fmr):
    """The similarity whose share of impostors at or above it lies nearest to `fmr`; the lowest of equals."""
    candidates = np.unique(np.append(mated, impostor))
    distance = [abs(np.mean(impostor >= c) - fmr) for c in candidates] if len(impostor) else [np.nan]
    return candidates[np.argmin(np.round(distance, 12))] if len(impostor) else np.nan


def test_area_under_steps_by_hand():
    similarity = np.array([.9, .1, .8, .2, .7, .3, .6, .95])
    discard, fnmr = discard_steps(similarity < .5, ranks([1, 1, 2, 2, 2, 3, 4, 4]))
    for limit, area in ((.2, .075), (.3, .1104166666666667), (.5, .1770833333333333), (1, .2604166666666667)):
        assert step_area(discard, fnmr, limit) == pytest.approx(area, abs=1e-12)


@pytest.mark.parametrize("preset", ["iso", "paper"])
def test_monotone_map_of_quality_changes_nothing(synthetic, preset):
    similarity, genuine, quality = synthetic
    first, mapped = (edc(similarity, genuine, q, preset) for q in (quality, np.exp(3 * quality) - 40))
    assert np.array_equal(first.fnmr, mapped.fnmr) and np.array_equal(first.discard, mapped.discard)


def test_constant_quality_is_one(synthetic):
    similarity, genuine, quality = synthetic
    curve = edc(similarity, genuine, np.ones_like(quality))
    assert len(curve.discard) == 1
    assert [curve.pauc(limit) for limit in (.1, .3, 1)] == [1, 1, 1]


def test_oracle_is_the_discrete_sum_and_beats_the_linear_bound(synthetic):
    similarity, genuine, quality = synthetic
    curve = edc(similarity, genuine, quality)
    perfect = edc(similarity, genuine, np.where(similarity < curve.threshold, np.arange(6000) / 6000, 2))
    left = np.arange(curve.genuine)
    summands = np.maximum(curve.errors - left, 0) / (curve.genuine - left) / curve.genuine
    oracle = oracle_curve(curve)
    assert oracle.pauc_raw(1) == pytest.approx(summands.sum(), abs=1e-12)
    assert oracle.pauc_raw(.3) == pytest.approx(perfect.pauc_raw(.3), abs=1e-12)
    for limit in (.01, .1234, .3, 1):
        closed = oracle_pauc_raw(curve.errors, curve.genuine, limit)
        assert closed == pytest.approx(oracle.pauc_raw(limit), abs=1e-12)
        assert abs(curve.best(limit) - oracle.pauc_raw(limit)) < 1 / curve.genuine
        assert oracle.pauc_raw(limit) > curve.best(limit, linear=True)
    assert oracle.relative(.3) == pytest.approx(0, abs=.01)
    assert flat_curve(curve).relative(.3) == pytest.approx(1)


def test_oracle_under_paper(synthetic):
    similarity, genuine, quality = synthetic
    curve = edc(similarity, genuine, quality, "paper")
    wrong = genuine & (similarity < curve.threshold)
    perfect = edc(similarity, genuine, np.where(wrong, 0, np.where(genuine, 1, 2)), "paper")
    kept = ~np.isnan(perfect.fnmr)
    assert np.allclose(oracle_curve(curve).fnmr[kept], perfect.fnmr[kept])


def test_random_order_is_one_on_average(synthetic):
    similarity, genuine, _ = synthetic
    areas = np.array([curve.pauc(.3) for curve in random_curves(similarity, genuine)])
    assert abs(areas.mean() - 1) < 3 * areas.std(ddof=1) / np.sqrt(len(areas))


def test_random_order_gains_from_the_moving_threshold_of_paper(synthetic):
    """Chance alone is rewarded as soon as it discards one of the few impostors that set the threshold."""
    similarity, genuine, _ = synthetic
    areas = np.array([curve.pauc(.3) for curve in random_curves(similarity, genuine, "paper")])
    assert areas.mean() + 3 * areas.std(ddof=1) / np.sqrt(len(areas)) < 1
    assert flat_curve(edc(similarity, genuine, genuine, "paper")).pauc(.3) == pytest.approx(1)


@pytest.mark.parametrize("preset", ["iso", "paper"])
def test_reversed_quality_is_worse_than_none(synthetic, preset):
    similarity, genuine, quality = synthetic
    right, reversed_ = (edc(similarity, genuine, sign * quality, preset) for sign in (1, -1))
    assert right.pauc(.3) < 1 < reversed_.pauc(.3)


def test_impostor_outlier_moves_the_threshold_by_one_rank(synthetic):
    similarity, genuine, quality = synthetic
    ranked = np.sort(similarity[~genuine])[::-1]
    assert edc(similarity, genuine, quality).threshold == np.nextafter(ranked[3], np.inf)
    similarity[np.flatnonzero(~genuine)[np.argmin(similarity[~genuine])]] = .99      # one mislabelled pair
    assert edc(similarity, genuine, quality).threshold == np.nextafter(ranked[2], np.inf)


def test_failures_to_extract_leave_first(synthetic):
    similarity, genuine, quality = synthetic
    lost = np.flatnonzero(genuine)[:30]
    quality[lost], similarity[lost] = -np.inf, .99
    curve = edc(similarity, genuine, quality)
    assert curve.failures == 30 and curve.discard[1] == 30 / 3000
    assert curve.errors == 30 + np.sum(similarity[genuine][30:] < curve.threshold)
    assert edc(similarity, genuine, quality, "paper").failures == 30


def test_impostor_quality_is_not_needed_under_iso(synthetic):
    similarity, genuine, quality = synthetic
    whole = edc(similarity, genuine, quality)
    half = edc(similarity, genuine, np.where(genuine, quality, np.nan))
    assert np.array_equal(whole.fnmr, half.fnmr)
    with pytest.raises(FiqaError, match="NaN for 3000 pairs"):
        edc(similarity, genuine, np.where(genuine, quality, np.nan), "paper")


FIFTH = np.arange(6000) == 5


@pytest.mark.parametrize("change, options, message", [
    (lambda s, g, q: (s, g, np.where(FIFTH, np.nan, q)), {}, "pair_quality is NaN"),
    (lambda s, g, q: (np.where(FIFTH, np.nan, s), g, q), {}, "similarity is NaN"),
    (lambda s, g, q: (s, g, q[:-1]), {}, "do not match"),
    (lambda s, g, q: (s, np.zeros(6000), q), {}, "no pair as genuine"),
    (lambda *given: given, {"preset": "erc"}, "preset 'erc'"),
    (lambda *given: (part[:3999] for part in given), {}, "at least 1000"),
    (lambda *given: (part[:3100] for part in given), {"preset": "paper"}, "too few"),
    (lambda *given: given, {"preset": "paper", "fmr": .002}, "divides by ten")])
def test_bad_input_is_named(synthetic, change, options, message):
    with pytest.raises(FiqaError, match=message):
        edc(*change(*synthetic), **options)


@pytest.mark.parametrize("limit", [0, 1.01, np.nan])
def test_a_limit_is_a_fraction(synthetic, limit):
    with pytest.raises(FiqaError, match="discard limit"):
        edc(*synthetic).pauc(limit)


def test_without_errors_the_area_is_zero_and_the_ratio_undefined(synthetic):
    similarity, genuine, quality = synthetic
    for preset in ("iso", "paper"):
        curve = edc(np.where(genuine, .999, similarity), genuine, quality, preset)
        assert curve.errors == 0 and curve.pauc_raw(.3) == 0 and np.isnan(curve.pauc(.3))


def test_paper_floor_is_the_first_level_alone():
    generator = np.random.default_rng(3)
    genuine = np.arange(6000) < 3000
    similarity = np.where(genuine, .9, 0) + .01 * generator.standard_normal(6000)
    similarity[:20] = -.5
    curve = edc(similarity, genuine, np.arange(6000), "paper")
    assert curve.pauc(.2) == pytest.approx(1 / 4) and curve.pauc(.3) == pytest.approx(1 / 6)


@pytest.mark.parametrize("count, index", [(4000, 3), (3001, 3), (3000, 2), (2001, 2), (2000, 1), (1001, 1),
                                          (1000, 0), (101, 0), (100, None), (0, None)])
def test_paper_threshold_rank(count, index):
    assert paper_index(count) == index


@pytest.mark.parametrize("least", [1, 40, 10_000])
@pytest.mark.parametrize("takes", ["at random", "the highest impostors first"])
def test_the_highest_impostors_set_the_thresholds(monkeypatch, least, takes):
    generator = np.random.default_rng(3)
    genuine = generator.random(4000) < 0.1
    similarity = np.round(0.3 * generator.standard_normal(4000) + 0.7 * genuine, 2)  # with ties and beyond 1
    quality = np.where(genuine, 1.0, -similarity) if takes != "at random" else generator.integers(0, 30, 4000)
    expected = edc(similarity, genuine, quality, "paper", 1e-2)
    monkeypatch.setattr(module, "LEAST", least)
    monkeypatch.setattr(module, "MARGIN", 1)
    got = edc(similarity, genuine, quality, "paper", 1e-2)
    for name in ("fnmr", "thresholds", "fmr", "errors"):
        assert np.array_equal(getattr(expected, name), getattr(got, name), equal_nan=True)


def test_grid_levels_without_genuine_pairs_are_undefined():
    genuine = np.arange(4000) < 1000
    curve = edc(np.linspace(-1, 1, 4000), genuine, np.arange(4000), "paper")
    assert np.array_equal(np.isnan(curve.fnmr), LEVELS * 4000 > 999)


def test_curve_holds_its_value(synthetic):
    curve = edc(*synthetic)
    assert curve.at(0) == curve.fnmr0 and curve.at(.3) == curve.fnmr[900]
    assert np.array_equal(curve.at(curve.discard), curve.fnmr)
    assert [part[-1] for part in curve.steps()] == [1, 0]


values = st.integers(-5, 5).map(float)          # few values, so that similarities and qualities tie


@settings(max_examples=100, deadline=None)
@given(st.integers(10, 30).flatmap(lambda count: st.tuples(arrays(float, count, elements=values),
                                                           arrays(float, count, elements=values))),
       arrays(float, st.integers(4, 40), elements=values), st.floats(.05, 1))
def test_iso_against_brute_force(mated, impostor, limit):
    similarity, quality = mated
    fmr = .25
    candidates = np.append(np.unique(impostor), np.inf)
    threshold = min(t for t in np.nextafter(candidates, np.inf) if np.mean(impostor >= t) <= fmr)
    curve = edc(np.append(similarity, impostor), np.arange(len(similarity) + len(impostor)) < len(similarity),
                np.append(quality, np.full(len(impostor), np.nan)), fmr=fmr)
    assert curve.threshold == threshold == threshold_at_fmr(impostor, fmr)
    assert match_rate(impostor, threshold) <= fmr
    wrong, area, previous = similarity < threshold, 0., 0.
    for value in np.unique(quality):
        kept = quality >= value
        x = 1 - kept.mean()
        assert curve.at(x) == pytest.approx(wrong[kept].mean())
        beyond = np.mean(quality <= value)
        area += wrong[kept].mean() * max(min(beyond, limit) - min(previous, limit), 0)
        previous = beyond
    assert curve.pauc_raw(limit) == pytest.approx(area)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2 ** 32 - 1), st.integers(300, 500))
def test_paper_against_brute_force(seed, count):
    generator = np.random.default_rng(seed)
    genuine = generator.random(count) < .5
    similarity = generator.uniform(-1, 1, count) + np.where(genuine, .5, 0)
    quality = generator.random(count)
    curve = edc(similarity, genuine, quality, "paper", fmr=1e-2)
    distance = np.arccos(np.clip(similarity, -1, 1)) / np.pi
    listing = np.argsort(quality)
    for level, value in zip(range(20), curve.fnmr):
        kept = listing[level * count // 20:]
        impostors = sorted(distance[i] for i in kept if not genuine[i])
        index = len(impostors) - 1
        if index < 10:
            assert np.isnan(value)
            continue
        threshold = impostors[index // 10 // 10]
        rejected = [distance[i] >= threshold for i in kept if genuine[i]]
        assert value == pytest.approx(np.mean(rejected)) if rejected else np.isnan(value)
