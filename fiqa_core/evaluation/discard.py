"""The order in which comparisons are discarded, as whole numbers, and what is kept of them.

A rank is the place of a quality among the different ones: 0 for failure to extract, then 1, 2, ... from the
lowest quality up, UNSCORED where there is none; equal quality, equal rank. Images are ranked once for a
quality method, a pair has the lower rank of its two, and errors are counted per rank: no list of pairs is
ever sorted, and ties have no order that could move a number.
"""
import numpy as np
import pandas as pd

from fiqa_core.evaluation.thresholds import ROUNDING

UNSCORED, FAILED = -1, 0
LEVELS = np.arange(20) * 0.05        # discard fractions of the grid presets: 0, 0.05, ..., 0.95
CHUNK = 1 << 16                      # pairs that are counted at once: what stays in the processor's cache
MANY = 1 << 17                       # qualities beyond which hashing beats sorting, as few of them differ


def ranks(quality: np.ndarray) -> np.ndarray:
    """Ranks (N,) int32 of qualities (N,): NaN is UNSCORED, -inf FAILED."""
    quality = np.asarray(quality, dtype=np.float64)
    if len(quality) < MANY:
        distinct, place = np.unique(quality, return_inverse=True)
    else:
        place, distinct = pd.factorize(quality, use_na_sentinel=False)
    rank = np.empty(len(distinct), dtype=np.int32)
    rank[np.argsort(distinct)] = np.arange(len(distinct)) + int(not (distinct == -np.inf).any())
    rank[np.isnan(distinct)] = UNSCORED
    return rank[place]


def pair_ranks(rank: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rank (P,) of pairs of images or templates a, b (P,), indices into `rank` (T,): the lower one."""
    pairs = np.empty(len(a), dtype=rank.dtype)
    for first in range(0, len(a), CHUNK):
        part = slice(first, first + CHUNK)
        np.minimum(rank.take(a[part]), rank.take(b[part]), out=pairs[part])
    return pairs


def counted(rank: np.ndarray, size: int, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the pairs `rank` (P,), and of `errors` (P,) among them, at each rank 0, 1, ..., size - 1."""
    total = np.zeros(2 * size + 2, dtype=np.int64)                     # right and wrong, unscored ones first
    for first in range(0, len(rank), CHUNK):
        part = slice(first, first + CHUNK)
        total += np.bincount(2 * rank[part] + 2 + errors[part], minlength=len(total))
    right, wrong = total.reshape(-1, 2)[1:].T
    return right + wrong, wrong


def discard_steps(errors: np.ndarray, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (discard, rate of `errors` kept) where a new rank begins; pairs (G,) of one rank leave together.

    Unscored pairs are left out.
    """
    size = int(rank.max()) + 1
    pairs, wrong = counted(rank, size, errors)
    held = np.flatnonzero(pairs)
    pairs, wrong = pairs[held], wrong[held]
    total, left = pairs.sum(), wrong.sum()
    before, gone = np.cumsum(pairs) - pairs, np.cumsum(wrong) - wrong
    return before / total, (left - gone) / (total - before)


def level_starts(count: int) -> np.ndarray:
    """How many of `count` pairs are gone at each grid level."""
    return np.floor(LEVELS * count + ROUNDING).astype(int)


class Levels:
    """The grid levels of comparisons of both kinds, `rank` (P,), that leave jointly; unscored ones left out.

    A level that cuts through pairs of one rank keeps of each the share that it leaves of them all.

    block, share  (20,) the rank that is cut, and the share (0, 1] of it that is kept; higher ranks are whole
    genuine, impostor  (20,) float, number of pairs kept
    tied          share of the pairs that have the most frequent rank
    """

    def __init__(self, rank: np.ndarray, genuine: np.ndarray):
        counts, mated = counted(rank, int(rank.max()) + 1, genuine)
        ends = np.cumsum(counts)
        starts, self.tied = level_starts(ends[-1]), counts.max() / ends[-1]
        self.block = np.searchsorted(ends, starts, side="right")
        self.share = (ends[self.block] - starts) / counts[self.block]
        self.genuine = mated.sum() - np.cumsum(mated)[self.block] + self.share * mated[self.block]
        self.impostor = ends[-1] - starts - self.genuine

    def kept(self, rank: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Number (20,) kept of pairs `rank` (n,); chosen (20, n) bool: of those that count at each level."""
        block = self.block[:, None]
        whole, cut = (np.count_nonzero(relation(rank, block) & chosen, axis=1)
                      for relation in (np.greater, np.equal))
        return whole + self.share * cut
