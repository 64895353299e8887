"""The figures of curves: errors against discard, scores against severity, verification, training.

Two dozen lines in one panel cannot be read. The methods that are `shown` have their look, their band and
their name; all others stay as thin grey lines behind them, so that nothing is hidden.
"""
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.reporting.figure_style import (MARK, MUTED, PLAIN, canvas, empty_figure, finish, label_ends,
                                              lines, panels, plain_looks)
from fiqa_core.reporting.names import DASHED, FAMILIES, Look, look, order_methods, plain_name

DISCARDED = ("share of comparisons discarded", "FNMR of what remains")


def edc_panels(curves: pd.DataFrame, highlight: str = "", limit: float = 0.3, logarithmic: bool = False,
               title: str = "", shown: list[str] | None = None) -> Figure:
    """Error-versus-discard curves, one panel per benchmark, with bootstrap bands.

    curves     benchmark, method, discard in [0, 1], fnmr, low, high (the band; NaN for none); methods named
               "oracle" and "random" are drawn as grey references
    highlight  a method whose band is drawn alone; "" draws the band of every method shown
    limit      largest discard fraction on the axis
    shown      methods with a look and a name; None: all
    """
    found = set(curves["method"])
    chosen = found if shown is None else found & {*shown, highlight, *REFERENCES}
    named = {name: (part, chosen, {highlight} if highlight else chosen)
             for name, part in curves.groupby("benchmark", sort=False)}
    return _edc(named, limit, logarithmic, title, f"Error-versus-discard curves on {', '.join(named)} for "
                f"{', '.join(order_methods(chosen))}{_others(found - chosen)}; lower is better.", False)


def edc_families(curves: pd.DataFrame, limit: float = 0.3, logarithmic: bool = False,
                 title: str = "") -> Figure:
    """The curves of one benchmark, one panel per family of methods, all others in grey behind.

    curves  as for `edc_panels`, of one benchmark and recogniser
    """
    found = set(curves["method"])
    families = {name: {method for method in found if plain_name(method) in methods} - set(REFERENCES)
                for name, methods in FAMILIES.items()}
    families["others"] = found - set(REFERENCES) - set().union(*families.values())
    families = {name: methods for name, methods in families.items() if methods}
    named = {name: (curves, methods | set(REFERENCES) & found, methods) for name, methods in families.items()}
    listed = "; ".join(f"{name}: {', '.join(order_methods(methods))}" for name, methods in families.items())
    return _edc(named, limit, logarithmic, title,
                f"Error-versus-discard curves by family of methods ({listed}); lower is better.", True)


def _edc(named: dict, limit: float, logarithmic: bool, title: str, alt: str, same_height: bool) -> Figure:
    """FNMR as steps: it holds its value until the next comparison leaves; `named` as for `curve_panels`."""
    named = {name: (part[part["discard"] <= limit + 1e-9].sort_values("discard", kind="stable"), *rest)
             for name, (part, *rest) in named.items()}
    bottom = {"yscale": "log"} if logarithmic else {"ylim": (0, None)}
    return curve_panels(named, "discard", "fnmr", DISCARDED, title, alt, steps=True, sharey=same_height,
                        xlim=(0, limit), **bottom)


def severity(binned: pd.DataFrame, title: str = "", shown: list[str] | None = None) -> Figure:
    """Mean score against true severity: one panel per cause, a line per method.

    binned  cause, method, severity (mean true value of the bin), score (mean, scaled to [0, 1] per method),
            low, high (95 % interval of the mean)
    shown   methods with a look and a name; None: all
    """
    found = set(binned["method"])
    chosen = found if shown is None else found & set(shown)
    ordered = binned.sort_values("severity", kind="stable")
    named = {f"true {cause}": (ordered[ordered["cause"] == cause], chosen, chosen)
             for cause in dict.fromkeys(binned["cause"])}
    alt = (f"Mean quality score against the true severity of {', '.join(dict.fromkeys(binned['cause']))} "
           f"for {', '.join(order_methods(chosen))}{_others(found - chosen)}.")
    return curve_panels(named, "severity", "score", ("", "mean score, scaled"), title, alt, markers=True)


def curve_panels(named: dict, x: str, y: str, labels: tuple[str, str], title: str, alt: str,
                 steps: bool = False, markers: bool = False, sharey: bool = False, looks: dict | None = None,
                 by: str = "method", **limits) -> Figure:
    """A panel of `lines` per entry, three in a row, each line named at its right end.

    named   title -> (table in the order of `x`, names with a look, names with a band)
    limits  of every panel: xlim, ylim, xscale, yscale
    """
    figure, axes = panels(len(named), 3, (4.6, 3.1) if len(named) > 1 else (6.1, 3.8), sharey=sharey)
    for place, (axis, (name, (table, chosen, bands))) in enumerate(zip(axes, named.items())):
        lines(axis, table, x, y, by, looks, chosen, bands, steps=steps, markers=markers,
              alpha=0.22 if len(bands) == 1 else 0.12)
        axis.set(title=name, ylabel="" if place % 3 else labels[1],
                 xlabel=labels[0] if place + 3 >= len(axes) else "", **limits)
    finish(figure, alt, title)
    figure.draw_without_rendering()
    for axis, (table, chosen, _) in zip(axes, named.values()):
        last = table[table[by].isin(chosen)].groupby(by).tail(1).set_index(by)
        last = last.loc[order_methods(last.index)]
        ends = zip(last.index, last[x], last[y].clip(lower=axis.get_ylim()[0]))
        label_ends(axis, [(name, *end, (looks[name] if looks else look(name)).colour) for name, *end in ends])
    return figure


def _others(methods: set[str]) -> str:
    """What an alt text says about the grey lines."""
    return f" (in grey: {', '.join(order_methods(methods))})" if methods else ""


def curve_shapes(table: pd.DataFrame, title: str = "") -> Figure:
    """FNMR(u)/FNMR(0): published above, measured below, a column per benchmark, a line per recogniser.

    table  as from `recogniser_check.curve_shapes`
    """
    if table.empty:
        return empty_figure("No recogniser and benchmark of the papers is measured in this suite.")
    benchmarks, looks = sorted(set(table["benchmark"])), plain_looks(sorted(set(table["recogniser"])))
    figure, axes = canvas(2, len(benchmarks), size=(0.8 + 2.0 * max(len(benchmarks), 3), 5.0), sharex=True,
                          sharey="row")
    for row, side in zip(axes, ("published", "measured")):
        for axis, benchmark in zip(row, benchmarks):
            axis.axhline(1, **MARK)
            lines(axis, table[(table["side"] == side) & (table["benchmark"] == benchmark)], "discard",
                  "ratio", "recogniser", looks, steps=True)
            axis.set(title=benchmark if side == "published" else "", ylim=(0, None))
        row[0].set_ylabel(side)
    figure.supxlabel("share of comparisons discarded, u", fontsize=9.5)
    handles = [axes[0, 0].plot([], [], color=own.colour, label=name)[0] for name, own in looks.items()]
    figure.legend(handles=handles, loc="outside lower right", ncols=3, frameon=False, fontsize=8.5)
    return finish(figure,
                  f"Shapes of error-versus-discard curves of {', '.join(looks)} on {', '.join(benchmarks)}, "
                  "published above, measured below.", title)


def repeats_runtime(table: pd.DataFrame, title: str = "") -> Figure:
    """Run time per image against FaceQAN's number of repeats k: published and measured in panels of their
    own, and both relative to k = 10 in the third.

    table  repeats (k), published, measured (milliseconds per image), published_relative, measured_relative
    """
    sides = {"published": Look(MUTED, DASHED, "s"), "measured": look("FaceQAN")}
    long = table.sort_values("repeats").melt("repeats", [*sides, *(f"{side}_relative" for side in sides)],
                                             "column")
    long = long.dropna().assign(side=lambda rows: rows["column"].str.removesuffix("_relative"))
    relative = long["column"].str.endswith("_relative")
    named = {f"{side}, ms per image": (long[long["column"] == side], {side}, ()) for side in sides}
    named["both, relative"] = (long[relative], set(sides), ())
    return curve_panels(named, "repeats", "value", ("repeats k", ""), title,
                        "FaceQAN's run time per image against "
                        "its number of repeats, published, measured, and both relative to ten repeats.",
                        markers=True, by="side", looks=sides, ylim=(0, None))


def verification_curves(curves: dict[str, tuple[np.ndarray, np.ndarray]], kind: str = "det",
                        fmr_range: tuple[float, float] = (1e-4, 0.1), title: str = "") -> Figure:
    """ROC or DET of recognisers. curves: name -> (fmr, fnmr), equal lengths, in [0, 1].

    kind  "roc": 1 - FNMR over FMR; "det": FNMR over FMR on a logarithmic axis; FMR always logarithmic
    """
    roc = kind == "roc"
    parts = {name: pd.DataFrame({"fmr": fmr, "fnmr": fnmr}) for name, (fmr, fnmr) in curves.items()}
    table = pd.concat(parts, names=["recogniser"]).reset_index().sort_values("fmr", kind="stable")
    table = table[table["fmr"].between(*fmr_range)]
    table = table.assign(rate=1 - table["fnmr"] if roc else table["fnmr"].clip(lower=1e-4))
    labels, alt = ("FMR", "1 - FNMR" if roc else "FNMR"), f"{kind.upper()} curves of {', '.join(curves)}."
    return curve_panels({"": (table, set(curves), ())}, "fmr", "rate", labels, title, alt, by="recogniser",
                        looks=plain_looks(curves), xlim=fmr_range, xscale="log",
                        yscale="linear" if roc else "log")


def training_curve(log: pd.DataFrame, columns: list[str], title: str = "") -> Figure:
    """Quantities over training, one panel each. log: step, then `columns` (NaN where not measured)."""
    figure, axes = canvas(1, len(columns), size=(1.0 + 3.6 * len(columns), 3.0))
    for axis, column in zip(axes[0], columns):
        shown = log.dropna(subset=[column])
        axis.plot(shown["step"], shown[column], color=PLAIN, marker="o" if len(shown) < 25 else None,
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
