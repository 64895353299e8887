"""How much a crop matters: scores, error rates and pAUC of the same comparisons under other crops of the
faces."""
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fiqa_core.errors import FiqaError
from fiqa_core.evaluation.correlation import spearman
from fiqa_core.evaluation.edc import edc
from fiqa_core.evaluation.intervals import DiscardWeights, percentile_interval
from fiqa_core.evaluation.pairs import BenchmarkPairs
from fiqa_core.evaluation.resampled_rates import ResampledPairs
from fiqa_core.evaluation.thresholds import match_rate, threshold_at_fmr

CHANGED, SCORES_ONLY = "crops of both", "crops of the scores only"


@dataclass(frozen=True)
class Condition:
    """The faces under one change of the crop.

    change, level  "landmark jitter" and 3 (pixels), "scale" and 0.9, ...
    embeddings     (N, D) float32; scores: N rows, one column per method
    """

    change: str
    level: float
    embeddings: np.ndarray
    scores: pd.DataFrame


class Variability:
    """Measures conditions against the aligned faces, all on the same resamples of identities.

    aligned  the condition without a change; fmr, limit: of the EDC under preset `iso`
    """

    def __init__(self, pairs: BenchmarkPairs, aligned: Condition, fmr: float, limit: float, resamples: int,
                 seed):
        self.pairs, self.aligned, self.target, self.limit = pairs, aligned, fmr, limit
        self.resampled = ResampledPairs(pairs.genuine, pairs.identity_a, pairs.identity_b, resamples, seed)
        self.similarity = pairs.similarity(aligned.embeddings)
        self.threshold = threshold_at_fmr(self.similarity[~pairs.genuine], fmr)

    def verification(self, condition: Condition) -> dict:
        """Error rates of the changed faces at the threshold that was set on the aligned ones.

        Keys: change, level, fnmr, low, high (95 % over identities), fmr, fmr_low, fmr_high, and
        fnmr_own, the FNMR at a threshold set anew for these crops.
        """
        similarity, genuine = self.pairs.similarity(condition.embeddings), self.pairs.genuine
        own = threshold_at_fmr(similarity[~genuine], self.target)
        low, high = percentile_interval(self.resampled.fnmr(similarity, self.threshold))
        fmr_low, fmr_high = percentile_interval(self.resampled.fmr(similarity, self.threshold))
        return {"change": condition.change, "level": condition.level,
                "fnmr": 1 - match_rate(similarity[genuine], self.threshold), "low": float(low),
                "high": float(high),
                "fmr": match_rate(similarity[~genuine], self.threshold), "fmr_low": float(fmr_low),
                "fmr_high": float(fmr_high), "fnmr_own": 1 - match_rate(similarity[genuine], own)}

    def quality(self, condition: Condition) -> pd.DataFrame:
        """One row per method and kind of comparison.

        Columns: change, level, method, spearman (of changed and aligned scores), shift (mean change of the
        score in standard deviations of the aligned ones), compared, pauc, low, high. `compared` says what was
        cropped anew: faces that are scored and compared, or scored only, which leaves the quality method's
        share of the damage. Raises FiqaError if a method scores the aligned faces but not these.
        """
        lacking = [m for m in self.aligned.scores if m not in condition.scores]
        if lacking:
            raise FiqaError(f"{condition.change} {condition.level}: no scores of {lacking[0]}",
                            "score every condition by the same methods")
        similarity = {CHANGED: self.pairs.similarity(condition.embeddings), SCORES_ONLY: self.similarity}
        rows = []
        for method in self.aligned.scores:
            before, after = (c.scores[method].to_numpy(dtype=np.float64) for c in (self.aligned, condition))
            own = {"change": condition.change, "level": condition.level, "method": method,
                   "spearman": spearman(before, after), "shift": standard_shift(before, after)}
            for name, values in similarity.items():
                rows.append(own | {"compared": name} | self._pauc(values, after))
        return pd.DataFrame(rows)

    def _pauc(self, similarity: np.ndarray, scores: np.ndarray) -> dict:
        genuine, quality = self.pairs.genuine, self.pairs.quality(scores)
        curve = edc(similarity, genuine, quality, "iso", self.target)
        weights = DiscardWeights(quality[genuine], self.resampled.mated)
        replicates = weights.pauc(similarity[None, genuine] < curve.threshold, self.limit)[0]
        low, high = percentile_interval(replicates)
        return {"pauc": curve.pauc(self.limit), "low": float(low), "high": float(high)}


def standard_shift(before: np.ndarray, after: np.ndarray) -> float:
    """Mean of after - before (N,) in standard deviations of `before`; NaN where that is constant."""
    spread = np.std(before)
    return float(np.mean(after - before) / spread) if spread > 0 else np.nan
