"""How the lessons draw: few kinds of figures, one look for each role, alt text with every figure.

Genuine is solid blue, impostor dashed orange, a threshold a thin black line with its value.
"""
import numpy as np
import torch

from fiqa_core.reporting.figure_style import COLOURS, INK, MARK, canvas, dots, finish, heatmap, panels, rows_of

GENUINE, IMPOSTOR = COLOURS[:2]
DASHES = ("-", "--", ":", "-.", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (8, 2)))


def show(figure, alt: str, title: str = ""):
    """The figure as a picture of a notebook, with its alt text."""
    from IPython.display import Image
    finish(figure, alt, title)
    return Image(data=figure._repr_png_(), format="png", alt=str(figure.get_label()),
                 width=int(figure.get_figwidth() * 96))


def faces_row(faces, captions, alt: str, title: str = "", columns: int = 6):
    """Faces (N, 3, 112, 112) in [0, 1] or (N, 112, 112, 3) uint8, pixel by pixel, with a caption each."""
    faces = faces.permute(0, 2, 3, 1).numpy() if isinstance(faces, torch.Tensor) else np.asarray(faces)
    figure, axes = panels(len(faces), columns, (1.45, 1.75))
    for axis, face, caption in zip(axes, faces, captions):
        axis.imshow(face.clip(0, 1) if face.dtype.kind == "f" else face, interpolation="nearest")
        axis.set_title(caption, fontsize=9)
        axis.axis("off")
    return show(figure, alt, title)


def difference(before: torch.Tensor, after: torch.Tensor, factor: float) -> torch.Tensor:
    """after - before around mid-grey, enlarged by `factor`."""
    return (0.5 + factor * (after - before)).clamp(0, 1)


def two_histograms(first, second, threshold: float | None, alt: str, title: str = "", label: str = "similarity",
                   names: tuple[str, str] = ("genuine", "impostor"), what: str = "comparisons"):
    """Two sets of values, as shares of each: genuine and impostor comparisons, or others by name."""
    figure, axes = canvas(size=(6.6, 3.2))
    axis, both = axes[0, 0], np.concatenate([first, second])
    bins = np.linspace(both.min(), both.max(), 50)
    for values, colour, dash, name in ((first, GENUINE, "-", names[0]), (second, IMPOSTOR, "--", names[1])):
        axis.hist(values, bins, weights=np.full(len(values), 1 / len(values)), histtype="step", color=colour,
                  linestyle=dash, linewidth=1.8, label=f"{name} ({len(values):,})")
    if threshold is not None:
        axis.axvline(threshold, color="black", linewidth=1, label=f"threshold {threshold:.2f}")
    axis.set(xlabel=label, ylabel=f"share of {what}")
    axis.legend(frameon=False)
    return show(figure, alt, title)


def curves(lines: dict, xlabel: str, ylabel: str, alt: str, title: str = "", steps: bool = False, level=None,
           limit=None, marks: bool = True, top: float | None = None):
    """name -> (x, y), each with a colour and dash of its own; level: a thin dashed line to compare with;
    top: the end of the upright axis, which then begins at 0."""
    figure, axes = canvas(size=(6.6, 3.4))
    axis = axes[0, 0]
    for number, (name, (x, y)) in enumerate(lines.items()):
        axis.plot(x, y, color=COLOURS[number % 8], linestyle=DASHES[number % 8], label=name, linewidth=1.7,
                  drawstyle="steps-post" if steps else "default", marker="o" if marks and not steps else "",
                  markersize=3.5)
    if level is not None:
        axis.axhline(level, **MARK)
    axis.set(xlabel=xlabel, ylabel=ylabel, xlim=limit, ylim=top and (-0.02 * top, top))
    if len(lines) > 1:
        axis.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1, 0.5))
    return show(figure, alt, title)


def bars(values: dict, label: str, alt: str, title: str = "", level=None, intervals: dict | None = None):
    """A dot for each name, from the top downwards, with intervals where there are some."""
    figure, axes = canvas(size=(6.6, 0.9 + 0.3 * len(values)))
    axis, names = axes[0, 0], list(values)
    low, high = ([intervals[name][end] for name in names] if intervals else None for end in (0, 1))
    dots(axis, list(values.values()), range(len(names)), low, high)
    rows_of(axis, names)
    if level is not None:
        axis.axvline(level, **MARK)
    axis.set_xlabel(label)
    axis.locator_params(axis="x", nbins=6)
    axis.tick_params(axis="y", length=0)
    return show(figure, alt, title)


def matrix(values: np.ndarray, borders, alt: str, title: str = "", label: str = "cosine"):
    """Similarities (N, N); `borders` are drawn between groups of rows."""
    figure, axes = canvas(size=(4.6, 4.0))
    axis = axes[0, 0]
    shown = axis.imshow(values, cmap="cividis", vmin=min(0, values.min()), vmax=1, interpolation="nearest")
    for place in borders:
        axis.axhline(place - 0.5, color="white", linewidth=1)
        axis.axvline(place - 0.5, color="white", linewidth=1)
    axis.grid(False)
    axis.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=axis, label=label)
    return show(figure, alt, title)


def cells(table, low: float, high: float, alt: str, title: str = "", form: str = "{:+.2f}", colours: str = "cividis"):
    """A table of numbers whose cells are coloured from `low` to `high`."""
    figure, axes = canvas(size=(1.6 + 0.8 * table.shape[1], 1.3 + 0.32 * table.shape[0]))
    heatmap(axes[0, 0], table, table.map(lambda value: "" if np.isnan(value) else form.format(value)), colours, low, high)
    return show(figure, alt, title)


def scatter(x, y, xlabel: str, ylabel: str, alt: str, title: str = "", names=None):
    """One dot each, with its name where there are few."""
    figure, axes = canvas(size=(5.2, 3.6))
    axis = axes[0, 0]
    axis.plot(x, y, "o", color=GENUINE, markersize=4 if names is None else 6, alpha=0.6 if names is None else 1)
    for place, name in enumerate(names or ()):
        axis.annotate(name, (x[place], y[place]), xytext=(5, 3), textcoords="offset points", fontsize=8, color=INK)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    return show(figure, alt, title)

