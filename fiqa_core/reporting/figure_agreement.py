"""Figures that hold published and measured against each other: order, FNMR(0), same and cross model."""
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from fiqa_core.reporting.figure_style import (BENCHMARK_COLOURS, INK, MUTED, PAPER, canvas, empty_figure,
                                              finish, marker_style, wide_enough)

CLEAR, UNCLEAR = "#0072B2", "#9a9a9a"


def rank_correlation_dots(table: pd.DataFrame, title: str = "") -> Figure:
    """Spearman of printed and measured order: one panel per recogniser, one row per benchmark.

    table  of one paper, as from `ranking.rank_correlations`; blue where the interval is clear of zero
    """
    if table.empty:
        return empty_figure(
            "No recogniser and benchmark that the paper prints was measured with three methods."
        )
    panels = list(dict.fromkeys(table["recogniser"]))
    rows = list(dict.fromkeys(table["benchmark"]))
    size = (wide_enough(1.6 + 2.2 * len(panels), title), 1.2 + 0.3 * len(rows))
    figure, axes = canvas(1, len(panels), size=size, sharey=True)
    for axis, panel in zip(axes[0], panels):
        axis.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for item in table[table["recogniser"] == panel].itertuples():
            row, clear = rows.index(item.benchmark), item.low > 0 or item.high < 0
            colour = CLEAR if clear else UNCLEAR
            axis.hlines(row, item.low, item.high, color=colour, alpha=0.5, linewidth=2.5)
            axis.plot(item.spearman, row, "o", color=colour, markersize=6)
        axis.set(title=f"{panel}" if panel != "all" else "mean over recognisers", xlim=(-1, 1),
                 xlabel="Spearman")
    axes[0, 0].set_yticks(range(len(rows)), rows)
    axes[0, 0].set_ylim(len(rows) - 0.5, -0.5)
    said = "; ".join(f"{i.recogniser} {i.benchmark} {i.spearman:+.2f}" for i in table.itertuples())
    return finish(figure, f"Rank correlation of printed and measured pAUC with 95 % interval: {said}.", title)


def fnmr_dots(table: pd.DataFrame, together: bool, title: str = "") -> Figure:
    """FNMR without discard of each recogniser on each benchmark, published (open) and measured (filled).

    table     as from `recogniser_check.both_sides`
    together  one axis for both (the same photographs), else a panel each, because values must not be compared
    """
    if table.empty:
        return empty_figure("No recogniser and benchmark of the papers is measured in this suite.")
    table = table.reset_index(drop=True)
    figure, axes = canvas(1, 1 if together else 2, size=(7.0 if together else 9.5, 1.2 + 0.19 * len(table)),
                          sharey=True)
    left, right = axes[0, 0], axes[0, -1]
    right.hlines(table.index, table["low"], table["high"], color=CLEAR, alpha=0.5, linewidth=2.5)
    right.plot(table["measured"], table.index, "o", color=CLEAR, markersize=5, label="measured")
    left.plot(table["published"], table.index, "s", color=INK, markersize=5.5, markerfacecolor=PAPER,
              label="published, read from figures")
    left.set_yticks(table.index, table["benchmark"] + "   " + table["recogniser"], fontsize=8)
    left.set_ylim(len(table) - 0.5, -0.5)
    for axis in axes[0]:
        for row in table.index[1:][table["benchmark"].to_numpy()[1:] != table["benchmark"].to_numpy()[:-1]]:
            axis.axhline(row - 0.5, color="#cccccc", linewidth=0.8)
        axis.set(xscale="log", xlabel="FNMR at FMR 1e-3, nothing discarded")
        axis.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter=StrMethodFormatter("{x:g}"),
                       minor_formatter=NullFormatter())
    if together:
        left.legend(frameon=False, fontsize=8.5)
    else:
        left.set_title("published, read from figures")
        right.set_title("measured, with 95 % interval")
    said = "; ".join(f"{i.recogniser} on {i.benchmark} {i.published:.4f} and {i.measured:.4f}"
                     for i in table.itertuples())
    return finish(figure, f"FNMR without discard, published and measured: {said}.", title)


def curve_shapes(table: pd.DataFrame, title: str = "") -> Figure:
    """FNMR(u)/FNMR(0): published above, measured below, a column per benchmark, a line per recogniser.

    table  as from `recogniser_check.curve_shapes`
    """
    if table.empty:
        return empty_figure("No recogniser and benchmark of the papers is measured in this suite.")
    benchmarks, names = sorted(set(table["benchmark"])), sorted(set(table["recogniser"]))
    colours = {name: BENCHMARK_COLOURS[i % len(BENCHMARK_COLOURS)] for i, name in enumerate(names)}
    size = (0.8 + 2.0 * max(len(benchmarks), 3), 5.0)
    figure, axes = canvas(2, len(benchmarks), size=size, sharex=True, sharey="row")
    for row, side in zip(axes, ("published", "measured")):
        row[0].set_ylabel(side)
        for axis, benchmark in zip(row, benchmarks):
            axis.axhline(1, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            part = table[(table["side"] == side) & (table["benchmark"] == benchmark)]
            for name, line in part.groupby("recogniser"):
                axis.plot(line["discard"], line["ratio"], drawstyle="steps-post", color=colours[name])
            axis.set(title=benchmark if side == "published" else "", ylim=(0, None))
    figure.supxlabel("share of comparisons discarded, u", fontsize=9.5)
    lines = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    figure.legend(handles=lines, loc="outside lower right", ncols=3, frameon=False, fontsize=8.5)
    said = f"{', '.join(names)} on {', '.join(benchmarks)}"
    return finish(figure,
                  f"Shapes of error-versus-discard curves of {said}, published above, measured below.", title)


def same_and_cross(table: pd.DataFrame, title: str = "") -> Figure:
    """One row per method: pAUC with its own recogniser (filled) and the range and mean over the others (bar).

    table  rows of one benchmark from `cross_model.cross_model`
    """
    if table.empty:
        return empty_figure("No method of this suite was scored with a recogniser that is measured.")
    figure, axes = canvas(size=(wide_enough(7.0, title), 1.2 + 0.3 * len(table)))
    axis = axes[0, 0]
    for row, item in enumerate(table.itertuples()):
        axis.hlines(row, item.cross_low, item.cross_high, color="#bdbdbd", linewidth=7)
        axis.plot(item.cross, row, "|", color=INK, markersize=11, markeredgewidth=1.6)
        axis.plot(item.same, row, **marker_style(item.method))
    axis.set_yticks(range(len(table)), table["method"] + "  (" + table["scored_with"] + ")")
    axis.set_ylim(len(table) - 0.5, -0.5)
    axis.set_xlabel("pAUC; marker: its own recogniser, bar: range of the others, tick: their mean")
    best = table.loc[table["verdict"].str.startswith("best"), "method"]
    said = ", ".join(best) or "none"
    return finish(
        figure,
        f"pAUC of {len(table)} methods with their own recogniser and with the others; clearly best with "
        f"its own: {said}.",
        title,
    )


def set_means(table: pd.DataFrame, panel: str, title: str = "", shown: str = "filled") -> Figure:
    """Mean and standard deviation of a score per set of faces: a panel per method or spectrum, a row per set.

    table  columns `panel`, set, mean, sd; rows in the order to draw
    shown  "filled" for measured values, "open" for published ones; every panel has an axis of its own
    """
    panels, rows = list(dict.fromkeys(table[panel])), list(dict.fromkeys(table["set"]))
    size = (wide_enough(2.2 + 2.0 * len(panels), title), 1.2 + 0.34 * len(rows))
    figure, axes = canvas(1, len(panels), size=size, sharey=True)
    for axis, name in zip(axes[0], panels):
        part = table[table[panel] == name]
        places = [rows.index(value) for value in part["set"]]
        axis.hlines(places, part["mean"] - part["sd"], part["mean"] + part["sd"], color=CLEAR, alpha=0.4,
                    linewidth=3)
        axis.plot(part["mean"], places, "o", color=CLEAR,
                  markerfacecolor=CLEAR if shown == "filled" else PAPER)
        axis.set(title=name, xlabel="score, mean and sd")
    axes[0, 0].set_yticks(range(len(rows)), rows)
    axes[0, 0].set_ylim(len(rows) - 0.5, -0.5)
    said = "; ".join(f"{getattr(i, panel)} {i.set} {i.mean:.3f}" for i in table.itertuples())
    return finish(figure, f"Mean score of each set: {said}.", title)
