"""Rank agreement of methods with each other, and of scores with the true causes of quality loss.

The truth is known of rendered and of degraded faces only.
"""
from itertools import combinations

import numpy as np
import pandas as pd

from fiqa_core.base.faces import IMAGE_COLUMNS, IMAGE_MARKS, FaceSet

HARMLESS = {"resolution": 112.0, "jpeg": 100.0, "light_level": 1.0}      # 0 for every other cause
DOUBLINGS = ("resolution", "light_level")


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation of (N,) arrays, mean ranks for ties; pairs with NaN are left out.

    NaN where fewer than three pairs remain or one side is constant.
    """
    from scipy.stats import rankdata
    x, y = complete(x, y)
    if len(x) < 3:
        return np.nan
    x, y = rankdata(x), rankdata(y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    return float(np.corrcoef(x, y)[0, 1])


def kendall(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b of (N,) arrays; pairs with NaN are left out; NaN as for `spearman`."""
    from scipy.stats import kendalltau
    x, y = complete(x, y)
    return float(kendalltau(x, y).statistic) if len(x) >= 3 else np.nan


def complete(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays as float64 without the places where either is NaN."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    keep = ~(np.isnan(x) | np.isnan(y))
    return x[keep], y[keep]


def method_ranks(scores: pd.DataFrame) -> pd.DataFrame:
    """Agreement of every two columns (methods) of `scores` (one row per image).

    Columns: method_a, method_b, spearman, kendall, images (scored by both).
    """
    rows = [(a, b, spearman(scores[a], scores[b]), kendall(scores[a], scores[b]),
             int((scores[a].notna() & scores[b].notna()).sum())) for a, b in combinations(scores.columns, 2)]
    return pd.DataFrame(rows, columns=["method_a", "method_b", "spearman", "kendall", "images"])


def causes(images: pd.DataFrame) -> pd.DataFrame:
    """Magnitude of every numeric nuisance column that varies over `images` (booleans as 0 and 1).

    A column with negative values (yaw, light from the left) counts by its absolute value, since quality
    falls towards both sides.
    """
    return varying(images).abs()


def harm(images: pd.DataFrame) -> pd.DataFrame:
    """As `causes`, but every column's distance from its harmless value, some in doublings."""
    table = varying(images)
    for c in table:
        harmless = HARMLESS.get(c, 0.0)
        table[c] = np.log2(table[c] / harmless) if c in DOUBLINGS else table[c] - harmless
    return table.abs()


def varying(images: pd.DataFrame) -> pd.DataFrame:
    """The numeric columns (N rows, float64) of an images table that vary and are no ids or marks."""
    known = [c for c in (*IMAGE_COLUMNS, *IMAGE_MARKS) if c in images]
    numeric = images.drop(columns=known).select_dtypes(["number", "bool"]).astype(np.float64)
    return numeric.loc[:, [c for c in numeric if numeric[c].nunique() > 1]]


def cause_correlations(scores: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Spearman of each method (column of `scores`) with each cause; rows of both tables correspond.

    Columns: method, cause, spearman, images. A method that reacts to a cause has a clearly negative value.
    """
    magnitude = causes(images)
    rows = [(method, cause, spearman(scores[method], magnitude[cause]),
             int((scores[method].notna().to_numpy() & magnitude[cause].notna().to_numpy()).sum()))
            for method in scores for cause in magnitude]
    return pd.DataFrame(rows, columns=["method", "cause", "spearman", "images"])


def true_magnitudes(benchmarks: dict[str, FaceSet], wanted: list[str]) -> pd.DataFrame:
    """Columns benchmark, image_id, cause, magnitude (>= 0) of every wanted cause; empty if none is known."""
    parts = []
    for name, faces in benchmarks.items():
        known = causes(faces.images)
        known = known[[c for c in wanted if c in known]]
        ids = {"benchmark": name, "image_id": faces.images["image_id"]}
        parts.append(known.assign(**ids).melt([*ids], var_name="cause", value_name="magnitude"))
    columns = ["benchmark", "image_id", "cause", "magnitude"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def binned_scores(scores: pd.DataFrame, truth: pd.DataFrame, bins: int = 6) -> pd.DataFrame:
    """Mean score per bin of true severity, all benchmarks pooled.

    scores  benchmark, image_id, method, score; truth: see `true_magnitudes`
    Returns cause, method, severity (mean of the bin), score (min-max scaled per method), low, high (mean +-
    1.96 standard errors), images. Bins hold equally many images; equal magnitudes stay together.
    """
    groups = scores.groupby("method")["score"]
    low, high = groups.transform("min"), groups.transform("max")
    scaled = scores.assign(score=(scores["score"] - low) / (high - low))
    joined = truth.merge(scaled, on=["benchmark", "image_id"])
    parts = []
    for (cause, method), rows in joined.groupby(["cause", "method"], sort=False):
        group = pd.qcut(rows["magnitude"], bins, labels=False, duplicates="drop")
        means = rows.groupby(group).agg(severity=("magnitude", "mean"), score=("score", "mean"),
                                        sd=("score", "std"), images=("score", "size"))
        half = 1.96 * means["sd"].fillna(0) / np.sqrt(means["images"])
        parts.append(means.assign(cause=cause, method=method, low=means["score"] - half,
                                  high=means["score"] + half))
    columns = ["cause", "method", "severity", "score", "low", "high", "images"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def cause_table(correlations: pd.DataFrame, wanted: list[str]) -> pd.DataFrame:
    """Mean Spearman over benchmarks, weighted by images: methods down, the wanted causes across.

    correlations  results/evaluation/causes.csv: benchmark, method, cause, spearman, images
    """
    shown = correlations[correlations["cause"].isin(wanted)].dropna(subset=["spearman"])
    shown = shown.assign(weighted=shown["spearman"] * shown["images"])
    sums = shown.groupby(["method", "cause"])[["weighted", "images"]].sum()
    table = (sums["weighted"] / sums["images"]).unstack("cause")
    return table[[c for c in wanted if c in table]].rename_axis(index=None, columns=None)
