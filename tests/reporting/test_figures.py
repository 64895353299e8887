"""Figures: every one draws, says what it shows, and is the same file when drawn again."""
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation import ranks
from fiqa_core.registry import methods
from fiqa_core.reporting import figure_curves, figure_dots, figure_faces, figure_style, figure_tables
from fiqa_core.reporting.beside import choose
from fiqa_core.reporting.figure_style import canvas, dots, label_ends, lines, save_figure, spread
from fiqa_core.reporting.names import FAMILIES, GREY, LOOKS, METHODS, look

OWN = [name for name in METHODS.values() if name in LOOKS]
RNG = np.random.default_rng(0)


def edc_table(benchmarks=("LFW", "CPLFW"), methods=(*OWN, "oracle", "random")):
    grid = np.linspace(0, 0.95, 20)
    rows = [(b, m, x, 0.2 * (1 - x) ** (1 + i)) for b in benchmarks for i, m in enumerate(methods)
            for x in grid]
    table = pd.DataFrame(rows, columns=["benchmark", "method", "discard", "fnmr"])
    return table.assign(low=table["fnmr"] * 0.9, high=table["fnmr"] * 1.1)


def beside_table():
    return pd.DataFrame({"method": [*OWN, "CR-FIQA", "random"],
                         "published": [*np.linspace(0.6, 0.8, len(OWN)), 0.7, np.nan],
                         "measured": [*np.linspace(0.9, 0.5, len(OWN)), np.nan, 1.0], "low": 0.4,
                         "high": 1.0})


def fnmr_table():
    return pd.DataFrame({"recogniser": ["ArcFace", "CosFace", "ArcFace"],
                         "benchmark": ["LFW", "LFW", "XQLFW"], "published": [0.008, 0.009, 0.4],
                         "measured": [0.01, 0.02, 0.3], "low": 0.005, "high": 0.5})


RATES = {"ArcFace": (np.linspace(0, 1, 50), np.linspace(1, 0, 50))}
NOTHING = pd.DataFrame()
# What the tests of the notebooks do not draw.
FIGURES = {
    "logarithmic": lambda: figure_curves.edc_panels(edc_table(("LFW",)), logarithmic=True),
    "training": lambda: figure_curves.training_log(
        pd.DataFrame({"model": 0, "epoch": [1, 2], "loss": [3, np.nan]})),
    "det": lambda: figure_curves.verification_curves(RATES),
    "roc": lambda: figure_curves.verification_curves(RATES, "roc"),
    "no order": lambda: figure_dots.rank_correlation_dots(NOTHING),
    "no FNMR(0)": lambda: figure_dots.fnmr_dots(NOTHING, together=True),
    "no shapes": lambda: figure_curves.curve_shapes(NOTHING),
    "no same model": lambda: figure_dots.same_and_cross(NOTHING),
    "no ablation": lambda: figure_dots.intervals(NOTHING, "pAUC"),
    "no goal": lambda: figure_tables.ratio_heatmap(NOTHING),
    "no published run time": lambda: figure_dots.method_runtime(pd.DataFrame(
        {"method": OWN, "published": np.nan, "measured": 2.0, "parameters_published": np.nan,
         "parameters_measured": np.linspace(0, 9, len(OWN))})),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figure_draws_and_says_what_it_shows(name):
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    assert len(figure.get_label()) > 10


def test_saved_figure_is_the_same_file_again_with_alt_text_beside(tmp_path, monkeypatch):
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    (tmp_path / "params.yaml").write_text("suite: test\n")
    shown = save_figure(figure_curves.edc_panels(edc_table(), "FaceQAN"), "11_test", "edc")
    path = tmp_path / "results" / "test" / "artefacts" / "11_test" / "11_test_edc.png"
    first = path.read_bytes()
    save_figure(figure_curves.edc_panels(edc_table(), "FaceQAN"), "11_test", "edc")
    assert path.read_bytes() == first and first.startswith(b"\x89PNG")
    assert path.with_suffix(".txt").read_text().strip() == shown.alt
    assert b"matplotlib" not in first.lower()[:400]


def test_the_few_colours_of_a_small_figure_are_those_that_were_drawn():
    drawn = np.asarray(Image.open(BytesIO(figure_dots.published_and_measured(
        beside_table(), "pAUC").drawn(80))).convert("RGB")).reshape(-1, 3).astype(int)
    for method in OWN:
        own = [int(look(method).colour[i:i + 2], 16) for i in (1, 3, 5)]
        assert np.abs(drawn - own).max(axis=1).min() <= 16, method


def test_every_method_has_a_look_of_its_own():
    looks = [(value.colour, str(value.dash), value.marker) for value in LOOKS.values()]
    assert len(set(looks)) == len(looks)
    declared = {slug: method.name for slug, method in methods().items() if slug in METHODS}
    assert declared == METHODS                          # as the methods call themselves
    assert {look("oracle").colour, look("random").colour} == {GREY}
    assert look("a method of tomorrow") not in LOOKS.values()


def test_all_but_the_shown_methods_are_grey_and_without_a_name():
    figure = figure_curves.edc_panels(edc_table(("LFW",), ("FaceQAN", "CR-FIQA", "FROQ", "random")),
                                      shown=["FROQ"])
    colours = [line.get_color() for line in figure.axes[0].get_lines()]
    assert colours.count(figure_style.BACKGROUND["color"]) == 2
    assert {text.get_text() for text in figure.axes[0].texts} == {"FROQ", "random"}
    assert "in grey: FaceQAN, CR-FIQA" in figure.get_label()


def test_every_family_has_its_panel_and_all_curves_are_in_each():
    figure = figure_curves.edc_families(edc_table(("LFW",), ("FaceQAN", "SER-FIQ", "FROQ", "random")))
    shown = {axis.get_title(): len(axis.get_lines()) for axis in figure.axes if axis.get_title()}
    assert shown == {"reaction of the recogniser": 4, "newer, without training": 4}


def test_values_that_may_not_be_compared_have_no_common_axis():
    apart = figure_dots.fnmr_dots(fnmr_table(), together=False).axes
    assert len(apart) == 2 and not apart[0].get_shared_x_axes().joined(*apart)
    assert len(figure_dots.fnmr_dots(fnmr_table(), together=True).axes) == 1


def test_signs_stand_behind_the_values():
    table = pd.DataFrame({"XQLFW": [0.676]}, index=["SER-FIQ"])
    figure = figure_tables.pauc_heatmap(table, signs=pd.DataFrame({"XQLFW": ["\u2020"]}, index=["SER-FIQ"]),
                                        note="why")
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.676\u2020"]
    assert figure.get_label().endswith("why.")


def test_families_name_every_method_once():
    named = [method for family in FAMILIES.values() for method in family]
    assert len(named) == len(set(named)) == len(LOOKS)


def test_a_benchmark_that_could_not_be_measured_is_a_panel_that_says_so():
    table = edc_table()
    gap = table["benchmark"] == "LFW"
    figure = figure_curves.edc_panels(table.assign(fnmr=table["fnmr"].mask(gap), low=np.nan, high=np.nan))
    figure.draw_without_rendering()
    said = [any(text.get_text() == "nothing to measure" for text in axis.texts) for axis in figure.axes]
    assert said[:2] == [True, False]


def test_edc_is_drawn_as_steps_of_the_given_values():
    figure = figure_curves.edc_panels(edc_table(("LFW",), ("FaceQAN",)), limit=0.2)
    (line,) = figure.axes[0].get_lines()
    assert line.get_drawstyle() == "steps-post"
    assert line.get_ydata() == pytest.approx(0.2 * (1 - np.linspace(0, 0.2, 5)))


def test_published_and_measured_stay_in_their_panels():
    table = beside_table()
    left, right = figure_dots.published_and_measured(table, "pAUC").axes
    drawn = [[x for line in axis.get_lines() for x in line.get_xdata() if np.isfinite(x)]
             for axis in (left, right)]
    assert sorted(drawn[0]) == sorted(table["published"].dropna())
    assert sorted(drawn[1]) == sorted(table["measured"].dropna())


@pytest.mark.parametrize("wanted", [[0.5, 0.5, 0.5], [0.99, 0.98, 0.1], list(np.linspace(0, 1, 40)), []])
def test_spread_keeps_order_and_distance(wanted):
    placed = spread(np.array(wanted, float), 0.1, 0.0, 1.0)
    gaps = np.diff(placed[np.argsort(wanted, kind="stable")])
    assert (gaps >= min(0.1, 1 / max(len(wanted) - 1, 1)) - 1e-9).all()
    assert ((placed > -1e-9) & (placed < 1 + 1e-9)).all()


def test_dots_are_open_or_filled_and_have_their_interval():
    _, axes = canvas()
    dots(axes[0, 0], [0.5, 0.7, np.nan], [0, 1, 2], [0.4, np.nan, np.nan], [0.6, np.nan, np.nan],
         ["FaceQAN", "#123456", "Mine"], [True, False, True])
    first, second, _ = axes[0, 0].get_lines()
    own = look("FaceQAN")
    assert (first.get_marker(), first.get_markerfacecolor()) == (own.marker, own.colour)
    assert second.get_color() == "#123456" and second.get_markerfacecolor() == figure_style.PAPER
    (span,) = axes[0, 0].collections
    assert span.get_segments()[0].tolist() == [[0.4, 0], [0.6, 0]]


def test_bands_lie_between_low_and_high_of_the_named_lines():
    _, axes = canvas()
    table = edc_table(("LFW",), ("FaceQAN", "CR-FIQA", "Mine", "oracle"))
    lines(axes[0, 0], table, "discard", "fnmr", bands={"CR-FIQA", "oracle"})
    (band,) = axes[0, 0].collections
    own = table[table["method"] == "CR-FIQA"]
    box = band.get_datalim(axes[0, 0].transData)
    assert (box.y0, box.y1) == pytest.approx((own["low"].min(), own["high"].max()))
    assert [line.get_color() for line in axes[0, 0].get_lines()][1:] == [
        look(name).colour for name in ("FaceQAN", "CR-FIQA", "Mine")]  # the reference lies behind


def test_the_best_method_is_bold_and_a_reference_never():
    table = pd.DataFrame({"LFW": [0.5, 0.4, 0.1], "YTF": [np.nan, 0.9, 0.1]}, ["FaceQAN", "Mine", "oracle"])
    texts = figure_tables.pauc_heatmap(table).axes[0].texts
    assert {text.get_text(): text.get_fontweight() for text in texts} == {
        "0.500": "normal", "0.400": "bold", "0.900": "bold", "0.100": "normal"}


def test_a_sheet_of_faces_is_filled_row_by_row():
    face = np.zeros((4, 4, 3), np.uint8)
    captions = ["a", "b", "", "a very long caption indeed"]
    faces, labels = [face, face, None, face], ["FaceQAN", "set"]
    figure = figure_faces.face_sheet(faces, 3, captions, labels, frames={1: "red"})
    axis = figure.axes[0]
    step = 1.04 + 2 * 0.16                              # the longest caption has two lines
    assert np.allclose([image.get_extent() for image in axis.images],
                       [(0, 1, 1, 0), (1.04, 2.04, 1, 0), (0, 1, step + 1, step)])
    assert axis.patches[0].get_xy() == (1.04, 0)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["FaceQAN", "set"]
    assert figure._repr_png_().startswith(b"\x89PNG") and len(figure.get_label()) > 5


def test_no_label_for_no_line():
    _, axes = canvas()
    label_ends(axes[0, 0], [])
    assert not axes[0, 0].texts


def test_faces_are_chosen_evenly_from_worst_to_best():
    table = pd.DataFrame({"FaceQAN": np.arange(101.0)[::-1]}, index=[f"i{n:03d}" for n in range(101)])
    table.loc["i050"] = np.nan
    chosen = figure_faces.spread_of_quality(table, "FaceQAN", 3)
    assert chosen[0] == "i100" and chosen[-1] == "i000" and len(chosen) == 3
    with pytest.raises(FiqaError, match="100 images"):
        figure_faces.spread_of_quality(table, "FaceQAN", 500)


def test_strips_and_table_of_faces():
    images = {name: RNG.integers(0, 255, (112, 112, 3), dtype=np.uint8) for name in "xyz"}
    scores = pd.DataFrame({"FaceQAN": [0.3, 0.1, 0.2], "DifFIQA": [0.1, 0.2, 0.3]}, index=list("xyz"))
    strips = figure_faces.ordered_strips(images, scores)
    assert "FaceQAN: BCA; DifFIQA: ABC" in strips.get_label()
    table = figure_faces.score_table(images, scores, scores.rank(pct=True))
    table.draw_without_rendering()
    assert "0.300" in [text.get_text() for text in table.axes[1].texts]


def test_what_to_show():
    assert choose("benchmark", ["LFW", "XQLFW"]) == "XQLFW"
    assert choose("benchmark", ["LFW", "LFW-XQ"]) == "LFW-XQ"
    assert choose("recogniser", ["all", "Mine"]) == "Mine"
    with pytest.raises(FiqaError, match="benchmark is 'YTF', which is not measured"):
        choose("benchmark", ["LFW"], "YTF")


def test_binned_scores_fall_with_severity():
    scores = pd.DataFrame({"benchmark": "LFW", "image_id": [str(i) for i in range(60)], "method": "FaceQAN",
                           "score": np.linspace(1, 0, 60)})
    truth = pd.DataFrame({"benchmark": "LFW", "image_id": [str(i) for i in range(60)], "cause": "blur",
                          "magnitude": np.linspace(0, 2, 60)})
    binned = ranks.binned_scores(scores, truth, bins=6)
    assert binned["images"].tolist() == [10] * 6
    assert binned["score"].is_monotonic_decreasing and (binned["low"] <= binned["score"]).all()
    assert ranks.binned_scores(scores, truth.iloc[:0]).empty
    figure_curves.severity(binned).draw_without_rendering()


def test_cause_table_weighs_benchmarks_by_images():
    table = pd.DataFrame({"benchmark": ["a", "b"], "method": "FaceQAN", "cause": "blur",
                          "spearman": [-1.0, 0.0], "images": [300, 100]})
    assert ranks.cause_table(table, ["blur", "yaw"]).loc["FaceQAN", "blur"] == -0.75
    assert ranks.cause_table(table.iloc[:0], ["blur"]).empty
