"""Thresholds of applications against counting."""
from dataclasses import replace

import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.challenges import operating_points
from fiqa_core.challenges.operating_points import Application, OperatingPoint, Traffic


def traffic(people=60, seed=0) -> Traffic:
    """Genuine pairs fail with a probability that falls with their quality; impostors are far away."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), 20)
    quality = rng.random(len(who))
    similarity = np.where(rng.random(len(who)) < 0.4 * (1 - quality) ** 2, 0.0, 1.0)
    a, b = rng.integers(0, people, (2, 3000))
    a, b = a[a != b], b[a != b]
    return Traffic(np.append(similarity, rng.random(len(a)) * 0.5), np.append(quality, rng.random(len(a))),
                   np.append(np.ones(len(who), bool), np.zeros(len(a), bool)), np.append(who, a),
                   np.append(who, b), quality, who, people)


def test_calibration_takes_the_lowest_threshold_that_meets_the_goal():
    seen = traffic()
    goal = Application("door", 0.01, 0.05)
    points = operating_points.calibrate(seen, goal, 200, 0)
    mated = seen.genuine
    errors, quality = seen.similarity[mated] < points[operating_points.POINT].similarity, seen.quality[mated]
    tried = np.sort(quality)
    rate = np.array([errors[quality >= q].mean() for q in tried])
    first = tried[np.flatnonzero(rate <= 0.05)[0]]
    found = points[operating_points.POINT]
    assert first <= found.quality <= first + 0.01                   # candidates are 1/200 of the pairs apart
    assert found.fnmr == pytest.approx(errors[quality >= found.quality].mean()) and found.fnmr <= 0.05
    assert found.discard == pytest.approx(np.mean(quality < found.quality))
    assert points[operating_points.CAUTIOUS].quality > found.quality


def test_a_goal_out_of_reach_is_said_to_be():
    seen = traffic()
    points = operating_points.calibrate(seen, Application("vault", 0.01, 0.001), 50, 0, most_discarded=0.3)
    found = points[operating_points.POINT]
    assert np.isnan(found.quality) and found.discard <= 0.3 and found.fnmr > 0.001
    result = operating_points.check(seen, found, Application("vault", 0.01, 0.001), 50, 0)
    assert result["verdict"] == operating_points.OUT_OF_REACH and np.isnan(result["fnmr"])


def test_a_goal_that_so_few_pairs_cannot_show_is_out_of_reach():
    few = traffic(people=3)                                              # 60 genuine pairs
    few = replace(few, similarity=np.where(few.genuine, 1.0, few.similarity))      # no error at all
    for goal, reached in ((0.06, True), (0.04, False)):                  # 3 / 60 lies between
        points = operating_points.calibrate(few, Application("x", 0.05, goal), 20, 0)
        assert np.isnan(points[operating_points.POINT].quality) != reached


def test_too_few_impostors_are_said_to_be():
    goal = Application("bank", 1e-5, 0.05)
    points = operating_points.calibrate(traffic(), goal, 50, 0)
    assert operating_points.check(traffic(), points[operating_points.POINT], goal, 50, 0)["verdict"] == \
        operating_points.TOO_FEW


def test_check_counts_what_is_kept():
    unseen = traffic(seed=1)
    point, goal = OperatingPoint(0.45, 0.6, 0.02, 0.6), Application("door", 0.1, 0.05)
    result = operating_points.check(unseen, point, goal, 100, 0)
    kept = unseen.quality >= 0.6
    assert result["fnmr"] == pytest.approx(np.mean(unseen.similarity[kept & unseen.genuine] < 0.45))
    assert result["fmr"] == pytest.approx(np.mean(unseen.similarity[kept & ~unseen.genuine] >= 0.45))
    assert result["discard"] == pytest.approx(1 - np.mean(kept[unseen.genuine]))
    assert result["images_discarded"] == pytest.approx(np.mean(unseen.image_quality < 0.6))
    assert result["low"] <= result["fnmr"] <= result["high"]


def test_impostors_without_a_score_are_kept():
    seen = traffic()
    goal = Application("door", 0.1, 0.05)
    unscored = replace(seen, quality=np.where(seen.genuine, seen.quality, np.nan))
    known, unknown = (operating_points.calibrate(t, goal, 20, 0)[operating_points.POINT]
                      for t in (seen, unscored))
    assert known == unknown
    result = operating_points.check(unscored, unknown, goal, 20, 0)
    assert result["fmr"] == pytest.approx(np.mean(seen.similarity[~seen.genuine] >= unknown.similarity))
    assert result["fnmr"] == operating_points.check(seen, known, goal, 20, 0)["fnmr"]


def test_no_error_seen_is_not_no_error():
    unseen = traffic()
    point, goal = OperatingPoint(-1.0, 0.5, 0, 0), Application("x", 0.5, 0.05)
    result = operating_points.check(unseen, point, goal, 50, 0)
    kept = np.sum(unseen.genuine & (unseen.quality >= 0.5))
    assert result["fnmr"] == 0 and result["high"] == pytest.approx(3 / kept)


def test_halves_are_disjoint_and_closed_up():
    whole = traffic()
    chosen = operating_points.halves(whole.identities, 5)
    assert chosen.sum() == whole.identities // 2
    half = whole.within(chosen)
    assert half.identities == 30 and set(np.unique(half.identity_a)) <= set(range(30))
    inside = chosen[whole.identity_a] & chosen[whole.identity_b]
    assert np.array_equal(half.similarity, whole.similarity[inside])
    assert len(half.image_quality) == chosen[whole.image_identity].sum()


@pytest.mark.parametrize("value, low, high, said", [
    (.02, .01, .04, "held, clear of resampling"), (.04, .03, .06, "held"),
    (.06, .04, .08, "missed, within what resampling explains"), (.08, .06, .1, "missed")])
def test_verdicts(value, low, high, said):
    assert operating_points.verdict(value, low, high, 0.05) == said


def test_impossible_goals_are_refused():
    with pytest.raises(FiqaError, match="application door: fmr 0"):
        Application("door", 0, 0.1)
