"""The figures of dots with intervals: published beside measured, order, run time, FNMR(0), cross model."""
import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from fiqa_core.reporting.figure_style import (INK, MARK, MUTED, PLAIN, UNCLEAR, canvas, dot_panels, dots,
                                              empty_figure, finish, marker_style, rows_of, wide_enough)
from fiqa_core.reporting.names import order_methods


def published_and_measured(table: pd.DataFrame, label: str, title: str = "") -> Figure:
    """Two panels with the same methods in the same rows: left as printed (open markers), right as measured.

    table  method, published, measured, low, high; best published value on top, methods the paper does not
           print below. The panels have an axis each, because values must not be compared across them; the
           oracle is left out, since it is so far from all methods that they would huddle together.
    """
    table = table[table["method"] != "oracle"]
    table = table.sort_values(["published", "measured"], na_position="last")
    both = pd.concat([table.assign(side="published", value=table["published"], low=np.nan, high=np.nan),
                      table.assign(side="measured, with 95 % interval", value=table["measured"])])
    figure, _ = dot_panels(both, "side", "method", "value", label, title, 3.4, styles=both["method"],
                           filled=both["side"] != "published")
    ranked = ", ".join(table.dropna(subset=["measured"]).sort_values("measured")["method"])
    return finish(figure, f"{label} of {len(table)} methods, published on the left, measured on the right; "
                  f"measured order from low to high: {ranked}.", title)


def intervals(table: pd.DataFrame, label: str, reference: float | None = None, title: str = "") -> Figure:
    """One row per setting, one panel per benchmark: value and interval of each row (used for ablations).

    table      benchmark, setting, value, low, high; settings drawn from top to bottom in order of appearance,
               the first one being the default that a grey line continues downwards
    reference  a value to mark with a dashed line, e.g. 1 for "no better than not discarding"
    """
    if table.empty:
        return empty_figure(f"{label}: too few scored pairs to measure")
    figure, axes = dot_panels(table, "benchmark", "setting", "value", label, title)
    first = table["setting"].iloc[0]
    for benchmark, axis in axes.items():
        default = table.loc[(table["benchmark"] == benchmark) & (table["setting"] == first), "value"]
        axis.axvline(default.iloc[0] if len(default) else np.nan, color="#bbbbbb", linewidth=1, zorder=0.6)
        if reference is not None:
            axis.axvline(reference, **MARK)
    return finish(figure, f"{label} on {', '.join(axes)} for the settings "
                  f"{', '.join(dict.fromkeys(table['setting']))}; the grey line continues the default.",
                  title)


def rank_correlation_dots(table: pd.DataFrame, title: str = "") -> Figure:
    """Spearman of printed and measured order: one panel per recogniser, one row per benchmark.

    table  of one paper, as from `ranking.rank_correlations`; blue where the interval is clear of zero
    """
    if table.empty:
        return empty_figure(
            "No recogniser and benchmark that the paper prints was measured with three methods."
        )
    clear = (table["low"] > 0) | (table["high"] < 0)
    shown = table.assign(recogniser=table["recogniser"].replace("all", "mean over recognisers"))
    figure, axes = dot_panels(shown, "recogniser", "benchmark", "spearman", "Spearman", title,
                              styles=np.where(clear, PLAIN, UNCLEAR))
    for axis in axes.values():
        axis.axvline(0, **MARK)
        axis.set_xlim(-1, 1)
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
    dots(right, table["measured"], table.index, table["low"], table["high"])
    dots(left, table["published"], table.index, styles=INK, filled=False)
    rows_of(left, table["benchmark"] + "   " + table["recogniser"])
    left.tick_params(axis="y", labelsize=8)
    for axis in axes[0]:
        for row in table.index[1:][table["benchmark"].to_numpy()[1:] != table["benchmark"].to_numpy()[:-1]]:
            axis.axhline(row - 0.5, color="#cccccc", linewidth=0.8)
        axis.set(xscale="log", xlabel="FNMR at FMR 1e-3, nothing discarded")
        axis.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter=StrMethodFormatter("{x:g}"),
                       minor_formatter=NullFormatter())
    left.set_title("published (open) and measured" if together else "published, read from figures")
    if not together:
        right.set_title("measured, with 95 % interval")
    said = "; ".join(f"{i.recogniser} on {i.benchmark} {i.published:.4f} and {i.measured:.4f}"
                     for i in table.itertuples())
    return finish(figure, f"FNMR without discard, published and measured: {said}.", title)


def same_and_cross(table: pd.DataFrame, title: str = "") -> Figure:
    """One row per method: pAUC with its own recogniser (filled) and the range and mean over the others (bar).

    table  rows of one benchmark from `cross_model.cross_model`
    """
    if table.empty:
        return empty_figure("No method of this suite was scored with a recogniser that is measured.")
    figure, axes = canvas(size=(wide_enough(7.0, title), 1.2 + 0.3 * len(table)))
    axis, places = axes[0, 0], np.arange(len(table))
    axis.hlines(places, table["cross_low"], table["cross_high"], color="#bdbdbd", linewidth=7)
    axis.plot(table["cross"], places, "|", color=INK, markersize=11, markeredgewidth=1.6)
    dots(axis, table["same"], places, styles=table["method"])
    rows_of(axis, table["method"] + "  (" + table["scored_with"] + ")")
    axis.set_xlabel("pAUC; marker: its own recogniser, bar: range of the others, tick: their mean")
    best = ", ".join(table.loc[table["verdict"].str.startswith("best"), "method"]) or "none"
    return finish(figure,
                  f"pAUC of {len(table)} methods with their own recogniser and with the others; clearly best "
                  f"with its own: {best}.", title)


def set_means(table: pd.DataFrame, panel: str, title: str = "", shown: str = "filled") -> Figure:
    """Mean and standard deviation of a score per set of faces: a panel per method or spectrum, a row per set.

    table  columns `panel`, set, mean, sd; rows in the order to draw
    shown  "filled" for measured values, "open" for published ones; every panel has an axis of its own
    """
    spans = table.assign(low=table["mean"] - table["sd"], high=table["mean"] + table["sd"])
    figure, _ = dot_panels(spans, panel, "set", "mean", "score, mean and sd", title, filled=shown == "filled")
    said = "; ".join(f"{getattr(i, panel)} {i.set} {i.mean:.3f}" for i in table.itertuples())
    return finish(figure, f"Mean score of each set: {said}.", title)


def method_runtime(table: pd.DataFrame, title: str = "") -> Figure:
    """Run time and size of methods, one row each: published (open), measured (filled), a panel each.

    table  method, published, measured (milliseconds per image; NaN for none), parameters_published,
           parameters_measured (millions); logarithmic axes
    """
    columns = {"published": "run time, published", "measured": "run time, measured",
               "parameters_published": "size, published", "parameters_measured": "size, measured"}
    long = table.melt("method", list(columns), "column").assign(panel=lambda own: own["column"].map(columns))
    figure, axes = dot_panels(long, "panel", "method", "value", "", styles=long["method"],
                              filled=long["column"].str.endswith("measured"))
    for column, axis in zip(columns, axes.values()):
        for row, value in enumerate(table[column]):
            axis.annotate("" if np.isnan(value) else f"{value:,.{2 if value < 10 else 0}f}", (value, row),
                          xytext=(7, -3), fontsize=8.5, textcoords="offset points")
        axis.set(xlabel="million parameters" if "parameters" in column else "ms per image",
                 xscale="log" if table[column].notna().any() else "linear")
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.margins(x=0.35)
    return finish(figure, f"Run time and number of parameters of {', '.join(table['method'])}, published and "
                  "measured in separate panels, logarithmic axes.", title)


def verification_dots(table: pd.DataFrame, quantity: str, title: str = "") -> Figure:
    """One row per benchmark: a verification quantity of recognisers (grey) and of quality methods (coloured).

    table  benchmark, recogniser, role ("recogniser" or "quality method") and a column named `quantity`
    """
    benchmarks = list(dict.fromkeys(table["benchmark"]))
    figure, axes = canvas(size=(7.5, 1.3 + 0.36 * len(benchmarks)))
    axis, own = axes[0, 0], table[table["role"] != "recogniser"]
    seaborn.stripplot(table[table["role"] == "recogniser"], x=quantity, y="benchmark", order=benchmarks,
                      jitter=False, marker="|", size=11, linewidth=1.2, color=MUTED, zorder=1, ax=axis)
    axis.grid(True)
    dots(axis, own[quantity], own["benchmark"].map(benchmarks.index), styles=own["recogniser"])
    axis.set(xlabel=quantity, ylabel="")
    names = order_methods(own["recogniser"])
    figure.legend(handles=[axis.plot([], [], label=name, **marker_style(name))[0] for name in names],
                  loc="outside lower right", ncols=4, frameon=False, fontsize=8.5)
    return finish(figure,
                  f"{quantity} of {', '.join(names)} as recognisers on {', '.join(benchmarks)}, between the "
                  "suite's recognisers in grey.", title)
