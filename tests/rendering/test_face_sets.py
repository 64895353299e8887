"""Rendered benchmarks: protocol files, pairs, truth tables."""
import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import load_face_set
from fiqa_core.rendering.face_sets import (BENCHMARKS, _pairs, _plan, check_protocol, load_protocol,
                                           make_pairs, rendered_benchmark, rendered_training_set)
from fiqa_core.rendering.nuisance import COLUMNS


def planned(name, scale=1.0):
    """Images and pairs of a full-size benchmark without rendering them."""
    protocol = load_protocol(name)
    generator = np.random.default_rng(0)
    images = _plan(protocol, max(12, round(protocol["identities"] * scale)), generator)
    return protocol, images, _pairs(protocol, images, scale, generator)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_full_size_counts(name):
    protocol, images, pairs = planned(name)
    assert len(images) <= 1150 and images["image_id"].is_unique
    assert (pairs["genuine"] == 0).sum() == 10000
    assert (pairs["genuine"] == 1).sum() == protocol["pairs"]["genuine"] >= 1200
    assert not pairs.duplicated(["a", "b"]).any() and (pairs["a"] != pairs["b"]).all()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_labels_folds_and_groups_are_right(name):
    protocol, images, pairs = planned(name)
    templates = images.drop_duplicates("template_id").set_index("template_id")
    first, second = templates.loc[pairs["a"]], templates.loc[pairs["b"]]
    same = first["identity"].to_numpy() == second["identity"].to_numpy()
    assert (same == (pairs["genuine"] == 1).to_numpy()).all()
    persons = pd.concat([pd.DataFrame({"identity": side["identity"].to_numpy(), "fold": pairs["fold"]})
                         for side in (first, second)])
    assert (persons.groupby("identity")["fold"].nunique() == 1).all() and persons["fold"].nunique() == 10
    across = protocol["pairs"].get("across")
    if across:
        assert (first["group"] == across[0]).all() and (second["group"] == across[1]).all()


def test_each_benchmark_has_the_nuisance_that_defines_it():
    yaw = planned("cfp_fp")[1].assign(turn=lambda table: table["yaw"].abs()).groupby("group")["turn"]
    assert yaw.quantile(0.05)["profile"] > 15 and yaw.quantile(0.95)["profile"] > 60
    assert yaw.quantile(0.95)["frontal"] < 15
    age = planned("calfw")[1].groupby("group")["age"].median()
    assert age["old"] - age["young"] > 45
    turned = planned("cplfw")[1].assign(turn=lambda table: table["yaw"].abs()).groupby("group")["turn"]
    assert turned.quantile(0.95)["turned"] > 55 and turned.max()["turned"] > 70
    quality = planned("xqlfw")[1].groupby("group")["resolution"].mean()
    assert quality["good"] == 112 and quality["poor"] < 85


@pytest.mark.parametrize("name", ["pretraining", "held_out", "portraits", "flaws", "training"])
def test_what_networks_and_methods_learn_from(name):
    protocol = load_protocol(name)
    images = _plan({**protocol, "identities": 60}, 60, np.random.default_rng(0))
    spoilt = {cause: (images[cause] > 0).any() for cause in ("mask", "bar", "motion")}
    assert all(spoilt.values()) if name in ("flaws", "training") else not any(spoilt.values())
    if name in ("pretraining", "held_out"):
        assert images["yaw"].abs().quantile(0.95) < 45 and images["defocus"].max() <= 1.5
    assert (images["noise"] > 10).sum() == 0


def test_protocols_for_one_purpose_differ_in_what_they_are_for_alone():
    learnt, verified = (load_protocol(name)["groups"]["photographs"] for name in ("pretraining", "held_out"))
    assert learnt["nuisance"] == verified["nuisance"]
    sets = [load_protocol(name) for name in ("portraits", "flaws")]
    assert sets[0]["groups"]["good"] == sets[1]["groups"]["good"]
    assert len({(s["identities"], sum(g["images"] for g in s["groups"].values())) for s in sets}) == 1


def test_all_benchmarks_together_stay_small():
    assert sum(len(planned(name)[1]) for name in BENCHMARKS) <= 8600


def test_clips_drift_and_share_their_medium():
    _, images, _ = planned("ytf")
    clips = images.groupby("template_id")
    assert (clips["media_id"].nunique() == 1).all() and (clips["light_level"].nunique() == 1).all()
    assert clips["yaw"].agg(np.ptp).between(0.01, 40).mean() > 0.95
    assert clips["style"].nunique().eq(1).all() and clips.ngroups == images["style"].nunique()
    media = planned("ijb_c")[1].groupby("template_id")["media_id"].nunique()
    assert set(media) == {1, 2}


@pytest.fixture(scope="module")
def small():
    return rendered_benchmark(load_protocol("cfp_fp"), seed=1, scale=0.05)


def test_small_benchmark_is_a_valid_face_set(small, tmp_path):
    assert small.name == "CFP-FP" and small.pixels.shape == (len(small), 112, 112, 3)
    assert small.images["identity"].nunique() == 20 and (small.pairs["genuine"] == 0).sum() >= 1000
    assert set(COLUMNS) | {"occlusion", "severity"} <= set(small.images.columns)
    assert (small.images["crossfit"] == 0).all() and small.images["severity"].between(0, 1).all()
    small.save(tmp_path)
    again = load_face_set(tmp_path)
    assert np.array_equal(again.pixels, small.pixels)
    assert np.allclose(again.images["yaw"], small.images["yaw"], rtol=1e-5)


def test_training_set_is_disjoint_and_reproducible(small):
    protocol = load_protocol("training")
    protocol["groups"]["good"]["images"] = protocol["groups"]["spoilt"]["images"] = 1
    training = rendered_training_set(protocol, seed=1, scale=0.01)
    assert len(training) == 40 and len(training.pairs) == 0 and (training.images["crossfit"] == -1).all()
    assert not set(training.images["identity"]) & set(small.images["identity"])
    again = rendered_training_set(protocol, seed=1, scale=0.01)
    assert np.array_equal(training.pixels, again.pixels)
    pd.testing.assert_frame_equal(training.images, again.images)


def test_too_many_pairs_are_refused():
    templates = pd.DataFrame({"template_id": list("abcd"), "identity": list("xxyy"), "group": "g", "fold": 0})
    pairs = make_pairs(templates, 2, 4, None, np.random.default_rng(0))
    assert len(pairs) == 6
    with pytest.raises(FiqaError, match="5 impostor pairs, its images allow 4"):
        make_pairs(templates, 2, 5, None, np.random.default_rng(0))


@pytest.mark.parametrize("change,message", [
    ({"groups": {"press": {"images": 2, "nuisance": {"rain": {}}}}}, "unknown cause rain"),
    ({"colour": 1}, "colour is not a protocol key"),
    ({"pairs": {"across": ["press", "moon"]}}, "group moon is used"),
    ({"groups": {"press": {"nuisance": {}}}}, "number of images is missing")])
def test_broken_protocols_are_explained(change, message):
    with pytest.raises(FiqaError, match=message):
        check_protocol({**load_protocol("lfw"), **change})
    with pytest.raises(FiqaError, match="missing"):
        load_protocol("nowhere")
