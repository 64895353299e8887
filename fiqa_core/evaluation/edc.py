"""Error-versus-discard curves (EDC) and their partial area (pAUC) under named presets.

EDC: the false non-match rate among the genuine comparisons that remain when the fraction x of lowest
quality is discarded (ISO/IEC 29794-1:2024; Grother & Tabassi, TPAMI 29(4), 2007, as "error versus reject").
The presets differ in what is discarded, when the threshold is set, and how the area is taken:

iso      genuine pairs only, all pairs of one quality together, one threshold fixed before any discard,
         exact area under the step curve, normalised by limit * FNMR(0)
paper    the numbers printed in DifFIQA, eDifFIQA, AI-KD and FROQ: genuine and impostor pairs leave jointly
         in 5 % steps, the threshold is found anew at every step by MagFace's divide-by-ten rule,
         pAUC is the mean of FNMR(u) / FNMR(0) over the steps u below the limit
nearest  CR-FIQA's script: as `paper`, with the similarity whose FMR is nearest to the target as
         threshold and trapezoids for the area

Never put values of two presets into one column.

Control lines of every EDC: a perfect ranking (oracle) and discard at random.

The oracle lets every genuine pair below the threshold leave first, one by one. Image qualities may be
unable to reach it, because the minimum couples the pairs that share an image.
"""
from dataclasses import dataclass, replace

import numpy as np

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.thresholds import (ROUNDING, match_rate, nearest_threshold, paper_threshold,
                                             threshold_at_fmr)

PRESETS = ("iso", "paper", "nearest")
LEVELS = np.arange(20) * 0.05        # discard fractions of the grid presets: 0, 0.05, ..., 0.95


@dataclass(frozen=True)
class ErrorDiscardCurve:
    """One error-versus-discard curve; holds its last value between points.

    discard    (K,) ascending fractions of discarded comparisons, discard[0] == 0
    fnmr       (K,) false non-match rate of the comparisons kept; NaN where a grid level is undefined
    thresholds (K,) similarity from which a pair is accepted, at each point; constant under `iso`
    preset     "iso", "paper" or "nearest"
    fmr        false match rate really reached by `threshold` on all impostors; `target` was asked for
    genuine, impostor  number of comparisons; `errors` genuine ones below the threshold at discard 0
    failures   genuine comparisons with an image of quality -inf (failure to extract)
    """

    discard: np.ndarray
    fnmr: np.ndarray
    thresholds: np.ndarray
    preset: str
    target: float
    fmr: float
    genuine: int
    impostor: int
    errors: int
    failures: int = 0

    @property
    def threshold(self) -> float:
        """Similarity from which a pair is accepted before any discard."""
        return float(self.thresholds[0])

    @property
    def fnmr0(self) -> float:
        """FNMR with nothing discarded."""
        return float(self.fnmr[0])

    def at(self, x: float | np.ndarray) -> float | np.ndarray:
        """FNMR at discard fraction(s) `x` in [0, 1): the value of the last point at or below x."""
        place = np.searchsorted(self.discard, np.asarray(x) + ROUNDING, side="right") - 1
        return self.fnmr[np.maximum(place, 0)]

    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """Points (discard, fnmr) for plotting with where="post", closed by (1, 0)."""
        return np.append(self.discard, 1.0), np.append(self.fnmr, 0.0)

    def pauc_raw(self, limit: float) -> float:
        """Area under the curve on [0, limit], in FNMR times discard fraction, as the preset integrates."""
        check_limit(limit)
        if self.preset == "iso":
            return step_area(self.discard, self.fnmr, limit)
        if self.preset == "nearest":
            part = self.discard <= limit + ROUNDING
            return float(np.trapezoid(self.fnmr[part], self.discard[part]))
        levels = self.fnmr[self.discard <= max(limit - 0.025, 0) + ROUNDING]
        levels = levels[~np.isnan(levels)]
        return limit * float(levels.mean()) if len(levels) else np.nan

    def pauc(self, limit: float) -> float:
        """pauc_raw over limit * FNMR(0): 1 is no better than not discarding. NaN where FNMR(0) is 0."""
        return self.pauc_raw(limit) / (limit * self.fnmr0) if self.fnmr0 > 0 else np.nan

    def best(self, limit: float, linear: bool = False) -> float:
        """Area of a perfect ranking in the unit of pauc_raw: every error leaves before anything else.

        m + (1 - f0) ln(1 - m) with m = min(limit, f0), exact for many pairs (evaluated for step areas; a
        5 % grid adds up to 0.05 f0 to every method alike). `linear=True` gives the bound f0²/2 -
        max(0, f0 - limit)²/2 of the dasec tool and NIST's "perfect" line, which no ranking can reach.
        """
        check_limit(limit)
        f0 = self.fnmr0
        if linear:
            return f0 ** 2 / 2 - max(0.0, f0 - limit) ** 2 / 2
        m = min(limit, f0)
        return m + (1 - f0) * np.log1p(-m) if m < 1 else 1.0

    def adjusted(self, limit: float, linear: bool = False) -> float:
        """pauc_raw - best: the area above a perfect ranking (Olsen et al. 2016; Schlett et al. 2023)."""
        return self.pauc_raw(limit) - self.best(limit, linear)

    def relative(self, limit: float) -> float:
        """Place between a perfect ranking (0) and random discard (1); NaN where both coincide."""
        room = limit * self.fnmr0 - self.best(limit)
        return self.adjusted(limit) / room if room > 0 else np.nan


def edc(similarity: np.ndarray, genuine: np.ndarray, pair_quality: np.ndarray,
        preset: str = "iso", fmr: float = 1e-3) -> ErrorDiscardCurve:
    """Error-versus-discard curve of one quality method on one set of comparisons.

    similarity    (P,) float, higher is more alike; cosines for `paper` and `nearest` (clipped to [-1, 1])
    genuine       (P,) bool or 0/1, 1 for pairs of one identity
    pair_quality  (P,) float, higher is better; the minimum of the two images' (see templates.pair_quality).
                  -inf marks failure to extract: the pair leaves first and its similarity counts as -1.
                  Under `iso` the values of impostor pairs are not used and may be NaN.
    fmr           target false match rate
    Raises FiqaError for unequal lengths, NaN, no genuine pair, too few impostors for `fmr`.

    >>> curve = edc([.9, .1, .8, .0, .1, .2], [1, 1, 1, 0, 0, 0], [3, 1, 2, 1, 1, 1], fmr=0.4)
    >>> curve.discard.round(3).tolist(), curve.fnmr.round(3).tolist(), round(curve.pauc(0.5), 3)
    ([0.0, 0.333, 0.667], [0.333, 0.0, 0.0], 0.667)
    """
    if preset not in PRESETS:
        raise FiqaError(f"preset {preset!r} is unknown", f"choose one of {', '.join(PRESETS)}")
    similarity, genuine, quality = checked(similarity, genuine, pair_quality, preset)
    if preset == "iso":
        return iso_curve(similarity, genuine, quality, fmr)
    return grid_curve(similarity, genuine, quality, preset, fmr)


def iso_curve(similarity, genuine, quality, fmr) -> ErrorDiscardCurve:
    """Preset `iso` on checked arrays: one threshold from all impostors, exact steps of genuine pairs."""
    impostor = similarity[~genuine]
    threshold = threshold_at_fmr(impostor, fmr)
    return mated_curve(similarity[genuine], quality[genuine], threshold, fmr,
                       match_rate(impostor, threshold), len(impostor))


def mated_curve(similarity, quality, threshold, target, reached, impostor) -> ErrorDiscardCurve:
    """Preset `iso` of genuine pairs (G,) whose threshold, and the FMR `reached` by it, are known."""
    errors = similarity < threshold
    discard, fnmr = discard_steps(errors, quality)
    return ErrorDiscardCurve(discard, fnmr, np.full(len(discard), threshold), "iso", target, reached,
                             len(errors), impostor, int(errors.sum()), int(np.sum(quality == -np.inf)))


def discard_steps(errors: np.ndarray, quality: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Breakpoints (discard, rate of `errors` kept) where a new quality value begins; ties leave together."""
    order = np.argsort(quality, kind="stable")
    starts = tie_starts(quality[order])
    errors = errors[order]
    before = np.cumsum(errors)[starts] - errors[starts]
    return starts / len(errors), (errors.sum() - before) / (len(errors) - starts)


def tie_starts(ascending: np.ndarray) -> np.ndarray:
    """Index of the first element of each run of equal values."""
    return np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1]))


def step_area(discard: np.ndarray, fnmr: np.ndarray, limit: float) -> float:
    """Area on [0, limit] under the step curve that holds fnmr[i] from discard[i] to discard[i + 1]."""
    return float(fnmr @ np.diff(np.minimum(np.append(discard, 1.0), limit)))


def grid_curve(similarity, genuine, quality, preset, fmr, order=None) -> ErrorDiscardCurve:
    """Presets `paper` and `nearest` on checked arrays: joint discard in 5 % steps, threshold per step.

    Ties leave in the order of the pairs (stable sort), which the originals leave to chance. `order` is that
    sort where the caller has it already.
    """
    rule = {"paper": paper_threshold, "nearest": nearest_threshold}[preset]
    order = np.argsort(quality, kind="stable") if order is None else order
    similarity, kind = np.clip(similarity, -1, 1)[order], genuine[order]
    mated, impostor = similarity[kind], similarity[~kind]
    starts = level_starts(len(order))
    gone = np.append(0, np.cumsum(kind))[starts]               # genuine pairs discarded at each level
    thresholds = np.array([rule(mated[g:], impostor[start - g:], fmr) for start, g in zip(starts, gone)])
    if np.isnan(thresholds[0]):
        raise FiqaError(f"{len(impostor)} impostor pairs are too few for preset {preset} at fmr {fmr:g}",
                        f"give more than {round(0.1 / fmr)} of them, or a larger fmr")
    wrong = np.array([np.count_nonzero(mated[g:] < threshold) for g, threshold in zip(gone, thresholds)])
    defined = (gone < len(mated)) & ~np.isnan(thresholds)
    fnmr = np.where(defined, wrong / np.maximum(len(mated) - gone, 1), np.nan)
    return ErrorDiscardCurve(LEVELS.copy(), fnmr, thresholds, preset, fmr,
                             match_rate(impostor, thresholds[0]), len(mated), len(impostor), int(wrong[0]),
                             int(np.sum(quality[genuine] == -np.inf)))


def level_starts(count: int) -> np.ndarray:
    """Position of the first kept pair at each grid level, of `count` pairs in ascending quality."""
    return np.floor(LEVELS * count + ROUNDING).astype(int)


def checked(similarity, genuine, pair_quality, preset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three columns as float64, bool and float64; failures to extract get similarity -1."""
    similarity = np.asarray(similarity, dtype=np.float64)
    genuine = np.asarray(genuine).astype(bool)
    quality = np.asarray(pair_quality, dtype=np.float64)
    if not similarity.ndim == genuine.ndim == quality.ndim == 1 or not (
            len(similarity) == len(genuine) == len(quality)):
        raise FiqaError(f"similarity {similarity.shape}, genuine {genuine.shape} and pair_quality "
                        f"{quality.shape} do not match", "give three one-dimensional arrays of one length")
    if not genuine.any():
        raise FiqaError("genuine marks no pair as genuine", "an EDC needs mated pairs: check the labels")
    if np.isnan(similarity).any():
        raise FiqaError(f"similarity is NaN for {np.isnan(similarity).sum()} pairs",
                        "give -1 to pairs with an image that yields no embedding")
    missing = np.isnan(quality) & (genuine if preset == "iso" else True)
    if missing.any():
        raise FiqaError(f"pair_quality is NaN for {missing.sum()} pairs, index {np.argmax(missing)} first",
                        "score every image; an image that cannot be processed gets -inf and leaves first")
    return np.where(quality == -np.inf, -1.0, similarity), genuine, quality


def check_limit(limit: float) -> None:
    """Raise FiqaError unless `limit` is a discard fraction in (0, 1]."""
    if not 0 < limit <= 1:
        raise FiqaError(f"discard limit is {limit}", "give a fraction above 0 and at most 1, 0.3 say")


def oracle_curve(curve: ErrorDiscardCurve) -> ErrorDiscardCurve:
    """The perfect ranking of the comparisons of `curve`, under its preset, with its threshold kept."""
    left = np.arange(curve.genuine) if curve.preset == "iso" else level_starts(curve.genuine + curve.impostor)
    discard = left / curve.genuine if curve.preset == "iso" else LEVELS.copy()
    return replace(curve, discard=discard, fnmr=oracle_fnmr(curve.errors, curve.genuine, left),
                   thresholds=np.full(len(discard), curve.threshold))


def oracle_fnmr(errors: np.ndarray, genuine: np.ndarray, left: np.ndarray) -> np.ndarray:
    """FNMR after `left` comparisons are gone, all of them errors while any remains. Broadcasts.

    Beyond the last error only genuine non-errors or impostors leave, and the rate stays 0.
    """
    gone = np.minimum(left, errors)
    return (errors - gone) / np.maximum(genuine - gone, 1)


def oracle_pauc_raw(errors: np.ndarray, genuine: np.ndarray, limit: float) -> np.ndarray:
    """Exact area of the oracle's `iso` curve on [0, limit] for whole numbers of errors and pairs. Broadcasts.

    Sum over c of (E - c)/(N - c) in steps of 1/N. With (E - c)/(N - c) = 1 - (N - E)/(N - c) the first m
    terms are m - (N - E)(H(N) - H(N - m)), H the harmonic numbers; the step cut by the limit is added.
    """
    errors, genuine = np.broadcast_arrays(np.rint(errors).astype(np.int64), np.rint(genuine).astype(np.int64))
    harmonic = np.append(0.0, np.cumsum(1 / np.arange(1, genuine.max(initial=1) + 1)))
    whole = np.floor(limit * genuine + ROUNDING).astype(np.int64)
    m = np.minimum(errors, whole)
    area = m - (genuine - errors) * (harmonic[genuine] - harmonic[genuine - m])
    cut = np.maximum(errors - m, 0) / np.maximum(genuine - m, 1) * (limit * genuine - whole)
    return (area + cut) / genuine


def flat_curve(curve: ErrorDiscardCurve) -> ErrorDiscardCurve:
    """Random discard in expectation: FNMR(0) at every discard fraction, pAUC 1.

    This holds under `iso`. Under `paper` chance can score below 1: discarding one of the few highest
    impostors lowers the next threshold, so take the mean of `random_curves` there.
    """
    return replace(curve, fnmr=np.full(len(curve.fnmr), curve.fnmr0))


def random_curves(similarity: np.ndarray, genuine: np.ndarray, preset: str = "iso", fmr: float = 1e-3,
                  draws: int = 100, seed: int = 0) -> list[ErrorDiscardCurve]:
    """Curves of `draws` random orders of the comparisons; their mean is the control line of a plot."""
    generator = np.random.default_rng(seed)
    return [edc(similarity, genuine, generator.permutation(len(similarity)), preset, fmr)
            for _ in range(draws)]


REFERENCES = ("random", "oracle")
