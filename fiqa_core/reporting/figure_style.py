"""How every figure looks: one colour, dash and marker per method, direct labels, alt text, stable PNGs.

Here is the one way to draw each kind of thing: lines with bands, dots with intervals, coloured cells. A
figure is a matplotlib `Figure` without pyplot, so there is no global state and no window, drawn with seaborn
where that has the kind; its alt text is its label. Equal figures are saved as equal bytes.
"""
from io import BytesIO

import numpy as np
import pandas as pd
import seaborn
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from PIL import Image
from seaborn.utils import relative_luminance

from fiqa_core.base.files import replacing, write_text
from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.reporting.beside import artefact
from fiqa_core.reporting.names import SOLID, Look, look, order_methods

INK, MUTED, PAPER, PLAIN, UNCLEAR = "#222222", "#777777", "#ffffff", "#0072B2", "#9a9a9a"
RC = {"font.family": "DejaVu Sans", "font.size": 9.5, "text.color": INK, "svg.hashsalt": "fiqa",
      "axes.titlesize": 10.5, "axes.spines.top": False, "axes.spines.right": False,
      "axes.edgecolor": "#999999", "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
      "axes.grid": True, "axes.axisbelow": True, "grid.color": "#e6e6e6", "grid.linewidth": 0.7,
      "figure.facecolor": PAPER, "savefig.facecolor": PAPER}
BACKGROUND = {"color": "#d4d4d4", "linewidth": 0.8, "zorder": 0.5}
MARK = {"color": MUTED, "linestyle": (0, (4, 3)), "linewidth": 1, "zorder": 0.6}  # a line to compare with
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C6D1F", "#555555")


class Picture(Figure):
    """A figure that a notebook shows as a PNG without pyplot."""

    def _repr_png_(self) -> bytes:
        return self.drawn(110)

    def drawn(self, dpi: int) -> bytes:
        """The figure as a small PNG: of 256 colours, rare ones kept, where it holds no photographs."""
        file, small = BytesIO(), BytesIO()
        with rc_context(RC):
            self.savefig(file, dpi=dpi, metadata={"Software": None})
        if any(axis.images for axis in self.axes):
            return file.getvalue()
        colours = Image.open(file).convert("RGB").quantize(
            256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        colours.save(small, "PNG", optimize=True)
        return small.getvalue()


def plain_looks(names) -> dict[str, Look]:
    """Looks of things that are no methods (recognisers, benchmarks): colours in turn, then dashed ones."""
    return {name: Look(COLOURS[i % 8], (SOLID, (5, 2))[i // 8 % 2], "o")
            for i, name in enumerate(dict.fromkeys(names))}


def marker_style(method: str, filled: bool = True) -> dict:
    """Keyword arguments of `Axes.plot` for single points of `method`; open markers are published values."""
    return {"color": look(method).colour, "marker": look(method).marker, "linestyle": "none", "markersize": 7,
            "markerfacecolor": look(method).colour if filled else PAPER}


def canvas(rows: int = 1, columns: int = 1, size: tuple[float, float] = (7.5, 4.0), **options):
    """A figure of `size` inches and its (rows, columns) array of axes."""
    with rc_context(RC):
        figure = Picture(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def panels(count: int, columns: int, size: tuple[float, float], **options):
    """A figure of `count` panels of `size` inches each, `columns` in a row at most, and their axes."""
    columns = min(count, columns)
    rows = -(-count // columns)
    figure, axes = canvas(rows, columns, (size[0] * columns + 0.5, size[1] * rows + 0.4), **options)
    for axis in axes.flat[count:]:
        axis.axis("off")
    return figure, list(axes.flat[:count])


def wide_enough(width: float, title: str) -> float:
    """`width` in inches, or more where the title needs it."""
    return max(width, 0.3 + 0.1 * len(title))


def finish(figure: Figure, alt: str, title: str = "") -> Figure:
    """Give `figure` its title and its alt text (one sentence, kept as the figure's label)."""
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold", color=INK)
    figure.set_label(f"{title}: {alt}" if title else alt)
    return figure


def lines(axis, table: pd.DataFrame, x: str, y: str, by: str = "method", looks: dict[str, Look] | None = None,
          shown=None, bands=(), alpha: float = 0.12, steps: bool = False, markers: bool = False) -> None:
    """One line per value of the column `by`, over column `x`; `table` in the order of `x`.

    looks   of the values of `by`; None: those of methods
    shown   values with a look of their own, the others stay as thin grey lines behind; None: all
    bands   values with a band from column low to column high, as opaque as `alpha`
    steps   True: y holds its value until the next x
    """
    names = [name for name in order_methods(table[by]) if shown is None or name in shown]
    names.sort(key=lambda name: name not in REFERENCES)  # what is drawn first lies behind
    looks = looks or {name: look(name) for name in names}
    table = table.reset_index(drop=True)  # seaborn needs every row's label once
    front, behind = table[table[by].isin(names)], table[~table[by].isin(names)]
    common = {"x": x, "y": y, "estimator": None, "errorbar": None, "sort": False, "legend": False, "ax": axis,
              "drawstyle": "steps-post" if steps else "default"}
    if table[y].isna().all():
        axis.text(0.5, 0.5, "nothing to measure", transform=axis.transAxes, ha="center", color=MUTED)
    if behind[y].notna().any():                         # seaborn fails on gaps alone
        seaborn.lineplot(behind, units=by, **common, **BACKGROUND)
    if front[y].notna().any():
        seaborn.lineplot(front, hue=by, style=by, hue_order=names, style_order=names, linewidth=1.6,
                         markeredgecolor="auto", palette={name: looks[name].colour for name in names},
                         markersize=5, zorder=3, dashes={name: looks[name].dash for name in names},
                         markers={name: looks[name].marker for name in names} if markers else False, **common)
    for name in (name for name in names if name in bands and name not in REFERENCES):
        line = front[front[by] == name]
        axis.fill_between(line[x], line["low"], line["high"], step="post" if steps else None, zorder=2,
                          color=looks[name].colour, alpha=alpha, linewidth=0)
    axis.set(xlabel="", ylabel="")


def dots(axis, x, y, low=None, high=None, styles=PLAIN, filled=True, upright: bool = False) -> None:
    """A dot at each x, y with its interval `low` to `high` along x (`upright`: along y); NaN is not drawn.

    styles  a colour, or one colour or method name for each dot; filled: one bool, or one for each
    """
    count = len(x)
    low, high = (np.full(count, np.nan) if end is None else np.asarray(end, float) for end in (low, high))
    styles, filled = (np.broadcast_to(np.asarray(value), count) for value in (styles, filled))
    for a, b, start, end, style, full in zip(x, y, low, high, styles, filled):
        span, place = (axis.vlines, a) if upright else (axis.hlines, b)
        if np.isfinite(start):
            span(place, start, end, color=look(style).colour, alpha=0.5, linewidth=2.2)
        axis.plot(a, b, **marker_style(style, full))


def rows_of(axis, names) -> None:
    """Name the rows of `dots` from the top downwards."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)


def dot_panels(table: pd.DataFrame, panel: str, row: str, value: str, label: str, title: str = "",
               width: float = 2.4, **options):
    """`dots` of the column `value` with its interval low to high: a panel and a row per value of two columns.

    width    of a panel in inches
    options  of `dots`: single values, or one for each row of `table`. Returns the figure and panel -> axis
    """
    names = list(dict.fromkeys(table[panel]))
    places = {name: i for i, name in enumerate(dict.fromkeys(table[row]))}
    wide = 0.5 + 0.075 * max(map(len, places), default=0) + width * len(names)
    size = (wide_enough(wide, title), 1.2 + 0.28 * len(places))
    figure, axes = canvas(1, len(names), size=size, sharey=True)
    found = dict(zip(names, axes[0]))
    for name, axis in found.items():
        own = (table[panel] == name).to_numpy()
        part = table[own]
        chosen = {key: np.broadcast_to(np.asarray(option), len(own))[own] for key, option in options.items()}
        dots(axis, part[value], part[row].map(places), part.get("low"), part.get("high"), **chosen)
        axis.set(title=name, xlabel=label)
        axis.locator_params(axis="x", nbins=5)
        axis.tick_params(axis="y", length=0)
    rows_of(axes[0, 0], list(places))
    return figure, found


def heatmap(axis, table: pd.DataFrame, text: pd.DataFrame, colours: str, low: float, high: float) -> None:
    """Cells coloured by `table` from `low` to `high` with `text` in them, columns above; NaN stays blank."""
    names = [", ".join(name) if isinstance(name, tuple) else name for name in table.index]
    crowded = max((len(str(name)) for name in table.columns), default=0) > 10
    seaborn.heatmap(table.to_numpy(float), vmin=low, vmax=high, cmap=colours, annot=text.to_numpy(), fmt="",
                    annot_kws={"fontsize": 8.5}, cbar=False, ax=axis, xticklabels=False, yticklabels=False)
    for label, value in zip(axis.texts, table.to_numpy(float)[table.notna().to_numpy()]):
        cell = colormaps[colours]((value - low) / (high - low))
        label.set_color(INK if relative_luminance(cell) > 0.25 else "white")
    axis.grid(False)
    axis.set_xticks(np.arange(table.shape[1]) + 0.5, table.columns, rotation=25 if crowded else 0,
                    ha="left" if crowded else "center")
    axis.set_yticks(np.arange(table.shape[0]) + 0.5, names)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)


def spread(wanted: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Positions near `wanted` (N,) that keep their order, lie in [low, high] and are `gap` apart.

    Where N labels do not fit with `gap`, they share the room evenly.
    """
    order = np.argsort(wanted, kind="stable")
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    steps = gap * np.arange(len(wanted))
    placed = np.maximum.accumulate(np.clip(np.asarray(wanted, float)[order], low, high) - steps)
    placed = np.minimum(placed, high - steps.max(initial=0)) + steps
    result = np.empty(len(placed))
    result[order] = placed
    return result


def label_ends(axes, ends: list[tuple[str, float, float, str]], size: float = 8.0) -> None:
    """Write each line's name to the right of the axes, beside its end, moved apart where they would touch.

    ends  (text, x, y, colour) in data coordinates; call after limits and scale are set and the figure is laid
          out (`Figure.draw_without_rendering`), which the labels' spacing is measured in
    """
    ends = [end for end in ends if np.isfinite(end[1:3]).all()]
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
    from IPython import display

    path = artefact(slug) / f"{slug}_{name}.png"
    alt = str(figure.get_label())
    with replacing(path) as part:
        part.write_bytes(figure._repr_png_())
    write_text(alt + "\n", path.with_suffix(".txt"))
    return display.Image(filename=str(path), alt=alt, width=int(figure.get_figwidth() * 96))
