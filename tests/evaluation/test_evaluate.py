"""All tables at once on a small face set whose truth is known."""
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, load_face_set, write_pairs
from fiqa_core.base.files import write_csv
from fiqa_core.evaluation.comparisons import face_set_similarity
from fiqa_core.evaluation.edc import edc
from fiqa_core.evaluation.evaluate import evaluate, verification_table

IDENTITIES, EACH = 60, 5
SETTINGS = {"fmr": 1e-2, "presets": ["iso", "paper"], "discard_limits": [0.2, 0.3], "resamples": 80,
            "draws": 20, "seed": 1}


def face_set(name: str, seed: int, per_template: int = 1) -> tuple[FaceSet, np.ndarray, dict]:
    """A face set, the true quality of its images, and the embeddings of two recognisers."""
    generator = np.random.default_rng(seed)
    count = IDENTITIES * EACH * per_template
    identity = np.repeat(np.arange(IDENTITIES), EACH * per_template)
    quality = np.repeat(generator.random(IDENTITIES * EACH), per_template) + .05 * generator.random(count)
    template = np.arange(count) // per_template
    images = pd.DataFrame({
        "image_id": [f"i{i}" for i in range(count)], "identity": [f"p{i}" for i in identity],
        "template_id": [f"t{i}" for i in template], "media_id": [f"m{i // 2}" for i in range(count)],
        "crossfit": 0, "blur": 1 - quality, "yaw": generator.standard_normal(count), "constant": 3.0})
    a = generator.integers(IDENTITIES * EACH, size=1900)
    genuine = np.arange(1900) < 700
    b = np.where(genuine, a // EACH * EACH + (a + generator.integers(1, EACH, size=1900)) % EACH,
                 (a + EACH * generator.integers(1, IDENTITIES, size=1900)) % (IDENTITIES * EACH))
    pairs = pd.DataFrame({"a": [f"t{i}" for i in a], "b": [f"t{i}" for i in b],
                          "genuine": genuine.astype(int), "fold": -1})
    centres = generator.standard_normal((IDENTITIES, 24))
    noise = (1.4 if per_template == 1 else 3) * (1.05 - quality[:, None])
    embeddings = {(recogniser, name): centres[identity] + noise * generator.standard_normal((count, 24))
                  for recogniser in ("ArcFace", "CosFace")}
    return FaceSet(name, np.zeros((count, 112, 112, 3), np.uint8), images, pairs), quality, embeddings


def score_rows(faces: FaceSet, quality: np.ndarray, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    columns = {"good": quality, "noisy": quality + .5 * generator.standard_normal(len(quality)),
               "useless": generator.random(len(quality))}
    return pd.concat([pd.DataFrame({"benchmark": faces.name, "image_id": faces.images["image_id"],
                                    "method": method, "score": values})
                      for method, values in columns.items()], ignore_index=True)


@pytest.fixture(scope="module")
def world():
    """Two face sets (stills; templates of four images), embeddings, scores and the resulting tables."""
    parts = [face_set("LFW", 1), face_set("IJB-C", 2, per_template=4)]
    faces = {part[0].name: part[0] for part in parts}
    embeddings = {key: value for part in parts for key, value in part[2].items()}
    scores = pd.concat([score_rows(part[0], part[1]) for part in parts], ignore_index=True)
    return faces, embeddings, scores, evaluate(faces, embeddings, scores, SETTINGS)


def test_rows_agree_with_edc(world):
    faces, embeddings, scores, tables = world
    pairs, images = faces["LFW"].pairs, faces["LFW"].images
    quality = scores.query("benchmark == 'LFW' and method == 'noisy'").set_index("image_id")["score"]
    by_template = quality.loc[images["image_id"]].set_axis(images["template_id"])
    pair_quality = np.minimum(by_template[pairs["a"]].to_numpy(), by_template[pairs["b"]].to_numpy())
    similarity = face_set_similarity(faces["LFW"], embeddings["CosFace", "LFW"])
    for preset in ("iso", "paper"):
        curve = edc(similarity, pairs["genuine"], pair_quality, preset, fmr=1e-2)
        rows = tables["pauc"].query("benchmark == 'LFW' and recogniser == 'CosFace' and method == 'noisy'")
        row = rows[(rows["preset"] == preset) & (rows["discard_limit"] == .3)].iloc[0]
        assert row["pauc"] == curve.pauc(.3) and row["pauc_raw"] == curve.pauc_raw(.3)
        assert (row["fnmr0"], row["threshold"], row["errors"]) == (curve.fnmr0, curve.threshold, curve.errors)
        assert (row["genuine"], row["impostor"], row["pairs_unscored"]) == (700, 1200, 0)
        drawn = tables["edc"].query("benchmark == 'LFW' and recogniser == 'CosFace' and method == 'noisy'")
        drawn = drawn[drawn["preset"] == preset]
        assert np.allclose(drawn["fnmr"], curve.at(drawn["discard"]), equal_nan=True)


def test_methods_stand_in_their_true_order(world):
    for preset in ("iso", "paper"):
        means = world[3]["means"].query("recogniser == 'all' and discard_limit == 0.3")
        means = means.set_index(["preset", "method"])
        pauc = means["pauc"][preset]
        assert pauc["oracle"] < pauc["good"] < pauc["noisy"] < pauc["useless"]
        assert means["high"][preset]["good"] < 1 and (means["benchmarks"] == 2).all()
    assert abs(pauc["random"] - 1) < .1


def test_intervals_hold_their_points(world):
    pauc = world[3]["pauc"]
    assert pauc[["low", "high"]].notna().all().all()
    assert (pauc["low"] <= pauc["high"]).all()
    assert ((pauc["low"] <= pauc["pauc"]) & (pauc["pauc"] <= pauc["high"])).mean() > .95
    curves = world[3]["edc"].query("preset == 'iso' and discard < 0.5")
    assert ((curves["low"] <= curves["fnmr"]) & (curves["fnmr"] <= curves["high"])).mean() > .9


def test_means_average_the_cells(world):
    pauc, means = world[3]["pauc"], world[3]["means"]
    for row in means.itertuples():
        cells = pauc[(pauc["method"] == row.method) & (pauc["preset"] == row.preset)
                     & (pauc["discard_limit"] == row.discard_limit)]
        if row.recogniser != "all":
            cells = cells[cells["recogniser"] == row.recogniser]
        assert row.pauc == pytest.approx(cells["pauc"].mean())


def test_differences_are_paired(world):
    means = world[3]["means"].query("recogniser == 'all' and preset == 'iso' and discard_limit == 0.3")
    means = means.set_index("method")
    row = world[3]["differences"].query("method_a == 'good' and method_b == 'noisy' and preset == 'iso'"
                                        " and discard_limit == 0.3").iloc[0]
    assert row["difference"] == pytest.approx(means["pauc"]["good"] - means["pauc"]["noisy"])
    assert row["low"] < row["difference"] < min(row["high"], 0)
    apart = np.hypot(*(means["high"] - means["low"])[["good", "noisy"]])
    assert row["high"] - row["low"] < apart


def test_ranks_and_causes(world):
    _, _, scores, tables = world
    row = tables["ranks"].query("benchmark == 'LFW' and method_a == 'good' and method_b == 'noisy'").iloc[0]
    columns = [scores.query("benchmark == 'LFW' and method == @m")["score"] for m in ("good", "noisy")]
    assert row["spearman"] == pytest.approx(stats.spearmanr(*columns).statistic)
    assert row["kendall"] == pytest.approx(stats.kendalltau(*columns).statistic)
    table = tables["causes"].set_index(["benchmark", "method", "cause"])["spearman"]
    assert table["LFW", "good", "blur"] == pytest.approx(-1, abs=1e-3)
    assert abs(table["IJB-C", "good", "yaw"]) < .1


def test_verification_table(world):
    faces, embeddings, _, tables = world
    pd.testing.assert_frame_equal(tables["verification"], verification_table(faces, embeddings))
    assert (tables["verification"]["accuracy"] > .7).all() and len(tables["verification"]) == 4


def test_unscored_images_leave_and_are_counted(world):
    faces, embeddings, scores, _ = world
    lfw = {"LFW": faces["LFW"]}
    first = set(faces["LFW"].images["image_id"][:EACH * IDENTITIES // 2])
    partly = scores[(scores["method"] != "noisy") | scores["image_id"].isin(first)]
    tables = evaluate(lfw, embeddings, partly, {**SETTINGS, "resamples": 20, "draws": 2})
    pauc = tables["pauc"].query("discard_limit == 0.3 and recogniser == 'ArcFace'")
    pauc = pauc.set_index(["preset", "method"])
    pairs = faces["LFW"].pairs
    both = pairs["a"].isin([f"t{i[1:]}" for i in first]) & pairs["b"].isin([f"t{i[1:]}" for i in first])
    used = int((both & (pairs["genuine"] == 1)).sum())
    assert pauc["genuine"]["iso", "noisy"] == used and pauc["pairs_unscored"]["iso", "noisy"] == 700 - used
    assert pauc["impostor"]["iso", "noisy"] == 1200
    assert pauc["impostor"]["paper", "noisy"] == int((both & (pairs["genuine"] == 0)).sum())
    assert pauc["pairs_unscored"]["iso", "good"] == 0 and pauc["genuine"]["iso", "oracle"] == 700
    assert pauc["low"].notna().all()


def test_failures_count_as_errors_that_leave_first(world):
    faces, embeddings, scores, _ = world
    images = faces["LFW"].images.assign(fte=(np.arange(len(faces["LFW"].images)) < 10).astype(int))
    lfw = FaceSet("LFW", faces["LFW"].pixels, images, faces["LFW"].pairs)
    pauc = evaluate({"LFW": lfw}, embeddings, scores, {**SETTINGS, "resamples": 5, "draws": 2})["pauc"]
    similarity = face_set_similarity(lfw, embeddings["ArcFace", "LFW"])
    lost = lfw.pairs[["a", "b"]].isin([f"t{i}" for i in range(10)]).any(axis=1).to_numpy()
    assert np.array_equal(similarity == -1, lost)
    rows = pauc.query("recogniser == 'ArcFace' and preset == 'iso'")
    genuine = lfw.pairs["genuine"] == 1
    assert set(rows["errors"]) == {int((similarity[genuine] < rows["threshold"].iloc[0]).sum())}
    good = rows[(rows["method"] == "useless") & (rows["discard_limit"] == .3)]["pauc"].iloc[0]
    assert good < 1                  # even a useless method profits: what failed leaves first


def test_equal_input_gives_equal_files(world, tmp_path):
    faces, embeddings, scores, tables = world
    lazy = {key: (lambda value=value: value) for key, value in embeddings.items()}
    for name, table in evaluate(faces, lazy, scores, SETTINGS).items():
        write_csv(table, tmp_path / "b" / f"{name}.csv")
        write_csv(tables[name], tmp_path / "a" / f"{name}.csv")
        first, second = ((tmp_path / side / f"{name}.csv").read_bytes() for side in "ab")
        assert first == second and b"\r" not in first and b"-0.000000" not in first


def test_the_order_of_the_rows_moves_no_number(world):
    faces, embeddings, scores, _ = world
    rounded = scores.assign(score=scores["score"].round(1))                             # with many ties
    chosen = SETTINGS | {"resamples": 20, "draws": 2}
    pairs = faces["LFW"].pairs.assign(fold=np.arange(len(faces["LFW"].pairs)) % 5)
    first, second = (evaluate({"LFW": replace(faces["LFW"], pairs=p)}, embeddings, s, chosen) for p, s in (
        (pairs, rounded), (pairs.sample(frac=1, random_state=1, ignore_index=True),
                           rounded.groupby("method", sort=False).sample(frac=1, random_state=2))))
    for name, table in first.items():
        pd.testing.assert_frame_equal(table, second[name], check_exact=True, obj=name)


def without(kind):
    return lambda faces: replace(faces, pairs=faces.pairs[faces.pairs["genuine"] != kind])


SAME = np.repeat(np.random.default_rng(0).standard_normal((IDENTITIES, 24)), EACH, axis=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("change, embeddings, score, note", [
    (without(0), {}, 0, "0 impostor"), (without(1), {}, 0, "there is no genuine pair"),
    (lambda faces: replace(faces, pairs=faces.pairs.groupby("genuine").head(1)), {}, 0, "1 impostor"),
    (lambda faces: faces, {("ArcFace", "LFW"): SAME}, 0, "no genuine pair is rejected"),
    (lambda faces: faces, {}, 1, "all qualities are equal"),
    (lambda faces: faces, {}, 2, "% have one quality")],
    ids=["no impostor", "no genuine pair", "a pair of each", "no error", "all equal", "many ties"])
def test_what_cannot_be_measured_is_a_row_with_a_note(world, change, embeddings, score, note, tmp_path):
    """Beside a benchmark that is whole, so that its numbers are seen to stay."""
    faces, own = world[0]["LFW"], {("ArcFace", name): world[1]["ArcFace", "LFW"] for name in ("LFW", "CALFW")}
    scores = world[2][world[2]["benchmark"] == "LFW"]
    odd = {0: scores, 1: scores.assign(score=1.0), 2: scores.assign(score=scores["score"] > 0.9)}[score]
    sets = {"LFW": change(faces), "CALFW": replace(faces, name="CALFW")}
    tables = evaluate(sets, own | embeddings, pd.concat([odd, scores.assign(benchmark="CALFW")]),
                      SETTINGS | {"resamples": 5, "draws": 2})
    whole, rows = (tables["pauc"][tables["pauc"]["benchmark"] == name] for name in ("CALFW", "LFW"))
    assert len(rows) == len(whole) == 20 and (whole["note"] == "").all() and whole["pauc"].notna().all()
    methods = rows[~rows["method"].isin(["oracle", "random"])]
    assert methods["note"].str.contains(note).all() and (methods["pauc"].isna().all() == (score == 0))
    assert len(tables["replicates"]) == 40 and set(tables["verification"]["benchmark"]) == set(sets)
    for name, table in tables.items():
        write_csv(table, tmp_path / f"{name}.csv")
        assert name == "replicates" or list(pd.read_csv(tmp_path / f"{name}.csv")) == list(table)


def test_a_binary_face_set_gives_the_same_tables(world, tmp_path, monkeypatch):
    faces, embeddings, scores, _ = world
    chosen = SETTINGS | {"resamples": 20, "draws": 3}
    expected = evaluate({"LFW": faces["LFW"]}, embeddings, scores, chosen)
    monkeypatch.setattr("fiqa_core.base.faces.write_pairs",
                        lambda pairs, folder: write_pairs(pairs, folder, 10))
    faces["LFW"].save(tmp_path / "LFW")
    assert (tmp_path / "LFW" / "pairs.npz").is_file()
    loaded = {"LFW": load_face_set(tmp_path / "LFW")}
    for name, table in evaluate(loaded, embeddings, scores, chosen).items():
        pd.testing.assert_frame_equal(table, expected[name])


def test_without_resampling_intervals_are_empty(world):
    faces, embeddings, scores, _ = world
    tables = evaluate({"LFW": faces["LFW"]}, embeddings, scores, {**SETTINGS, "resamples": 0, "draws": 2})
    assert tables["pauc"].query("method == 'good'")["low"].isna().all()
    assert tables["differences"]["low"].isna().all()
    assert tables["means"].query("method == 'good'")["pauc"].notna().all()


@pytest.mark.parametrize("changed, message", [
    ({"scores": lambda scores: scores.drop(columns="score")}, "scores lack column score"),
    ({"scores": lambda scores: pd.concat([scores, scores[:1]])}, "twice"),
    ({"scores": lambda scores: scores[:1].assign(image_id="nobody")}, "image nobody is not"),
    ({"settings": lambda _: {"far": 1e-3}}, "known are fmr"),
    ({"settings": lambda _: {"presets": ["nearest"]}}, "choose from iso, paper"),
    ({"settings": lambda settings: {**settings, "fmr": 1e-6}}, "at least 1000000"),
    ({"embeddings": lambda _: {}}, "no recogniser has embeddings of LFW"),
    ({"embeddings": lambda _: {("ArcFace", "LFW"): np.ones((3, 8))}}, "embeddings for 300 images")])
def test_bad_input_is_named(world, changed, message):
    given = {"face_sets": world[0], "embeddings": world[1], "scores": world[2], "settings": SETTINGS}
    with pytest.raises(FiqaError, match=message):
        evaluate(**given | {name: change(given[name]) for name, change in changed.items()})
