"""What a run shows and what it cannot, in sentences that are made from its numbers and from nothing else.

Every sentence follows from intervals over resampled identities: a method is "better" or "ahead" only where
an interval is clear of the value it is compared with. Lists name every method they count.
"""
from itertools import combinations

import numpy as np
import pandas as pd

from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.reporting.names import OF_THE_PAPERS, order_methods
from fiqa_core.reporting.protocols import as_trained, paired
from fiqa_core.reporting.ranking import order_verdict

LEADERS = 4                         # of the printed order, whose own differences are looked at


def listed(names) -> str:
    """Names in the papers' order, as a reader wants them: "A, B and C"; "none" for none."""
    *first, last = order_methods(names) or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def against_random(means: pd.DataFrame, what: str = "on average over all benchmarks and recognisers") -> str:
    """Which methods of the three papers beat discarding at random, and by how much.

    means  method, pauc, low, high of one recogniser, preset and limit
    """
    own = means[means["method"].isin(OF_THE_PAPERS)].dropna(subset=["pauc"])
    if own.empty:
        return "No method of the three papers was measured."
    better, worse = own[own["high"] < 1], own[own["low"] > 1]
    text = (f"{len(better)} of the {len(own)} methods of the three papers are better than discarding at "
            f"random, {what}, with intervals clear of 1 ({listed(better['method'])}).")
    unclear = own[~own["method"].isin([*better["method"], *worse["method"]])]
    if len(unclear):
        text += f" Not clear of 1: {listed(unclear['method'])}."
    if len(worse):
        text += f" Worse than random: {listed(worse['method'])}."
    best = own.loc[own["pauc"].idxmin()]
    if best["high"] < 1:
        text += (f" The first of them, {best['method']}, takes away {amount(best)} of the area that random "
                 "leaves.")
    return text


def amount(row: pd.Series) -> str:
    """1 - pAUC with its interval, in per cent: "42 % [38, 45]"."""
    return f"{100 * (1 - row['pauc']):.0f} % [{100 * (1 - row['high']):.0f}, {100 * (1 - row['low']):.0f}]"


def against_others(means: pd.DataFrame, differences: pd.DataFrame) -> str:
    """How far the papers' methods are ahead of the others, pair by pair; baselines as trained by default.

    differences  method_a, method_b, difference, low, high of the same preset and limit as `means`
    """
    means = as_trained(means, flaws=False).dropna(subset=["pauc"])
    names = [name for name in means["method"] if name not in REFERENCES]
    own, others = ([name for name in names if (name in OF_THE_PAPERS) == wanted] for wanted in (True, False))
    pairs = paired(differences)
    found = {(a, b): pairs[a, b] for a in own for b in others if (a, b) in pairs}
    if not found:
        return "There is no other method to compare the papers' with."
    won = {b: sum(pair[2] < 0 for (_, other), pair in found.items() if other == b) for b in others}
    lost = {b: sum(pair[1] > 0 for (_, other), pair in found.items() if other == b) for b in others}
    ahead = [b for b in others if lost[b] == len(own)]
    behind = [b for b in others if won[b] == len(own)]
    undecided = len(found) - sum(won.values()) - sum(lost.values())
    return (f"Against the {len(others)} other methods of the suite, pair by pair on the same resampled "
            f"people: {sum(won.values())} of {len(found)} pairs go to the method of the papers, "
            f"{sum(lost.values())} to the other, {undecided} are not decided. Behind all of the papers' "
            f"methods: {listed(behind)}; ahead of all of them: {listed(ahead)}.")


def order_found(ranks: pd.DataFrame) -> str:
    """Is the printed order found again? `ranks` as from `ranking.rank_correlations`, one preset."""
    means = ranks[(ranks["recogniser"] == "all") & (ranks["benchmark"] == "mean")
                  & ranks["paper"].isin(("DifFIQA", "eDifFIQA"))]
    if means.empty:
        return "Too few methods that the papers print were measured: no order can be compared."
    said = [f"{row.paper}'s at {row.discard_limit:g}: {row.spearman:+.2f} [{row.low:+.2f}, {row.high:+.2f}] "
            f"over {row.methods} methods" for row in means.itertuples()]
    text = f"Spearman of the printed mean pAUC and the measured one: {'; '.join(said)}."
    cells = ranks[(ranks["recogniser"] == "all") & (ranks["benchmark"] != "mean")
                  & (ranks["paper"] == "eDifFIQA")].sort_values("spearman", kind="stable")
    if len(cells):
        first, last, clear = cells.iloc[0], cells.iloc[-1], int((cells["low"] > 0).sum())
        text += (f" Benchmark by benchmark (eDifFIQA's tables) it runs from {first['spearman']:+.2f} "
                 f"({first['benchmark']}) to {last['spearman']:+.2f} ({last['benchmark']}); the same "
                 f"direction is clear of resampling on {clear} of {len(cells)}.")
    return text


def leaders(printed: pd.DataFrame, differences: pd.DataFrame, paper: str, count: int = LEADERS) -> str:
    """Can the order of the paper's first methods be tested here? Their printed gaps beside our intervals.

    printed  method, value: the paper's averages; differences as in `against_others`
    """
    pairs = paired(differences)
    known = {name for pair in pairs for name in pair}
    first = printed[printed["method"].isin(known)].nsmallest(count, "value", keep="first")
    value = first.set_index("method")["value"]
    both = {(a, b): pairs[a, b] for a, b in combinations(value.index, 2) if (a, b) in pairs}
    widths = [(high - low) / 2 for _, low, high in both.values()]
    if len(value) < 2 or not np.isfinite(widths).all():
        return f"The order of {paper}'s leaders cannot be looked at: fewer than two of them have an interval."
    verdicts = {pair: order_verdict(value[pair[0]] - value[pair[1]], *found) for pair, found in both.items()}
    text = (f"{paper}'s first {len(value)} ({', '.join(value.index)}) lie within {np.ptp(value):.3f} of one "
            "another in print; the interval of a difference between two of them is "
            f"\u00b1{np.median(widths):.3f} here, in the median.")
    decided = {pair: both[pair][0] for pair, said in verdicts.items() if "clear" in said}
    if not decided:
        return f"{text} None of their pairs is decided: which one leads cannot be tested with these faces."
    same = sum(said.startswith("same") for said in verdicts.values())
    gaps = sorted(map(abs, decided.values()))
    return (f"{text} {len(decided)} of their {len(both)} pairs are decided here, {same} of them as printed, "
            f"by gaps of {gaps[0]:.3f} to {gaps[-1]:.3f}.")


def protocols_differ(table: pd.DataFrame) -> str:
    """What the two protocols teach; `table` as from `protocols.both_protocols`. "" where there is no row."""
    if table.empty:
        return ""
    better, worse = table[table["difference_high"] < 0], table[table["difference_low"] > 0]
    moved = table.loc[(table["rank_portraits"] - table["rank_flaws"]).abs().idxmax()]
    text = (f"{len(better)} of the {len(table)} methods that learn become better when they learn from the "
            f"benchmarks' kinds of flaw ({listed(better['method'])}), {len(worse)} worse "
            f"({listed(worse['method'])}); the mean change of pAUC is {table['difference'].mean():+.3f}. "
            f"When all change their pictures, {moved['method']} moves most, from rank "
            f"{moved['rank_portraits']:.0f} to {moved['rank_flaws']:.0f} of {moved['of']:.0f}.")
    if len(better) + len(worse):
        return text + " The rules did not change, the pictures did: a rank is also that of a training set."
    return text + " No change is clear of resampling: the training pictures decide no rank in this run."


def seeds_spread(table: pd.DataFrame) -> str:
    """How far the seed alone moves a distilled method; table: method, seed, pauc. "" for no row."""
    spans = table.groupby("method", sort=False)["pauc"].agg(np.ptp)
    if spans.empty:
        return ""
    return (f"Trained anew with other seeds ({table.groupby('method').size().max()} each), a distilled "
            f"method's mean pAUC spans {spans.min():.3f} to {spans.max():.3f} ({spans.idxmax()}): smaller "
            "gaps between two of them say nothing.")


def one_method(areas: pd.DataFrame, method: str, recogniser: str) -> str:
    """On how many benchmarks one method is better than random with one recogniser.

    areas  benchmark, recogniser, method, pauc, low, high of one preset and limit
    """
    own = areas[(areas["method"] == method) & (areas["recogniser"] == recogniser)].dropna(subset=["pauc"])
    better, worse = own.loc[own["high"] < 1, "benchmark"], own.loc[own["low"] > 1, "benchmark"]
    return (f"{method} with {recogniser} is better than discarding at random, its interval clear of 1, on "
            f"{len(better)} of {len(own)} benchmarks ({', '.join(better) or 'none'}), worse on {len(worse)} "
            f"({', '.join(worse) or 'none'}).")
