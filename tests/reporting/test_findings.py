"""What a run is said to show follows from its numbers, whichever way they turn out."""
import numpy as np
import pandas as pd
import pytest

from fiqa_core.reporting import figure_overview, findings, protocols
from fiqa_core.reporting.names import look, name_of, order_methods


def means_of(**values) -> pd.DataFrame:
    """Means of methods with an interval of 0.1 around them; keys with _ for what a name may not hold."""
    names = {"flaws_PFE": "PFE (flaws)", "eDifFIQA_L": "eDifFIQA(L)"}
    table = pd.DataFrame({"method": [names.get(key, key) for key in values], "pauc": list(values.values())})
    return table.assign(low=table["pauc"] - 0.05, high=table["pauc"] + 0.05)


def pairs_of(means: pd.DataFrame, half: float) -> pd.DataFrame:
    """Differences of every two methods, each with an interval of +-half."""
    rows = [(a.method, b.method, a.pauc - b.pauc, a.pauc - b.pauc - half, a.pauc - b.pauc + half)
            for a in means.itertuples() for b in means.itertuples() if a.method < b.method]
    return pd.DataFrame(rows, columns=["method_a", "method_b", "difference", "low", "high"])


def test_only_intervals_clear_of_one_count_as_better():
    said = findings.against_random(means_of(FaceQAN=0.6, DifFIQA=0.98, eDifFIQA_L=1.2, PFE=0.1, random=1.0))
    assert said.startswith("1 of the 3 methods") and "(FaceQAN)" in said
    assert "Not clear of 1: DifFIQA." in said and "Worse than random: eDifFIQA(L)." in said
    assert "FaceQAN, takes away 40 % [35, 45]" in said and "PFE" not in said
    none = findings.against_random(means_of(FaceQAN=1.0))
    assert none.startswith("0 of the 1") and "(none)" in none and "takes away" not in none
    assert findings.against_random(means_of(PFE=0.3)) == "No method of the three papers was measured."


def test_pairs_with_the_others_are_won_lost_or_undecided():
    means = means_of(FaceQAN=0.5, DifFIQA=0.55, PFE=0.52, MagFace=0.9, Sharpness=0.2, flaws_PFE=0.1)
    said = findings.against_others(means, pairs_of(means, 0.1))
    assert "3 other methods" in said
    assert "2 of 6 pairs go to the method of the papers, 2 to the other, 2 are not decided" in said
    assert "Behind all of the papers' methods: MagFace; ahead of all of them: Sharpness." in said


def test_leaders_are_told_apart_only_where_an_interval_says_so():
    printed = pd.DataFrame({"method": ["FaceQAN", "DifFIQA", "PFE", "Unmeasured"],
                            "value": [0.68, 0.681, 0.7, 0.1]})
    means = means_of(FaceQAN=0.6, DifFIQA=0.5, PFE=0.8)
    unclear = findings.leaders(printed, pairs_of(means, 0.4), "DifFIQA")
    assert "first 3 (FaceQAN, DifFIQA, PFE) lie within 0.020" in unclear and "\u00b10.400" in unclear
    assert "None of their pairs is decided" in unclear
    clear = findings.leaders(printed, pairs_of(means, 0.05), "DifFIQA")
    assert "3 of their 3 pairs are decided here, 2 of them as printed, by gaps of 0.100 to 0.300." in clear
    assert "fewer than two" in findings.leaders(printed.tail(1), pairs_of(means, 0.1), "DifFIQA")


def ranks(*rows) -> pd.DataFrame:
    columns = ["paper", "discard_limit", "recogniser", "benchmark", "methods", "spearman", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def test_the_order_is_told_with_its_interval_and_per_benchmark():
    said = findings.order_found(ranks(("eDifFIQA", 0.3, "all", "mean", 15, 0.5, 0.2, 0.7),
                                      ("eDifFIQA", 0.3, "all", "LFW", 15, -0.1, -0.4, 0.2),
                                      ("eDifFIQA", 0.3, "all", "XQLFW", 15, 0.8, 0.6, 0.9),
                                      ("eDifFIQA", 0.3, "ArcFace", "XQLFW", 15, 0.9, 0.6, 0.9)))
    assert "eDifFIQA's at 0.3: +0.50 [+0.20, +0.70] over 15 methods" in said
    assert "from -0.10 (LFW) to +0.80 (XQLFW)" in said and "clear of resampling on 1 of 2." in said
    assert "no order can be compared" in findings.order_found(ranks())


def test_both_protocols_stand_beside_one_another():
    means = means_of(FaceQAN=0.5, PFE=0.8, flaws_PFE=0.4, MagFace=0.9, random=1.0)
    table = protocols.both_protocols(means, pairs_of(means, 0.1))
    (row,) = table.itertuples()
    assert (row.method, row.portraits, row.flaws, row.rank_portraits, row.rank_flaws, row.of) == (
        "PFE", 0.8, 0.4, 2, 1, 3)
    assert [row.difference, row.difference_low, row.difference_high] == pytest.approx([-0.4, -0.5, -0.3])
    assert row.verdict == "better for having seen the flaws"
    said = findings.protocols_differ(table)
    assert said.startswith("1 of the 1 methods that learn become better") and "from rank 2 to 1 of 3" in said
    assert "also that of a training set" in said
    unclear = findings.protocols_differ(protocols.both_protocols(means, pairs_of(means, 0.5)))
    assert unclear.startswith("0 of the 1") and "No change is clear" in unclear
    assert protocols.protocol_cells(table).loc["PFE", "rank"] == "2 to 1"
    assert findings.protocols_differ(protocols.both_protocols(means_of(PFE=0.8), pairs_of(means, 0.1))) == ""


def test_a_method_trained_twice_counts_once_under_either_protocol():
    means = means_of(FaceQAN=0.5, PFE=0.8, flaws_PFE=0.4)
    for flaws, area in ((False, 0.8), (True, 0.4)):
        found = protocols.as_trained(means, flaws).set_index("method")["pauc"]
        assert found.to_dict() == {"FaceQAN": 0.5, "PFE": area}


def test_a_method_trained_on_flaws_stands_beside_itself_and_looks_like_it():
    order = order_methods(["random", "PFE (flaws)", "FaceQAN", "PFE"])
    assert order == ["PFE", "PFE (flaws)", "FaceQAN", "random"]
    assert [name_of(slug) for slug in ("pfe_flaws", "pfe", "mine_flaws")] == ["PFE (flaws)", "PFE", ""]
    assert look("PFE (flaws)").colour == look("PFE").colour and look("PFE (flaws)") != look("PFE")


def test_mean_curves_are_relative_to_their_start():
    rows = [(b, "ArcFace", "FaceQAN", u, y) for b, start in (("LFW", 0.1), ("YTF", 0.4), ("Easy", 0.0))
            for u, y in ((0.0, start), (0.3, start / 2), (0.6, 0.0))]
    table = pd.DataFrame(rows, columns=["benchmark", "recogniser", "method", "discard", "fnmr"])
    found = figure_overview.mean_curves(table, 0.3).set_index("discard")["ratio"]
    assert found.to_dict() == {0.0: 1.0, 0.3: 0.5}


def test_the_picture_shows_curves_and_points():
    curves = pd.DataFrame([(m, u, 1 - u * k) for k, m in enumerate(("FaceQAN", "PFE", "random", "oracle"))
                           for u in (0.0, 0.3)], columns=["method", "discard", "ratio"])
    beside = means_of(FaceQAN=0.6, PFE=0.9).rename(columns={"pauc": "measured"}).assign(published=[0.7, 0.8])
    figure = figure_overview.overview(curves, beside, 0.3, "Mean pAUC")
    assert figure.drawn(60).startswith(b"\x89PNG")
    assert "FaceQAN 0.70 and 0.60; PFE 0.80 and 0.90" in figure.get_label()
    left, right = figure.axes
    assert {text.get_text() for text in left.texts} == {"FaceQAN", "random", "oracle"}
    assert [np.ravel(line.get_data()).tolist() for line in right.get_lines()[:2]] == [[0.7, 0.6], [0.8, 0.9]]


def test_run_time_is_sorted_and_what_was_not_measured_left_out():
    table = pd.DataFrame({"method": ["DifFIQA", "PFE", "FaceQAN"], "measured": [300.0, 2.0, np.nan],
                          "published": [1000.0, np.nan, 300.0]})
    figure = figure_overview.runtime_bars(table)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["PFE", "DifFIQA"]
    assert figure.get_label().endswith("PFE 2.0 ms; DifFIQA 300.0 ms.")


def test_seeds_are_told_by_their_span():
    table = pd.DataFrame({"method": ["DifFIQA(R)"] * 3 + ["eDifFIQA(L)"] * 3, "seed": [1, 2, 3] * 2,
                          "pauc": [0.5, 0.52, 0.51, 0.4, 0.49, 0.45]})
    said = findings.seeds_spread(table)
    assert "(3 each)" in said and "spans 0.020 to 0.090 (eDifFIQA(L))" in said
    assert findings.seeds_spread(table.iloc[:0]) == ""
