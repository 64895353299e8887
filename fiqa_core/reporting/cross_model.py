"""Same model and cross model: is a score better for the recogniser it was made with than for the others?"""
import numpy as np
import pandas as pd

from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.registry import methods_of
from fiqa_core.reporting.names import order_methods

OWN_NETWORK = ("cr_fiqa", "faceqgen")  # learn with a network of their own: no recogniser is theirs
COLUMNS = ["benchmark", "method", "scored_with", "same", "same_low", "same_high", "cross", "cross_low",
           "cross_high", "others", "gap", "verdict"]


def scoring_recognisers(suite: dict, names: dict[str, str]) -> dict[str, str]:
    """Method -> display name of the recogniser that it works with or learns from, as params.yaml tells.

    suite  the whole of params.yaml; names: slug -> name of its methods, as `beside.suite_methods`
    Methods with their authors' weights, with a network of their own, or that look at the pixels alone are not
    among them: for them every comparison is cross-model.
    """
    found = {}
    for slug, entry in methods_of(suite, "on_recogniser", "on_diffusion", "trained", "distilled").items():
        if slug not in OWN_NETWORK and "checkpoint" not in entry:
            recogniser = entry.get("recogniser", entry.get("backbone", suite["scoring"]["recogniser"]))
            found[names[slug]] = suite["recognisers"].get(recogniser, {}).get("name", recogniser)
    return found


def cross_model(areas: pd.DataFrame, scored_with: dict[str, str]) -> pd.DataFrame:
    """pAUC of each method with its own recogniser beside that with all others.

    areas        pauc.csv of one preset and limit: benchmark, recogniser, method, pauc, low, high
    scored_with  method -> display name of the recogniser that its scores came from; a method that is not
                 named, or whose recogniser is not measured, has no row
    Returns benchmark ("mean" too), method, scored_with, same, same_low, same_high, cross (mean over the other
    recognisers), cross_low, cross_high (the smallest and the largest of them), others (how many), gap
    (same - cross; negative: the score suits its own recogniser best) and verdict.
    """
    kept = areas[~areas["method"].isin(REFERENCES)].dropna(subset=["pauc"])
    over = kept.groupby(["recogniser", "method"], as_index=False, sort=False)["pauc"].mean()
    kept = pd.concat([kept, over.assign(benchmark="mean")], ignore_index=True)
    rows = []
    for (benchmark, method), part in kept.groupby(["benchmark", "method"], sort=False):
        own = part["recogniser"] == scored_with.get(method)
        if own.sum() == 1 and len(part) > 1:
            rows.append((benchmark, method, scored_with[method], *one_row(part[own].iloc[0],
                                                                          part[~own]["pauc"])))
    table = pd.DataFrame(rows, columns=COLUMNS)
    order = {m: i for i, m in enumerate(order_methods(table["method"]))}
    return table.sort_values("method", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def one_row(own: pd.Series, others: pd.Series) -> tuple:
    """The columns from `same` on: the own recogniser's area against the range of the others'."""
    same, low, high = own["pauc"], own.get("low", np.nan), own.get("high", np.nan)
    said = "within the range of the others"
    if not others.min() <= same <= others.max():
        said = f"{'best' if same < others.min() else 'worst'} with its own recogniser"
    return (same, low, high, others.mean(), others.min(), others.max(), len(others), same - others.mean(),
            said)


def every_pair(areas: pd.DataFrame) -> pd.DataFrame:
    """Mean pAUC over benchmarks: methods down, the recogniser that compares across."""
    kept = areas[~areas["method"].isin(REFERENCES)]
    table = kept.pivot_table(index="method", columns="recogniser", values="pauc", sort=False)
    return table.loc[order_methods(table.index)]
