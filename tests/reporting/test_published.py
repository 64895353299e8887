"""The papers' numbers: consistent with their own means, read strictly, never mixed with measurements."""
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import write_csv
from fiqa_core.reporting import beside, names, published, ranking
from fiqa_core.reporting.recogniser_check import GENUINE

INPUTS = Path(__file__).resolve().parents[2] / "fiqa_core" / "inputs" / "published"
NAMES = sorted(path.relative_to(INPUTS).with_suffix("").as_posix() for path in INPUTS.rglob("*.csv"))
CELLS = ["source", "recogniser", "method", "setting", "quantity", "discard_limit"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project of its own that holds a copy of the published tables."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    (tmp_path / "params.yaml").write_text("suite: test\n")
    shutil.copytree(INPUTS, tmp_path / "data" / "published")
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_every_table_loads(folder, name):
    table = published.load_published(name)
    assert len(table) and table["value"].notna().all() and (table["source"] != "").all()


@pytest.mark.parametrize("name, rows", [("ediffiqa_pauc", 30), ("aikd_pauc", 80), ("froq_pauc", 44),
                                        ("uvface_pauc", 10), ("second_hand/clibfiqa", 53)])
def test_printed_means_agree_with_their_cells(folder, name, rows):
    table = published.load_published(name).fillna({"discard_limit": -1})
    cells = table[table["benchmark"] != "mean"].groupby(CELLS)["value"].agg(["mean", "size"])
    whole = cells[cells["size"] == cells["size"].max()]
    printed = table[table["benchmark"] == "mean"].set_index(CELLS)["value"].reindex(whole.index).dropna()
    assert len(printed) == rows
    assert (whole["mean"] - printed).abs().max() < 0.00101  # cells are rounded to three decimals


def test_second_hand_values_stand_apart(folder):
    for name in NAMES:
        marks = set(published.load_published(name)["mark"])
        assert ("second hand" in marks) == name.startswith("second_hand/")
    moved = folder / "data" / "published" / "clibfiqa.csv"
    shutil.move(folder / "data" / "published" / "second_hand" / "clibfiqa.csv", moved)
    with pytest.raises(FiqaError, match="line 2: second-hand values belong into second_hand"):
        published.load_published("clibfiqa")


def test_known_names_include_the_folder(folder):
    assert published.published_names() == NAMES and "second_hand/dqmface" in NAMES


def test_unreliable_values_join_nothing(folder):
    table = published.load_published("aikd_pauc")
    copied = table[table["mark"] == "copied"]
    assert set(copied["method"]) == {"SER-FIQ"} and len(copied) == 56
    keys = ["recogniser", "benchmark", "setting"]
    twin = published.pick(table, method="SDD-FIQA").set_index(keys)["value"]
    assert (copied.set_index(keys)["value"] == twin).all()  # why they are marked
    assert "SER-FIQ" not in set(published.reliable(table)["method"])


def test_authors_scores_of_xqlfw(folder):
    scores = published.published_scores("FaceQAN", "XQLFW")
    assert len(scores) == 13233 and scores.index.is_unique
    assert (scores.idxmin(), scores.idxmax()) == ("Thomas_Birmingham_0002", "Joseph_Estrada_0003")
    assert [scores.mean(), scores.std()] == pytest.approx([0.3099, 0.1690], abs=5e-5)
    assert published.published_scores("FaceQAN", "LFW") is None


def test_printed_faceqgen_meets_the_re_interpretation(folder):
    table = published.as_measured(published.load_published("ediffiqa_pauc"))
    assert "FaceQgen" not in set(table["method"]) and "FaceQgen (re-interpretation)" in set(table["method"])
    order = names.order_methods(["random", "DifFIQA", "FaceQgen", "CR-FIQA", "oracle", "Zebra", "Sharpness"])
    assert order == ["CR-FIQA", "FaceQgen", "DifFIQA", "Sharpness", "Zebra", "random", "oracle"]


def test_digitised_rates_are_the_known_numbers_of_errors(folder):
    table = published.pick(published.load_published("digitised_edc"), quantity="FNMR(0)")
    errors = (table["value"] * table["benchmark"].map(GENUINE)).rename("errors")
    wide = table.assign(errors=errors).pivot(index="benchmark", columns="recogniser", values="errors")
    known = {"LFW": [25, 25, 25, 26, 24, 25], "CALFW": [271, 240, 240, 252, 288, 242],
             "CFP-FP": [26, 40, 30.5, 69, 59, 28], "CPLFW": [495, 717, 626, 721, 727, 391],
             "XQLFW": [737, 1242, 1192, 1676, 1266, 450]}
    names = ["AdaFace", "ArcFace", "CosFace", "CurricularFace", "SwinFace", "TransFace"]
    for benchmark, row in known.items():
        assert np.abs(wide.loc[benchmark, names] - row).max() < 0.6


def test_digitised_curves_give_the_digitised_areas(folder):
    curves = published.load_published("digitised_edc_curves")
    areas = published.pick(published.load_published("digitised_edc"), quantity="pAUC", discard_limit=0.2)
    inside = curves[curves["discard_limit"] < 0.2 - 0.025]
    mean = inside.groupby(["recogniser", "benchmark"])["value"].mean()
    assert (mean - areas.set_index(["recogniser", "benchmark"])["value"]).abs().max() < 2e-4
    assert (published.pick(curves, discard_limit=0.0)["value"] == 1).all()


def test_known_cells(folder):
    runtime = published.load_published("faceqan_runtime")
    seconds = published.pick(runtime, quantity="run time mean")["value"]
    assert seconds.tolist() == [0.21, 0.23, 0.30, 1.00, 1.87]
    average = published.load_published("diffiqa_average_pauc")
    assert published.pick(average, method="DifFIQA(R)", discard_limit=0.2)["value"].tolist() == [0.7518]
    digitised = published.load_published("digitised_edc")
    assert published.pick(digitised, recogniser="ArcFace", benchmark="XQLFW", quantity="FNMR(0)")[
        "value"
    ].iloc[0] == pytest.approx(1242 / 3000, abs=1e-3)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda text: text.replace("0.21", "about 0.2"), "line 2: value is 'about 0.2'"),
        (lambda text: text.replace("0.21,", ","), "line 2: no value"),
        (lambda text: text.replace("run time mean", "speed", 1), "unknown quantity"),
        (lambda text: text.replace("image,", "image,maybe", 1), "unknown mark"),
        (lambda text: text + text.splitlines()[1] + "\n", "there already"),
        (lambda text: text.replace("method", "technique", 1), "lacks column method"),
        (lambda text: "", "is empty"),
    ],
)
def test_bad_tables_are_refused_with_the_line(folder, change, said):
    path = folder / "data" / "published" / "faceqan_runtime.csv"
    path.write_text(change(path.read_text()))
    with pytest.raises(FiqaError, match=said):
        published.load_published("faceqan_runtime")


def test_unknown_table_names_the_known_ones(folder):
    with pytest.raises(FiqaError, match="ediffiqa_pauc"):
        published.load_published("nothing")


def printed_and_measured():
    printed = pd.DataFrame({"method": ["a", "b", "c"], "value": [0.7, 0.8, 0.9]})
    measured = pd.DataFrame({"method": ["a", "b", "d"], "pauc": [0.72, 0.5, 0.6], "low": [0.68, 0.4, 0.5],
                             "high": [0.75, 0.6, 0.7]})
    return printed, measured


def test_beside_subtracts_only_where_it_may():
    joined = beside.beside(*printed_and_measured(), ["method"], "pauc", may_subtract=False).set_index(
        "method"
    )
    assert joined["difference"].isna().all()
    assert joined["verdict"].to_dict() == {"a": "compare ranks only", "b": "compare ranks only",
                                           "c": "not measured in this suite", "d": "no published counterpart"}
    joined = beside.beside(*printed_and_measured(), ["method"], "pauc", may_subtract=True).set_index("method")
    assert joined.loc["a", "difference"] == pytest.approx(0.02)
    assert joined.loc["a", "verdict"].startswith("within") and joined.loc["b", "verdict"].startswith(
        "outside"
    )


def test_beside_refuses_two_values_for_one_key():
    printed, measured = printed_and_measured()
    with pytest.raises(FiqaError, match="two values"):
        beside.beside(printed, pd.concat([measured, measured]), ["method"], "pauc", False)


@pytest.mark.parametrize("count", [4, 6, 12])
def test_rank_agreement_against_scipy(count):
    rng = np.random.default_rng(count)
    x, y = rng.normal(size=(2, count))
    y += x
    result = ranking.rank_agreement([*x, np.nan], [*y, 1.0])
    assert result["count"] == count
    assert result["spearman"] == pytest.approx(stats.spearmanr(x, y).statistic)
    exact = stats.kendalltau(x, y, alternative="greater", method="exact")
    assert result["kendall"] == pytest.approx(exact.statistic)
    assert result["kendall_p"] == pytest.approx(exact.pvalue, abs=1e-9 if count <= 7 else 0.02)


def test_rank_agreement_says_when_it_cannot():
    result = ranking.rank_agreement([1, 2], [1, 2])
    assert np.isnan(result["spearman"]) and "no rank correlation" in ranking.agreement_sentence(result)
    assert np.isnan(ranking.rank_agreement([1, 1, 1], [1, 2, 3])["kendall"])


def test_order_verdicts_turn_pairs_round():
    printed = pd.DataFrame({"method": ["FaceQAN", "DifFIQA", "DifFIQA(R)"], "value": [0.6, 0.7, 0.8]})
    differences = pd.DataFrame({"method_a": ["DifFIQA", "FaceQAN", "DifFIQA"],
                                "method_b": ["FaceQAN", "DifFIQA(R)", "DifFIQA(R)"],
                                "difference": [0.1, 0.2, 0.0], "low": [0.05, 0.1, -0.1],
                                "high": [0.2, 0.3, 0.1]})
    table = ranking.order_verdicts(printed, differences).set_index(["method_a", "method_b"])
    first = table.loc[("FaceQAN", "DifFIQA")]
    assert first["measured"] == -0.1 and (first["low"], first["high"]) == (-0.2, -0.05)
    assert first["verdict"] == "same order, clear of resampling"
    assert table.loc[("FaceQAN", "DifFIQA(R)"), "verdict"] == "opposite order, clear of resampling"
    assert "within" in table.loc[("DifFIQA", "DifFIQA(R)"), "verdict"]


def test_missing_results_name_the_file_and_the_command(folder):
    (folder / "params.yaml").write_text("on_recogniser: {faceqan: {}}\n")
    with pytest.raises(FiqaError, match="pauc.csv is missing"):
        beside.load_measured("evaluation/pauc")
    with pytest.raises(FiqaError, match="holds no scores"):
        beside.load_scores()


def write_scores(folder, slug, method, score):
    path = folder / "results" / "own" / "scores" / f"{slug}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame({"benchmark": "LFW", "image_id": ["007", "NA"], "score": [score, -np.inf]})
    table.assign(method=method).to_csv(path, index=False)


def test_only_methods_that_the_suite_asks_for_are_read(folder):
    (folder / "params.yaml").write_text("suite: own\non_recogniser: {faceqan: {}, mine: {}, unscored: {}}\n")
    for slug, method in (("faceqan", "FaceQAN"), ("mine", "My method"), ("pfe", "PFE")):
        write_scores(folder, slug, method, 0.5)
    assert beside.suite_methods() == {"faceqan": "FaceQAN", "mine": "My method", "unscored": "unscored"}
    scores = beside.load_scores()
    assert scores["method"].tolist() == ["FaceQAN", "My method"] and set(scores["image_id"]) == {"007"}
    assert beside.load_scores(["My method"], failed=True)["image_id"].tolist() == ["007", "NA"]
    with pytest.raises(FiqaError, match="no scores of PFE"):
        beside.load_scores(["PFE"])
    table = pd.DataFrame({"method_a": ["FaceQAN", "FaceQAN"], "method_b": ["My method", "PFE"]})
    write_csv(table, folder / "results" / "own" / "evaluation" / "differences.csv")
    assert beside.load_measured("evaluation/differences")["method_b"].tolist() == ["My method"]


def test_tables_are_sorted_and_stable(folder):
    table = pd.DataFrame({"method": ["b", "a"], "pauc": [1 / 3, np.nan]})
    path = beside.save_table(table, "10_test", ["method"])
    assert path.read_bytes() == b"method,pauc\na,\nb,0.333333\n"
    with pytest.raises(FiqaError, match="no column k"):
        beside.save_table(table, "10_test", ["k"])


def test_interval_text_reads_well():
    _, measured = printed_and_measured()
    shown = beside.interval_text(measured.rename(columns={"pauc": "measured"}))
    assert shown["measured"].iloc[0] == "0.720 [0.680, 0.750]" and "low" not in shown


def test_agreement_of_three_is_never_called_clear():
    sentence = ranking.agreement_sentence(ranking.rank_agreement([1, 2, 3], [1, 2, 3]))
    assert "Spearman +1.00" in sentence and "too few" in sentence
    six = ranking.rank_agreement(range(6), range(6))
    assert ranking.agreement_sentence(six).endswith("clear of chance.")
