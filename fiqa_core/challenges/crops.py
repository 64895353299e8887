"""Challenge: the same faces cropped by a less exact, or just another, detector (notebook 41).

How much a crop matters: scores, error rates and pAUC of the same comparisons under other crops of the
faces.

What another detector would have cropped: aligned faces warped again as if their landmarks had been found
elsewhere.

The crop is all that is left of the photograph, so pixels beyond its edge are not known; the edge is continued
there (black would be a cue that no detector leaves).
"""
from dataclasses import dataclass
from zlib import crc32

import cv2
import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.progress import progress
from fiqa_core.base.project import settings
from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE, similarity_transform
from fiqa_core.challenges.chosen_faces import (available_methods, chosen_benchmark, chosen_recognisers,
                                               embed_anew, pair_subset, score_anew, with_pixels,
                                               with_settings)
from fiqa_core.evaluation.bootstrap import DiscardWeights, ResampledPairs, percentile_interval
from fiqa_core.evaluation.comparisons import BenchmarkPairs, benchmark_pairs
from fiqa_core.evaluation.edc import edc
from fiqa_core.evaluation.ranks import spearman
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


def jitter_matrices(image_ids, radius: float, seed: int) -> np.ndarray:
    """Warps (N, 2, 3) that align by landmarks of which each coordinate is off by uniform(-radius, radius)
    pixels.

    image_ids  N texts. The direction of an image's errors depends on its id and `seed` only, so a larger
               radius moves the same landmarks further, whichever images stand beside it.
    Source: AI-KD (Babnik et al., IWBF 2024), which jitters by up to 3 pixels. Raises FiqaError if radius < 0.
    """
    if radius < 0:
        raise FiqaError(f"landmark jitter of {radius} pixels", "give a radius of 0 pixels or more")
    matrices = np.empty((len(image_ids), 2, 3))
    for row, name in enumerate(image_ids):
        error = np.random.default_rng([seed, crc32(str(name).encode())]).uniform(-1, 1, (5, 2))
        matrices[row] = similarity_transform(ARCFACE_TEMPLATE + radius * error, ARCFACE_TEMPLATE)
    return matrices


def crop_matrix(scale: float = 1.0, right: float = 0.0, down: float = 0.0) -> np.ndarray:
    """Warp (2, 3) that enlarges the face by `scale` about the crop's centre, then moves it by pixels.

    A detector with a wider margin has scale < 1. Raises FiqaError unless scale > 0.
    """
    if scale <= 0:
        raise FiqaError(f"crop scale is {scale}", "give a positive factor, 1 for the template's own")
    margin = 55.5 * (1 - scale)
    return np.array([[scale, 0, margin + right], [0, scale, margin + down]], dtype=np.float64)


def rewarp(pixels: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """uint8 faces (N, H, W, 3) warped by `matrices`, (2, 3) for all or (N, 2, 3); bilinear, edges
    continued."""
    matrices = np.broadcast_to(matrices, (len(pixels), 2, 3))
    size = pixels.shape[2], pixels.shape[1]
    warped = np.empty(pixels.shape, dtype=np.uint8)
    for row, matrix in enumerate(matrices):
        warped[row] = cv2.warpAffine(np.ascontiguousarray(pixels[row]), matrix, size, flags=cv2.INTER_LINEAR,
                                     borderMode=cv2.BORDER_REPLICATE)
    return warped


JITTER, SCALE, DOWN = "landmark jitter", "scale", "shift down"


def measure_crops(wanted: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Error rates, and quality, of one benchmark's faces under every crop of `challenges.detector`.

    wanted  benchmark in place of the one that params.yaml names. Tables as `Variability` describes them, with
    columns benchmark and recogniser.
    """
    return with_settings(_measure, "challenges.detector", wanted=wanted)


def example_crops(face: np.ndarray, image_id: str) -> list[tuple[str, np.ndarray]]:
    """(caption, crop (112, 112, 3) uint8) of one face under every change."""
    changes = with_settings(_changes, "challenges.detector.crops", image_ids=[image_id])
    return [("aligned", face)] + [(f"{change} {level:g}", rewarp(face[None], matrices)[0])
                                  for change, level, matrices in changes]


def _changes(image_ids, jitter: list, scales: list, shifts: list) -> list[tuple[str, float, np.ndarray]]:
    """(change, level, warps) of every condition besides the aligned one."""
    return ([(JITTER, radius, jitter_matrices(image_ids, radius, settings("seed"))) for radius in jitter]
            + [(SCALE, scale, crop_matrix(scale)) for scale in scales]
            + [(DOWN, pixels, crop_matrix(down=pixels)) for pixels in shifts])


def _measure(wanted: str, benchmark: str, comparisons: int, recogniser: str, methods: list, limit: float,
             crops: dict) -> tuple[pd.DataFrame, pd.DataFrame]:
    faces = pair_subset(chosen_benchmark(wanted or benchmark), comparisons, settings("seed"))
    slug, name = next(iter(chosen_recognisers([recogniser]).items()))
    slugs = available_methods(methods)

    def condition(change: str, level: float, pictures: FaceSet) -> Condition:
        return Condition(change, level, embed_anew(slug, pictures), score_anew(slugs, pictures))

    aligned = condition(JITTER, 0.0, faces)
    measure = Variability(benchmark_pairs(faces), aligned, settings("evaluation.fmr"), limit,
                          settings("evaluation.resamples"), settings("seed"))
    rates, quality = [measure.verification(aligned)], [measure.quality(aligned)]
    changes = with_settings(_changes, "challenges.detector.crops", image_ids=faces.images["image_id"])
    for change, level, matrices in progress(changes, "crops", unit="crops"):
        changed = condition(change, level, with_pixels(faces, rewarp(faces.pixels, matrices)))
        rates.append(measure.verification(changed))
        quality.append(measure.quality(changed))
    label = {"benchmark": faces.name, "recogniser": name}
    return pd.DataFrame(rates).assign(**label), pd.concat(quality, ignore_index=True).assign(**label)
