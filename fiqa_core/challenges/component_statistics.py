"""Component measures beside the scalar: do they see their own flaw, what of the scalar do they explain?"""
import numpy as np
import pandas as pd
from scipy.optimize import nnls
from scipy.stats import rankdata

from fiqa_core.evaluation.bootstrap import mean_replicates, multiplicities, percentile_interval

# the true causes (columns of a rendered or degraded set) that each component measure is meant to see
TARGETS = {"sharpness": ("defocus", "motion", "resolution"), "noise": ("noise",), "compression": ("jpeg",),
           "illumination": ("light_angle",), "exposure": ("light_level",), "pose": ("yaw",),
           "eyes open": ("eyes_closed",), "mouth closed": ("mouth_open",), "occlusion": ("occlusion",)}
WORST, MEAN, LEARNED = "worst component", "mean of components", "learned unified score"
FUSIONS = (WORST, MEAN, LEARNED)
LEAST_PEOPLE = 100              # from so many people of a suite on, weights of a unified score are learned
STRONG, WEAK = 0.9, 0.5         # quantiles of magnitude between which a flaw is neither strong nor absent


def percentiles(table: pd.DataFrame) -> pd.DataFrame:
    """Mean rank of every value within its column, as a share in (0, 1): components on one scale."""
    return table.rank() / (len(table) + 1)


def rank_correlations(x: pd.DataFrame, y: pd.DataFrame, identity: np.ndarray, resamples: int,
                      seed) -> pd.DataFrame:
    """Spearman's correlation of every column of `x` (N rows) with every column of `y`, rows corresponding.

    identity  (N,) codes; intervals resample them, with the ranks of the full sample kept
    Returns columns x, y, spearman, low, high, images; rows in which either value is NaN are left out.
    """
    drawn = multiplicities(int(identity.max()) + 1, resamples, seed)
    drawn = np.concatenate([np.ones_like(drawn[:, :1]), drawn], axis=1)          # column 0: the sample itself
    rows = []
    for first in x:
        for second in y:
            both = x[first].notna().to_numpy() & y[second].notna().to_numpy()
            ranks = [rankdata(table[column].to_numpy()[both]) for table, column in ((x, first), (y, second))]
            values = weighted_correlation(*ranks, drawn, identity[both])
            rows.append((first, second, values[0], *percentile_interval(values[1:]), both.sum()))
    return pd.DataFrame(rows, columns=["x", "y", "spearman", "low", "high", "images"])


def weighted_correlation(x: np.ndarray, y: np.ndarray, drawn: np.ndarray, identity: np.ndarray) -> np.ndarray:
    """Pearson's correlation (R,) of x and y (N,) where each of `drawn` (identities, R) repeats its images.

    Moments are summed per identity first, so no array has N times R elements. NaN where a side is constant.
    """
    x, y = x - x.mean(), y - y.mean()
    moments = np.stack([np.bincount(identity, weights=m, minlength=len(drawn))
                        for m in (np.ones_like(x), x, y, x * x, y * y, x * y)])
    n, sx, sy, sxx, syy, sxy = moments @ drawn.astype(np.float64)
    spread = np.maximum(sxx - sx * sx / np.maximum(n, 1), 0) * np.maximum(syy - sy * sy / np.maximum(n, 1), 0)
    joint = sxy - sx * sy / np.maximum(n, 1)
    return np.divide(joint, np.sqrt(spread), out=np.full(len(n), np.nan), where=spread > 1e-9)


def detection(component: np.ndarray, magnitude: np.ndarray) -> float:
    """Chance that a face with a strong flaw has the lower `component` than one without (ties count half).

    Strong: `magnitude` (N,) in its top tenth, or above the lower half's where the flaw is rarer; without: in
    its lower half. 0.5 is blind; NaN where no face, or every face, has the flaw alike.
    """
    known = ~np.isnan(magnitude)
    component, magnitude = component[known], magnitude[known]
    weak, high = np.quantile(magnitude, (WEAK, STRONG))
    without = magnitude <= weak
    strong = magnitude >= high if high > weak else magnitude > weak
    if not strong.any():
        return np.nan
    ranks = rankdata(np.concatenate([component[strong], component[without]]))
    above = ranks[strong.sum():].sum() - without.sum() * (without.sum() + 1) / 2
    return float(above / (strong.sum() * without.sum()))


def target_table(components: pd.DataFrame, magnitudes: pd.DataFrame,
                 correlations: pd.DataFrame) -> pd.DataFrame:
    """One row per component and cause it is meant to see.

    Columns: component, cause, spearman, low, high, detection, images, strongest (cause).
    correlations  as from `rank_correlations(components, magnitudes, ...)`
    """
    rows = []
    for component in (c for c in components if c in TARGETS):
        own = correlations[correlations["x"] == component].set_index("y")
        for cause in (c for c in TARGETS[component] if c in own.index):
            at = own.loc[cause]
            found = detection(components[component].to_numpy(), magnitudes[cause].to_numpy())
            rows.append((component, cause, at["spearman"], at["low"], at["high"], found, int(at["images"]),
                         own["spearman"].idxmin()))
    columns = ["component", "cause", "spearman", "low", "high", "detection", "images", "strongest"]
    return pd.DataFrame(rows, columns=columns)


def explained(components: pd.DataFrame, score: np.ndarray, identity: np.ndarray, seed) -> float:
    """Share of the variance of a score's ranks that the components' ranks predict for other identities.

    R2 of a linear function, fitted on a random half of them, measured on the other, mean of both ways round.
    """
    known = np.isfinite(score)
    x, who = percentiles(components[known]).fillna(0.5).to_numpy(), identity[known]
    y = rankdata(score[known]) / (known.sum() + 1)
    x = np.column_stack([np.ones(len(x)), x])
    half = halves(who, seed)
    shares = []
    for fit in (half, ~half):
        weights = np.linalg.lstsq(x[fit], y[fit], rcond=None)[0]
        rest = y[~fit] - x[~fit] @ weights
        shares.append(1 - (rest ** 2).sum() / ((y[~fit] - y[~fit].mean()) ** 2).sum())
    return float(np.mean(shares))


def halves(identity: np.ndarray, seed) -> np.ndarray:
    """(N,) bool: the images of a random half of the people; identity (N,) codes."""
    return np.random.default_rng(seed).permutation(identity.max() + 1)[identity] % 2 == 0


def with_fusions(components: pd.DataFrame) -> pd.DataFrame:
    """`components` and two unified scores by fixed rules: the least of an image's percentiles, and their
    mean.

    A component that an image lacks (NaN) does not count for it.
    """
    ranks = percentiles(components)
    return components.assign(**{WORST: ranks.min(axis=1), MEAN: ranks.mean(axis=1)})


def learned_fusion(components: pd.DataFrame, target: np.ndarray, identity: np.ndarray,
                   seed) -> tuple[np.ndarray, pd.Series]:
    """A unified score (N,) with learned weights, each image's learned from other people; and the mean
    weights.

    target  (N,) what it should order images by, NaN where unknown
    Non-negative least squares of the target's ranks on the components' percentiles: no component may count
    against its own direction. Fitted on a random half of the people, applied to the other half, both ways
    round; a component that an image lacks stands at its middle. NaN, and no weights, with fewer than
    LEAST_PEOPLE people.
    """
    if len(np.unique(identity)) < LEAST_PEOPLE:
        return np.full(len(components), np.nan), pd.Series(dtype=float)
    x = np.column_stack([percentiles(components).fillna(0.5).to_numpy(), np.ones(len(components))])
    known, half = np.isfinite(target), halves(identity, seed)
    y = np.full(len(target), np.nan)
    y[known] = rankdata(target[known]) / (known.sum() + 1)
    scores, found = np.empty(len(x)), []
    for fit in (half, ~half):
        found.append(nnls(x[fit & known], y[fit & known])[0])
        scores[~fit] = x[~fit] @ found[-1]
    return scores, pd.Series(np.mean(found, axis=0)[:-1], components.columns)


def mean_pauc(benchmarks: dict[str, dict]) -> pd.DataFrame:
    """Mean over benchmarks of pAUC by each ranking: ranking, pauc, low, high, benchmarks; best first.

    benchmarks  name -> {ranking: (value, replicates (R,))}. Benchmarks are resampled independently; one
                without errors (NaN) is left out of a ranking's mean.
    """
    rows = []
    for name in dict.fromkeys(name for found in benchmarks.values() for name in found):
        own = [found[name] for found in benchmarks.values() if name in found and not np.isnan(found[name][0])]
        if own:
            values, replicates = zip(*own)
            rows.append((name, np.mean(values), *percentile_interval(mean_replicates(replicates)), len(own)))
    table = pd.DataFrame(rows, columns=["ranking", "pauc", "low", "high", "benchmarks"])
    return table.sort_values("pauc", kind="stable", ignore_index=True)
