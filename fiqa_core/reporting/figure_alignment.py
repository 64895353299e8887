"""Figures of alignment: sheets of faces with the points drawn, how well and how large faces were found."""
import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from fiqa_core.benchmarks.alignment import template
from fiqa_core.reporting.figure_faces import corner, face_sheet
from fiqa_core.reporting.figure_style import COLOURS, MUTED, canvas, empty_figure, finish, panels

POINT, PLACE = "#E69F00", "#56B4E9"
UNKNOWN = "No landmarks are known: these faces came aligned, or were rendered so."
# column of the table -> what the axis says, whether it is logarithmic
MEASURES = {"eye_distance": ("distance of the eyes in the photograph, pixels", True),
            "misfit": ("distance of the points from the template, pixels of the crop", False),
            "detector_score": ("the detector's score", False)}


def aligned_sheet(pixels: np.ndarray, points: np.ndarray, columns: int = 12, title: str = "") -> Figure:
    """Crops (N, 112, 112, 3) uint8, their landmarks (N, 5, 2) as dots over the template's places as rings.

    NaN landmarks are not drawn: the rings alone remain.
    """
    known = int(np.isfinite(points).all(axis=(1, 2)).sum())
    figure = face_sheet(pixels, columns, title=title,
                        alt=f"{len(pixels)} aligned faces; rings mark the template's "
                        f"eyes, nose and mouth corners, dots the points found in {known} of them.")
    corners = np.array([corner(i, columns) for i in range(len(pixels))])[:, None]
    figure.axes[0].plot(*(corners + (template() + 0.5) / 112).reshape(-1, 2).T, "o", markersize=5,
                        markerfacecolor="none", markeredgecolor=PLACE)
    figure.axes[0].plot(*(corners + (points + 0.5) / 112).reshape(-1, 2).T, ".", markersize=4, color=POINT)
    return figure


def failure_sheet(pixels: np.ndarray, captions: list[str], columns: int = 8, title: str = "") -> Figure:
    """What stands in for faces that were not found: crops (N, 112, 112, 3) uint8, each with its caption."""
    if len(pixels) == 0:
        return empty_figure("A face was found in every image of every benchmark, or all came aligned.")
    return face_sheet(pixels, min(columns, len(pixels)), captions, title=title,
                      alt=f"{len(pixels)} images without an aligned face: {'; '.join(captions)}.")


def distributions(table: pd.DataFrame, title: str = "") -> Figure:
    """Cumulative share of images over each measure that is known, one curve per benchmark.

    table  benchmark, eye_distance, misfit, detector_score, as `inspection.measures` gives them; NaN: unknown
    """
    shown = [name for name in MEASURES if table[name].notna().any()]
    if not shown:
        return empty_figure(UNKNOWN)
    names, table = list(dict.fromkeys(table["benchmark"])), table.reset_index(drop=True)
    figure, axes = canvas(1, len(shown), size=(4.2 * len(shown), 3.4))
    for axis, measure in zip(axes[0], shown):
        label, logarithmic = MEASURES[measure]
        seaborn.ecdfplot(table, x=measure, hue="benchmark", hue_order=names, log_scale=logarithmic or None,
                         ax=axis, palette=[COLOURS[i % 8] for i in range(len(names))],
                         legend=axis is axes[0, -1])
        axis.set(xlabel=label, ylabel="", ylim=(0, 1))
        if logarithmic:
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7)))
            axis.xaxis.set_major_formatter(ScalarFormatter())
            axis.xaxis.set_minor_formatter(NullFormatter())
    axes[0, 0].set_ylabel("share of images up to here")
    seaborn.move_legend(axes[0, -1], "best", title=None, frameon=False, fontsize=8)
    return finish(figure,
        f"Cumulative distributions of {', '.join(MEASURES[m][0] for m in shown)} on {', '.join(names)}.",
        title)


def second_look(found: dict[str, np.ndarray], title: str = "") -> Figure:
    """Where a detector sees the five points in finished crops: benchmark -> (M, 5, 2), NaN for no face."""
    figure, axes = panels(len(found), 4, (2.6, 2.7), sharex=True, sharey=True)
    for axis, (name, points) in zip(axes, found.items()):
        seen = points[np.isfinite(points).all(axis=(1, 2))]
        axis.plot(*seen.reshape(-1, 2).T, ".", markersize=3, color=POINT)
        axis.plot(*template().T, "+", markersize=9, color="black")
        axis.set(xlim=(20, 92), ylim=(108, 36), aspect="equal",
                 title=f"{name}: {len(seen)} of {len(points)} seen")
        axis.tick_params(colors=MUTED)
    return finish(figure,
                  f"Places of eyes, nose and mouth corners in finished crops of {', '.join(found)}, as a "
                  "detector finds them; crosses mark the template.", title)
