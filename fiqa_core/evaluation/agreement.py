"""Do published and measured values put methods in the same order, and is that order measured at all?"""

from itertools import combinations, permutations

import numpy as np
import pandas as pd

from fiqa_core.evaluation.comparison import order_methods
from fiqa_core.evaluation.correlation import complete, kendall, spearman

EXACT_UP_TO = 7  # 7! = 5,040 orders are enumerated; above that, DRAWS random orders with a fixed seed
DRAWS = 5_000
TOO_FEW = 3  # one of 3! orders comes up by chance more often than 1 in 20


def rank_agreement(published, measured) -> dict:
    """Do two sets of values order the same things alike?

    published, measured: (N,) values, NaN pairs are left out. Returns count, spearman, kendall in [-1, 1]
    (Kendall's tau-b) and spearman_p, kendall_p: one-sided, the share of all orders of `measured` that
    agree at least as well (all N! for N <= 7, else 5,000 random ones). NaN for fewer than 3 items or
    a constant.
    """
    x, y = complete(published, measured)
    result = {"count": len(x)} | dict.fromkeys(("spearman", "spearman_p", "kendall", "kendall_p"), np.nan)
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return result
    result |= {"spearman": spearman(x, y), "kendall": kendall(x, y)}
    orders = y[shuffles(len(y))]  # (orders, N), first row unshuffled
    for name, table in (("spearman", centred_ranks), ("kendall", pair_signs)):
        agreement = table(orders) @ table(x[None])[0]  # rises with the coefficient
        result[f"{name}_p"] = float((agreement >= agreement[0] - 1e-9).mean())
    return result


def shuffles(count: int) -> np.ndarray:
    """Orders of `count` items, (M, count) int: all of them up to EXACT_UP_TO items, else DRAWS random
    ones with a fixed seed; the first row is the identity."""
    if count <= EXACT_UP_TO:
        return np.array(list(permutations(range(count))))
    drawn = np.random.default_rng(0).permuted(np.tile(np.arange(count), (DRAWS, 1)), axis=1)
    return np.concatenate([np.arange(count)[None], drawn])


def centred_ranks(values: np.ndarray) -> np.ndarray:
    """Average ranks along the last axis minus their mean; (M, N) -> (M, N)."""
    from scipy.stats import rankdata

    return rankdata(values, axis=-1) - (values.shape[-1] + 1) / 2


def pair_signs(values: np.ndarray) -> np.ndarray:
    """Sign of every pairwise difference; (M, N) -> (M, N (N - 1) / 2). Its correlation is Kendall's tau-b."""
    first, second = np.triu_indices(values.shape[-1], 1)
    return np.sign(values[:, first] - values[:, second])


def agreement_sentence(agreement: dict, what: str = "methods") -> str:
    """`rank_agreement`'s result as a sentence for a reader."""
    if np.isnan(agreement["spearman"]):
        return f"{agreement['count']} {what} have both a published and a measured value: no rank correlation."
    strength = "within what chance ordering explains"
    if agreement["count"] <= TOO_FEW:
        strength = "too few to be clear of chance in any order"
    elif agreement["spearman_p"] <= 0.05:
        strength = "clear of chance"
    return (
        f"Rank correlation of published and measured over {agreement['count']} {what}: "
        f"Spearman {agreement['spearman']:+.2f} (p = {agreement['spearman_p']:.3f}), "
        f"Kendall {agreement['kendall']:+.2f} (p = {agreement['kendall_p']:.3f}); {strength}."
    )


def order_verdicts(published: pd.DataFrame, differences: pd.DataFrame) -> pd.DataFrame:
    """For each pair of methods: does the measured order agree with the published one?

    published    method, value (lower is better, as pAUC)
    differences  method_a, method_b, difference (a - b), low, high (paired bootstrap), one preset and limit
    Returns method_a, method_b, published, measured (differences a - b), low, high, verdict.
    """
    printed = published.set_index("method")["value"]
    both = {(r.method_a, r.method_b): (r.difference, r.low, r.high) for r in differences.itertuples()}
    both |= {(b, a): (-d, -high, -low) for (a, b), (d, low, high) in both.items()}
    rows = []
    for a, b in combinations([m for m in order_methods(printed.index) if m in printed.index], 2):
        if (a, b) in both:
            measured, low, high = both[a, b]
            gap = printed[a] - printed[b]
            rows.append((a, b, gap, measured, low, high, order_verdict(gap, measured, low, high)))
    return pd.DataFrame(
        rows, columns=["method_a", "method_b", "published", "measured", "low", "high", "verdict"]
    )


def order_verdict(published: float, measured: float, low: float, high: float) -> str:
    """One pair's verdict: the order is only called measured where the interval is clear of zero."""
    if not (low > 0 or high < 0):
        return "measured order within what resampling explains"
    if published == 0:
        return "measured order is clear, the paper prints a tie"
    return (
        "same order, clear of resampling"
        if published * measured > 0
        else "opposite order, clear of resampling"
    )
