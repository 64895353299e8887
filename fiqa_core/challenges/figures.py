"""Figures of the open challenges: crops, clips, component measures, thresholds of applications."""
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fiqa_core.challenges.operating_points import CAUTIOUS, POINT
from fiqa_core.challenges.video import STRATEGIES
from fiqa_core.reporting.figure_faces import face_sheet
from fiqa_core.reporting.figure_style import (MARK, MUTED, PLAIN, canvas, dot_panels, dots, empty_figure,
                                              finish, lines, marker_style)
from fiqa_core.reporting.names import look, order_methods

NEUTRAL = {"landmark jitter": 0.0, "scale": 1.0, "shift down": 0.0}
UNITS = {"landmark jitter": "landmark jitter, pixels", "scale": "scale of the face",
         "shift down": "shift down, pixels"}


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
        for axis, (value, low, high) in zip(column,
                                            (("fnmr", "low", "high"), ("fmr", "fmr_low", "fmr_high"))):
            axis.fill_between(rows["level"], rows[low], rows[high], color=PLAIN, alpha=0.18, linewidth=0)
            axis.plot(rows["level"], rows[value], "o-", color=PLAIN, markersize=4)
        column[-1].set_xlabel(UNITS[change])
    axes[0, 0].set(ylim=(0, None), ylabel="FNMR")
    axes[1, 0].set(yscale="log", ylim=(max(rates["fmr"].max() / 5000, 1e-6), None),
                   ylabel="FMR (logarithmic)")
    return finish(figure, "FNMR (upper row) and FMR (lower row) at the threshold of the aligned faces, over "
                  f"{', '.join(changes)}; bands are 95 % over identities.", title)


def crop_quality(quality: pd.DataFrame, title: str = "") -> Figure:
    """Score stability and pAUC of every method over every change of the crop.

    quality  change, level, method, spearman, compared, pauc
    """
    table, changes = with_aligned(quality), list(dict.fromkeys(quality["change"]))
    kinds, methods = list(dict.fromkeys(quality["compared"])), order_methods(quality["method"])
    figure, axes = canvas(1 + len(kinds), len(changes), size=(3.1 * len(changes), 2.4 * (1 + len(kinds))),
                          sharex="col", sharey="row")
    for column, change in zip(axes.T, changes):
        for axis, (kind, value) in zip(column, [(kinds[0], "spearman"), *((k, "pauc") for k in kinds)]):
            rows = table[(table["change"] == change) & (table["compared"] == kind)]
            lines(axis, rows, "level", value, markers=True)
        column[-1].set_xlabel(UNITS[change])
    labels = ["Spearman with the\naligned crop's scores", *(f"pAUC, new\n{k}" for k in kinds)]
    for axis, label in zip(axes[:, 0], labels):
        axis.set_ylabel(label)
    handles = [axes[0, 0].plot([], [], label=m, **marker_style(m))[0] for m in methods]
    axes[0, 0].legend(handles=handles, fontsize=8, loc="lower left")
    return finish(figure, f"Rank correlation of scores with those of the aligned crop, and pAUC, over "
                  f"{', '.join(changes)} for {', '.join(methods)}.", title)


def strategy_rates(table: pd.DataFrame, title: str = "") -> Figure:
    """FNMR of every way to use a clip's frames, one panel per benchmark, one row per method and strategy.

    table  benchmark, method ("" for the baselines), strategy, fnmr, low, high; one recogniser
    """
    if table.empty:
        return empty_figure("No benchmark of this suite holds clips of several frames.")
    order = {name: i for i, name in enumerate(["", *order_methods(set(table["method"]) - {""}), *STRATEGIES])}
    shown = table[table["strategy"].isin(STRATEGIES)]
    shown = shown.sort_values(["method", "strategy"], key=lambda names: names.map(order), kind="stable")
    shown = shown.assign(row=(shown["method"] + ": " + shown["strategy"]).str.removeprefix(": "))
    figure, axes = dot_panels(shown, "benchmark", "row", "fnmr", "FNMR", title,
                              styles=[look(method).colour if method else MUTED for method in shown["method"]])
    for benchmark, axis in axes.items():
        for value in shown.loc[(shown["benchmark"] == benchmark) & (shown["method"] == ""), "fnmr"]:
            axis.axvline(value, color="#bbbbbb", linewidth=0.8, zorder=0)
        axis.margins(x=0.08)
        axis.set_xlim(left=0)
    return finish(
        figure,
        f"FNMR with 95 % intervals on {', '.join(axes)} for "
        f"{', '.join(s for s in STRATEGIES if s in set(shown['strategy']))}; grey: without quality.",
        title,
    )


def clip_strips(frames: list[np.ndarray], scores: pd.DataFrame, title: str = "") -> Figure:
    """The frames of one clip once per method, its choice framed, scores below; scores: one row per frame."""
    methods = order_methods(scores.columns)
    captions = [f"{value:.3f}" for method in methods for value in scores[method]]
    taken = {method: int(np.argmax(scores[method].to_numpy())) for method in methods}
    chosen = "; ".join(f"{method} takes frame {place + 1}" for method, place in taken.items())
    framed = {i * len(frames) + place: look(method).colour for i, (method, place) in enumerate(taken.items())}
    return face_sheet([*frames] * len(methods), len(frames), captions, methods, title,
                      f"One clip of {len(frames)} frames; {chosen}.", framed)


def discarding(table: pd.DataFrame, components: list[str], title: str = "") -> Figure:
    """pAUC of discarding by components (open) and by methods (filled), best at the top.

    table  ranking, pauc, low, high; components: the names that are components or made of them
    """
    part = table["ranking"].isin(components)
    colours = [MUTED if component else look(name).colour for name, component in zip(table["ranking"], part)]
    figure, axes = dot_panels(table.assign(panel=""), "panel", "ranking", "pauc",
                              "pAUC, mean over benchmarks (1: no better than chance)", title, 4.2,
                              styles=colours, filled=~part)
    axes[""].axvline(1, **MARK)
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
        fmr, fnmr = rows[["fmr_goal", "fnmr_goal"]].iloc[0]
        axis.axhline(fnmr, **MARK)
        reached = rows.dropna(subset=["fnmr"])
        dots(axis, reached["discard"], reached["fnmr"], reached["low"], reached["high"], reached["method"],
             reached["rule"] == POINT, upright=True)
        if reached.empty:
            axis.text(0.5, 0.5, "out of reach\nof every method", transform=axis.transAxes, ha="center",
                      color=MUTED)
        axis.set(title=f"{application}\nFMR {fmr:g}, FNMR at most {fnmr:g}",
                 xlabel="genuine comparisons discarded", xlim=(0, 1),
                 ylim=(0, 1.3 * np.nanmax([fnmr, *rows["high"]])))
    axes[0, 0].set_ylabel("FNMR on unseen identities")
    handles = [axes[0, -1].plot([], [], label=m, **marker_style(m))[0]
               for m in order_methods(points["method"])]
    axes[0, -1].legend(handles=handles, fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 1))
    return finish(figure,
                  f"FNMR on unseen identities against the share discarded for {', '.join(applications)}; "
                  f"dashed: the goal; filled markers: threshold by {POINT}, open: by the {CAUTIOUS}.", title)
