"""Photographs as face sets: pair lists and their defects, cross-fitting, subsets, known quality losses."""
import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import load_face_set
from fiqa_core.base.images import write_image
from fiqa_core.benchmarks.crossfit import (identity_parts, photograph_benchmark, photograph_suite,
                                           photograph_training_set, subset_pairs)
from fiqa_core.benchmarks.degraded import (CAUSES, CLEAN, SUFFIX, cross_quality_benchmark, degrade,
                                           degraded_copies, draw_cause, strength)
from fiqa_core.benchmarks.loaders.folders import read_pair_list
from tests.helpers.shared import shared_path

FOLDS, PER_CLASS = 4, 3


def smooth_picture(seed: int) -> np.ndarray:
    """A picture with structure at all scales, so that every degradation changes it."""
    y, x = np.mgrid[:112, :112] / 112
    waves = np.random.default_rng(seed).uniform(1, 20, (3, 4, 2))
    value = sum(np.sin(2 * np.pi * (a * x[..., None] + b * y[..., None]))
                for a, b in waves.transpose(1, 2, 0))
    return np.clip(128 + 28 * value, 0, 255).astype(np.uint8)


@pytest.fixture
def lfw(tmp_path):
    """A folder like LFW's, unpacked one level down, with pairs.txt: 4 folds, 3 people of 2 images in each."""
    lines = [f"{FOLDS}\t{PER_CLASS}"]
    for fold in range(FOLDS):
        people = [f"Person_{fold}{i}" for i in range(PER_CLASS)]
        for i, person in enumerate(people):
            for number in (1, 2):
                picture = smooth_picture(100 * fold + 10 * i + number)
                write_image(tmp_path / "lfw" / person / f"{person}_{number:04d}.png", picture)
        lines += [f"{person}\t1\t2" for person in people]
        lines += [f"{person}\t1\t{people[i - 1]}\t2" for i, person in enumerate(people)]
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def listed(lfw):
    return read_pair_list(lfw / "pairs.txt", lfw)


def test_official_list(lfw):
    pairs = read_pair_list(lfw / "pairs.txt", lfw).pairs
    assert len(pairs) == 2 * FOLDS * PER_CLASS and pairs["genuine"].sum() == FOLDS * PER_CLASS
    assert pairs["fold"].value_counts().tolist() == [2 * PER_CLASS] * FOLDS
    first = pairs.iloc[PER_CLASS]
    assert (first["a"], first["b"]) == ("lfw/Person_00/Person_00_0001.png",
                                                  "lfw/Person_02/Person_02_0002.png")
    assert read_pair_list(lfw / "pairs.txt", lfw / "lfw").pairs["a"][0] == "Person_00/Person_00_0001.png"


def test_development_list_has_one_block(lfw):
    lines = (lfw / "pairs.txt").read_text().splitlines()[1 : 2 * PER_CLASS + 1]
    (lfw / "pairsDevTrain.txt").write_text("\n".join([str(PER_CLASS), *lines]))
    pairs = read_pair_list(lfw / "pairsDevTrain.txt", lfw).pairs
    assert pairs["fold"].unique().tolist() == [1] and pairs["genuine"].tolist() == [1] * 3 + [0] * 3


def test_csv_list_gives_the_same_listing(lfw):
    """Both kinds of lists name images alike; the CSV's defects are those of the workbook's own form."""
    official = read_pair_list(lfw / "pairs.txt", lfw)
    table = official.pairs.rename(columns={"a": "path_a", "b": "path_b"})
    table.to_csv(lfw / "pairs.csv", index=False)
    listed = read_pair_list(lfw / "pairs.csv", lfw)
    pd.testing.assert_frame_equal(listed.pairs, official.pairs)
    pd.testing.assert_frame_equal(listed.images, official.images, check_dtype=False)
    for column in ("genuine", "path_a"):
        table.drop(columns=column).to_csv(lfw / "pairs.csv", index=False)
        with pytest.raises(FiqaError, match="lacks column"):
            read_pair_list(lfw / "pairs.csv", lfw)
    table.assign(genuine=1 - table["genuine"]).to_csv(lfw / "pairs.csv", index=False)
    with pytest.raises(FiqaError, match="line 2: a label that contradicts the identities .24 such lines"):
        read_pair_list(lfw / "pairs.csv", lfw)


def test_missing_places_are_named(lfw):
    for pairs, folder in (("none.txt", lfw), ("pairs.txt", lfw / "nowhere")):
        with pytest.raises(FiqaError, match="none.txt is missing|nowhere is missing"):
            read_pair_list(lfw / pairs, folder)


def test_benchmark_and_training_share_no_person(lfw):
    for person in ("Stranger", "yaleb__01"):
        write_image(lfw / "lfw" / person / "1.png", smooth_picture(7))
    faces = photograph_benchmark("LFW", lfw, listed(lfw))
    training = photograph_training_set(lfw, listed(lfw), exclude=("yaleb__*",))
    assert (
        len(faces) == 24 and len(faces.pairs) == 24 and len(training) == 25 and faces.images["fte"].sum() == 0
    )
    assert sorted(faces.images["crossfit"].unique()) == [0, 1]
    for model in (0, 1):
        seen = set(training.images["identity"][training.images["crossfit"] != model])
        assert not seen & set(faces.images["identity"][faces.images["crossfit"] == model])
        assert "Stranger" in seen
    part = faces.images.set_index("template_id")["crossfit"]
    assert (part[faces.pairs["a"]].to_numpy() == part[faces.pairs["b"]].to_numpy()).all()
    assert part[faces.pairs["a"]].to_numpy().tolist() == (faces.pairs["fold"] > 2).astype(int).tolist()
    assert np.array_equal(faces.pixels[0], smooth_picture(1))


def test_folds_that_share_a_person_are_refused(lfw):
    pairs = read_pair_list(lfw / "pairs.txt", lfw)
    pairs.pairs.loc[0, "fold"] = 4
    with pytest.raises(FiqaError, match="Person_00 first"):
        identity_parts(pairs, 2)
    assert set(identity_parts(pairs, 1).values()) == {0}
    with pytest.raises(FiqaError, match="parts = 5"):
        identity_parts(pairs, 5)


def test_one_person_under_two_names(lfw):
    """A stranger who is Person_31 takes his part; a person with names in both parts is not trained on."""
    write_image(lfw / "lfw" / "Alias" / "1.png", smooth_picture(7))
    (lfw / "aliases.csv").write_text(
        "identity_a,identity_b\nAlias,Person_31\nPerson_00,Person_30\nPerson_30,Person_32\n"
    )
    images = photograph_training_set(lfw, listed(lfw), aliases=lfw / "aliases.csv").images
    assert images.loc[images["identity"] == "Alias", "crossfit"].tolist() == [1]
    assert set(images["identity"]) & {"Person_00", "Person_30", "Person_32"} == set()
    assert len(images) == 25 - 6


def test_unreadable_images_stay_as_failures(lfw, capsys):
    (lfw / "lfw" / "Person_00" / "Person_00_0002.png").write_bytes(b"\x89PNG broken")
    write_image(lfw / "lfw" / "Person_01" / "Person_01_0001.png", smooth_picture(0)[:90])
    faces = photograph_benchmark("LFW", lfw, listed(lfw))
    failed = faces.images[faces.images["fte"] == 1]
    assert failed["image_id"].str[-13:].tolist() == ["n_00_0002.png", "n_01_0001.png"]
    printed = capsys.readouterr().out
    assert (
        "not a complete image" in printed and "not an aligned 112 x 112 crop but 112 x 90 pixels" in printed
    )
    assert len(photograph_training_set(lfw, listed(lfw))) == 22


def test_subset_is_fixed_even_over_folds_and_stated(lfw):
    first, second = (photograph_benchmark("LFW", lfw, listed(lfw), subset=4, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first.images, second.images)
    scored = set(first.images["image_id"][first.images["subset"] == 1])
    inside = first.pairs[
        first.pairs["a"].isin(scored) & first.pairs["b"].isin(scored) & (first.pairs["genuine"] == 1)
    ]
    assert len(scored) == 8 and sorted(inside["fold"]) == [1, 2, 3, 4]
    both = photograph_benchmark("LFW", lfw, listed(lfw), subset=4, subset_impostors=4, seed=3).images
    assert scored < set(both["image_id"][both["subset"] == 1])
    with pytest.raises(FiqaError, match="subset of 13"):
        subset_pairs(first.pairs[first.pairs["genuine"] == 1], 13, 0)


@pytest.mark.parametrize("cause", CAUSES)
def test_severity_is_monotone(cause):
    """Stronger means further from the clean picture, and the stated truth further from harmless."""
    picture = smooth_picture(1)
    losses, truths = [], []
    for severity in (0.0, 0.25, 0.5, 0.75, 1.0):
        degraded = degrade(picture, cause, severity, np.random.default_rng(5))
        assert degraded.shape == picture.shape and degraded.dtype == np.uint8
        losses.append(np.abs(degraded.astype(float) - picture).mean())
        truths.append(abs(strength(cause, severity) - CLEAN[CAUSES[cause][0]]))
    assert losses == sorted(losses) and truths == sorted(truths) and losses[-1] > losses[0] + 5


def test_cross_quality_copy(lfw):
    clean = photograph_benchmark("LFW", lfw, listed(lfw), subset=4)
    hard = cross_quality_benchmark("LFW-XQ", clean, seed=1)
    assert hard.pairs["b"].tolist() == [b + SUFFIX for b in clean.pairs["b"]]
    for column in ("a", "genuine", "fold"):
        assert hard.pairs[column].tolist() == clean.pairs[column].tolist()
    table = hard.images.set_index("image_id")
    assert (table.loc[hard.pairs["a"], "severity"] == 0).all() and set(
        table.loc[hard.pairs["a"], "cause"]
    ) == {"none"}
    spoilt = table.loc[hard.pairs["b"]]
    assert set(spoilt["cause"]) <= set(CAUSES) and (spoilt["severity"] > 0).all()
    changed = (spoilt[list(CLEAN)[2:]] != pd.Series(CLEAN)[list(CLEAN)[2:]].astype(float)).sum(axis=1)
    assert (changed == 1).all()
    origin = dict(zip(clean.images["image_id"], clean.pixels))
    for image_id, pixels in zip(hard.images["image_id"], hard.pixels):
        assert np.array_equal(pixels, origin[image_id.removesuffix(SUFFIX)]) != image_id.endswith(SUFFIX)
    assert (
        hard.images["crossfit"].to_numpy()
        == clean.images.set_index("image_id")["crossfit"][
            hard.images["image_id"].str.removesuffix(SUFFIX)
        ].to_numpy()
    ).all()


def test_degradation_depends_on_seed_and_name_alone(lfw):
    clean = photograph_benchmark("LFW", lfw, listed(lfw))
    first, second = (cross_quality_benchmark("LFW-XQ", clean, seed=1) for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels)
    assert draw_cause("a", 1) == draw_cause("a", 1) != draw_cause("a", 2)
    drawn = pd.DataFrame([draw_cause(str(i), 0) for i in range(3000)], columns=["cause", "severity"])
    assert drawn["cause"].value_counts().between(400, 600).all()
    assert abs(drawn["severity"].mean() - 0.5) < 0.02


def test_training_with_degraded_copies(lfw):
    clean = photograph_training_set(lfw, listed(lfw))
    mixed = photograph_training_set(lfw, listed(lfw), degraded=0.5, seed=2)
    assert len(mixed) == 36 and np.array_equal(mixed.pixels[:24], clean.pixels)
    assert mixed.images["image_id"].str.endswith(SUFFIX).sum() == 12
    with pytest.raises(FiqaError, match="share from 0 to 1"):
        degraded_copies(clean, 1.5)


def test_suite_is_written_and_read_back(lfw, tmp_path):
    sets = list(photograph_suite(lfw, 0, folder="lfw", pairs="pairs.txt", subset=2))
    assert [faces.name for faces in sets] == ["training", "LFW", "LFW-XQ"]
    for faces in sets:
        faces.save(tmp_path / "build" / faces.name)
        again = load_face_set(tmp_path / "build" / faces.name)
        assert np.array_equal(again.pixels, faces.pixels) and list(again.images) == list(faces.images)


def test_labels_of_the_photograph_pack_are_consistent():
    """LFW's 6,000 pairs: 300 + 300 per fold, folds without common people, both parts about equal."""
    folder = shared_path("faces")
    pairs = read_pair_list(folder / "lfw_view2_pairs.csv", folder)
    assert pairs.pairs.groupby(["fold", "genuine"]).size().tolist() == [300] * 20
    parts = pd.Series(identity_parts(pairs, 2))
    assert len(parts) == 4281 and parts.value_counts().min() > 2000
    assert len(set(identity_parts(pairs, 10).values())) == 10
