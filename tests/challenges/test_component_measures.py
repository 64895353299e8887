"""Component measures of quality, and what they say beside a scalar score, against brute force and closed forms."""
import numpy as np
import pandas as pd
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.challenges import component_measures, component_statistics
from fiqa_core.challenges.component_measures import COMPONENTS, FaceSpace
from fiqa_core.evaluation.comparisons import benchmark_pairs
from fiqa_core.evaluation.edc import edc
from fiqa_core.evaluation.ranks import spearman
from tests.helpers.small_clips import noisy_embeddings, small_faces

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
    assert component_measures.noise(flat).item() == 0
    assert component_measures.noise((flat + grey).clamp(0, 1)).item() == pytest.approx(-0.05, rel=0.1)


def test_compression_sees_blocks_at_any_phase():
    from fiqa_core.base.images import jpeg, to_batch, to_pixels
    picture = np.pad(to_pixels(smooth_faces(1))[0], ((0, 8), (0, 8), (0, 0)), "edge")
    crops = [p[:112, :112] for p in (picture, jpeg(picture, 60), jpeg(picture, 10))]
    values = component_measures.compression(to_batch(np.stack([*crops, jpeg(picture, 10)[3:115, 3:115]])))
    assert values[0] > values[1] > values[2] and values[3] == pytest.approx(values[2].item(), rel=0.15)


def test_exposure_eyes_and_mouth_see_their_own_flaw():
    face = torch.full((4, 3, 112, 112), 0.6)
    for rows, columns in component_measures.EYES:
        face[:, :, rows, columns][..., 4:9, 6:12] = 0.2                  # two dark irises
    face[1] *= 0.15                                                      # under-exposed
    face[2, :, component_measures.EYES[0][0], component_measures.EYES[0][1]] = 0.6       # one eye closed
    face[3, :, 90:98, 50:63] = 0.05                                      # an open mouth
    assert component_measures.exposure(face)[1] == 0 and component_measures.exposure(face)[0] > 0.9
    assert component_measures.eyes_open(face)[2] == 0 and component_measures.eyes_open(face)[0] > 0.1
    assert component_measures.mouth_closed(face)[3] < 0.2 and component_measures.mouth_closed(face)[0] > 0.9


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
    found = component_statistics.harm(images)
    assert list(found) == ["yaw", "jpeg", "resolution", "light_level"]
    assert found.to_numpy().tolist() == [[30, 0, 0, 1], [10, 60, 2, 1]]


def test_rank_correlations_are_spearmans_and_their_replicates_repeat_images():
    rng = np.random.default_rng(0)
    who = rng.integers(0, 15, 200)
    x, y = rng.normal(size=200), rng.normal(size=200)
    y[:100] += 2 * x[:100]
    columns = pd.DataFrame({"x": x}), pd.DataFrame({"y": y})
    table = component_statistics.rank_correlations(*columns, who, 300, 0).iloc[0]
    assert table["spearman"] == pytest.approx(spearman(x, y))
    assert table["low"] < table["spearman"] < table["high"]
    drawn = np.random.default_rng(1).integers(0, 3, (15, 4)).astype(np.float32)
    values = component_statistics.weighted_correlation(x, y, drawn, who)
    for r in range(4):
        rows = np.repeat(np.arange(200), drawn[who, r].astype(int))
        assert values[r] == pytest.approx(np.corrcoef(x[rows], y[rows])[0, 1])


def test_detection_is_the_share_of_ordered_pairs():
    magnitude = np.array([0, 0, 0, 0, 0, 0, 0, 0, 5, 9.0])
    component = np.array([5, 6, 7, 8, 9, 10, 11, 12, 8, 1.0])
    assert component_statistics.detection(component, magnitude) == 1.0         # the top tenth: the last alone
    rare = np.zeros(20)
    rare[0] = 1
    assert component_statistics.detection(-np.arange(20.0), rare) == 0.0
    assert np.isnan(component_statistics.detection(rare, 0 * rare))
    rng = np.random.default_rng(0)
    component, magnitude = np.round(rng.normal(size=300), 1), rng.random(300)
    strong = component[magnitude >= np.quantile(magnitude, 0.9)]
    without = component[magnitude <= np.median(magnitude)]
    pairs = (strong[:, None] < without).mean() + (strong[:, None] == without).mean() / 2
    assert component_statistics.detection(component, magnitude) == pytest.approx(pairs)


def test_targets_name_the_cause_a_component_really_follows():
    rng = np.random.default_rng(0)
    magnitudes = pd.DataFrame({"yaw": rng.random(300), "noise": rng.random(300)})
    mixed = -magnitudes["yaw"] - 0.1 * magnitudes["noise"]
    table = pd.DataFrame({"pose": -magnitudes["yaw"], "noise": mixed})
    found = component_statistics.target_table(table, magnitudes, component_statistics.rank_correlations(
        table, magnitudes, np.arange(300), 50, 0)).set_index("component")
    assert found.loc["pose", "spearman"] == pytest.approx(-1) and found.loc["pose", "detection"] == 1
    assert found.loc["noise", "strongest"] == "yaw" and found.loc["noise", "detection"] < 0.7


def test_explained_share_is_one_for_a_sum_of_ranks_and_none_for_noise():
    rng = np.random.default_rng(0)
    table, who = pd.DataFrame(rng.random((600, 3))), rng.integers(0, 60, 600)
    assert component_statistics.explained(table, table[1].to_numpy(), who, 0) > 0.99
    assert component_statistics.explained(table, rng.random(600), who, 0) < 0.05
    score = np.where(np.arange(600) < 5, np.nan, table[2])
    assert component_statistics.explained(table, score, who, 0) > 0.99


def test_fusions_and_their_pauc():
    table = pd.DataFrame({"a": [1.0, 2, 3], "b": [3.0, 1, 2]})
    fused = component_statistics.with_fusions(table)
    assert fused[component_statistics.WORST].tolist() == [0.25, 0.25, 0.5]
    assert fused[component_statistics.MEAN].tolist() == [0.5, 0.375, 0.625]
    faces = small_faces(identities=20, clips=3, frames=1)
    noise = np.random.default_rng(1).uniform(0.2, 2, len(faces))
    pairs, vectors = benchmark_pairs(faces), noisy_embeddings(faces, noise)
    scores = pd.DataFrame({"m": -noise, "n": noise})
    found = component_statistics.ranking_pauc(pairs, pairs.similarity(vectors), scores, 0.01, 0.3, 100, 0)
    value = edc(pairs.similarity(vectors), pairs.genuine, pairs.quality(-noise), fmr=0.01).pauc(0.3)
    assert found["m"][0] == pytest.approx(value)
    other = {"m": (1.0, np.full(100, np.nan))}
    means = component_statistics.mean_pauc({"A": found, "B": other}).set_index("ranking")
    assert means.loc["m", "pauc"] == pytest.approx((value + 1) / 2) and means.loc["m", "benchmarks"] == 2
    assert means.loc["n", "pauc"] > means.loc["m", "high"] and means.index[0] == "m"
