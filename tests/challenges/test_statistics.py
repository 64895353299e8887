"""The maths of the open challenges against brute force, closed forms and small cases worked out by hand."""
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE
from fiqa_core.challenges import operating_points, video
from fiqa_core.challenges.crops import (CHANGED, SCORES_ONLY, Condition, Variability, crop_matrix,
                                        jitter_matrices, rewarp)
from fiqa_core.challenges.figures import with_aligned
from fiqa_core.challenges.operating_points import Application, OperatingPoint, Traffic
from fiqa_core.evaluation.bootstrap import ResampledPairs
from fiqa_core.evaluation.comparisons import benchmark_pairs
from fiqa_core.evaluation.edc import edc
from fiqa_core.evaluation.thresholds import threshold_at_fmr
from tests.helpers.small_clips import noisy_embeddings, small_faces

# resampled rates

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


# video

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


def test_pooled_similarity_is_the_benchmarks_own_with_all_frames_and_one_frame_by_hand():
    faces = small_faces()
    pairs, vectors = benchmark_pairs(faces), noisy_embeddings(faces, np.full(len(faces), 0.5))
    assert np.allclose(video.pooled_similarity(pairs, vectors), pairs.similarity(vectors))
    keep = np.arange(len(faces)) % 3 == 1
    unit = vectors[keep] / np.linalg.norm(vectors[keep], axis=1, keepdims=True)
    assert np.allclose(video.pooled_similarity(pairs, vectors, keep), (unit[pairs.a] * unit[pairs.b]).sum(1),
                       atol=1e-6)


def test_failed_frames_are_never_chosen_and_a_failed_clip_is_like_nothing():
    faces = small_faces()
    failed = np.zeros(len(faces), int)
    failed[[0, 3, 4, 5]] = 1                                             # a frame of clip 0, all of clip 1
    faces = FaceSet(faces.name, faces.pixels, faces.images.assign(fte=failed), faces.pairs)
    pairs, vectors = benchmark_pairs(faces), noisy_embeddings(faces, np.full(len(faces), 0.5))
    vectors[0] = 1e6
    quality = np.where(pairs.failed, -np.inf, 1.0)
    one = video.pooled_similarity(pairs, vectors, video.best_frames(quality, video.clip_codes(pairs)))
    without = video.pooled_similarity(pairs, np.where(pairs.failed[:, None], 0, vectors).astype(np.float32),
                                       video.best_frames(quality, video.clip_codes(pairs)))
    lost = (pairs.a == 1) | (pairs.b == 1)
    assert (one[lost] == -1).all() and np.allclose(one[~lost], without[~lost])


def test_true_quality_helps_and_its_opposite_harms():
    faces = small_faces(identities=20, clips=3, frames=4)
    noise = np.random.default_rng(1).uniform(0.2, 3, len(faces))
    table = video.compare_strategies(benchmark_pairs(faces), {"R": noisy_embeddings(faces, noise)},
                                      pd.DataFrame({"good": -noise}), video.Plan(fmr=0.01, resamples=200,
                                                                                  draws=5))
    at = table.set_index(["method", "strategy"])
    assert list(table.columns) == video.COLUMNS
    assert at.loc[("good", video.BEST), "difference_high"] < 0 < at.loc[("good", video.WORST),
                                                                         "difference_low"]
    assert at.loc[("good", video.WEIGHTED), "fnmr"] <= at.loc[("", video.ALL), "fnmr"]
    assert at.loc[("", video.RANDOM_ONE), "against"] != at.loc[("good", video.BEST), "against"]
    assert (at["low"] <= at["high"]).all() and (at["frames_per_clip"] == 4).all()


def test_longer_clips_make_a_valid_protocol_with_slower_movement():
    from fiqa_core.challenges.video import longer_clips
    from fiqa_core.rendering.face_sets import check_protocol, load_protocol
    protocol = load_protocol("ytf")
    longer = longer_clips(protocol, 5, 0.5, 300)
    check_protocol(longer)
    assert longer["name"] == "YTF-5" and {len(t) for t in longer["templates"]} == {5}
    assert longer["groups"]["steady"]["drift"]["yaw"] == protocol["groups"]["steady"]["drift"]["yaw"] / 2
    with pytest.raises(FiqaError, match="LFW has no clips"):
        longer_clips(load_protocol("lfw"), 5, 0.5, 300)


# crops

def test_jitter_grows_along_one_direction_and_depends_on_the_image_alone():
    names = ["a", "b", "c"]
    small, large = jitter_matrices(names, 2, 7), jitter_matrices(names, 4, 7)
    assert np.allclose(jitter_matrices(["c"], 4, 7)[0], large[2]) and not np.allclose(large[0], large[1])
    assert np.allclose(jitter_matrices(names, 0, 7), np.eye(3)[:2])
    moved = [np.abs(ARCFACE_TEMPLATE @ m[:, :2].T + m[:, 2] - ARCFACE_TEMPLATE).max() for m in (small[0],
                                                                                                large[0])]
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


def test_the_aligned_point_stands_in_every_panel():
    table = pd.DataFrame({"change": ["landmark jitter", "landmark jitter", "scale", "scale"],
                          "level": [0, 3, 0.9, 1.1], "fnmr": [1, 2, 3, 4]})
    scale = with_aligned(table).query("change == 'scale'")
    assert scale["level"].tolist() == [0.9, 1.0, 1.1] and scale["fnmr"].tolist() == [3, 1, 4]


# applications

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
    known, unknown = (operating_points.calibrate(t, goal, 20, 0)[operating_points.POINT] for t in (seen,
                                                                                                   unscored))
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
