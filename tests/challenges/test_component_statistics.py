"""What component measures say beside a scalar score, against brute force and closed forms."""
import numpy as np
import pandas as pd
import pytest

from fiqa_core.challenges.component_statistics import (MEAN, WORST, detection, explained, halves, learned_fusion,
                                                       mean_pauc, rank_correlations, target_table,
                                                       weighted_correlation, with_fusions)
from fiqa_core.challenges.components import ranking_pauc
from fiqa_core.evaluation.comparisons import benchmark_pairs
from fiqa_core.evaluation.curves import Settings
from fiqa_core.evaluation.edc import edc
from fiqa_core.evaluation.ranks import spearman
from tests.helpers.small_clips import noisy_embeddings, small_faces


def test_rank_correlations_are_spearmans_and_their_replicates_repeat_images():
    rng = np.random.default_rng(0)
    who = rng.integers(0, 15, 200)
    x, y = rng.normal(size=200), rng.normal(size=200)
    y[:100] += 2 * x[:100]
    columns = pd.DataFrame({"x": x}), pd.DataFrame({"y": y})
    table = rank_correlations(*columns, who, 300, 0).iloc[0]
    assert table["spearman"] == pytest.approx(spearman(x, y))
    assert table["low"] < table["spearman"] < table["high"]
    drawn = np.random.default_rng(1).integers(0, 3, (15, 4)).astype(np.float32)
    values = weighted_correlation(x, y, drawn, who)
    for r in range(4):
        rows = np.repeat(np.arange(200), drawn[who, r].astype(int))
        assert values[r] == pytest.approx(np.corrcoef(x[rows], y[rows])[0, 1])


def test_detection_is_the_share_of_ordered_pairs():
    magnitude = np.array([0, 0, 0, 0, 0, 0, 0, 0, 5, 9.0])
    component = np.array([5, 6, 7, 8, 9, 10, 11, 12, 8, 1.0])
    assert detection(component, magnitude) == 1.0         # the top tenth: the last alone
    rare = np.zeros(20)
    rare[0] = 1
    assert detection(-np.arange(20.0), rare) == 0.0
    assert np.isnan(detection(rare, 0 * rare))
    rng = np.random.default_rng(0)
    component, magnitude = np.round(rng.normal(size=300), 1), rng.random(300)
    strong = component[magnitude >= np.quantile(magnitude, 0.9)]
    without = component[magnitude <= np.median(magnitude)]
    pairs = (strong[:, None] < without).mean() + (strong[:, None] == without).mean() / 2
    assert detection(component, magnitude) == pytest.approx(pairs)


def test_targets_name_the_cause_a_component_really_follows():
    rng = np.random.default_rng(0)
    magnitudes = pd.DataFrame({"yaw": rng.random(300), "noise": rng.random(300)})
    mixed = -magnitudes["yaw"] - 0.1 * magnitudes["noise"]
    table = pd.DataFrame({"pose": -magnitudes["yaw"], "noise": mixed})
    found = target_table(table, magnitudes, rank_correlations(table, magnitudes, np.arange(300), 50, 0))
    found = found.set_index("component")
    assert found.loc["pose", "spearman"] == pytest.approx(-1) and found.loc["pose", "detection"] == 1
    assert found.loc["noise", "strongest"] == "yaw" and found.loc["noise", "detection"] < 0.7


def test_explained_share_is_one_for_a_sum_of_ranks_and_none_for_noise():
    rng = np.random.default_rng(0)
    table, who = pd.DataFrame(rng.random((600, 3))), rng.integers(0, 60, 600)
    assert explained(table, table[1].to_numpy(), who, 0) > 0.99
    assert explained(table, rng.random(600), who, 0) < 0.05
    score = np.where(np.arange(600) < 5, np.nan, table[2])
    assert explained(table, score, who, 0) > 0.99


def test_a_unified_score_learns_from_other_people_alone():
    rng = np.random.default_rng(0)
    table, who = pd.DataFrame(rng.random((1200, 3)), columns=list("abc")), np.arange(1200) // 10
    target = 2 * table["a"] - table["c"] + 0.2 * rng.normal(size=1200)
    target[:5] = np.nan
    scores, weights = learned_fusion(table, target.to_numpy(), who, 0)
    assert spearman(scores, table["a"]) > 0.95 and weights["a"] > 0.4 and weights["c"] == 0     # never against itself
    own = halves(who, 0)
    mixed = target.to_numpy().copy()
    mixed[own] = rng.permutation(mixed[own])
    changed, _ = learned_fusion(table, mixed, who, 0)
    assert np.array_equal(changed[own], scores[own]) and not np.allclose(changed[~own], scores[~own])
    none, empty = learned_fusion(table[:990], target[:990].to_numpy(), who[:990], 0)            # 99 people
    assert np.isnan(none).all() and empty.empty
    table["d"] = np.nan
    with_gaps, weights = learned_fusion(table, target.to_numpy(), who, 0)
    assert np.allclose(with_gaps, scores, atol=0.02) and list(weights.index) == list("abcd")


def test_fusions_and_their_pauc():
    table = pd.DataFrame({"a": [1.0, 2, 3], "b": [3.0, 1, 2]})
    fused = with_fusions(table)
    assert fused[WORST].tolist() == [0.25, 0.25, 0.5]
    assert fused[MEAN].tolist() == [0.5, 0.375, 0.625]
    faces = small_faces(identities=20, clips=3, frames=1)
    noise = np.random.default_rng(1).uniform(0.2, 2, len(faces))
    pairs, vectors = benchmark_pairs(faces), noisy_embeddings(faces, noise)
    chosen = Settings(fmr=0.01, presets=("iso",), discard_limits=(0.3,), resamples=100)
    scores = pd.DataFrame({"m": -noise, "n": noise})
    found = ranking_pauc(faces, vectors, scores, chosen, 0)
    value = edc(pairs.similarity(vectors), pairs.genuine, pairs.quality(-noise), fmr=0.01).pauc(0.3)
    assert found["m"][0] == pytest.approx(value)
    other = {"m": (1.0, np.full(100, np.nan))}
    means = mean_pauc({"A": found, "B": other}).set_index("ranking")
    assert means.loc["m", "pauc"] == pytest.approx((value + 1) / 2) and means.loc["m", "benchmarks"] == 2
    assert means.loc["n", "pauc"] > means.loc["m", "high"] and means.index[0] == "m"
