"""The figures of tables and scores: areas, rank correlations, goals, distributions."""
import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure

from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.evaluation.ranks import spearman
from fiqa_core.reporting.figure_style import MUTED, canvas, empty_figure, finish, heatmap, panels, wide_enough
from fiqa_core.reporting.names import look, order_methods


def table_figure(table: pd.DataFrame, form: str, colours: str, low: float, high: float, title: str, alt: str,
                 signs="") -> Figure:
    """A figure of one `heatmap`, as large as the table needs; its values in `form`, `signs` behind them."""
    figure, axes = canvas(size=(wide_enough(2.4 + 0.85 * table.shape[1], title), 1.1 + 0.34 * table.shape[0]))
    heatmap(axes[0, 0], table, table.map(form.format) + signs, colours, low, high)
    return finish(figure, alt, title)


def pauc_heatmap(table: pd.DataFrame, title: str = "", signs: pd.DataFrame | None = None,
                 note: str = "") -> Figure:
    """Normalised pAUC, methods down, benchmarks across; blue is better than not discarding, red is worse.

    table  index: methods in the order to draw; columns: benchmarks; values around 1, NaN blank
    signs  the same index and columns: what to write behind a value, "" for nothing; `note` explains them
    """
    alt = (f"Heat-map of normalised pAUC, {len(table.index)} methods by {', '.join(table.columns)}; "
           f"bold marks the best method of a column{f'; {note}' if note else ''}.")
    figure = table_figure(table, "{:.3f}", "RdBu_r", 0.4, 1.6, title, alt, "" if signs is None else signs)
    own = ~table.index.isin(REFERENCES)
    best = table.eq(table[own].min()) & own[:, None]
    for label, bold in zip(figure.axes[0].texts, best.to_numpy()[table.notna().to_numpy()]):
        label.set_fontweight("bold" if bold else "normal")
    figure.axes[0].set_xlabel(note, fontsize=8, color=MUTED, loc="left")
    return figure


def rank_matrix(table: pd.DataFrame, title: str = "") -> Figure:
    """Rank correlations as a coloured table, e.g. methods by methods or methods by causes.

    table  values in [-1, 1], NaN blank; orange is negative, purple positive
    """
    alt = (f"Spearman rank correlations, {table.shape[0]} rows ({', '.join(map(str, table.index))}) by "
           f"{table.shape[1]} columns ({', '.join(map(str, table.columns))}).")
    return table_figure(table, "{:+.2f}", "PuOr", -1, 1, title, alt)


def ratio_heatmap(table: pd.DataFrame, title: str = "") -> Figure:
    """FNMR over its goal, rows down, benchmarks across; below 1 (blue) the goal is met. NaN stays blank."""
    if table.empty:
        return empty_figure("No threshold reached its goal: there is nothing to transfer.")
    met = np.mean(table.to_numpy(float)[table.notna().to_numpy()] <= 1)
    alt = f"FNMR divided by its goal on {', '.join(table.columns)}; {met:.0%} of the cells meet the goal."
    return table_figure(table, "{:.2f}", "RdBu_r", 0, 2, title, alt)


def score_distributions(scores: pd.DataFrame, title: str = "") -> Figure:
    """Distributions of quality scores: one row per benchmark, the methods overlaid in it (a ridge figure).

    scores  benchmark, method, score; scores of a method are min-max scaled over all benchmarks, because
            methods have no common unit
    """
    benchmarks, methods = list(dict.fromkeys(scores["benchmark"])), order_methods(scores["method"])
    own = scores.groupby("method")["score"]
    low, span = own.transform("min"), own.transform("max") - own.transform("min")
    scores = scores.assign(scaled=(scores["score"] - low) / span.clip(lower=1e-12))
    figure, axes = canvas(len(benchmarks), 1, size=(7.5, 0.8 + 0.95 * len(benchmarks)), sharex=True)
    for axis, benchmark in zip(axes[:, 0], benchmarks):
        seaborn.histplot(scores[scores["benchmark"] == benchmark], x="scaled", hue="method",
                         hue_order=methods, palette=[look(method).colour for method in methods], bins=40,
                         binrange=(0, 1), stat="probability", common_norm=False, element="step", alpha=0.18,
                         linewidth=1.5, legend=axis is axes[0, 0], ax=axis)
        axis.set(yticks=[], xlim=(0, 1))
        axis.set_ylabel(benchmark, rotation=0, ha="right", va="center")
        axis.spines["left"].set_visible(False)
    axes[-1, 0].set_xlabel("quality score, scaled to [0, 1] per method")
    seaborn.move_legend(axes[0, 0], "lower right", bbox_to_anchor=(1, 1), ncols=5, title=None, frameon=False)
    return finish(figure, f"Distributions of the scores of {', '.join(methods)} on {', '.join(benchmarks)}.",
                  title)


def score_scatter(scores: pd.DataFrame, first: str, second: str, title: str = "") -> Figure:
    """Scores of two methods for the same images, one panel per benchmark with Spearman's rank correlation.

    scores  benchmark, image_id and one column per method
    """
    benchmarks = list(dict.fromkeys(scores["benchmark"]))
    figure, axes = panels(len(benchmarks), 4, (2.5, 2.4), sharex=True, sharey=True)
    for axis, benchmark in zip(axes, benchmarks):
        shown = scores[scores["benchmark"] == benchmark]
        axis.scatter(shown[first], shown[second], s=6, alpha=0.3, linewidths=0, color=look(second).colour)
        axis.set_title(f"{benchmark}  {spearman(shown[first], shown[second]):+.2f}")
    figure.supxlabel(f"{first} score", fontsize=9.5)
    figure.supylabel(f"{second} score", fontsize=9.5)
    return finish(figure,
                  f"Scatter of {second} against {first} for {len(scores)} images of {', '.join(benchmarks)}; "
                  "the number is Spearman's rank correlation.", title)
