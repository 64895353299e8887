"""Which quality threshold meets an application's goals: set on half of the identities, checked on the rest.

An application states a false match rate and the largest false non-match rate it bears among the faces it
accepts. The similarity threshold follows from the impostors, the quality threshold from the genuine pairs
that remain. A threshold picked because it met the goal on some faces was also lucky on them; other identities
show how lucky.
"""
from dataclasses import dataclass

import numpy as np

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.bootstrap import (ResampledPairs, divided, multiplicities, pair_weights,
                                            percentile_interval)
from fiqa_core.evaluation.thresholds import ROUNDING, match_rate, threshold_at_fmr

POINT, CAUTIOUS = "value", "upper end of the interval"
OUT_OF_REACH, TOO_FEW = "out of reach", "too few impostor pairs"
CHECKED = ("fnmr", "low", "high", "fmr", "fmr_low", "fmr_high", "discard", "images_discarded")
RULE_OF_THREE = 3         # no error in n comparisons shows a rate below 3 / n (Hanley, JAMA 249, 1983)
CANDIDATES = 200          # quality thresholds that are tried, evenly spaced in discarded comparisons


@dataclass(frozen=True)
class Application:
    """Goals: false match rate `fmr`, largest false non-match rate `fnmr` among what is not discarded."""

    name: str
    fmr: float
    fnmr: float

    def __post_init__(self):
        if not (0 < self.fmr < 1 and 0 < self.fnmr < 1):
            raise FiqaError(f"application {self.name}: fmr {self.fmr}, fnmr {self.fnmr}",
                            "give rates between 0 and 1")


@dataclass(frozen=True)
class Traffic:
    """Comparisons as one recogniser and one quality method see them.

    similarity, quality     (P,) float, quality of a pair is the worse face's; genuine (P,) bool. Impostor
                            pairs that no quality was measured for (NaN) count, and are never discarded.
    identity_a, identity_b  (P,) codes in [0, identities)
    image_quality, image_identity  (N,) the faces themselves
    """

    similarity: np.ndarray
    quality: np.ndarray
    genuine: np.ndarray
    identity_a: np.ndarray
    identity_b: np.ndarray
    image_quality: np.ndarray
    image_identity: np.ndarray
    identities: int

    def within(self, chosen: np.ndarray) -> "Traffic":
        """The comparisons among the identities `chosen` (identities,) bool, codes closed up."""
        codes = np.cumsum(chosen) - 1
        pairs, faces = chosen[self.identity_a] & chosen[self.identity_b], chosen[self.image_identity]
        return Traffic(self.similarity[pairs], self.quality[pairs], self.genuine[pairs],
                       codes[self.identity_a[pairs]], codes[self.identity_b[pairs]],
                       self.image_quality[faces], codes[self.image_identity[faces]], int(chosen.sum()))


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds from which a face, and then a comparison, is accepted; quality NaN: goal out of reach.

    fnmr, discard  of the genuine comparisons it was calibrated on: what is promised, and at what price
    """

    similarity: float
    quality: float
    fnmr: float
    discard: float


def halves(identities: int, seed) -> np.ndarray:
    """Mark (identities,) bool a random half, rounded down."""
    chosen = np.zeros(identities, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(identities)[:identities // 2]] = True
    return chosen


def calibrate(traffic: Traffic, application: Application, resamples: int, seed,
              most_discarded: float = 1.0) -> dict[str, OperatingPoint]:
    """The lowest quality threshold that meets the goal, by its POINT value and, CAUTIOUS, by the upper end of
    its 95 % interval over identities.

    The similarity threshold is set on all impostors before any discard (preset `iso`). Thresholds that
    discard more than `most_discarded` of the genuine pairs are not considered, and those that leave fewer
    than 3 / goal of them could not show such a rate. Out of reach: quality NaN, and fnmr and discard are
    those of the lowest rate considered. Both values are NaN where there are too few impostors for the fmr.
    """
    genuine = traffic.genuine
    if application.fmr * np.sum(~genuine) < 1 - ROUNDING or not genuine.any():
        return dict.fromkeys((POINT, CAUTIOUS), OperatingPoint(np.nan, np.nan, np.nan, np.nan))
    threshold = threshold_at_fmr(traffic.similarity[~genuine], application.fmr)
    order = np.argsort(traffic.quality[genuine], kind="stable")
    quality = traffic.quality[genuine][order]
    errors = (traffic.similarity[genuine] < threshold)[order]
    starts = np.flatnonzero(np.append(True, quality[1:] != quality[:-1]))
    starts = starts[starts <= most_discarded * len(quality)]
    starts = starts[np.unique(np.linspace(0, len(starts) - 1, CANDIDATES).round().astype(int))]
    fnmr = (errors.sum() - np.append(0, np.cumsum(errors))[starts]) / (len(errors) - starts)
    drawn = multiplicities(traffic.identities, resamples, seed)
    weights = pair_weights(drawn, traffic.identity_a[genuine][order], traffic.identity_b[genuine][order])
    upper = percentile_interval(kept_rates(errors, weights, starts))[1]
    shown = len(errors) - starts >= RULE_OF_THREE / application.fnmr
    floor = np.where(starts == 0, -np.inf, quality[starts])

    def lowest(rate: np.ndarray) -> OperatingPoint:
        met = np.flatnonzero((rate <= application.fnmr) & shown)
        place = met[0] if len(met) else int(np.nanargmin(rate))
        return OperatingPoint(threshold, float(floor[place]) if len(met) else np.nan, float(fnmr[place]),
                              float(starts[place] / len(errors)))

    return {POINT: lowest(fnmr), CAUTIOUS: lowest(np.where(np.isnan(upper), np.inf, upper))}


def kept_rates(errors: np.ndarray, weights: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Rate (C, R) of `errors` (G,) bool among the pairs from each start (C,) on, weighted by (G, R)."""
    tails = [np.add.reduceat(w, starts, axis=0)[::-1].cumsum(axis=0)[::-1]
             for w in (weights * errors[:, None], weights)]
    return divided(*tails)


def check(traffic: Traffic, point: OperatingPoint, goal: Application, resamples: int, seed) -> dict:
    """What an operating point does on other identities.

    goal  the application
    Keys: fnmr and fmr of the comparisons that are kept, with low and high (95 % over identities; without any
    false non-match the rule of three), discard and images_discarded (shares of genuine comparisons and of
    faces), verdict (on the FNMR) and fmr_verdict. NaN where the goal was out of reach, or nothing of one kind
    is kept.
    """
    kept = ~(traffic.quality < point.quality)
    if np.isnan(point.quality) or not 0 < traffic.genuine[kept].sum() < kept.sum():
        why = TOO_FEW if np.isnan(point.similarity) else OUT_OF_REACH
        return dict.fromkeys(CHECKED, np.nan) | dict.fromkeys(("verdict", "fmr_verdict"), why)
    similarity, genuine = traffic.similarity[kept], traffic.genuine[kept]
    resampled = ResampledPairs(genuine, traffic.identity_a[kept], traffic.identity_b[kept], resamples, seed,
                               traffic.identities)
    values = (1 - match_rate(similarity[genuine], point.similarity),
              *percentile_interval(resampled.fnmr(similarity, point.similarity)),
              match_rate(similarity[~genuine], point.similarity),
              *percentile_interval(resampled.fmr(similarity, point.similarity)),
              1 - genuine.sum() / traffic.genuine.sum(), np.mean(traffic.image_quality < point.quality))
    result = dict(zip(CHECKED, map(float, values)))
    if result["fnmr"] == 0:
        result["high"] = min(RULE_OF_THREE / genuine.sum(), 1.0)
    return result | {"verdict": verdict(result["fnmr"], result["low"], result["high"], goal.fnmr),
                     "fmr_verdict": verdict(result["fmr"], result["fmr_low"], result["fmr_high"], goal.fmr)}


def verdict(value: float, low: float, high: float, goal: float) -> str:
    """What a rate with its interval says about `goal`, the largest rate allowed."""
    if high <= goal:
        return "held, clear of resampling"
    if value <= goal:
        return "held"
    return "missed, within what resampling explains" if low <= goal else "missed"
