"""Is the published order of methods found again, benchmark by benchmark, and how sure is the answer?

Spearman's correlation of printed and measured pAUC, with an interval from resampled identities. The interval
of one pAUC says nothing about ranks, because all methods are measured on the same resampled identities and
move together. So the first few hundred replicates of each row of `pauc.csv` are stored as they are, and the
methods are ranked anew in each. Ranks can be compared between suites whose values cannot.
"""
from itertools import combinations, permutations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.bootstrap import percentile_interval
from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.evaluation.evaluate import FILE
from fiqa_core.evaluation.ranks import complete, kendall, spearman
from fiqa_core.reporting.beside import asked_for, comparable, load_measured
from fiqa_core.reporting.names import order_methods
from fiqa_core.reporting.published import as_measured, load_published, pick, published_scores, reliable

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
    return (f"Rank correlation of published and measured over {agreement['count']} {what}: "
            f"Spearman {agreement['spearman']:+.2f} (p = {agreement['spearman_p']:.3f}), "
            f"Kendall {agreement['kendall']:+.2f} (p = {agreement['kendall_p']:.3f}); {strength}.")


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
    return pd.DataFrame(rows,
                        columns=["method_a", "method_b", "published", "measured", "low", "high", "verdict"])


def order_verdict(published: float, measured: float, low: float, high: float) -> str:
    """One pair's verdict: the order is only called measured where the interval is clear of zero."""
    if not (low > 0 or high < 0):
        return "measured order within what resampling explains"
    if published == 0:
        return "measured order is clear, the paper prints a tie"
    return f"{'same' if published * measured > 0 else 'opposite'} order, clear of resampling"


# paper -> (table, discard limit, setting that is comparable)
PRINTED = {"eDifFIQA": ("ediffiqa_pauc", 0.3, ""), "AI-KD": ("aikd_pauc", 0.3, "aligned faces"),
           "FROQ": ("froq_pauc", 0.2, "")}
ALL, MEAN = "all", "mean"
PLACE = ["paper", "recogniser", "benchmark"]
WHERE = ["paper", "discard_limit", "recogniser", "benchmark"]


def printed_areas() -> pd.DataFrame:
    """Printed pAUC with names of counterparts: paper, discard_limit, recogniser, benchmark, method, value.

    Rows of the recogniser "all" are means: over DifFIQA's four recognisers and seven benchmarks (benchmark
    "mean"), and in the other papers over the recognisers they print. Doubtful values are left out.
    """
    parts = []
    for paper, (name, limit, setting) in PRINTED.items():
        table = as_measured(reliable(pick(load_published(name), discard_limit=limit, setting=setting)))
        table = table[["recogniser", "benchmark", "method", "value"]]
        over = table.groupby(["benchmark", "method"], as_index=False, sort=False)["value"].mean()
        parts.append(pd.concat([table, over.assign(recogniser=ALL)]).assign(paper=paper, discard_limit=limit))
    means = as_measured(load_published("diffiqa_average_pauc")).assign(paper="DifFIQA", recogniser=ALL)
    table = pd.concat([*parts, means], ignore_index=True)
    return table[["paper", "discard_limit", "recogniser", "benchmark", "method", "value"]]


def measured_areas(areas: pd.DataFrame, replicates: np.ndarray, preset: str, limit: float) -> pd.DataFrame:
    """pAUC of methods and its replicates, indexed by recogniser ("all" too), benchmark ("mean" too), method.

    areas, replicates  see `replicates.load_replicates`
    Returns (rows, 1 + R) float64, column 0 the area itself. Means leave undefined areas out; references have
    no row.
    """
    rows = (areas["preset"] == preset) & (areas["discard_limit"] == limit) & ~areas["method"].isin(REFERENCES)
    keys = ["recogniser", "benchmark", "method"]
    values = np.column_stack([areas.loc[rows, "pauc"], replicates[rows.to_numpy()]])
    table = pd.DataFrame(values, index=pd.MultiIndex.from_frame(areas.loc[rows, keys]))
    over = table.groupby(["benchmark", "method"], sort=False).mean()
    table = pd.concat([table, pd.concat({ALL: over}, names=["recogniser"]).reorder_levels(keys)])
    over = table.groupby(["recogniser", "method"], sort=False).mean()
    return pd.concat([table, pd.concat({MEAN: over}, names=["benchmark"]).reorder_levels(keys)])


def matched(areas: pd.DataFrame, replicates: np.ndarray, preset: str):
    """Yield (paper, limit, recogniser, benchmark), printed values (Series by method) and measured ones.

    Measured: (methods, 1 + R) rows in the order of the Series. Only places that both sides have, with three
    methods or more.
    """
    for limit, printed in printed_areas().groupby("discard_limit"):
        table = measured_areas(areas, replicates, preset, limit)
        measured_at = dict(list(table.dropna(subset=[0]).groupby(["recogniser", "benchmark"])))
        for place, rows in printed.groupby(PLACE, sort=False):
            if place[1:] not in measured_at:
                continue
            measured = measured_at[place[1:]].droplevel(["recogniser", "benchmark"])
            known = rows.set_index("method")["value"]
            methods = [m for m in order_methods(measured.index) if m in known.index]
            if len(methods) >= TOO_FEW:
                yield (*place[:1], limit, *place[1:]), known[methods], measured.loc[methods].to_numpy()


def rank_correlations(areas: pd.DataFrame, replicates: np.ndarray, preset: str) -> pd.DataFrame:
    """One row per paper, recogniser and benchmark that printed and measured areas share.

    Columns: paper, discard_limit, recogniser, benchmark, methods, spearman, low, high (95 % over resampled
    identities), p (see `rank_agreement`), kendall, verdict.
    """
    rows = []
    for place, printed, measured in matched(areas, replicates, preset):
        agreement = rank_agreement(printed, measured[:, 0])
        low, high = percentile_interval(resampled_spearman(printed.to_numpy(), measured[:, 1:]))
        said = rank_verdict(len(printed), low, high, agreement["spearman_p"])
        numbers = (agreement["spearman"], low, high, agreement["spearman_p"], agreement["kendall"])
        rows.append((*place, len(printed), *map(float, numbers), said))
    names = [*WHERE, "methods", "spearman", "low", "high", "p", "kendall", "verdict"]
    return in_order(pd.DataFrame(rows, columns=names))


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by paper, DifFIQA first, otherwise as they are."""
    papers = ["DifFIQA", *PRINTED]
    return table.sort_values("paper", key=lambda names: names.map(papers.index), kind="stable",
                             ignore_index=True)


def resampled_spearman(printed: np.ndarray, replicates: np.ndarray) -> np.ndarray:
    """Spearman of printed values (M,) with each column of replicates (M, R): (R,), NaN where undefined.

    >>> resampled_spearman(np.array([1.0, 2.0, 3.0]), np.array([[0.1, 0.3], [0.2, 0.2], [0.3, 0.1]])).tolist()
    [1.0, -1.0]
    """
    whole = ~np.isnan(replicates).any(axis=0)
    x, y = centred_ranks(printed[None])[0], centred_ranks(np.where(whole, replicates, 0).T)
    scale = np.sqrt((x @ x) * (y * y).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole, y @ x / scale, np.nan)


def rank_verdict(methods: int, low: float, high: float, p: float) -> str:
    """What the interval of a rank correlation lets one say, and whether a random order would do as well.

    p  share of all orders that agree at least as well, see `rank_agreement`; below 0.05 the agreement, above
       0.95 the disagreement is more than chance
    """
    if np.isnan(low) or np.isnan(high):
        return "no interval"
    if methods <= TOO_FEW:
        return "too few methods"
    if low <= 0 <= high:
        return "no direction clear of resampling"
    direction, surprise = ("same", p) if low > 0 else ("opposite", 1 - p)
    chance = " and chance" if surprise <= 0.05 else ", not of chance"
    return f"{direction} direction, clear of resampling{chance}"


def rank_cells(areas: pd.DataFrame, replicates: np.ndarray, preset: str) -> pd.DataFrame:
    """Per cell: the printed rank and the measured one among the methods that both sides have (1 = best).

    Columns: paper, discard_limit, recogniser, benchmark, method, of (how many methods), printed_rank,
    measured_rank, low, high (95 % over resampled identities), verdict.
    """
    parts = []
    for place, printed, measured in matched(areas, replicates, preset):
        ranks, printed_rank = rankdata(measured, axis=0, nan_policy="omit"), rankdata(printed)
        whole = ~np.isnan(measured[:, 1:]).any(axis=0)
        low, high = percentile_interval(np.where(whole, ranks[:, 1:], np.nan))
        verdicts = [cell_verdict(*cell) for cell in zip(printed_rank, low, high)]
        parts += [(*place, method, len(printed), *cell)
                  for method, *cell in zip(printed.index, printed_rank, ranks[:, 0], low, high, verdicts)]
    names = [*WHERE, "method", "of", "printed_rank", "measured_rank", "low", "high", "verdict"]
    return in_order(pd.DataFrame(parts, columns=names))


def cell_verdict(printed: float, low: float, high: float) -> str:
    """One method's printed rank against the interval of its measured rank."""
    if np.isnan(low) or np.isnan(high):
        return "no interval"
    if low <= printed <= high:
        return "printed rank within what resampling explains"
    moved = "better" if high < printed else "worse"
    return f"measured {moved} than printed, outside what resampling explains"


def authors_scores(scores: pd.DataFrame, method: str = "FaceQAN", benchmark: str = "XQLFW") -> dict | None:
    """Rank agreement, image by image, of measured scores with those the method's authors published.

    scores  benchmark, image_id, method, score; images are matched by file name without folder and ending
    Returns the result of `rank_agreement`; None where there are no published scores, no measured ones, or the
    suite's benchmark is not made of the true photographs.
    """
    printed = published_scores(method, benchmark)
    own = pick(scores, method=method, benchmark=benchmark)
    if printed is None or own.empty or not comparable():
        return None
    names = own["image_id"].str.rsplit("/", n=1).str[-1].str.removesuffix(".jpg")
    return rank_agreement(printed.reindex(names).to_numpy(), own["score"])


def load_replicates() -> tuple[pd.DataFrame, np.ndarray]:
    """`results/evaluation/pauc.csv` and the replicates of its rows, (rows, R) float32, NaN where undefined.

    Raises FiqaError if either is missing or they do not belong together.
    """
    columns = ("benchmark", "recogniser", "method", "preset", "discard_limit")
    table = load_measured("evaluation/pauc", columns, every=True)
    path = project.results() / "evaluation" / FILE
    if not path.is_file():
        raise FiqaError(f"{path} is missing", "evaluate again: dvc repro evaluate")
    try:
        replicates = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise FiqaError(f"{path} is no array: {error}", "evaluate again: dvc repro evaluate") from error
    if replicates.ndim != 2 or len(replicates) != len(table):
        raise FiqaError(f"{path} has the shape {replicates.shape}, pauc.csv has {len(table)} rows",
                        "evaluate again: dvc repro evaluate")
    kept = asked_for(table)
    return table[kept].reset_index(drop=True), replicates[kept.to_numpy()]
