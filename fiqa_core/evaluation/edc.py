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

Two control lines belong to every EDC: a perfect ranking (oracle) and discard at random. The oracle lets
every genuine pair below the threshold leave first, one by one. Image qualities may be unable to reach it,
because the minimum couples the pairs that share an image.
"""
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.discard import FAILED, LEVELS, UNSCORED, Levels, discard_steps, level_starts, ranks
from fiqa_core.evaluation.thresholds import (ROUNDING, Undefined, match_rate, nearest_threshold, paper_index,
                                             threshold_at_fmr)

PRESETS = ("iso", "paper", "nearest")
REFERENCES = ("random", "oracle")
MARGIN, LEAST = 10, 10_000           # the highest MARGIN * fmr impostors are put in order, and at least LEAST


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
    tied       share of the comparisons that have the most frequent quality
    gap        why there is no curve, so that all values are NaN; None where there is one
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
    tied: float = 0.0
    gap: Undefined | None = None

    @property
    def note(self) -> str:
        """What a reader of the numbers must know: a gap, no errors, many ties; "" if nothing."""
        notes = [self.gap.problem] if self.gap else [] if self.errors else ["no genuine pair is rejected"]
        if self.tied > LEVELS[1]:
            notes.append("all qualities are equal" if self.tied == 1 else f"{self.tied:.0%} have one quality")
        return "; ".join(notes)

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
    pair_quality  (P,) float, higher is better; the minimum of the images' (see `comparisons.pair_quality`).
                  -inf marks failure to extract: the pair leaves first and its similarity counts as -1.
                  Under `iso` the values of impostor pairs are not used and may be NaN.
    fmr           target false match rate
    Raises FiqaError for unequal lengths, NaN, no genuine pair, too few impostors for `fmr`.

    Pairs of equal quality have no order, so that the order of the rows never moves a number. Under `iso` they
    leave together. Where a level of `paper` or `nearest` cuts through them, each stays by the share that the
    level leaves of them all: as an error, as a genuine pair, and as an impostor among those that set the
    threshold. That is what all orders of the tied pairs give when their kept pairs are pooled.

    Of many methods or millions of pairs, rank the images (N,) instead of the pairs a, b (P,) of them:
    `Comparisons(similarity, genuine, fmr).curve(pair_ranks(ranks(quality), a, b), preset)`.

    >>> curve = edc([.9, .1, .8, .0, .1, .2], [1, 1, 1, 0, 0, 0], [3, 1, 2, 1, 1, 1], fmr=0.4)
    >>> curve.discard.round(3).tolist(), curve.fnmr.round(3).tolist(), round(curve.pauc(0.5), 3)
    ([0.0, 0.333, 0.667], [0.333, 0.0, 0.0], 0.667)
    """
    if preset not in PRESETS:
        raise FiqaError(f"preset {preset!r} is unknown", f"choose one of {', '.join(PRESETS)}")
    similarity, genuine, rank = checked(similarity, genuine, pair_quality, preset)
    return Comparisons(similarity, genuine, fmr).curve(rank, preset)


class Comparisons:
    """One recogniser's similarities (P,) float64, ready for the curves of any number of quality methods.

    genuine (P,) bool; fmr the target. What no quality touches is done once: the threshold of `iso` and the
    pairs that it rejects, the clipped similarities and the order of the highest impostors for the others.
    Raises FiqaError for NaN.
    """

    def __init__(self, similarity: np.ndarray, genuine: np.ndarray, fmr: float):
        if np.isnan(similarity).any():
            raise FiqaError(f"similarity is NaN for {np.isnan(similarity).sum()} pairs",
                            "give -1 to pairs with an image that yields no embedding")
        self.similarity, self.genuine, self.fmr = similarity, genuine, fmr
        self.mated, self.impostors = np.flatnonzero(genuine), np.flatnonzero(~genuine)

    def curve(self, rank: np.ndarray, preset: str, levels: Levels | None = None) -> ErrorDiscardCurve:
        """The curve of pairs that leave by `rank` (P,); `levels` of these ranks where the caller has them.

        Raises `Undefined` where no genuine pair is scored, or there are too few impostors for the target.
        """
        if not (rank[self.mated] != UNSCORED).any():
            raise Undefined("there is no genuine pair", "an EDC needs mated pairs: check the labels")
        if preset == "iso":
            return self._iso(rank[self.mated])
        return self._grid(rank, preset, levels or Levels(rank, self.genuine))

    def curve_or_gap(self, rank: np.ndarray, preset: str, levels: Levels) -> ErrorDiscardCurve:
        """As `curve`, but NaN throughout and a note where that is undefined."""
        try:
            return self.curve(rank, preset, levels)
        except Undefined as error:
            points = LEVELS[:1 if preset == "iso" else None].copy()
            scored = rank != UNSCORED
            impostor = len(self.impostors) if preset == "iso" else int(scored[self.impostors].sum())
            return ErrorDiscardCurve(points, points * np.nan, points * np.nan, preset, self.fmr, np.nan,
                                     int(scored[self.mated].sum()), impostor, 0, gap=error)

    @cached_property
    def cut(self) -> tuple[float, float]:
        """Threshold of `iso`, before any discard, and the FMR that it reaches."""
        impostor = self.similarity[self.impostors]
        threshold = threshold_at_fmr(impostor, self.fmr)
        return threshold, match_rate(impostor, threshold)

    @cached_property
    def errors(self) -> np.ndarray:
        """Genuine pairs (G,) bool below the threshold of `iso`."""
        return self.similarity[self.mated] < self.cut[0]

    def _iso(self, rank: np.ndarray) -> ErrorDiscardCurve:
        threshold, reached = self.cut
        scored = rank != UNSCORED
        discard, fnmr = discard_steps(self.errors, rank)
        return ErrorDiscardCurve(discard, fnmr, np.full(len(discard), threshold), "iso", self.fmr, reached,
                                 int(scored.sum()), len(self.impostors), int((self.errors & scored).sum()),
                                 int((rank == FAILED).sum()), np.diff(discard, append=1).max())

    @cached_property
    def clipped(self) -> np.ndarray:
        """Cosines (G,) of the genuine pairs."""
        return np.clip(self.similarity[self.mated], -1, 1)

    def _grid(self, rank: np.ndarray, preset: str, levels: Levels) -> ErrorDiscardCurve:
        """Presets `paper` and `nearest`: joint discard in 5 % steps, threshold per step."""
        thresholds = (self._paper if preset == "paper" else self._nearest)(rank, levels)
        genuine, impostor = levels.genuine, round(levels.impostor[0])
        if np.isnan(thresholds[0]):
            raise Undefined(f"{impostor} impostor pairs are too few for preset {preset} at fmr {self.fmr:g}",
                            f"give more than {round(0.1 / self.fmr)} of them, or a larger fmr")
        below = np.flatnonzero(self.clipped < np.nanmax(thresholds))
        similarity, mated = self.clipped[below], rank[self.mated]
        wrong = levels.kept(mated[below], similarity < thresholds[:, None])
        fnmr = np.full(len(LEVELS), np.nan)
        np.divide(wrong, genuine, out=fnmr, where=(genuine > 0) & ~np.isnan(thresholds))
        rivals = self.highest if preset == "paper" else self.impostors
        passed = (self.similarity[rivals] >= thresholds[0]) & (rank[rivals] != UNSCORED)
        return ErrorDiscardCurve(LEVELS.copy(), fnmr, thresholds, preset, self.fmr,
                                 np.count_nonzero(passed) / impostor, round(genuine[0]), impostor,
                                 round(wrong[0]), int((mated == FAILED).sum()), levels.tied)

    @cached_property
    def highest(self) -> np.ndarray:
        """Rows of the highest impostors in descending order: all of few, a hundredth of millions."""
        similarity = self.similarity[self.impostors]
        most = max(LEAST, int(MARGIN * self.fmr * len(similarity)))
        top = np.arange(len(similarity))
        if most < len(similarity):
            top = np.argpartition(similarity, len(similarity) - most)[len(similarity) - most:]
        return self.impostors[top[np.argsort(-similarity[top], kind="stable")]]

    def _paper(self, rank: np.ndarray, levels: Levels) -> np.ndarray:
        """Thresholds (20,) of preset `paper`, NaN where a level is skipped.

        The original accepts an angular distance strictly below the chosen impostor's; angle falls strictly
        with cosine, so the rank is taken on similarities. Of a tied block an impostor counts by its share.
        """
        places = [paper_index(int(count + ROUNDING), self.fmr) for count in levels.impostor]
        if places[0] is None:
            return np.full(len(LEVELS), np.nan)
        index = np.array([-1 if place is None else place for place in places])[:, None]
        block, share, look = levels.block[:, None], levels.share[:, None], 4 * int(index.max()) + 64
        while True:
            rows = self.highest[:look]
            own = rank[rows]
            weight = np.cumsum(own > block, axis=1) + share * np.cumsum(own == block, axis=1)
            if (weight[:, -1:] > index + ROUNDING).all():
                break
            if look >= len(self.highest):                     # quality took the high ones first
                self.highest = self.impostors[np.argsort(-self.similarity[self.impostors], kind="stable")]
            look *= 4
        chosen = np.clip(self.similarity[rows[np.argmax(weight > index + ROUNDING, axis=1)]], -1, 1)
        return np.where(index[:, 0] < 0, np.nan, np.nextafter(chosen, np.inf))

    def _nearest(self, rank: np.ndarray, levels: Levels) -> np.ndarray:
        """Thresholds (20,) of preset `nearest`; see `nearest_threshold`."""
        similarity = np.clip(self.similarity, -1, 1)
        return np.array([nearest_threshold(similarity, self.genuine, (rank > block) + share * (rank == block),
                                           self.fmr) for block, share in zip(levels.block, levels.share)])


def step_area(discard: np.ndarray, fnmr: np.ndarray, limit: float) -> float:
    """Area on [0, limit] under the step curve that holds fnmr[i] from discard[i] to discard[i + 1]."""
    return float(fnmr @ np.diff(np.minimum(np.append(discard, 1.0), limit)))


def checked(similarity, genuine, pair_quality, preset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three columns as float64, bool and ranks; failures to extract get similarity -1."""
    similarity = np.asarray(similarity, dtype=np.float64)
    genuine = np.asarray(genuine).astype(bool)
    quality = np.asarray(pair_quality, dtype=np.float64)
    if not similarity.ndim == genuine.ndim == quality.ndim == 1 or not (
            len(similarity) == len(genuine) == len(quality)):
        raise FiqaError(f"similarity {similarity.shape}, genuine {genuine.shape} and pair_quality "
                        f"{quality.shape} do not match", "give three one-dimensional arrays of one length")
    if not genuine.any():
        raise Undefined("genuine marks no pair as genuine", "an EDC needs mated pairs: check the labels")
    missing = np.isnan(quality) & (genuine if preset == "iso" else True)
    if missing.any():
        raise FiqaError(f"pair_quality is NaN for {missing.sum()} pairs, index {np.argmax(missing)} first",
                        "score every image; an image that cannot be processed gets -inf and leaves first")
    used = genuine if preset == "iso" else slice(None)
    rank = np.full(len(quality), UNSCORED, dtype=np.int32)
    rank[used] = ranks(quality[used])
    return np.where(quality == -np.inf, -1.0, similarity), genuine, rank


def check_limit(limit: float) -> None:
    """Raise FiqaError unless `limit` is a discard fraction in (0, 1]."""
    if not 0 < limit <= 1:
        raise FiqaError(f"discard limit is {limit}", "give a fraction above 0 and at most 1, 0.3 say")


def oracle_curve(curve: ErrorDiscardCurve) -> ErrorDiscardCurve:
    """The perfect ranking of the comparisons of `curve`, under its preset, with its threshold kept."""
    left = np.arange(curve.genuine) if curve.preset == "iso" else level_starts(curve.genuine + curve.impostor)
    discard = left / curve.genuine if curve.preset == "iso" else LEVELS.copy()
    fnmr = curve.fnmr if curve.gap else oracle_fnmr(curve.errors, curve.genuine, left)
    return replace(curve, discard=curve.discard if curve.gap else discard, fnmr=fnmr, tied=0.0,
                   thresholds=np.full(len(fnmr), curve.threshold))


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

