"""Figures of the open challenges: crops, clips, component measures, thresholds of applications."""
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fiqa_core.challenges.operating_points import CAUTIOUS, POINT
from fiqa_core.challenges.video import STRATEGIES
from fiqa_core.reporting.beside import order_methods
from fiqa_core.reporting.figure_faces import show_face
from fiqa_core.reporting.figure_style import (INK, MUTED, canvas, empty_figure, finish, line_style, look,
                                              marker_style, wide_enough)

NEUTRAL = {"landmark jitter": 0.0, "scale": 1.0, "shift down": 0.0}
UNITS = {"landmark jitter": "landmark jitter, pixels", "scale": "scale of the face",
         "shift down": "shift down, pixels"}


def face_sheet(faces: list[tuple[str, np.ndarray]], columns: int, title: str = "") -> Figure:
    """Faces (caption, (H, W, 3) uint8) in rows of `columns`, captions below."""
    rows = -(-len(faces) // columns)
    figure, axes = canvas(rows, columns, size=(wide_enough(1.15 * columns, title), 0.4 + 1.35 * rows))
    for axis in axes.flat[len(faces) :]:
        axis.axis("off")
    for axis, (caption, face) in zip(axes.flat, faces):
        show_face(axis, face, caption)
    return finish(figure, f"The same face as {', '.join(caption for caption, _ in faces)}.", title)


def with_aligned(table: pd.DataFrame) -> pd.DataFrame:
    """`table` (change, level, ...) with the aligned rows, jitter 0, in every change at its harmless level."""
    aligned = table[(table["change"] == "landmark jitter") & (table["level"] == 0)]
    others = [c for c in dict.fromkeys(table["change"]) if c != "landmark jitter"]
    copies = [aligned.assign(change=change, level=NEUTRAL[change]) for change in others]
    return pd.concat([table, *copies], ignore_index=True).sort_values(["change", "level"], kind="stable")


def crop_rates(rates: pd.DataFrame, title: str = "") -> Figure:
    """FNMR and FMR over every change of the crop, at the threshold of the aligned faces.

    rates  change, level, fnmr, low, high, fmr, fmr_low, fmr_high
    """
    table, changes = with_aligned(rates), list(dict.fromkeys(rates["change"]))
    figure, axes = canvas(2, len(changes), size=(3.1 * len(changes), 5.0), sharex="col", sharey="row")
    for column, change in zip(axes.T, changes):
        rows = table[table["change"] == change]
        for axis, names in zip(column, (("fnmr", "low", "high"), ("fmr", "fmr_low", "fmr_high"))):
            value, low, high = names
            axis.fill_between(rows["level"], rows[low], rows[high], color="#0072B2", alpha=0.18, linewidth=0)
            axis.plot(rows["level"], rows[value], "o-", color="#0072B2", markersize=4)
        column[-1].set_xlabel(UNITS[change])
    axes[0, 0].set_ylim(bottom=0)
    axes[1, 0].set_yscale("log")
    axes[1, 0].set_ylim(bottom=max(rates["fmr"].max() / 5000, 1e-6))
    axes[0, 0].set_ylabel("FNMR")
    axes[1, 0].set_ylabel("FMR (logarithmic)")
    return finish(figure, "FNMR (upper row) and FMR (lower row) at the threshold of the aligned faces, over "
                  f"{', '.join(changes)}; bands are 95 % over identities.", title)


def crop_quality(quality: pd.DataFrame, title: str = "") -> Figure:
    """Score stability and pAUC of every method over every change of the crop.

    quality  change, level, method, spearman, compared, pauc
    """
    table, changes = with_aligned(quality), list(dict.fromkeys(quality["change"]))
    kinds = list(dict.fromkeys(quality["compared"]))
    figure, axes = canvas(1 + len(kinds), len(changes), size=(3.1 * len(changes), 2.4 * (1 + len(kinds))),
                          sharex="col", sharey="row")
    for column, change in zip(axes.T, changes):
        for axis, (kind, value) in zip(column, [(kinds[0], "spearman"), *((k, "pauc") for k in kinds)]):
            rows = table[(table["change"] == change) & (table["compared"] == kind)]
            for method in order_methods(rows["method"]):
                own = rows[rows["method"] == method]
                axis.plot(own["level"], own[value], label=method, marker=look(method).marker, markersize=4,
                          **line_style(method))
        column[-1].set_xlabel(UNITS[change])
    labels = ["Spearman with the\naligned crop's scores", *(f"pAUC, new\n{k}" for k in kinds)]
    for axis, label in zip(axes[:, 0], labels):
        axis.set_ylabel(label)
    axes[0, 0].legend(fontsize=8, loc="lower left")
    return finish(figure, f"Rank correlation of scores with those of the aligned crop, and pAUC, over "
                  f"{', '.join(changes)} for {', '.join(order_methods(quality['method']))}.", title)


def strategy_rates(table: pd.DataFrame, title: str = "") -> Figure:
    """FNMR of every way to use a clip's frames, one panel per benchmark, one row per method and strategy.

    table  benchmark, method ("" for the baselines), strategy, fnmr, low, high; one recogniser
    """
    if table.empty:
        return empty_figure("No benchmark of this suite holds clips of several frames.")
    benchmarks = list(dict.fromkeys(table["benchmark"]))
    methods = ["", *order_methods(m for m in table["method"] if m)]
    strategies = [s for s in STRATEGIES if s in set(table["strategy"])]
    present = set(zip(table["method"], table["strategy"]))
    rows = [(m, s) for m in methods for s in strategies if (m, s) in present]
    height = 1.0 + 0.24 * len(rows)
    figure, axes = canvas(1, len(benchmarks), size=(2.6 + 2.7 * len(benchmarks), height), sharey=True)
    for axis, benchmark in zip(axes[0], benchmarks):
        own = table[table["benchmark"] == benchmark].set_index(["method", "strategy"])
        for place, row in enumerate(rows):
            if row in own.index:
                at, colour = own.loc[row], look(row[0]).colour if row[0] else MUTED
                axis.hlines(place, at["low"], at["high"], color=colour, alpha=0.5, linewidth=2)
                axis.plot(at["fnmr"], place, "o", color=colour, markersize=5)
                if not row[0]:
                    axis.axvline(at["fnmr"], color="#bbbbbb", linewidth=0.8, zorder=0)
        axis.set(title=benchmark, xlabel="FNMR")
        axis.set_xlim(left=0)
    axes[0, 0].set_yticks(range(len(rows)), [f"{m}: {s}" if m else s for m, s in rows])
    axes[0, 0].set_ylim(len(rows) - 0.5, -0.5)
    return finish(figure, f"FNMR with 95 % intervals on {', '.join(benchmarks)} for "
                  f"{', '.join(strategies)}; grey: without quality.", title)


def clip_strips(frames: list[np.ndarray], scores: pd.DataFrame, title: str = "") -> Figure:
    """The frames of one clip once per method, its choice framed, scores below; scores: one row per frame."""
    methods = order_methods(scores.columns)
    size = 1.5 + 0.95 * len(frames), 0.5 + 1.2 * len(methods)
    figure, axes = canvas(len(methods), len(frames), size=size)
    for row, method in zip(axes, methods):
        values = scores[method].to_numpy()
        for place, (axis, frame) in enumerate(zip(row, frames)):
            show_face(axis, frame, f"{values[place]:.3f}")
            if place == int(np.argmax(values)):
                axis.spines[:].set(visible=True, color=look(method).colour, linewidth=3)
        row[0].set_ylabel(method, rotation=0, ha="right", va="center", color=look(method).colour,
                          fontweight="bold")
    chosen = "; ".join(f"{m} takes frame {int(np.argmax(scores[m].to_numpy())) + 1}" for m in methods)
    return finish(figure, f"One clip of {len(frames)} frames; {chosen}.", title)


def discarding(table: pd.DataFrame, components: list[str], title: str = "") -> Figure:
    """pAUC of discarding by components (open) and by methods (filled), best at the top.

    table  ranking, pauc, low, high; components: the names that are components or made of them
    """
    figure, axes = canvas(size=(wide_enough(6.5, title), 1.0 + 0.27 * len(table)))
    axis = axes[0, 0]
    axis.axvline(1, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    for place, row in enumerate(table.itertuples()):
        component = row.ranking in components
        colour = MUTED if component else look(row.ranking).colour
        axis.hlines(place, row.low, row.high, color=colour, alpha=0.5, linewidth=2)
        axis.plot(row.pauc, place, "o", color=colour, markerfacecolor="white" if component else colour)
    axis.set_yticks(range(len(table)), table["ranking"])
    axis.set_ylim(len(table) - 0.5, -0.5)
    axis.set_xlabel("pAUC, mean over benchmarks (1: no better than chance)")
    best = table.iloc[0]
    return finish(figure, f"pAUC with 95 % intervals of {', '.join(table['ranking'])}; the lowest is "
                  f"{best['ranking']} with {best['pauc']:.3f}.", title)


def application_points(points: pd.DataFrame, title: str = "") -> Figure:
    """What each threshold does on unseen identities: FNMR over discarded comparisons, one panel per
    application.

    points  method, application, rule, fnmr_goal, fnmr, low, high, discard; filled: by value, open: by
            interval
    """
    applications = list(dict.fromkeys(points["application"]))
    figure, axes = canvas(1, len(applications), size=(3.4 * len(applications) + 1.6, 3.6))
    for axis, application in zip(axes[0], applications):
        rows = points[points["application"] == application]
        axis.axhline(rows["fnmr_goal"].iloc[0], color=INK, linestyle=(0, (4, 3)), linewidth=1)
        reached = rows.dropna(subset=["fnmr"])
        for row in reached.itertuples():
            axis.vlines(row.discard, row.low, row.high, color=look(row.method).colour, alpha=0.4, linewidth=2)
            axis.plot(row.discard, row.fnmr, **marker_style(row.method, filled=row.rule == POINT))
        if reached.empty:
            axis.text(0.5, 0.5, "out of reach\nof every method", transform=axis.transAxes, ha="center",
                      color=MUTED)
        goals = f"FMR {rows['fmr_goal'].iloc[0]:g}, FNMR at most {rows['fnmr_goal'].iloc[0]:g}"
        axis.set(title=f"{application}\n{goals}", xlabel="genuine comparisons discarded", xlim=(0, 1))
        axis.set_ylim(0, 1.3 * np.nanmax([rows["fnmr_goal"].iloc[0], *rows["high"]]))
    axes[0, 0].set_ylabel("FNMR on unseen identities")
    handles = [axes[0, -1].plot([], [], label=m,
                                **marker_style(m))[0] for m in order_methods(points["method"])]
    axes[0, -1].legend(handles=handles, fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 1))
    return finish(figure, f"FNMR on unseen identities against the share discarded for "
                  f"{', '.join(applications)}; dashed: the goal; filled markers: threshold by {POINT}, open: "
                  f"by the {CAUTIOUS}.", title)


def ratio_heatmap(table: pd.DataFrame, title: str = "") -> Figure:
    """FNMR over its goal, rows down, benchmarks across; below 1 (blue) the goal is met. NaN stays blank."""
    if table.empty:
        return empty_figure("No threshold reached its goal: there is nothing to transfer.")
    values = table.to_numpy(float)
    figure, axes = canvas(size=(wide_enough(4.2 + 0.75 * table.shape[1], title), 1.1 + 0.34 * table.shape[0]))
    axis = axes[0, 0]
    axis.grid(False)
    axis.imshow(values, cmap="RdBu_r", vmin=0, vmax=2, aspect="auto")
    for i, j in np.argwhere(np.isfinite(values)):
        axis.text(j, i, f"{values[i, j]:.2f}", ha="center", va="center", fontsize=8.5,
                  color="white" if abs(values[i, j] - 1) > 0.75 else INK)
    axis.set_xticks(range(table.shape[1]), table.columns)
    names = [", ".join(row) if isinstance(row, tuple) else row for row in table.index]
    axis.set_yticks(range(table.shape[0]), names)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    met = np.mean(values[np.isfinite(values)] <= 1)
    return finish(figure, f"FNMR divided by its goal on {', '.join(table.columns)}; {met:.0%} of the cells "
                  "meet the goal.", title)
