"""The figures of curves: errors against discard, scores against severity; each a matplotlib `Figure`.

Two dozen lines in one panel cannot be read. The methods that are `shown` have their look, their band and
their name; all others stay as thin grey lines behind them, so that nothing is hidden.
"""
import pandas as pd
from matplotlib.figure import Figure

from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.reporting.beside import order_methods
from fiqa_core.reporting.figure_style import (BACKGROUND, FAMILIES, canvas, finish, label_ends, line_style,
                                              look)


def edc_panels(curves: pd.DataFrame, highlight: str = "", limit: float = 0.3, logarithmic: bool = False,
               title: str = "", shown: list[str] | None = None) -> Figure:
    """Error-versus-discard curves, one panel per benchmark, with bootstrap bands.

    curves     benchmark, method, discard in [0, 1], fnmr, low, high (the band; NaN for none); methods named
               "oracle" and "random" are drawn as grey references
    highlight  a method whose band is drawn alone; "" draws the band of every method shown
    limit      largest discard fraction on the axis
    shown      methods with a look and a name; None: all
    """
    benchmarks = list(dict.fromkeys(curves["benchmark"]))
    chosen = set(curves["method"] if shown is None else [*shown, highlight, *REFERENCES])
    parts = {name: visible(curves[curves["benchmark"] == name], limit) for name in benchmarks}
    figure, panels = panel_grid(len(benchmarks), ("share of comparisons discarded", "FNMR of what remains"))
    for axis, (name, part) in zip(panels, parts.items()):
        edc_panel(axis, part, chosen, highlight, limit, logarithmic)
        axis.set_title(name)
    named = order_methods(set(curves["method"]) & chosen)
    finish(
        figure,
        f"Error-versus-discard curves on {', '.join(benchmarks)} for {', '.join(named)}"
        f"{others(set(curves['method']) - chosen)}; lower is better.",
        title,
    )
    figure.draw_without_rendering()  # settles the layout, which the labels' spacing is measured in
    for axis, part in zip(panels, parts.values()):
        edc_labels(axis, part[part["method"].isin(chosen)], limit)
    return figure


def edc_families(curves: pd.DataFrame, limit: float = 0.3, logarithmic: bool = False,
                 title: str = "") -> Figure:
    """The curves of one benchmark, one panel per family of methods, all others in grey behind.

    curves  as for `edc_panels`, of one benchmark and recogniser
    """
    found = set(curves["method"])
    families = {name: found & set(looks) for name, looks in FAMILIES.items()}
    families = {name: methods for name, methods in families.items() if methods - set(REFERENCES)}
    part = visible(curves, limit)
    figure, panels = panel_grid(len(families), ("share of comparisons discarded", "FNMR of what remains"),
                                True)
    for axis, (name, methods) in zip(panels, families.items()):
        edc_panel(axis, part, methods | set(REFERENCES), "", limit, logarithmic)
        axis.set_title(name)
    listed = "; ".join(f"{name}: {', '.join(order_methods(m))}" for name, m in families.items())
    finish(figure, f"Error-versus-discard curves by family of methods ({listed}); lower is better.", title)
    figure.draw_without_rendering()
    for axis, methods in zip(panels, families.values()):
        edc_labels(axis, part[part["method"].isin(methods | set(REFERENCES))], limit)
    return figure


def panel_grid(count: int, labels: tuple[str, str], same_height: bool = False):
    """A figure with `count` panels, three in a row, and the list of their axes; `labels` of x and y."""
    columns = min(count, 3)
    rows = -(-count // columns)
    figure, axes = canvas(rows, columns, size=(4.6 * columns + 0.4, 3.1 * rows + 0.3), sharey=same_height)
    for axis in axes.flat[count:]:
        axis.axis("off")
    for axis in axes[:, 0]:
        axis.set_ylabel(labels[1])
    for place in range(columns):
        last = (count - 1 - place) // columns  # the lowest panel that this column has
        axes[last, place].set_xlabel(labels[0])
    return figure, list(axes.flat[:count])


def others(methods: set[str]) -> str:
    """What an alt text says about the grey lines."""
    return f" (in grey: {', '.join(order_methods(methods))})" if methods else ""


def visible(curves: pd.DataFrame, limit: float) -> pd.DataFrame:
    """The part of the curves that a panel shows, in order of discard."""
    return curves[curves["discard"] <= limit + 1e-9].sort_values("discard", kind="stable")


def edc_panel(axis, curves: pd.DataFrame, chosen: set[str], highlight: str, limit: float,
              logarithmic: bool) -> None:
    """Draw one benchmark's curves as steps: FNMR holds its value until the next comparison leaves."""
    for method in order_methods(curves["method"]):
        line = curves[curves["method"] == method]
        style = line_style(method) | {"zorder": 1 if method in REFERENCES else 3}
        axis.plot(line["discard"], line["fnmr"], drawstyle="steps-post",
                  **(style if method in chosen else BACKGROUND))
        if method in chosen and method not in REFERENCES and highlight in ("", method):
            axis.fill_between(line["discard"], line["low"], line["high"], step="post", zorder=2,
                              color=look(method).colour, alpha=0.22 if highlight else 0.10, linewidth=0)
    axis.set_xlim(0, limit)
    if logarithmic:
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)


def edc_labels(axis, curves: pd.DataFrame, limit: float) -> None:
    """Name each curve at its right end; `curves` in order of discard."""
    last = curves.groupby("method").tail(1).set_index("method")
    bottom = axis.get_ylim()[0]
    label_ends(axis,
        [(m, limit, max(last.loc[m, "fnmr"], bottom), look(m).colour) for m in order_methods(last.index)])


def severity(binned: pd.DataFrame, title: str = "", shown: list[str] | None = None) -> Figure:
    """Mean score against true severity: one panel per cause, a line per method.

    binned  cause, method, severity (mean true value of the bin), score (mean, scaled to [0, 1] per method),
            low, high (95 % interval of the mean)
    shown   methods with a look and a name; None: all
    """
    methods = order_methods(binned["method"])
    chosen = set(methods if shown is None else shown)
    ordered = binned.sort_values("severity", kind="stable")
    panels = {cause: ordered[ordered["cause"] == cause] for cause in dict.fromkeys(binned["cause"])}
    figure, axes = panel_grid(len(panels), ("", "mean score, scaled"))
    for axis, (cause, lines) in zip(axes, panels.items()):
        severity_panel(axis, lines, chosen)
        axis.set(title=cause, xlabel=f"true {cause}")
    named = [m for m in methods if m in chosen]
    alt = f"Mean quality score against the true severity of {', '.join(panels)} for {', '.join(named)}"
    finish(figure, f"{alt}{others(set(methods) - chosen)}.", title)
    figure.draw_without_rendering()
    for axis, lines in zip(axes, panels.values()):
        named = lines[lines["method"].isin(chosen)]
        last = named.groupby("method").tail(1).set_index("method")[["severity", "score"]]
        label_ends(axis, [(m, *last.loc[m], look(m).colour) for m in order_methods(last.index)])
    return figure


def severity_panel(axis, lines: pd.DataFrame, chosen: set[str]) -> None:
    """Draw one cause's lines, those of `chosen` with their bands; `lines` is sorted by severity."""
    for method in order_methods(lines["method"]):
        line = lines[lines["method"] == method]
        x, colour = line["severity"], look(method).colour
        if method not in chosen:
            axis.plot(x, line["score"], **BACKGROUND)
            continue
        axis.plot(x, line["score"], marker=look(method).marker, markersize=4, **line_style(method))
        axis.fill_between(x, line["low"], line["high"], color=colour, alpha=0.12, linewidth=0)
