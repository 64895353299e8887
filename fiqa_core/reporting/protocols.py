"""What learns under two protocols: on portraits (the default), and on the benchmarks' kinds of flaw.

The same rule, the same network, other pictures to learn from. A suite that trains both gives the second the
name of the first with `names.FLAWS` behind it; where a suite trains one only, these tables are empty.
"""
import numpy as np
import pandas as pd

from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.reporting.names import FLAWS, order_methods, plain_name

COLUMNS = ["method", "portraits", "low", "high", "flaws", "flaws_low", "flaws_high", "difference",
           "difference_low", "difference_high", "rank_portraits", "rank_flaws", "of", "verdict"]


def on_flaws(table: pd.DataFrame) -> pd.Series:
    """True for the rows of methods that were trained on flaws."""
    return table["method"].str.endswith(FLAWS)


def as_trained(table: pd.DataFrame, flaws: bool) -> pd.DataFrame:
    """`table` under one protocol: what was trained under both has the rows of that one, by its plain name."""
    twice = {plain_name(name) for name in table.loc[on_flaws(table), "method"]}
    dropped = table["method"].isin(twice) if flaws else on_flaws(table)
    return table[~dropped].assign(method=table["method"].map(plain_name))


def both_protocols(means: pd.DataFrame, differences: pd.DataFrame) -> pd.DataFrame:
    """Each method that was trained under both protocols, one row.

    means        method, pauc, low, high of one recogniser, preset and limit
    differences  method_a, method_b, difference (a - b), low, high of the same preset and limit
    Returns the columns COLUMNS: pAUC with interval under either, the paired difference flaws - portraits, the
    rank among all methods of the suite under either protocol (1 = best) and what that says. Empty where there
    are none.
    """
    means = means[~means["method"].isin(REFERENCES)]
    area, pairs = means.set_index("method"), paired(differences)
    ranks = [as_trained(means, flaws).set_index("method")["pauc"].rank() for flaws in (False, True)]
    rows = []
    for name in order_methods(means.loc[on_flaws(means), "method"].map(plain_name)):
        if name in area.index:
            first, second = (area.loc[own, ["pauc", "low", "high"]] for own in (name, name + FLAWS))
            gap = pairs.get((name + FLAWS, name), (second["pauc"] - first["pauc"], np.nan, np.nan))
            rows.append((name, *first, *second, *gap, *(rank[name] for rank in ranks), len(ranks[0]),
                         protocol_verdict(*gap[1:])))
    return pd.DataFrame(rows, columns=COLUMNS)


def protocol_cells(table: pd.DataFrame) -> pd.DataFrame:
    """`both_protocols` as a table to read: index method, values with their intervals, ranks as "20 to 12"."""
    def spans(value: str, low: str, high: str, form: str) -> list[str]:
        rows = zip(table[value], table[low], table[high])
        return [f"{v:{form}} [{a:{form}}, {b:{form}}]" for v, a, b in rows]

    ranks = [f"{row.rank_portraits:.0f} to {row.rank_flaws:.0f}" for row in table.itertuples()]
    return pd.DataFrame({"portraits": spans("portraits", "low", "high", ".3f"),
                         "flaws": spans("flaws", "flaws_low", "flaws_high", ".3f"),
                         "difference": spans("difference", "difference_low", "difference_high", "+.3f"),
                         "rank": ranks, "verdict": table["verdict"].tolist()}, index=table["method"])


def paired(differences: pd.DataFrame) -> dict[tuple[str, str], tuple[float, float, float]]:
    """(method, other) -> difference of their pAUC with its paired interval; either order of the two."""
    found = {}
    for row in differences.itertuples():
        found[row.method_a, row.method_b] = (row.difference, row.low, row.high)
        found[row.method_b, row.method_a] = (-row.difference, -row.high, -row.low)
    return found


def protocol_verdict(low: float, high: float) -> str:
    """What the paired interval of flaws - portraits says; a smaller area is better."""
    if np.isnan(low) or np.isnan(high):
        return "no interval"
    if high < 0:
        return "better for having seen the flaws"
    return "worse for having seen the flaws" if low > 0 else "no difference clear of resampling"
