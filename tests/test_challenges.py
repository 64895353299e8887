"""The maths of the open challenges against brute force, closed forms and small cases worked out by hand."""
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE
from fiqa_core.benchmarks.perturbing import crop_matrix, jitter_matrices, rewarp
from fiqa_core.benchmarks.tables import FaceSet
from fiqa_core.errors import FiqaError
from fiqa_core.evaluation import fusion, operating_points, vector_quality
from fiqa_core.evaluation.correlation import spearman
from fiqa_core.evaluation.edc import edc
from fiqa_core.evaluation.figure_challenges import with_aligned
from fiqa_core.evaluation.operating_points import Application, OperatingPoint, Traffic
from fiqa_core.evaluation.pairs import benchmark_pairs
from fiqa_core.evaluation.resampled_rates import ResampledPairs
from fiqa_core.evaluation.thresholds import threshold_at_fmr
from fiqa_core.evaluation.variability import CHANGED, SCORES_ONLY, Condition, Variability
from fiqa_core.methods import components
from fiqa_core.methods.components import COMPONENTS, FaceSpace


def small_faces(identities=8, clips=2, frames=3) -> FaceSet:
    """Every clip is a template of `frames` images; all clips are compared with all."""
    rows = [(f"p{i}", f"p{i}c{c}", f"p{i}c{c}f{f}") for i in range(identities) for c in range(clips)
            for f in range(frames)]
    images = pd.DataFrame(rows, columns=["identity", "template_id", "image_id"])
    images = images.assign(media_id=images["template_id"], crossfit=0)[
        ["image_id", "identity", "template_id", "media_id", "crossfit"]]
    names = images.drop_duplicates("template_id")[["template_id", "identity"]].to_numpy()
    pairs = [(a, b, int(i == j), -1) for n, (a, i) in enumerate(names) for b, j in names[n + 1:]]
    pixels = np.zeros((len(images), 112, 112, 3), np.uint8)
    return FaceSet("clips", pixels, images, pd.DataFrame(pairs, columns=["a", "b", "genuine", "fold"]))


def noisy_embeddings(faces: FaceSet, noise: np.ndarray, seed=0) -> np.ndarray:
    """One direction per identity, plus noise (N,) of each image's own size."""
    rng = np.random.default_rng(seed)
    who = pd.factorize(faces.images["identity"])[0]
    return (rng.normal(size=(who.max() + 1, 16))[who] + noise[:, None] * rng.normal(size=(len(faces), 16))
            ).astype(np.float32)


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
    assert fusion.best_frames(quality, clip).tolist() == [False, True, True, False, False, False, True]
    assert fusion.best_frames(quality, clip, 0.5).tolist() == [False, True, True, True, True, False, True]
    assert fusion.best_frames(quality, clip, 1.0).all()


def test_frames_without_a_score_are_refused():
    with pytest.raises(FiqaError, match="1 frames have no score"):
        fusion.best_frames(np.array([np.nan, 1.0]), np.zeros(2, int))


def test_focus_weights_do_not_depend_on_the_scale_of_the_score():
    quality = np.array([.2, .4, .9, -np.inf])
    weights = fusion.focus_weights(quality, 1.5)
    assert np.allclose(weights, fusion.focus_weights(100 * quality + 7, 1.5)) and weights[3] == 0
    assert np.allclose(fusion.focus_weights(quality, 0)[:3], 1) and (np.diff(weights[:3]) > 0).all()
    assert fusion.focus_weights(np.array([3.0, 3.0]), 2).tolist() == [1, 1]


def test_pooled_similarity_is_the_benchmarks_own_with_all_frames_and_one_frame_by_hand():
    faces = small_faces()
    pairs, vectors = benchmark_pairs(faces), noisy_embeddings(faces, np.full(len(faces), 0.5))
    assert np.allclose(fusion.pooled_similarity(pairs, vectors), pairs.similarity(vectors))
    keep = np.arange(len(faces)) % 3 == 1
    unit = vectors[keep] / np.linalg.norm(vectors[keep], axis=1, keepdims=True)
    assert np.allclose(fusion.pooled_similarity(pairs, vectors, keep), (unit[pairs.a] * unit[pairs.b]).sum(1),
                       atol=1e-6)


def test_failed_frames_are_never_chosen_and_a_failed_clip_is_like_nothing():
    faces = small_faces()
    failed = np.zeros(len(faces), int)
    failed[[0, 3, 4, 5]] = 1                                             # a frame of clip 0, all of clip 1
    faces = FaceSet(faces.name, faces.pixels, faces.images.assign(fte=failed), faces.pairs)
    pairs, vectors = benchmark_pairs(faces), noisy_embeddings(faces, np.full(len(faces), 0.5))
    vectors[0] = 1e6
    quality = np.where(pairs.failed, -np.inf, 1.0)
    one = fusion.pooled_similarity(pairs, vectors, fusion.best_frames(quality, fusion.clip_codes(pairs)))
    without = fusion.pooled_similarity(pairs, np.where(pairs.failed[:, None], 0, vectors).astype(np.float32),
                                       fusion.best_frames(quality, fusion.clip_codes(pairs)))
    lost = (pairs.a == 1) | (pairs.b == 1)
    assert (one[lost] == -1).all() and np.allclose(one[~lost], without[~lost])


def test_true_quality_helps_and_its_opposite_harms():
    faces = small_faces(identities=20, clips=3, frames=4)
    noise = np.random.default_rng(1).uniform(0.2, 3, len(faces))
    table = fusion.compare_strategies(benchmark_pairs(faces), {"R": noisy_embeddings(faces, noise)},
                                      pd.DataFrame({"good": -noise}), fusion.Plan(fmr=0.01, resamples=200,
                                                                                  draws=5))
    at = table.set_index(["method", "strategy"])
    assert list(table.columns) == fusion.COLUMNS
    assert at.loc[("good", fusion.BEST), "difference_high"] < 0 < at.loc[("good", fusion.WORST),
                                                                         "difference_low"]
    assert at.loc[("good", fusion.WEIGHTED), "fnmr"] <= at.loc[("", fusion.ALL), "fnmr"]
    assert at.loc[("", fusion.RANDOM_ONE), "against"] != at.loc[("good", fusion.BEST), "against"]
    assert (at["low"] <= at["high"]).all() and (at["frames_per_clip"] == 4).all()


def test_longer_clips_make_a_valid_protocol_with_slower_movement():
    from fiqa_core.pipeline.video import longer_clips
    from fiqa_core.rendering.protocol import check_protocol, load_protocol
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


# component measures

def smooth_faces(count=4, seed=0) -> torch.Tensor:
    coarse = torch.rand(count, 3, 14, 14, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (112, 112), mode="bicubic").clamp(0.2, 0.8).contiguous()


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_does_not_depend_on_the_batch_and_refuses_pixels(name):
    faces = smooth_faces()
    scores = COMPONENTS[name](faces)
    assert scores.shape == (4,) and scores.dtype == torch.float32
    assert torch.allclose(scores[2:3], COMPONENTS[name](faces[2:3]))
    with pytest.raises(FiqaError, match="outside"):
        COMPONENTS[name](faces * 255)


def test_noise_is_measured_in_its_own_unit():
    flat = torch.full((1, 3, 112, 112), 0.5)
    grey = torch.randn(1, 1, 112, 112, generator=torch.Generator().manual_seed(0)) * 0.05
    assert components.noise(flat).item() == 0
    assert components.noise((flat + grey).clamp(0, 1)).item() == pytest.approx(-0.05, rel=0.1)


def test_compression_sees_blocks_at_any_phase():
    from fiqa_core.images import jpeg, to_batch, to_pixels
    picture = np.pad(to_pixels(smooth_faces(1))[0], ((0, 8), (0, 8), (0, 0)), "edge")
    crops = [p[:112, :112] for p in (picture, jpeg(picture, 60), jpeg(picture, 10))]
    values = components.compression(to_batch(np.stack([*crops, jpeg(picture, 10)[3:115, 3:115]])))
    assert values[0] > values[1] > values[2] and values[3] == pytest.approx(values[2].item(), rel=0.15)


def test_exposure_eyes_and_mouth_see_their_own_flaw():
    face = torch.full((4, 3, 112, 112), 0.6)
    for rows, columns in components.EYES:
        face[:, :, rows, columns][..., 4:9, 6:12] = 0.2                  # two dark irises
    face[1] *= 0.15                                                      # under-exposed
    face[2, :, components.EYES[0][0], components.EYES[0][1]] = 0.6       # one eye closed
    face[3, :, 90:98, 50:63] = 0.05                                      # an open mouth
    assert components.exposure(face)[1] == 0 and components.exposure(face)[0] > 0.9
    assert components.eyes_open(face)[2] == 0 and components.eyes_open(face)[0] > 0.1
    assert components.mouth_closed(face)[3] < 0.2 and components.mouth_closed(face)[0] > 0.9


def test_face_space_finds_what_is_no_face():
    seeded = torch.Generator().manual_seed(0)
    faces = smooth_faces(1) + 0.15 * torch.randn(60, 1, 1, 1, generator=seeded) * smooth_faces(1, seed=1)
    space = FaceSpace(faces.clamp(0, 1), components=5)
    hidden = faces[:1].clamp(0, 1).clone()
    hidden[:, :, 60:104] = 0.1                                           # a mask
    assert space(hidden).item() < space(faces[:1].clamp(0, 1)).item() - 0.3
    with pytest.raises(FiqaError, match="5 faces for 5 principal components"):
        FaceSpace(faces[:5].clamp(0, 1), components=5)


# components beside scores

def test_harm_is_the_distance_from_the_harmless_value():
    images = pd.DataFrame({"image_id": ["a", "b"], "yaw": [-30.0, 10], "jpeg": [100.0, 40],
                           "resolution": [112.0, 28], "light_level": [0.5, 2], "hat": [0, 0]})
    found = vector_quality.harm(images)
    assert list(found) == ["yaw", "jpeg", "resolution", "light_level"]
    assert found.to_numpy().tolist() == [[30, 0, 0, 1], [10, 60, 2, 1]]


def test_rank_correlations_are_spearmans_and_their_replicates_repeat_images():
    rng = np.random.default_rng(0)
    who = rng.integers(0, 15, 200)
    x, y = rng.normal(size=200), rng.normal(size=200)
    y[:100] += 2 * x[:100]
    columns = pd.DataFrame({"x": x}), pd.DataFrame({"y": y})
    table = vector_quality.rank_correlations(*columns, who, 300, 0).iloc[0]
    assert table["spearman"] == pytest.approx(spearman(x, y))
    assert table["low"] < table["spearman"] < table["high"]
    drawn = np.random.default_rng(1).integers(0, 3, (15, 4)).astype(np.float32)
    values = vector_quality.weighted_correlation(x, y, drawn, who)
    for r in range(4):
        rows = np.repeat(np.arange(200), drawn[who, r].astype(int))
        assert values[r] == pytest.approx(np.corrcoef(x[rows], y[rows])[0, 1])


def test_detection_is_the_share_of_ordered_pairs():
    magnitude = np.array([0, 0, 0, 0, 0, 0, 0, 0, 5, 9.0])
    component = np.array([5, 6, 7, 8, 9, 10, 11, 12, 8, 1.0])
    assert vector_quality.detection(component, magnitude) == 1.0         # the top tenth: the last alone
    rare = np.zeros(20)
    rare[0] = 1
    assert vector_quality.detection(-np.arange(20.0), rare) == 0.0
    assert np.isnan(vector_quality.detection(rare, 0 * rare))
    rng = np.random.default_rng(0)
    component, magnitude = np.round(rng.normal(size=300), 1), rng.random(300)
    strong = component[magnitude >= np.quantile(magnitude, 0.9)]
    without = component[magnitude <= np.median(magnitude)]
    pairs = (strong[:, None] < without).mean() + (strong[:, None] == without).mean() / 2
    assert vector_quality.detection(component, magnitude) == pytest.approx(pairs)


def test_targets_name_the_cause_a_component_really_follows():
    rng = np.random.default_rng(0)
    magnitudes = pd.DataFrame({"yaw": rng.random(300), "noise": rng.random(300)})
    mixed = -magnitudes["yaw"] - 0.1 * magnitudes["noise"]
    table = pd.DataFrame({"pose": -magnitudes["yaw"], "noise": mixed})
    found = vector_quality.target_table(table, magnitudes, vector_quality.rank_correlations(
        table, magnitudes, np.arange(300), 50, 0)).set_index("component")
    assert found.loc["pose", "spearman"] == pytest.approx(-1) and found.loc["pose", "detection"] == 1
    assert found.loc["noise", "strongest"] == "yaw" and found.loc["noise", "detection"] < 0.7


def test_explained_share_is_one_for_a_sum_of_ranks_and_none_for_noise():
    rng = np.random.default_rng(0)
    table, who = pd.DataFrame(rng.random((600, 3))), rng.integers(0, 60, 600)
    assert vector_quality.explained(table, table[1].to_numpy(), who, 0) > 0.99
    assert vector_quality.explained(table, rng.random(600), who, 0) < 0.05
    score = np.where(np.arange(600) < 5, np.nan, table[2])
    assert vector_quality.explained(table, score, who, 0) > 0.99


def test_fusions_and_their_pauc():
    table = pd.DataFrame({"a": [1.0, 2, 3], "b": [3.0, 1, 2]})
    fused = vector_quality.with_fusions(table)
    assert fused[vector_quality.WORST].tolist() == [0.25, 0.25, 0.5]
    assert fused[vector_quality.MEAN].tolist() == [0.5, 0.375, 0.625]
    faces = small_faces(identities=20, clips=3, frames=1)
    noise = np.random.default_rng(1).uniform(0.2, 2, len(faces))
    pairs, vectors = benchmark_pairs(faces), noisy_embeddings(faces, noise)
    scores = pd.DataFrame({"m": -noise, "n": noise})
    found = vector_quality.ranking_pauc(pairs, pairs.similarity(vectors), scores, 0.01, 0.3, 100, 0)
    value = edc(pairs.similarity(vectors), pairs.genuine, pairs.quality(-noise), fmr=0.01).pauc(0.3)
    assert found["m"][0] == pytest.approx(value)
    other = {"m": (1.0, np.full(100, np.nan))}
    means = vector_quality.mean_pauc({"A": found, "B": other}).set_index("ranking")
    assert means.loc["m", "pauc"] == pytest.approx((value + 1) / 2) and means.loc["m", "benchmarks"] == 2
    assert means.loc["n", "pauc"] > means.loc["m", "high"] and means.index[0] == "m"
