"""Figures of machines and recognisers: run time, size, training, verification; each a matplotlib `Figure`."""
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from fiqa_core.reporting.beside import order_methods
from fiqa_core.reporting.figure_style import (BENCHMARK_COLOURS, INK, MUTED, canvas, empty_figure, finish,
                                              label_ends, marker_style)


def repeats_runtime(table: pd.DataFrame, title: str = "") -> Figure:
    """Run time per image against FaceQAN's number of repeats k: published and measured in panels of their
    own, and both relative to k = 10 in the third.

    table  repeats (k), published, measured (milliseconds per image), published_relative, measured_relative
    """
    figure, axes = canvas(1, 3, size=(11, 3.2))
    table = table.sort_values("repeats")
    looks = {"published": marker_style("FaceQAN", filled=False) | {"linestyle": (0, (4, 3))},
             "measured": marker_style("FaceQAN") | {"linestyle": "solid"}}
    ends = []
    for axis, side in zip(axes[0], looks):
        axis.plot(table["repeats"], table[side], **looks[side])
        axis.set(title=side, xlabel="repeats k", ylabel="milliseconds per image", ylim=(0, None))
        shown = table.dropna(subset=[f"{side}_relative"])
        axes[0, 2].plot(shown["repeats"], shown[f"{side}_relative"], **looks[side])
        ends += [(side, *shown[["repeats", f"{side}_relative"]].iloc[-1], INK)] if len(shown) else []
    axes[0, 2].set(title="both, relative", xlabel="repeats k", ylabel="relative cost", ylim=(0, None))
    finish(
        figure,
        "FaceQAN's run time per image against its number of repeats, published, measured, "
        "and both relative to ten repeats.",
        title,
    )
    figure.draw_without_rendering()
    label_ends(axes[0, 2], ends)
    return figure


def method_runtime(table: pd.DataFrame, title: str = "") -> Figure:
    """Run time and size of methods, one row each: published (open), measured (filled), a panel each.

    table  method, published, measured (milliseconds per image; NaN for none), parameters_published,
           parameters_measured (millions); logarithmic axes
    """
    figure, axes = canvas(1, 4, size=(12, 1.2 + 0.32 * len(table)), sharey=True)
    panels = [
        ("published", "run time, published", "ms per image"),
        ("measured", "run time, measured", "ms per image"),
        ("parameters_published", "size, published", "million parameters"),
        ("parameters_measured", "size, measured", "million parameters"),
    ]
    for axis, (column, heading, label) in zip(axes[0], panels):
        for row, (method, value) in enumerate(zip(table["method"], table[column])):
            axis.plot(value, row, **marker_style(method, filled=column.endswith("measured")))
            axis.annotate("" if np.isnan(value) else f"{value:,.{2 if value < 10 else 0}f}", (value, row),
                          xytext=(7, -3), fontsize=8.5, textcoords="offset points")
        axis.set(xscale="log", title=heading, xlabel=label)
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.margins(x=0.35, y=0.15)
    axes[0, 0].set_yticks(range(len(table)), table["method"])
    axes[0, 0].invert_yaxis()
    return finish(
        figure,
        f"Run time and number of parameters of {', '.join(table['method'])}, "
        "published and measured in separate panels, logarithmic axes.",
        title,
    )


def verification_curves(curves: dict[str, tuple[np.ndarray, np.ndarray]], kind: str = "det",
                        fmr_range: tuple[float, float] = (1e-4, 0.1), title: str = "") -> Figure:
    """ROC or DET of recognisers. curves: name -> (fmr, fnmr), equal lengths, in [0, 1].

    kind  "roc": 1 - FNMR over FMR; "det": FNMR over FMR on a logarithmic axis; FMR always logarithmic
    """
    figure, axes = canvas(size=(6.6, 4.2))
    axis, ends = axes[0, 0], []
    for i, (name, (fmr, fnmr)) in enumerate(curves.items()):
        order = np.argsort(fmr, kind="stable")
        x, y = np.asarray(fmr, float)[order], np.asarray(fnmr, float)[order]
        keep = (x >= fmr_range[0]) & (x <= fmr_range[1])
        x, y = x[keep], 1 - y[keep] if kind == "roc" else np.maximum(y[keep], 1e-4)
        colour = BENCHMARK_COLOURS[i % len(BENCHMARK_COLOURS)]
        axis.plot(x, y, color=colour, linestyle=("solid", (0, (5, 2)))[i // len(BENCHMARK_COLOURS) % 2])
        ends += [(name, x[-1], y[-1], colour)] if len(x) else []
    axis.set(xscale="log", xlabel="FMR", ylabel="1 - FNMR" if kind == "roc" else "FNMR", xlim=fmr_range,
             yscale="linear" if kind == "roc" else "log")
    finish(figure, f"{kind.upper()} curves of {', '.join(curves)}.", title)
    figure.draw_without_rendering()
    label_ends(axis, ends)
    return figure


def training_curve(log: pd.DataFrame, columns: list[str], title: str = "") -> Figure:
    """Quantities over training, one panel each. log: step, then `columns` (NaN where not measured)."""
    figure, axes = canvas(1, len(columns), size=(1.0 + 3.6 * len(columns), 3.0))
    for axis, column in zip(axes[0], columns):
        shown = log.dropna(subset=[column])
        axis.plot(shown["step"], shown[column], color="#0072B2", marker="o" if len(shown) < 25 else None,
                  markersize=4)
        axis.set(title=column, xlabel="step")
        if len(shown):
            axis.annotate(f"{shown[column].iloc[-1]:.3g}", (shown["step"].iloc[-1], shown[column].iloc[-1]),
                          xytext=(4, 4), textcoords="offset points", fontsize=8.5)
    return finish(figure, f"Training curve: {', '.join(columns)} over steps.", title)


def training_log(log: pd.DataFrame, title: str = "") -> Figure:
    """`training_curve` of every quantity that a method's training log has, of its first model.

    log   rows in the order of training: model, perhaps epoch and step, then quantities of the method's own
    """
    if log.empty:
        return empty_figure("The authors' weights were taken: nothing was trained.")
    log = log[log["model"] == log["model"].iloc[0]]
    quantities = log.select_dtypes("number").columns.difference(["model", "epoch", "step"], sort=False)
    steps = log["epoch"] if "epoch" in log else log["step"] if "step" in log else range(1, len(log) + 1)
    return training_curve(log.assign(step=steps), list(quantities), title)


def verification_dots(table: pd.DataFrame, quantity: str, title: str = "") -> Figure:
    """One row per benchmark: a verification quantity of recognisers (grey) and of quality methods (coloured).

    table  benchmark, recogniser, role ("recogniser" or "quality method") and a column named `quantity`
    """
    benchmarks = list(dict.fromkeys(table["benchmark"]))
    figure, axes = canvas(size=(7.5, 1.3 + 0.36 * len(benchmarks)))
    axis = axes[0, 0]
    grey = table[table["role"] == "recogniser"]
    axis.plot(grey[quantity], grey["benchmark"].map(benchmarks.index), "|", color=MUTED, markersize=11)
    own = table[table["role"] != "recogniser"]
    for method in order_methods(own["recogniser"]):
        rows = own[own["recogniser"] == method]
        axis.plot(rows[quantity], rows["benchmark"].map(benchmarks.index), label=method,
                  **marker_style(method))
    axis.set_yticks(range(len(benchmarks)), benchmarks)
    axis.set_ylim(len(benchmarks) - 0.5, -0.5)
    axis.set(xlabel=quantity)
    figure.legend(loc="outside lower right", ncols=4, frameon=False, fontsize=8.5)
    return finish(
        figure,
        f"{quantity} of {', '.join(order_methods(own['recogniser']))} as recognisers on "
        f"{', '.join(benchmarks)}, between the suite's recognisers in grey.",
        title,
    )
