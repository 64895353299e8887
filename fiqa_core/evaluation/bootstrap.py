"""Confidence intervals by resampling identities with replacement: of EDC areas, and of error rates.

Pairs are not independent: one hard face appears in many of them. So identities are drawn, a genuine pair
counts as often as its identity was drawn and an impostor pair as often as both were (product). A resample
is thus a column of whole-number weights, and every statistic is computed for all columns at once:
weights have the shape (pairs, resamples), row-major, so that reordering pairs copies contiguous rows.

The threshold of a curve stays that of the full sample (per grid level under `paper`); `ResampledPairs` can
find it anew in every resample.
"""
from collections.abc import Sequence

import numpy as np

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.discard import LEVELS, UNSCORED
from fiqa_core.evaluation.edc import check_limit
from fiqa_core.evaluation.thresholds import ROUNDING


def multiplicities(identities: int, resamples: int, seed) -> np.ndarray:
    """How often each identity is drawn in each resample: (identities, resamples) float32, columns sum to
    `identities`. `seed` is anything numpy.random.default_rng takes."""
    if identities < 1 or resamples < 1:
        raise FiqaError(f"{identities} identities and {resamples} resamples", "give at least one of each")
    drawn = np.random.default_rng(seed).integers(identities, size=(identities, resamples))
    flat = drawn * resamples + np.arange(resamples)
    counts = np.bincount(flat.ravel(), minlength=identities * resamples)
    return counts.reshape(identities, resamples).astype(np.float32)


def pair_weights(drawn: np.ndarray, identity_a: np.ndarray, identity_b: np.ndarray) -> np.ndarray:
    """Weight of every pair in every resample (P, R): the identity's multiplicity where a and b share one,
    else the product. identity_a, identity_b are (P,) row indices of `drawn` (identities, R)."""
    weights = drawn[identity_a]
    other = identity_a != identity_b
    weights[other] *= drawn[identity_b[other]]
    return weights


def percentile_interval(replicates: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """2.5 and 97.5 percentiles along the last axis, linear between neighbours; numbers for (R,).

    Undefined replicates (NaN: no error was drawn) are left out; NaN where none is defined, or there are none.
    """
    if replicates is None:
        return np.nan, np.nan
    ascending = np.sort(replicates, axis=-1)                   # NaN goes last
    last = np.sum(~np.isnan(ascending), axis=-1, keepdims=True) - 1
    bounds = []
    for share in (0.025, 0.975):
        place = np.maximum(last, 0) * share
        below = np.floor(place).astype(int)
        low, high = (np.take_along_axis(ascending, at, axis=-1)
                     for at in (below, np.minimum(below + 1, last)))
        value = low + (place - below) * (np.where(place > below, high, low) - low)
        bounds.append(np.where(last >= 0, value, np.nan)[..., 0][()])
    return bounds[0], bounds[1]


def mean_replicates(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Mean (R,) of several statistics' replicates (R,), undefined ones left out; None if one has none."""
    if not len(parts) or any(part is None for part in parts):
        return None
    defined = ~np.isnan(parts)
    count = defined.sum(axis=0)
    return np.where(count > 0, np.where(defined, parts, 0).sum(axis=0) / np.maximum(count, 1), np.nan)


def group_sums(group: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Sums (K, R) of the `rows` (P, R) of each group 0..K-1 of `group` (P,), none empty; -1: of no group."""
    from scipy.sparse import csr_array
    order = np.argsort(group, kind="stable")[np.count_nonzero(group < 0):]
    ends = np.searchsorted(group[order], np.arange(group.max(initial=-1) + 2))
    return csr_array((np.ones(len(order), rows.dtype), order, ends), shape=(len(ends) - 1, len(rows))) @ rows


def dense(rank: np.ndarray) -> np.ndarray:
    """Groups 0..K-1 of the pairs (P,) of one rank, in ascending order; unscored pairs: -1."""
    distinct, group = np.unique(rank, return_inverse=True)
    return group - int(distinct[0] == UNSCORED)


class DiscardWeights:
    """Preset `iso` on all resamples: the part that depends on quality only, shared by all recognisers.

    rank (G,) of the genuine pairs, unscored ones left out; weights (G, R) their multiplicities. Sums of
    weights are whole numbers below 2**24, exact in any order.
    """

    def __init__(self, rank: np.ndarray, weights: np.ndarray):
        self.group, self.weights = dense(rank), weights
        sums = group_sums(self.group, weights)
        inclusive = running_sum(sums)
        self.total, self.before = inclusive[-1], inclusive - sums

    def _wrong(self, errors: np.ndarray, last: int) -> tuple[np.ndarray, np.ndarray]:
        """The groups (k,) with errors, those beyond `last` as one, and the errors' weight (k, R) in each."""
        rows = np.flatnonzero(errors & (self.group >= 0))
        groups, place = np.unique(np.minimum(self.group[rows], last), return_inverse=True)
        return groups, group_sums(place, self.weights[rows])

    def pauc(self, errors: np.ndarray, limit: float) -> np.ndarray:
        """Normalised pAUC (M, R) of M error indicators (M, G).

        A pair lends its error to every step it survives. With x the discard fraction where a step begins
        and w its width inside the limit, the area of the curve is the sum over pairs of weight * error * S,
        where S adds w / (1 - x) over the steps up to the one at which the pair leaves. Beyond the limit S
        is constant, so only the steps that begin below it in some resample are worked out.
        """
        check_limit(limit)
        steps = int(np.searchsorted((self.before / self.total).min(axis=1), limit))
        begin = self.before[:steps + 1] / self.total
        width = np.diff(np.minimum(begin, np.float32(limit)), axis=0, append=np.float32(limit))[:steps]
        share = running_sum(width / np.maximum(1 - begin[:steps], np.float32(1e-7)))
        result = []
        for wrong in errors:
            groups, weight = self._wrong(wrong, steps - 1)
            result.append(divided((weight * share[groups]).sum(axis=0), limit * weight.sum(axis=0)))
        return np.stack(result)

    def fnmr(self, errors: np.ndarray, grid: np.ndarray) -> np.ndarray:
        """FNMR (M, X, R) at the discard fractions `grid` (X,) of M error indicators (M, G)."""
        place = last_at_most(self.before, np.floor(grid[:, None] * self.total + ROUNDING).astype(np.float32))
        columns, every = np.arange(len(self.total)), np.arange(len(self.before))
        kept = self.total - self.before[place, columns]
        result = []
        for wrong in errors:
            groups, weight = self._wrong(wrong, len(self.before))
            left = running_sum(np.vstack([np.zeros_like(self.weights[:1]), weight]))
            gone = np.searchsorted(groups, every)[place]
            result.append(divided(left[-1] - left[gone, columns], kept))
        return np.stack(result)


class JointWeights:
    """Preset `paper` on all resamples: pairs of both kinds leave jointly in steps of 5 %.

    rank (P,), genuine (P,) bool, weights (P, R) of all pairs; unscored ones are left out. A resample is the
    list in which each pair is repeated by its weight, and a level keeps a share of the rank that it cuts.
    """

    def __init__(self, rank: np.ndarray, genuine: np.ndarray, weights: np.ndarray):
        group = dense(rank)
        sums = group_sums(group, weights)
        inclusive = running_sum(sums)
        cut = np.floor(LEVELS[:, None] * inclusive[-1] + ROUNDING).astype(np.float32)
        columns = np.arange(weights.shape[1])
        self.block = np.minimum(last_at_most(inclusive, cut) + 1, len(sums) - 1)     # (20, R), the group cut
        self.share = divided(inclusive[self.block, columns] - cut, sums[self.block, columns])
        own, weights = group[genuine], weights[genuine]
        self.order = np.argsort(own, kind="stable")[np.count_nonzero(own < 0):]      # in which they leave
        self.group, self.weights = own[self.order], weights[self.order]
        left = running_sum(np.vstack([np.zeros_like(self.weights[:1]), self.weights]))
        self.first, self.after = (np.searchsorted(self.group, self.block, side) for side in ("left", "right"))
        first, after = left[self.first, columns], left[self.after, columns]
        self.kept = left[-1] - after + self.share * (after - first)

    def fnmr(self, errors: np.ndarray) -> np.ndarray:
        """FNMR (20, R) at the grid levels; errors (20, G) of the genuine pairs, by each level's threshold.

        Pairs that are kept in every resample are simply added; only those between the earliest and the latest
        cut of a level are looked at resample by resample.
        """
        wrong = errors[:, self.order]
        late = self.after.max(axis=1)
        whole = row_sums(wrong & (np.arange(len(self.order)) >= late[:, None]), self.weights)
        for i, early in enumerate(self.first.min(axis=1)):
            rows = early + np.flatnonzero(wrong[i, early:late[i]])
            group, weights = self.group[rows, None], self.weights[rows]
            whole[i] += (weights * (group > self.block[i])).sum(axis=0)
            whole[i] += self.share[i] * (weights * (group == self.block[i])).sum(axis=0)
        return divided(whole, self.kept)


def grid_pauc(fnmr: np.ndarray, limit: float) -> np.ndarray:
    """`paper` pAUC (R,) from FNMR (20, R): mean over the defined levels below `limit` of FNMR(u)/FNMR(0)."""
    levels = fnmr[LEVELS <= max(limit - 0.025, 0) + ROUNDING]
    defined = ~np.isnan(levels)
    return divided(np.where(defined, levels, 0).sum(axis=0), defined.sum(axis=0) * fnmr[0])


def row_sums(chosen: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Sum (M, R) of the rows (G, R) that each of the M masks `chosen` (M, G) picks.

    Not a matrix product on purpose: masks are sparse, and the threads of BLAS stall each other where
    several benchmarks are measured side by side.
    """
    return np.stack([rows[np.flatnonzero(mask)].sum(axis=0) for mask in chosen])


def running_sum(rows: np.ndarray) -> np.ndarray:
    """Cumulative sum of (K, R) along the first axis; row by row it is ten times faster than numpy.cumsum."""
    total = rows.copy()
    for i in range(1, len(total)):
        np.add(total[i - 1], total[i], out=total[i])
    return total


def last_at_most(ascending: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Per column the last row of `ascending` (K, R) that is at most `values` (X, R); -1 if none: (X, R).

    Bisection of all columns together, without a transposed copy.
    """
    columns = np.arange(values.shape[1])
    low = np.full(values.shape, -1)
    high = np.full(values.shape, len(ascending))
    while (high - low > 1).any():
        middle = (low + high) // 2
        below = ascending[np.maximum(middle, 0), columns] <= values
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low


def divided(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan, dtype=np.float32),
                     where=np.asarray(whole) > 0)


class ResampledPairs:
    """Comparisons and what `resamples` draws of identities with replacement make of them.

    Two systems (a clip's best frame, the mean of its frames) have different similarities, so each needs its
    own threshold at the same FMR, as uncertain as the few impostors it rests on. Only the strongest of them
    are looked at resample by resample, so that millions cost no more memory than thousands.

    genuine                  (P,) bool
    identity_a, identity_b   (P,) identity codes in [0, identities); identities: None for the largest code +
                             1. Those without a comparison (all discarded) still take part in the draw.
    All methods take values of all P pairs, in this order. Raises FiqaError where one kind is missing.
    """

    def __init__(self, genuine: np.ndarray, identity_a: np.ndarray, identity_b: np.ndarray, resamples: int,
                 seed, identities: int | None = None):
        genuine = np.asarray(genuine, dtype=bool)
        if genuine.all() or not genuine.any():
            raise FiqaError("comparisons of one kind only", "error rates need genuine and impostor pairs")
        self.genuine = genuine
        self.identities = identities or int(max(identity_a.max(), identity_b.max())) + 1
        self.drawn = multiplicities(self.identities, resamples, seed)
        self.mated = pair_weights(self.drawn, identity_a[genuine], identity_b[genuine])
        self.first, self.second = identity_a[~genuine], identity_b[~genuine]
        self.impostors = self._impostor_totals()

    def _impostor_totals(self) -> np.ndarray:
        """Number of impostor pairs (R,) float64 in each resample: the sum of products of multiplicities."""
        from scipy.sparse import coo_matrix
        shape = (self.identities, self.identities)
        counts = coo_matrix((np.ones(len(self.first)), (self.first, self.second)), shape=shape).tocsr()
        return np.einsum("ir,ir->r", self.drawn, counts @ self.drawn.astype(np.float64))

    def thresholds(self, similarity: np.ndarray, fmr: float) -> np.ndarray:
        """Thresholds (R,) by the rule of `threshold_at_fmr`, applied to each resample's impostors.

        A resample with fewer than 1 / fmr of them lets none pass; NaN where it has none at all.
        """
        impostor = np.asarray(similarity, dtype=np.float64)[~self.genuine]
        allowed = np.floor(fmr * self.impostors + ROUNDING)
        count = min(len(impostor), 4 * int(fmr * len(impostor)) + 64)
        while True:
            passed, order = self._strongest(impostor, count)
            if count == len(impostor) or (passed[-1] > allowed).all():
                break
            count = min(2 * count, len(impostor))
        beyond = passed > allowed
        threshold = np.nextafter(impostor[order][np.argmax(beyond, axis=0)], np.inf)
        return np.where(beyond.any(axis=0), threshold, np.nan)

    def _strongest(self, impostor: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Running sums (count, R) of the weights of the `count` highest impostors, and their indices."""
        top = np.argpartition(-impostor, count - 1)[:count]
        order = top[np.lexsort((top, -impostor[top]))]
        return np.cumsum(pair_weights(self.drawn, self.first[order], self.second[order]), axis=0), order

    def fnmr(self, similarity: np.ndarray, threshold) -> np.ndarray:
        """FNMR (R,) at a `threshold` for all resamples, or one each (R,); NaN without genuine pairs."""
        errors = np.asarray(similarity, dtype=np.float64)[self.genuine, None] < np.atleast_1d(threshold)
        wrong = np.einsum("gr,gr->r", self.mated, np.broadcast_to(errors, self.mated.shape))
        rate = divided(wrong, self.mated.sum(axis=0))
        return np.where(np.isnan(np.broadcast_to(threshold, rate.shape)), np.nan, rate)

    def fmr(self, similarity: np.ndarray, threshold: float) -> np.ndarray:
        """FMR (R,) at one fixed threshold."""
        accepted = np.asarray(similarity, dtype=np.float64)[~self.genuine] >= threshold
        weights = pair_weights(self.drawn, self.first[accepted], self.second[accepted])
        return divided(weights.sum(axis=0), self.impostors)
