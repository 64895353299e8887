"""Error rates with intervals in which the decision threshold is found anew in every resample of identities.

Two systems (a clip's best frame, the mean of its frames) have different similarities, so each needs its own
threshold at the same FMR, and that threshold is as uncertain as the few impostors it rests on. Drawing
identities moves genuine and impostor pairs together; only the strongest impostors are looked at resample by
resample, so that millions of them cost no more memory than thousands.
"""
import numpy as np

from fiqa_core.errors import FiqaError
from fiqa_core.evaluation.intervals import divided, multiplicities, pair_weights
from fiqa_core.evaluation.thresholds import ROUNDING


class ResampledPairs:
    """Comparisons and what `resamples` draws of identities with replacement make of them.

    genuine                  (P,) bool
    identity_a, identity_b   (P,) identity codes in [0, identities); identities: None for the largest code +
                             1. Those without a comparison (all discarded) still take part in the draw.
    All methods take values of all P pairs, in this order. Raises FiqaError where one kind is missing.
    """

    def __init__(self, genuine: np.ndarray, identity_a: np.ndarray, identity_b: np.ndarray, resamples: int,
                 seed,
                 identities: int | None = None):
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
        """Number of impostor pairs (R,) float64 in each resample: the sum over pairs of both
        multiplicities."""
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
