"""The published order of methods against the measured one, with resamples; FNMR(0); same and cross model."""
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.evaluation.evaluate import evaluate
from fiqa_core.reporting import artefact_tables, cross_model, names, ranking, recogniser_check
from fiqa_core.reporting.published import load_published, pick
from fiqa_core.reporting.ranking import load_replicates

INPUTS = Path(__file__).resolve().parents[2] / "fiqa_core" / "inputs"
SLUGS = ["faceqnet", "ser_fiq", "faceqan", "cr_fiqa", "faceqgen", "diffiqa", "ediffiqa_l"]
METHODS = ["FaceQnet", "SER-FIQ", "FaceQAN", "CR-FIQA", "FaceQgen (re-interpretation)", "DifFIQA",
           "eDifFIQA(L)"]
RESAMPLES = 40


def write_params(folder, source):
    suite = {"suite": "test", "faces": {"source": source}, "on_recogniser": dict.fromkeys(SLUGS)}
    (folder / "params.yaml").write_text(yaml.safe_dump(suite))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project with the published tables; `source` of its faces is photographs."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    shutil.copytree(INPUTS / "published", tmp_path / "data" / "published")
    (tmp_path / "results" / "test" / "evaluation").mkdir(parents=True)
    write_params(tmp_path, "official")
    return tmp_path


def areas_and_replicates(seed=0):
    """pauc.csv of two recognisers and two benchmarks and its replicates, made up."""
    rng = np.random.default_rng(seed)
    axes = [["LFW", "XQLFW"], ["ArcFace", "TransFace"], [*METHODS, "random"], ["iso"], [0.3]]
    names = ["benchmark", "recogniser", "method", "preset", "discard_limit"]
    areas = pd.MultiIndex.from_product(axes, names=names).to_frame(index=False)
    areas["pauc"] = rng.uniform(0.4, 1.1, len(areas))
    noise = rng.normal(0, 0.1, (len(areas), RESAMPLES))
    return areas, (areas["pauc"].to_numpy()[:, None] + noise).astype(np.float32)


def write(folder, areas, replicates):
    areas.to_csv(folder / "results" / "test" / "evaluation" / "pauc.csv", index=False)
    np.save(folder / "results" / "test" / "evaluation" / "replicates.npy", replicates)


def printed_values(recogniser, benchmark):
    table = pick(load_published("ediffiqa_pauc"), recogniser=recogniser, benchmark=benchmark)
    table["method"] = table["method"].replace({"FaceQgen": "FaceQgen (re-interpretation)"})
    return table.set_index("method")["value"][METHODS]


def test_spearman_and_its_interval_against_scipy(folder):
    areas, replicates = areas_and_replicates()
    table = pick(ranking.rank_correlations(areas, replicates, "iso"), paper="eDifFIQA")
    places = {(r, b) for r in ("ArcFace", "TransFace", "all") for b in ("LFW", "XQLFW", "mean")}
    assert set(zip(table["recogniser"], table["benchmark"])) == places
    row = pick(table, recogniser="ArcFace", benchmark="XQLFW").iloc[0]
    chosen = areas.index[(areas["recogniser"] == "ArcFace") & (areas["benchmark"] == "XQLFW")][: len(METHODS)]
    printed = printed_values("ArcFace", "XQLFW")
    assert row["spearman"] == pytest.approx(stats.spearmanr(printed, areas["pauc"][chosen]).statistic)
    drawn = [stats.spearmanr(printed, replicates[chosen, r]).statistic for r in range(RESAMPLES)]
    assert [row["low"], row["high"]] == pytest.approx(np.percentile(drawn, [2.5, 97.5]))
    assert row["methods"] == len(METHODS)


def test_means_rank_the_mean_of_the_areas(folder):
    areas, replicates = areas_and_replicates(1)
    table = pick(ranking.rank_correlations(areas, replicates, "iso"), paper="eDifFIQA")
    row = pick(table, recogniser="all", benchmark="mean").iloc[0]
    measured = areas.groupby("method")["pauc"].mean()[METHODS]
    printed = sum(printed_values(name, "mean") for name in ("ArcFace", "TransFace")) / 2
    assert row["spearman"] == pytest.approx(stats.spearmanr(printed, measured).statistic)


def test_a_resample_without_errors_is_left_out_and_a_method_without_an_area_too(folder):
    areas, replicates = areas_and_replicates(2)
    replicates[2, :5] = np.nan
    areas.loc[3, "pauc"] = np.nan
    row = pick(ranking.rank_correlations(areas, replicates, "iso"), paper="eDifFIQA").iloc[0]
    kept = [0, 1, 2, 4, 5, 6]
    printed = printed_values("ArcFace", "LFW").iloc[kept]
    drawn = [stats.spearmanr(printed, replicates[kept, r]).statistic for r in range(5, RESAMPLES)]
    assert row["methods"] == 6
    assert [row["low"], row["high"]] == pytest.approx(np.percentile(drawn, [2.5, 97.5]))


def test_without_replicates_there_is_no_interval_and_no_direction(folder):
    areas, replicates = areas_and_replicates()
    table = ranking.rank_correlations(areas, np.full_like(replicates, np.nan), "iso")
    assert table["low"].isna().all() and set(table["verdict"]) == {"no interval"}
    assert ranking.rank_correlations(areas, replicates, "paper").empty  # not measured under that preset
    assert ranking.rank_cells(areas, replicates, "paper").empty


@pytest.mark.parametrize(
    "methods, low, high, p, said",
    [
        (7, 0.1, 0.9, 0.01, "same direction, clear of resampling and chance"),
        (7, 0.1, 0.9, 0.10, "same direction, clear of resampling, not of chance"),
        (7, -0.9, -0.1, 0.99, "opposite direction, clear of resampling and chance"),
        (7, -0.9, -0.1, 0.90, "opposite direction, clear of resampling, not of chance"),
        (7, -0.1, 0.9, 0.01, "no direction clear of resampling"),
        (3, 0.5, 1.0, 0.01, "too few methods"),
    ],
)
def test_verdict_of_a_correlation(methods, low, high, p, said):
    assert ranking.rank_verdict(methods, low, high, p) == said


def test_cells_compare_ranks_with_their_resampled_interval(folder):
    areas, replicates = areas_and_replicates(3)
    cells = pick(ranking.rank_cells(areas, replicates, "iso"), paper="eDifFIQA", recogniser="ArcFace",
                 benchmark="LFW")
    printed, measured = printed_values("ArcFace", "LFW"), areas["pauc"][: len(METHODS)]
    assert cells["method"].tolist() == METHODS
    assert cells["printed_rank"].tolist() == stats.rankdata(printed).tolist()
    assert cells["measured_rank"].tolist() == stats.rankdata(measured).tolist()
    drawn = stats.rankdata(replicates[: len(METHODS)], axis=0)
    assert cells["low"].to_numpy() == pytest.approx(np.percentile(drawn, 2.5, axis=1))
    for cell in cells.itertuples():
        inside = cell.low <= cell.printed_rank <= cell.high
        assert cell.verdict.startswith("printed rank within" if inside else "measured")
        if not inside:
            assert ("better" in cell.verdict) == (cell.high < cell.printed_rank)


def test_doubtful_and_copied_rows_are_no_printed_order(folder):
    table = ranking.printed_areas()
    assert "SER-FIQ" not in set(pick(table, paper="AI-KD")["method"])
    assert not table.duplicated(["paper", "discard_limit", "recogniser", "benchmark", "method"]).any()


def test_stored_replicates_are_checked(folder):
    areas, replicates = areas_and_replicates()
    areas.to_csv(folder / "results" / "test" / "evaluation" / "pauc.csv", index=False)
    with pytest.raises(FiqaError, match="replicates.npy is missing"):
        load_replicates()
    write(folder, areas, replicates[:-1])
    with pytest.raises(FiqaError, match=rf"\({len(areas) - 1}, 40\), pauc.csv has {len(areas)} rows"):
        load_replicates()
    np.save(folder / "results" / "test" / "evaluation" / "replicates.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(FiqaError, match="is no array"):
        load_replicates()
    write(folder, areas, replicates)
    assert np.array_equal(load_replicates()[1], replicates)


def small_face_set():
    rng = np.random.default_rng(5)
    ids = [f"i{i:03d}" for i in range(60)]
    images = pd.DataFrame({"image_id": ids, "identity": [f"p{i // 3:02d}" for i in range(60)],
                           "template_id": ids, "media_id": ids, "crossfit": 0})
    a, b = np.triu_indices(60, 1)
    same = a // 3 == b // 3
    pairs = pd.DataFrame({"a": np.array(ids)[a], "b": np.array(ids)[b], "genuine": same.astype(int),
                          "fold": -1})
    vectors = rng.normal(size=(20, 8))[np.arange(60) // 3] + rng.normal(0, 0.9, (60, 8))
    scores = pd.DataFrame({"benchmark": "LFW", "image_id": ids, "method": "FaceQAN", "score": rng.random(60)})
    return FaceSet("LFW", np.zeros((60, 112, 112, 3), np.uint8), images, pairs), vectors, scores


def test_evaluate_keeps_the_replicates_its_intervals_come_from():
    faces, vectors, scores = small_face_set()
    chosen = {"fmr": 0.01, "presets": ["iso"], "resamples": RESAMPLES, "draws": 3}
    tables = evaluate({"LFW": faces}, {("ArcFace", "LFW"): vectors}, scores, chosen)
    areas, replicates = tables["pauc"], tables["replicates"].to_numpy()
    assert replicates.shape == (len(areas), RESAMPLES) and replicates.dtype == np.float32
    own = (areas["method"] == "FaceQAN").to_numpy()
    bounds = np.percentile(replicates[own], [2.5, 97.5], axis=1).T
    assert bounds == pytest.approx(areas.loc[own, ["low", "high"]].to_numpy(), abs=1e-6)
    assert np.isnan(replicates[~own]).all()


def write_rates(folder, fnmr=0.01):
    keys = {"benchmark": "LFW", "recogniser": ["ArcFace", "MobileFaceNet"], "method": "oracle",
            "preset": "paper"}
    pd.DataFrame(keys | {"discard_limit": 0.3, "errors": 30, "genuine": 3000}).to_csv(
        folder / "results" / "test" / "evaluation" / "pauc.csv", index=False
    )
    curves = pd.DataFrame(keys | {"discard": 0.0, "fnmr": fnmr, "low": 0.007, "high": 0.014})
    later = curves.assign(discard=0.05, fnmr=0.001)
    pd.concat([curves, later]).to_csv(folder / "results" / "test" / "evaluation" / "edc.csv", index=False)


def test_fnmr_without_discard_stands_beside_the_papers(folder):
    write_rates(folder)
    table = recogniser_check.fnmr_without_discard().set_index(["recogniser", "benchmark"])
    row = table.loc[("ArcFace", "LFW")]
    assert row["published_errors"] == 25 and row["errors"] == 30 and row["measured"] == 0.01
    assert row["verdict"] == "within what resampling explains"
    assert row["difference"] == pytest.approx(0.01 - 25 / 3000, abs=2e-5)
    assert table.loc[("MobileFaceNet", "LFW"), "verdict"] == "no published counterpart"
    shared = recogniser_check.both_sides(table.reset_index())
    assert shared["recogniser"].tolist() == ["ArcFace"]


def test_rendered_rates_are_never_subtracted(folder):
    write_rates(folder)
    write_params(folder, "rendered")
    row = (
        recogniser_check.fnmr_without_discard()
        .query("recogniser == 'ArcFace' and benchmark == 'LFW'")
        .iloc[0]
    )
    assert np.isnan(row["difference"]) and row["verdict"] == "compare ranks only"


def test_shapes_of_curves_start_at_one_on_both_sides(folder):
    write_rates(folder)
    path = folder / "results" / "test" / "evaluation" / "edc.csv"
    pd.read_csv(path).assign(method="eDifFIQA(L)").to_csv(path, index=False)
    shapes = recogniser_check.curve_shapes()
    assert set(shapes["recogniser"]) == {"ArcFace"} and set(shapes["benchmark"]) == {"LFW"}
    measured = pick(shapes, side="measured").set_index("discard")["ratio"]
    assert measured.to_dict() == pytest.approx({0.0: 1.0, 0.05: 0.1})
    printed = pick(shapes, side="published")
    assert len(printed) == 12 and printed["ratio"].iloc[0] == 1
    pd.read_csv(path).assign(fnmr=0.0).to_csv(path, index=False)
    assert pick(recogniser_check.curve_shapes(), side="measured")["ratio"].isna().all()


def cross_areas():
    values = {("LFW", "FaceQAN"): (0.6, 0.7, 0.8), ("LFW", "MagFace"): (0.9, 0.8, 0.7),
              ("LFW", "Sharpness"): (1, 1, 1), ("LFW", "oracle"): (0.1, 0.1, 0.1),
              ("YTF", "FaceQAN"): (0.75, 0.7, 0.8)}
    rows = [(benchmark, r, method, value) for (benchmark, method), own in values.items()
            for r, value in zip(("CosFace", "ArcFace", "MagFace"), own)]
    return pd.DataFrame(rows, columns=["benchmark", "recogniser", "method", "pauc"]).assign(low=0.0, high=2.0)


def test_same_model_stands_beside_the_others():
    table = cross_model.cross_model(cross_areas(),
                                    {"FaceQAN": "CosFace", "MagFace": "MagFace", "PFE": "CosFace"})
    found = table.set_index(["method", "benchmark"])
    assert table["method"].tolist() == ["MagFace", "MagFace", "FaceQAN", "FaceQAN", "FaceQAN"]
    row = found.loc[("FaceQAN", "LFW")]
    assert (row["same"], row["cross"], row["others"]) == (0.6, 0.75, 2) and row["gap"] == pytest.approx(-0.15)
    assert row["verdict"] == "best with its own recogniser"
    assert found.loc[("FaceQAN", "YTF"), "verdict"] == "within the range of the others"
    assert found.loc[("FaceQAN", "mean"), ["same", "cross"]].tolist() == pytest.approx([0.675, 0.75])
    assert found.loc[("MagFace", "LFW"), "same"] == 0.7


def test_worst_with_its_own_recogniser():
    table = cross_model.cross_model(cross_areas(), {"MagFace": "CosFace"})
    assert set(table["verdict"]) == {"worst with its own recogniser"}
    assert cross_model.cross_model(cross_areas(), {"MagFace": "Unmeasured"}).empty


def test_params_tell_which_recogniser_scored():
    suite = {"scoring": {"recogniser": "cosface"},
             "recognisers": {"cosface": {"name": "CosFace"}, "magface": {"name": "MagFace"}},
             "on_recogniser": {"faceqan": {}, "magface": {"recogniser": "magface"}},
             "trained": {"cr_fiqa": {}, "pcnet": None, "pfe": {"checkpoint": "pfe.pt"}},
             "distilled": {"ediffiqa_l": {"backbone": "cosface"}}, "on_pixels": {"sharpness": {}}}
    assert cross_model.scoring_recognisers(suite, names.METHODS) == {"FaceQAN": "CosFace", "PCNet": "CosFace",
                                                      "eDifFIQA(L)": "CosFace", "MagFace": "MagFace"}


def test_authors_scores_are_matched_by_file_name(folder):
    names = ["Aaron_Eckhart/Aaron_Eckhart_0001", "AJ_Cook_0001.jpg", "AJ_Lamas_0001", "Unknown_0001",
             "Thomas_Birmingham_0002", "Joseph_Estrada_0003"]
    scores = pd.DataFrame({"benchmark": "XQLFW", "image_id": names, "method": "FaceQAN",
                           "score": [0.3, 0.1, 0.2, 0.5, 0.0, 0.9]})
    assert ranking.authors_scores(scores)["count"] == 5
    assert ranking.authors_scores(scores.assign(method="PFE")) is None
    write_params(folder, "rendered")
    assert ranking.authors_scores(scores) is None


def test_the_dagger_of_ser_fiq_stands_where_its_choice_is_tested(folder):
    printed = pick(load_published("ediffiqa_pauc"), recogniser="ArcFace")
    wide = artefact_tables.method_by_benchmark(printed, "value")
    assert wide.columns.tolist() == ["Adience", "CALFW", "CFP-FP", "CPLFW", "IJB-C", "LFW", "XQLFW", "mean"]
    signs = artefact_tables.printed_signs(printed, wide)
    assert signs.loc["SER-FIQ", "XQLFW"] == "\u2020" and (signs == "*").sum().sum() == 7
    measured = artefact_tables.measured_signs(wide)
    assert measured.loc["SER-FIQ", "XQLFW"] == "\u2020" and (measured != "").sum().sum() == 1
    write_params(folder, "rendered")
    assert (artefact_tables.measured_signs(wide) == "").all().all()
