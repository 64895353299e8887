"""Component measures beside the scalar: do they see their own flaw, and what of the scalar do they
explain?"""
import numpy as np
import pandas as pd
from scipy.stats import rankdata

from fiqa_core.base.faces import IMAGE_COLUMNS, IMAGE_MARKS
from fiqa_core.evaluation.bootstrap import (DiscardWeights, divided, multiplicities, pair_weights,
                                            percentile_interval)
from fiqa_core.evaluation.comparisons import BenchmarkPairs
from fiqa_core.evaluation.edc import edc

# the true causes (columns of a rendered or degraded set) that each component measure is meant to see
TARGETS = {"sharpness": ("defocus", "motion", "resolution"), "noise": ("noise",), "compression": ("jpeg",),
           "illumination": ("light_angle",), "exposure": ("light_level",), "pose": ("yaw",),
           "eyes open": ("eyes_closed",), "mouth closed": ("mouth_open",), "occlusion": ("occlusion",)}
HARMLESS = {"resolution": 112.0, "jpeg": 100.0, "light_level": 1.0}      # 0 for every other cause
DOUBLINGS = ("resolution", "light_level")
WORST, MEAN = "worst component", "mean of components"
STRONG, WEAK = 0.9, 0.5         # quantiles of magnitude between which a flaw is neither strong nor absent


def harm(images: pd.DataFrame) -> pd.DataFrame:
    """Distance (N rows, >= 0) of every numeric nuisance column of an images table from its harmless value.

    Exposure and resolution count doublings. Columns that do not vary are left out, and so are ids and marks.
    """
    numeric = images.drop(columns=[c for c in (*IMAGE_COLUMNS, *IMAGE_MARKS) if c in images])
    numeric = numeric.select_dtypes(["number", "bool"]).astype(np.float64)
    numeric = numeric.loc[:, [c for c in numeric if numeric[c].nunique() > 1]]
    for c in numeric:
        harmless = HARMLESS.get(c, 0.0)
        numeric[c] = (np.log2(numeric[c] / harmless) if c in DOUBLINGS else numeric[c] - harmless).abs()
    return numeric


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
            low, high = percentile_interval(values[1:])
            rows.append((first, second, float(values[0]), float(low), float(high), int(both.sum())))
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
    """Chance in [0, 1] that a face with a strong flaw has the lower `component` than one without (ties count
    half).

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
    """One row per component and cause it is meant to see: component, cause, spearman, low, high, detection,
    images,
    strongest (the cause it really reacts to most).

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
    """Share of the variance of a score's ranks that a linear function of the components' ranks predicts for
    other
    identities: R2, fitted on a random half of them and measured on the other half, mean of both ways
    round."""
    known = np.isfinite(score)
    x, who = percentiles(components[known]).to_numpy(), identity[known]
    y = rankdata(score[known]) / (known.sum() + 1)
    x = np.column_stack([np.ones(len(x)), x])
    half = np.random.default_rng(seed).permutation(who.max() + 1)[who] % 2 == 0
    shares = []
    for fit in (half, ~half):
        weights = np.linalg.lstsq(x[fit], y[fit], rcond=None)[0]
        rest = y[~fit] - x[~fit] @ weights
        shares.append(1 - (rest ** 2).sum() / ((y[~fit] - y[~fit].mean()) ** 2).sum())
    return float(np.mean(shares))


def with_fusions(components: pd.DataFrame) -> pd.DataFrame:
    """`components` and two scalars made of them without any training: the worst percentile, and the mean."""
    ranks = percentiles(components)
    return components.assign(**{WORST: ranks.min(axis=1), MEAN: ranks.mean(axis=1)})


def ranking_pauc(pairs: BenchmarkPairs, similarity: np.ndarray, scores: pd.DataFrame, fmr: float,
                 limit: float,
                 resamples: int, seed) -> dict[str, tuple[float, np.ndarray]]:
    """pAUC (preset `iso`) of discarding by each column of `scores` (N rows): name -> (value, replicates
    (R,)).

    similarity  (P,) of one recogniser; identities are resampled with the threshold kept
    """
    genuine, found = pairs.genuine, {}
    drawn = multiplicities(pairs.identities, resamples, seed)
    weights = pair_weights(drawn, pairs.identity_a[genuine], pairs.identity_b[genuine])
    for name in scores:
        quality = pairs.quality(scores[name].to_numpy(dtype=np.float64))
        curve = edc(similarity, genuine, quality, "iso", fmr)
        errors = similarity[None, genuine] < curve.threshold
        found[name] = curve.pauc(limit), DiscardWeights(quality[genuine], weights).pauc(errors, limit)[0]
    return found


def mean_pauc(benchmarks: dict[str, dict]) -> pd.DataFrame:
    """Mean over benchmarks of `ranking_pauc`'s results: ranking, pauc, low, high, benchmarks; best first.

    Benchmarks are resampled independently; one without errors (NaN) is left out of a ranking's mean.
    """
    rows = []
    for name in dict.fromkeys(name for found in benchmarks.values() for name in found):
        own = [found[name] for found in benchmarks.values() if name in found and not np.isnan(found[name][0])]
        if own:
            replicates = np.stack([values for _, values in own])
            defined = ~np.isnan(replicates)
            means = divided(np.where(defined, replicates, 0).sum(axis=0), defined.sum(axis=0))
            low, high = percentile_interval(means)
            rows.append((name, float(np.mean([value for value, _ in own])), float(low), float(high),
                         len(own)))
    table = pd.DataFrame(rows, columns=["ranking", "pauc", "low", "high", "benchmarks"])
    return table.sort_values("pauc", kind="stable", ignore_index=True)
