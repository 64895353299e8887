"""The figures of tables: areas, rank correlations, distributions of scores.

Every function returns a matplotlib `Figure` with alt text. Lines and points carry the look of their method
(`figure_style.LOOKS`) and their name beside them.
"""
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.evaluation.ranks import spearman
from fiqa_core.reporting.beside import order_methods
from fiqa_core.reporting.figure_style import (INK, MUTED, canvas, empty_figure, finish, line_style, look,
                                              marker_style, wide_enough)


def pauc_heatmap(table: pd.DataFrame, title: str = "", mark_best: bool = True,
                 signs: pd.DataFrame | None = None, note: str = "") -> Figure:
    """Normalised pAUC, methods down, benchmarks across; blue is better than not discarding, red is worse.

    table  index: methods in the order to draw; columns: benchmarks; values around 1, NaN blank
    signs  the same index and columns: what to write behind a value, "" for nothing; `note` explains them
    """
    values = table.to_numpy(float)
    figure, axes = canvas(size=(wide_enough(2.2 + 0.85 * table.shape[1], title), 1.1 + 0.34 * table.shape[0]))
    axis = axes[0, 0]
    axis.grid(False)
    axis.imshow(values, cmap="RdBu_r", vmin=0.4, vmax=1.6, aspect="auto")
    own = [i for i, m in enumerate(table.index) if m not in REFERENCES]
    for i, j in np.argwhere(np.isfinite(values)):
        best = mark_best and i in own and values[i, j] == np.nanmin(values[own, j])
        axis.text(j, i, f"{values[i, j]:.3f}{'' if signs is None else signs.iloc[i, j]}", ha="center",
                  va="center", fontsize=8.5, fontweight="bold" if best else "normal",
                  color="white" if abs(values[i, j] - 1) > 0.42 else INK)
    if note:
        axis.set_xlabel(note, fontsize=8, color=MUTED, loc="left")
    crowded = max((len(str(name)) for name in table.columns), default=0) > 10
    axis.set_xticks(range(table.shape[1]), table.columns, rotation=25 if crowded else 0,
                    ha="left" if crowded else "center")
    axis.set_yticks(range(table.shape[0]), table.index)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return finish(
        figure,
        f"Heat-map of normalised pAUC, {len(table.index)} methods by {', '.join(table.columns)}; "
        f"bold marks the best method of a column{f'; {note}' if note else ''}.",
        title,
    )


def published_and_measured(table: pd.DataFrame, label: str, title: str = "", suite: str = "") -> Figure:
    """Two panels with the same methods in the same rows: left as printed (open markers), right as measured.

    table  method, published, measured, low, high; best published value on top, methods the paper does not
           print below. The panels have an axis each, because values must not be compared across them; the
           oracle is left out, since it is so far from all methods that they would huddle together.
    """
    table = table[table["method"] != "oracle"]
    table = table.sort_values(["published", "measured"], na_position="first", ascending=False)
    figure, axes = canvas(1, 2, size=(9.0, 1.1 + 0.3 * len(table)), sharey=True)
    for row, item in enumerate(table.itertuples()):
        axes[0, 0].plot(item.published, row, **marker_style(item.method, filled=False))
        axes[0, 1].hlines(row, item.low, item.high, color=look(item.method).colour, linewidth=2, alpha=0.6)
        axes[0, 1].plot(item.measured, row, **marker_style(item.method))
    axes[0, 0].set_yticks(range(len(table)), table["method"])
    axes[0, 0].set_title("published")
    axes[0, 1].set_title(f"measured{f' ({suite})' if suite else ''}, with 95 % interval")
    for axis in axes[0]:
        axis.set_xlabel(label)
        axis.tick_params(axis="y", length=0)
    ranked = ", ".join(table.dropna(subset=["measured"]).sort_values("measured")["method"])
    return finish(
        figure,
        f"{label} of {len(table)} methods, published on the left, measured on the right; "
        f"measured order from low to high: {ranked}.",
        title,
    )


def intervals(table: pd.DataFrame, label: str, reference: float | None = None, title: str = "") -> Figure:
    """One row per setting, one panel per benchmark: value and interval of each row (used for ablations).

    table      benchmark, setting, value, low, high; settings drawn from top to bottom in order of appearance,
               the first one being the default that a grey line continues downwards
    reference  a value to mark with a dashed line, e.g. 1 for "no better than not discarding"
    """
    if table.empty:
        return empty_figure(f"{label}: too few scored pairs to measure")
    benchmarks = list(dict.fromkeys(table["benchmark"]))
    settings = list(dict.fromkeys(table["setting"]))
    figure, axes = canvas(1, len(benchmarks), sharey=True,
                          size=(wide_enough(2.0 + 2.6 * len(benchmarks), title), 1.1 + 0.3 * len(settings)))
    for axis, benchmark in zip(axes[0], benchmarks):
        rows = table[table["benchmark"] == benchmark].set_index("setting").reindex(settings)
        first = rows["value"].iloc[0]
        axis.axvline(first, color="#bbbbbb", linewidth=1)
        axis.hlines(range(len(settings)), rows["low"], rows["high"], color="#0072B2", alpha=0.5, linewidth=2)
        axis.plot(rows["value"], range(len(settings)), "o", color="#0072B2")
        if reference is not None:
            axis.axvline(reference, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
        axis.set(title=benchmark, xlabel=label)
    axes[0, 0].set_yticks(range(len(settings)), settings)
    axes[0, 0].set_ylim(len(settings) - 0.5, -0.5)
    return finish(
        figure,
        f"{label} on {', '.join(benchmarks)} for the settings {', '.join(settings)}; "
        "the grey line continues the default.",
        title,
    )


def score_distributions(scores: pd.DataFrame, title: str = "") -> Figure:
    """Distributions of quality scores: one row per benchmark, the methods overlaid in it (a ridge figure).

    scores  benchmark, method, score; scores of a method are min-max scaled over all benchmarks, because
            methods have no common unit
    """
    benchmarks = list(dict.fromkeys(scores["benchmark"]))
    methods = order_methods(scores["method"])
    span = scores.groupby("method")["score"].agg(["min", "max"])
    edges = np.linspace(0, 1, 41)
    figure, axes = canvas(len(benchmarks), 1, size=(7.5, 0.8 + 0.95 * len(benchmarks)), sharex=True)
    for axis, benchmark in zip(axes[:, 0], benchmarks):
        for method in methods:
            values = scores.loc[(scores["benchmark"] == benchmark) & (scores["method"] == method), "score"]
            low, high = span.loc[method]
            share = np.histogram((values - low) / max(high - low, 1e-12), edges)[0] / max(len(values), 1)
            axis.stairs(share, edges, fill=True, alpha=0.18, color=look(method).colour)
            axis.stairs(share, edges, linewidth=1.6, **line_style(method))
        axis.set(yticks=[], xlim=(0, 1))
        axis.set_ylabel(benchmark, rotation=0, ha="right", va="center")
        axis.spines["left"].set_visible(False)
    axes[-1, 0].set_xlabel("quality score, scaled to [0, 1] per method")
    names = [Patch(color=look(method).colour, label=method) for method in methods]
    figure.legend(handles=names, loc="outside upper left", ncols=5, frameon=False, fontsize=9,
                  borderaxespad=1.6)
    return finish(figure, f"Distributions of the scores of {', '.join(methods)} on {', '.join(benchmarks)}.",
                  title)


def score_scatter(scores: pd.DataFrame, first: str, second: str, title: str = "") -> Figure:
    """Scores of two methods for the same images, one panel per benchmark with Spearman's rank correlation.

    scores  benchmark, image_id and one column per method
    """
    benchmarks = list(dict.fromkeys(scores["benchmark"]))
    columns = min(len(benchmarks), 4)
    rows = -(-len(benchmarks) // columns)
    figure, axes = canvas(rows, columns, size=(0.6 + 2.5 * columns, 0.5 + 2.4 * rows), sharex=True,
                          sharey=True)
    for axis in axes.flat[len(benchmarks) :]:
        axis.axis("off")
    for axis, benchmark in zip(axes.flat, benchmarks):
        shown = scores[scores["benchmark"] == benchmark]
        axis.scatter(shown[first], shown[second], s=6, alpha=0.3, linewidths=0, color=look(second).colour)
        axis.set_title(f"{benchmark}  {spearman(shown[first], shown[second]):+.2f}")
    figure.supxlabel(f"{first} score", fontsize=9.5)
    figure.supylabel(f"{second} score", fontsize=9.5)
    return finish(
        figure,
        f"Scatter of {second} against {first} for {len(scores)} images of {', '.join(benchmarks)}; "
        "the number is Spearman's rank correlation.",
        title,
    )


def rank_matrix(table: pd.DataFrame, title: str = "", label: str = "Spearman") -> Figure:
    """Rank correlations as a coloured table, e.g. methods by methods or methods by causes.

    table  values in [-1, 1], NaN blank; orange is negative, purple positive
    """
    values = table.to_numpy(float)
    figure, axes = canvas(size=(wide_enough(2.2 + 0.85 * table.shape[1], title), 1.2 + 0.36 * table.shape[0]))
    axis = axes[0, 0]
    axis.grid(False)
    axis.imshow(values, cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
    for i, j in np.argwhere(np.isfinite(values)):
        axis.text(j, i, f"{values[i, j]:+.2f}", ha="center", va="center", fontsize=8.5,
                  color="white" if abs(values[i, j]) > 0.6 else INK)
    axis.set_xticks(range(table.shape[1]), table.columns, rotation=25 if table.shape[1] > 7 else 0,
                    ha="left" if table.shape[1] > 7 else "center")
    axis.set_yticks(range(table.shape[0]), table.index)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return finish(
        figure,
        f"{label} rank correlations, {table.shape[0]} rows ({', '.join(map(str, table.index))}) by "
        f"{table.shape[1]} columns ({', '.join(map(str, table.columns))}).",
        title,
    )
