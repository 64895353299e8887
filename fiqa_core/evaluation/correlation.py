"""Rank agreement: between methods on one benchmark, and of scores with the true causes of quality loss."""
from itertools import combinations

import numpy as np
import pandas as pd

from fiqa_core.benchmarks.tables import IMAGE_COLUMNS, IMAGE_MARKS


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
    known = [c for c in (*IMAGE_COLUMNS, *IMAGE_MARKS) if c in images]
    numeric = images.drop(columns=known).select_dtypes(["number", "bool"])
    numeric = numeric.astype(np.float64)
    return numeric.loc[:, [c for c in numeric if numeric[c].nunique() > 1]].abs()


def cause_correlations(scores: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Spearman of each method (column of `scores`) with each cause; rows of both tables correspond.

    Columns: method, cause, spearman, images. A method that reacts to a cause has a clearly negative value.
    """
    magnitude = causes(images)
    rows = [(method, cause, spearman(scores[method], magnitude[cause]),
             int((scores[method].notna().to_numpy() & magnitude[cause].notna().to_numpy()).sum()))
            for method in scores for cause in magnitude]
    return pd.DataFrame(rows, columns=["method", "cause", "spearman", "images"])
