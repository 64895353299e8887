"""Preset `paper` on millions of pairs: the numbers of `edc.grid_curve` from a hundredth of the impostors.

Pairs are sorted once per quality method, whatever the number of recognisers, and a recogniser's impostors are
cut once, whatever the number of methods, to the highest: a level's threshold is among them.
"""
import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.edc import LEVELS, ErrorDiscardCurve, level_starts
from fiqa_core.evaluation.thresholds import paper_index

RADIX = 100_000  # values from which sorting by rank beats sorting by comparison
MARGIN = 10  # the highest MARGIN * fmr impostors are kept at hand, and at least LEAST
LEAST = 10_000


def stable_order(values: np.ndarray) -> np.ndarray:
    """numpy.argsort(values, kind="stable") of (P,) float64 without NaN.

    Many pairs share few template qualities, whose 16-bit ranks numpy sorts by radix.
    """
    if len(values) >= RADIX:
        codes, distinct = pd.factorize(values)
        if len(distinct) <= 2**16:
            rank = np.empty(len(distinct), dtype=np.uint16)
            rank[np.argsort(distinct)] = np.arange(len(distinct))
            return np.argsort(rank[codes], kind="stable")
    return np.argsort(values, kind="stable")


def discard_levels(quality: np.ndarray, used: np.ndarray) -> np.ndarray:
    """The last grid level (P,) int8 at which each pair is still kept; -1 where `used` (P,) is False."""
    levels = np.full(len(used), -1, dtype=np.int8)
    rows = np.flatnonzero(used)[stable_order(quality[used])]
    sizes = np.diff(np.append(level_starts(len(rows)), len(rows)))
    levels[rows] = np.repeat(np.arange(len(LEVELS), dtype=np.int8), sizes)
    return levels


class JointDiscard:
    """One recogniser's comparisons, prepared for the `paper` curves of any number of quality methods.

    similarity (P,) float64, genuine (P,) bool; fmr the target
    """

    def __init__(self, similarity: np.ndarray, genuine: np.ndarray, fmr: float):
        self.similarity, self.impostor, self.fmr = similarity, ~genuine, fmr
        self.mated = np.flatnonzero(genuine)
        own = similarity[self.impostor]
        most = max(LEAST, int(MARGIN * fmr * len(own)))
        self.cut = np.partition(own, len(own) - most)[len(own) - most] if most < len(own) else -np.inf
        self.high = np.flatnonzero(self.impostor & (similarity >= self.cut))

    def curve(self, levels: np.ndarray, used: int, failures: int) -> ErrorDiscardCurve:
        """The curve when `used` pairs leave by `levels` (see `discard_levels`); `failures` as in the curve.

        Raises FiqaError as `edc` does.
        """
        mated, high = levels[self.mated], levels[self.high]
        similarity, rivals = (np.clip(self.similarity[rows], -1, 1) for rows in (self.mated, self.high))
        genuine = kept(mated)
        impostor = used - level_starts(used) - genuine
        thresholds = np.array(
            [
                self._threshold(level, int(count), rivals[high >= level], levels)
                for level, count in enumerate(impostor)
            ]
        )
        if np.isnan(thresholds[0]):
            raise FiqaError(f"{impostor[0]} impostor pairs are too few for preset paper at fmr {self.fmr:g}",
                            f"give more than {round(0.1 / self.fmr)} of them, or a larger fmr")
        wrong = np.array(
            [
                np.count_nonzero(similarity[mated >= level] < threshold)
                for level, threshold in enumerate(thresholds)
            ]
        )
        fnmr = np.where((genuine > 0) & ~np.isnan(thresholds), wrong / np.maximum(genuine, 1), np.nan)
        shown = rivals[high >= 0] if thresholds[0] > self.cut else self._kept_impostors(levels, 0)
        reached = np.count_nonzero(shown >= thresholds[0]) / impostor[0]
        return ErrorDiscardCurve(LEVELS.copy(), fnmr, thresholds, "paper", self.fmr, float(reached),
                                 int(genuine[0]), int(impostor[0]), int(wrong[0]), failures)

    def _threshold(self, level: int, count: int, rivals: np.ndarray, levels: np.ndarray) -> float:
        """`thresholds.paper_threshold` of the `count` impostors kept, `rivals` the highest of them."""
        index = paper_index(count, self.fmr)
        if index is None:
            return np.nan
        if index >= len(rivals):  # quality took the high ones first
            rivals = self._kept_impostors(levels, level)
        place = len(rivals) - 1 - index
        return float(np.nextafter(np.partition(rivals, place)[place], np.inf))

    def _kept_impostors(self, levels: np.ndarray, level: int) -> np.ndarray:
        return np.clip(self.similarity[self.impostor & (levels >= level)], -1, 1)


def kept(levels: np.ndarray) -> np.ndarray:
    """Number (20,) of the pairs that are kept at each grid level."""
    counts = np.bincount(levels[levels >= 0], minlength=len(LEVELS))
    return np.cumsum(counts[::-1])[::-1]
