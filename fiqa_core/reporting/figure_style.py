"""How every figure looks: one colour, dash and marker per method, direct labels, alt text, stable PNGs.

A figure is a plain matplotlib `Figure` (no pyplot, so no global state and no window); its alt text is
its label. `save_figure` writes it so that equal figures are equal bytes.
"""
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from fiqa_core.reporting.beside import artefact

INK, MUTED, PAPER, REFERENCES_GREY = "#222222", "#777777", "#ffffff", "#9a9a9a"
RC = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "lines.linewidth": 1.7,
    "svg.hashsalt": "fiqa",
    "font.family": "DejaVu Sans",
}


@dataclass(frozen=True)
class Look:
    """Colour, dash pattern and marker that belong to one method in every figure."""

    colour: str
    dash: object
    marker: str


SOLID, DASHED, DOTTED, DASHDOT = "solid", (0, (5, 2)), (0, (1.2, 1.4)), (0, (6, 2, 1.2, 2))
# Which methods work alike: one hue per family, dash and marker within it. Hues after Okabe and Ito, for
# colour-blind readers; the sizes of eDifFIQA go from light (small) to dark (large).
FAMILIES = {
    "learnt from labels": {
        "FaceQnet": Look("#C29A4B", DOTTED, "8"),
        "SDD-FIQA": Look("#8C6D1F", SOLID, ">"),
        "PCNet": Look("#A6761D", DASHED, "h"),
        "LightQNet": Look("#5E4206", DASHDOT, "d"),
    },
    "learnt with the recogniser": {
        "PFE": Look("#DDA0C8", DOTTED, "p"),
        "MagFace": Look("#CC79A7", DASHED, "<"),
        "CR-FIQA": Look("#882255", SOLID, "*"),
    },
    "reaction of the recogniser": {
        "SER-FIQ": Look("#56B4E9", DASHED, "X"),
        "FaceQAN": Look("#0072B2", SOLID, "o"),
    },
    "reconstruction": {
        "FaceQgen": Look("#F0B27A", DASHDOT, "H"),
        "FaceQgen (re-interpretation)": Look("#F0B27A", DOTTED, "H"),
        "DifFIQA": Look("#D55E00", SOLID, "s"),
        "DifFIQA(R)": Look("#E69F00", DASHED, "D"),
    },
    "eDifFIQA": {
        "eDifFIQA(T)": Look("#A9DDCB", DASHDOT, "<"),
        "eDifFIQA(S)": Look("#66C2A4", DOTTED, "^"),
        "eDifFIQA(M)": Look("#1B9E77", DASHED, "v"),
        "eDifFIQA(L)": Look("#00513A", SOLID, "P"),
    },
    "newer, without training": {
        "FROQ": Look("#5E3C99", SOLID, "p"),
        "GraFIQs": Look("#8073AC", DASHED, "h"),
        "PreFIQs": Look("#B2ABD2", DASHDOT, "d"),
    },
    "measures of the pixels": {
        "Sharpness": Look("#333333", SOLID, "1"),
        "Illumination": Look("#333333", DASHED, "2"),
        "Symmetry": Look("#333333", DOTTED, "3"),
    },
    "references": {
        "random": Look(REFERENCES_GREY, DASHED, "."),
        "oracle": Look(REFERENCES_GREY, DOTTED, "."),
    },
}
LOOKS = {method: look for family in FAMILIES.values() for method, look in family.items()}
BACKGROUND = {"color": "#d4d4d4", "linewidth": 0.8, "linestyle": SOLID, "zorder": 0.5}
OTHER = Look("#444444", DASHDOT, "1")
BENCHMARK_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C6D1F", "#555555")


def look(method: str) -> Look:
    """The look of `method`; a method that is not in the table gets the neutral one."""
    return LOOKS.get(method, OTHER)


def line_style(method: str) -> dict:
    """Keyword arguments of `Axes.plot` for a line of `method`."""
    return {"color": look(method).colour, "linestyle": look(method).dash}


def marker_style(method: str, filled: bool = True) -> dict:
    """Keyword arguments of `Axes.plot` for single points of `method`; open markers are published values."""
    return {"color": look(method).colour, "marker": look(method).marker, "linestyle": "none", "markersize": 7,
            "markerfacecolor": look(method).colour if filled else PAPER}


def canvas(rows: int = 1, columns: int = 1, size: tuple[float, float] = (7.5, 4.0), **options):
    """A figure of `size` inches and its (rows, columns) array of axes."""
    with rc_context(RC):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def wide_enough(width: float, title: str) -> float:
    """`width` in inches, or more where the title needs it."""
    return max(width, 0.3 + 0.1 * len(title))


def finish(figure: Figure, alt: str, title: str = "") -> Figure:
    """Give `figure` its title and its alt text (one sentence, kept as the figure's label)."""
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold", color=INK)
    figure.set_label(f"{title}: {alt}" if title else alt)
    return figure


def spread(wanted: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Positions near `wanted` (N,) that keep their order, lie in [low, high] and are `gap` apart.

    Where N labels do not fit with `gap`, they share the room evenly.
    """
    order = np.argsort(wanted, kind="stable")
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    placed = np.clip(np.asarray(wanted, float)[order], low, high)
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    if len(placed):
        placed[-1] = min(placed[-1], high)
    for i in range(len(placed) - 2, -1, -1):
        placed[i] = min(placed[i], placed[i + 1] - gap)
    result = np.empty(len(placed))
    result[order] = placed
    return result


def label_ends(axes, ends: list[tuple[str, float, float, str]], size: float = 8.0) -> None:
    """Write each line's name to the right of the axes, beside its end, moved apart where they would touch.

    ends  (text, x, y, colour) in data coordinates; call after limits and scale are set.
    """
    if not ends:
        return
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = np.array([to_axes.transform((x, y))[1] for _, x, y, _ in ends])
    height = axes.get_position().height * axes.figure.get_figheight()
    places = spread(heights, gap=1.25 * size / 72 / height, low=0.02, high=0.98)
    for (text, x, y, colour), place in zip(ends, places):
        axes.annotate(text, xy=(x, y), xycoords="data", xytext=(1.06, place), textcoords="axes fraction",
                      color=colour, fontsize=size, va="center", annotation_clip=False,
                      arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "shrinkA": 0, "shrinkB": 1})


def empty_figure(message: str) -> Figure:
    """A figure that says why there is nothing to show (the pipeline expects a file either way)."""
    figure, axes = canvas(size=(7.5, 1.4))
    axes[0, 0].axis("off")
    axes[0, 0].text(0.5, 0.5, message, ha="center", va="center", wrap=True)
    return finish(figure, message)


def save_figure(figure: Figure, slug: str, name: str):
    """Write `results/artefacts/<slug>/<slug>_<name>.png`, its alt text beside it; returns an IPython image.
    No time stamp and no version is written: equal figures give equal bytes."""
    from IPython.display import Image

    path = artefact(slug) / f"{slug}_{name}.png"
    alt = str(figure.get_label())
    with rc_context(RC):
        figure.savefig(path, dpi=110, metadata={"Software": None})
    path.with_suffix(".txt").write_text(alt + "\n")
    return Image(filename=str(path), alt=alt, width=int(figure.get_figwidth() * 96))
