"""The figures of the report's first page: few, small, readable on a telephone. README's is two of them.

All of them are of one preset and limit, MAIN, and of means over benchmarks and recognisers, so that the area
under a line of the first is (1 - its step) the value of the second.
"""
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.reporting.artefact_tables import wide_scores
from fiqa_core.reporting.figure_faces import APART, benchmark_faces, pictures, spread_of_quality
from fiqa_core.reporting.figure_style import (MARK, MUTED, canvas, dots, empty_figure, finish, label_ends,
                                              lines, rows_of)
from fiqa_core.reporting.names import focus, look, order_methods

NARROW = (4.9, 3.7)  # inches: at 400 pixels the text is still larger than 9 pixels
STRIP = 7            # faces of a row
SHOWN = ("FaceQAN", "DifFIQA", "DifFIQA(R)", "eDifFIQA(L)")  # its rows: the small sizes follow the large one


def mean_curves(curves: pd.DataFrame, limit: float) -> pd.DataFrame:
    """FNMR(u)/FNMR(0), mean over benchmarks and recognisers: method, discard, ratio.

    curves  benchmark, recogniser, method, discard, fnmr of one preset; cells without errors are left out
    """
    keys = ["benchmark", "recogniser", "method"]
    start = curves[curves["discard"] == 0].set_index(keys)["fnmr"]
    shown = curves[curves["discard"] <= limit + 1e-9]
    first = start.reindex(pd.MultiIndex.from_frame(shown[keys])).to_numpy()
    shown = shown.assign(ratio=shown["fnmr"].to_numpy() / np.where(first > 0, first, np.nan))
    return shown.groupby(["method", "discard"], as_index=False, sort=False)["ratio"].mean()


def curves_figure(curves: pd.DataFrame, limit: float) -> Figure:
    """The mean curve of every method, the papers' own in colour; `curves` as from `mean_curves`."""
    figure, axes = canvas(size=NARROW)
    draw_curves(figure, axes[0, 0], curves, limit)
    return figure


def draw_curves(figure: Figure, axis, curves: pd.DataFrame, limit: float) -> None:
    chosen = {*focus(curves["method"]), *REFERENCES} & set(curves["method"])
    ordered = curves.sort_values("discard", kind="stable")
    lines(axis, ordered, "discard", "ratio", shown=chosen, steps=True)
    axis.set(xlim=(0, limit), ylim=(0, None), xlabel="share of comparisons discarded",
             ylabel="errors that remain, FNMR(u)/FNMR(0)")
    last = ordered.groupby("method").tail(1).set_index("method")
    order = [name for name in last["ratio"].sort_values().index if name in chosen]
    finish(figure, "Error-versus-discard curves, mean over benchmarks and recognisers, lowest (best) at the "
           f"right end first: {', '.join(order)}.")
    figure.draw_without_rendering()
    label_ends(axis, [(name, last.loc[name, "discard"], last.loc[name, "ratio"], look(name).colour)
                      for name in order])


def against_print(table: pd.DataFrame, label: str) -> Figure:
    """Measured pAUC over the printed one, a point with its interval each; see `draw_against_print`."""
    if table.empty:
        return empty_figure("No method that the papers print was measured.")
    figure, axes = canvas(size=NARROW)
    draw_against_print(figure, axes[0, 0], table, label)
    return figure


def draw_against_print(figure: Figure, axis, table: pd.DataFrame, label: str) -> None:
    """table  method, published, measured, low, high; `label` stands above the axes.

    The axes have scales of their own, because values of other faces and networks must not be compared; points
    that rise to the right are an order that is found again.
    """
    dots(axis, table["published"], table["measured"], table["low"], table["high"], table["method"],
         upright=True)
    axis.axhline(1, **MARK)
    axis.annotate("random", (0, 1), xycoords=("axes fraction", "data"), xytext=(3, 3),
                  textcoords="offset points", fontsize=8, color=MUTED)
    axis.set(xlabel="pAUC as published", ylabel="pAUC as measured")
    axis.set_title(label, loc="left", fontsize=9.5, color=MUTED)
    axis.margins(x=0.04)
    ordered = table.sort_values("published")["method"]
    finish(figure, f"Measured against published pAUC of {len(table)} methods, from best to worst in print: "
           + "; ".join(f"{row.method} {row.published:.2f} and {row.measured:.2f}"
                       for row in table.set_index("method").loc[ordered].reset_index().itertuples()) + ".")
    figure.draw_without_rendering()
    label_ends(axis, [(row.method.replace(" (re-interpretation)", " (re-int.)"), row.published, row.measured,
                       look(row.method).colour) for row in table.itertuples()], 7.5)


def overview(curves: pd.DataFrame, table: pd.DataFrame, limit: float, label: str) -> Figure:
    """README's picture: `curves_figure` on the left, `against_print` on the right."""
    figure, (row,) = canvas(1, 2, size=(2 * NARROW[0] + 0.6, NARROW[1] + 0.2))
    draw_curves(figure, row[0], curves, limit)
    row[0].set_title("Errors left as the worst faces go: mean of all benchmarks", loc="left",
                     fontsize=9.5, color=MUTED)
    said = figure.get_label()
    draw_against_print(figure, row[1], table, label)
    return finish(figure, f"{said} {figure.get_label()}")


def quality_sheet(scores: pd.DataFrame, benchmark: str, count: int = STRIP) -> Figure:
    """Faces of one benchmark from worst (left) to best, a row for each method of SHOWN in its own order.

    scores  benchmark, image_id, method, score; faces are evenly spaced in each ranking
    """
    wide = wide_scores(scores, benchmark).dropna()
    methods = [name for name in SHOWN if name in wide] or order_methods(wide.columns)[:1]
    if len(wide) < count:
        raise FiqaError(f"{benchmark} has {len(wide)} scored faces", f"show at most {len(wide)}")
    chosen = {method: spread_of_quality(wide, method, count) for method in methods}
    faces = pictures(benchmark_faces(benchmark), sorted({i for row in chosen.values() for i in row}))
    step = APART + 0.3
    figure, axes = canvas(size=(NARROW[0], NARROW[0] / (APART * count) * step * len(methods) + 0.1))
    axis = axes[0, 0]
    for place, (method, row) in enumerate(chosen.items()):
        axis.text(0, step * place + 0.24, method, fontsize=9, color=look(method).colour, fontweight="bold",
                  va="bottom")
        for column, name in enumerate(row):
            x, y = APART * column, step * place + 0.28
            axis.imshow(faces[name], extent=(x, x + 1, y + 1, y))
    axis.text(APART * count, 0.24, "worst \u2192 best", fontsize=8.5, color=MUTED, ha="right", va="bottom")
    axis.set(xlim=(0, APART * count), ylim=(step * len(methods), 0))
    axis.axis("off")
    return finish(figure, f"{count} faces of {benchmark} from worst to best by each of {', '.join(methods)}, "
                  "evenly spaced in its ranking.")


def runtime_bars(table: pd.DataFrame) -> Figure:
    """Measured milliseconds per image, fastest on top, logarithmic; table: method, measured, published."""
    shown = table.dropna(subset=["measured"]).sort_values("measured", ignore_index=True)
    figure, axes = canvas(size=(NARROW[0], 0.9 + 0.2 * len(shown)))
    axis, places = axes[0, 0], np.arange(len(shown))
    colours = [look(name).colour for name in shown["method"]]
    axis.barh(places, shown["measured"], height=0.62, color=colours, alpha=0.85)
    dots(axis, shown["published"], places, styles=shown["method"], filled=False)
    for place, value in enumerate(shown["measured"]):
        axis.annotate(f"{value:,.{1 if value < 10 else 0}f}", (value, place), xytext=(4, -3), fontsize=8,
                      textcoords="offset points")
    rows_of(axis, shown["method"])
    known = shown[["measured", "published"]].to_numpy()
    axis.set(xscale="log", xlabel="ms per image: measured (bar), published (open)",
             xlim=(np.nanmin(known) / 2, np.nanmax(known) * 4))
    axis.xaxis.set(major_formatter=StrMethodFormatter("{x:g}"), minor_formatter=NullFormatter())
    axis.tick_params(axis="y", length=0, labelsize=8)
    return finish(figure, "Measured run time per image, fastest first: "
                  + "; ".join(f"{row.method} {row.measured:.1f} ms" for row in shown.itertuples()) + ".")


def protocol_dots(table: pd.DataFrame) -> Figure:
    """pAUC of each method trained on portraits (blue) and on flaws (orange); `protocols.both_protocols`."""
    figure, axes = canvas(size=(NARROW[0], 1.1 + 0.34 * len(table)))
    axis, places = axes[0, 0], np.arange(len(table))
    for side, shift, colour in (("", -0.13, "#0072B2"), ("flaws_", 0.13, "#D55E00")):
        value = table["flaws" if side else "portraits"]
        dots(axis, value, places + shift, table[f"{side}low"], table[f"{side}high"], colour)
    rows_of(axis, table["method"])
    axis.axvline(1, **MARK)
    axis.set_xlabel("pAUC; blue: trained on portraits, orange: on flaws")
    said = "; ".join(f"{row.method} {row.portraits:.3f} and {row.flaws:.3f}" for row in table.itertuples())
    return finish(figure, f"pAUC of methods trained on portraits and on flaws: {said}.")
