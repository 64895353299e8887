"""Figures of alignment: contact sheets with the points drawn, how well and how large faces were found."""
import textwrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from fiqa_core.benchmarks.alignment import template
from fiqa_core.reporting.figure_faces import show_face
from fiqa_core.reporting.figure_style import BENCHMARK_COLOURS, MUTED, canvas, empty_figure, finish

CAPTION = 20  # characters of a caption's line
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
    sheet = mosaic(pixels, columns)
    figure, axes = canvas(size=(sheet.shape[1] / 118, sheet.shape[0] / 118 + 0.35))
    corner = 112 * np.stack([np.arange(len(pixels)) % columns, np.arange(len(pixels)) // columns], axis=1)
    show_face(axes[0, 0], sheet, "")
    rings = (corner[:, None] + template()).reshape(-1, 2)
    axes[0, 0].plot(*rings.T, "o", markersize=5, markerfacecolor="none", markeredgecolor=PLACE)
    axes[0, 0].plot(*(corner[:, None] + points).reshape(-1, 2).T, ".", markersize=4, color=POINT)
    axes[0, 0].set(xlim=(-0.5, sheet.shape[1] - 0.5), ylim=(sheet.shape[0] - 0.5, -0.5))
    known = int(np.isfinite(points).all(axis=(1, 2)).sum())
    return finish(
        figure,
        f"{len(pixels)} aligned faces; rings mark the template's eyes, nose and mouth corners, dots the "
        f"points found in {known} of them.",
        title,
    )


def mosaic(pixels: np.ndarray, columns: int) -> np.ndarray:
    """One picture of the crops (N, H, W, 3), row by row, empty places white.

    `rendering.sheet` does the same, but brings torch along, which no artefact needs.
    """
    count, height, width = pixels.shape[:3]
    rows = -(-count // columns)
    places = np.full((rows * columns, height, width, 3), 255, np.uint8)
    places[:count] = pixels
    places = places.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    return places.reshape(rows * height, columns * width, 3)


def failure_sheet(pixels: np.ndarray, captions: list[str], columns: int = 8, title: str = "") -> Figure:
    """What stands in for faces that were not found: crops (N, 112, 112, 3) uint8, each with its caption."""
    if len(pixels) == 0:
        return empty_figure("A face was found in every image of every benchmark, or all came aligned.")
    columns = min(columns, len(pixels))
    rows = -(-len(pixels) // columns)
    figure, axes = canvas(rows, columns, size=(max(1.3 * columns, 4), 1.75 * rows + 0.35))
    for axis in axes.flat:
        axis.axis("off")
    for axis, face, caption in zip(axes.flat, pixels, captions):
        axis.axis("on")
        show_face(axis, face, textwrap.fill(caption, CAPTION))
    return finish(figure, f"{len(pixels)} images without an aligned face: {'; '.join(captions)}.", title)


def distributions(table: pd.DataFrame, title: str = "") -> Figure:
    """Cumulative share of images over each measure that is known, one curve per benchmark.

    table  benchmark, eye_distance, misfit, detector_score, as `inspection.measures` gives them; NaN: unknown
    """
    shown = [name for name in MEASURES if table[name].notna().any()]
    if not shown:
        return empty_figure(UNKNOWN)
    figure, axes = canvas(1, len(shown), size=(4.2 * len(shown), 3.4))
    names = list(dict.fromkeys(table["benchmark"]))
    for axis, measure in zip(axes[0], shown):
        label, logarithmic = MEASURES[measure]
        for i, name in enumerate(names):
            values = np.sort(table.loc[table["benchmark"] == name, measure].dropna())
            share = np.arange(1, len(values) + 1) / max(len(values), 1)
            axis.step(values, share, where="post", color=BENCHMARK_COLOURS[i % 8],
                      label=name if len(values) else None)
        axis.set(xlabel=label, ylim=(0, 1), xscale="log" if logarithmic else "linear")
        if logarithmic:
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7)))
            axis.xaxis.set_major_formatter(ScalarFormatter())
            axis.xaxis.set_minor_formatter(NullFormatter())
    axes[0, 0].set_ylabel("share of images up to here")
    axes[0, -1].legend(fontsize=8, frameon=False)
    return finish(figure,
        f"Cumulative distributions of {', '.join(MEASURES[m][0] for m in shown)} on {', '.join(names)}.",
        title)


def second_look(found: dict[str, np.ndarray], title: str = "") -> Figure:
    """Where a detector sees the five points in finished crops: benchmark -> (M, 5, 2), NaN for no face."""
    columns = min(len(found), 4)
    rows = -(-len(found) // columns)
    figure, axes = canvas(rows, columns, size=(2.6 * columns, 2.7 * rows + 0.4), sharex=True, sharey=True)
    for axis in axes.flat[len(found) :]:
        axis.axis("off")
    for axis, (name, points) in zip(axes.flat, found.items()):
        seen = points[np.isfinite(points).all(axis=(1, 2))]
        axis.plot(*seen.reshape(-1, 2).T, ".", markersize=3, color=POINT)
        axis.plot(*template().T, "+", markersize=9, color="black")
        axis.set(xlim=(20, 92), ylim=(108, 36), aspect="equal",
                 title=f"{name}: {len(seen)} of {len(points)} seen")
        axis.tick_params(colors=MUTED)
    return finish(
        figure,
        f"Places of eyes, nose and mouth corners in finished crops of {', '.join(found)}, as a detector "
        "finds them; crosses mark the template.",
        title,
    )
