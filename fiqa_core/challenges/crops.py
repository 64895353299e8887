"""Challenge: the same faces as a less exact, or just another, detector would have cropped them (notebook 41).

Aligned faces are warped again as if their landmarks had been found elsewhere, and scores, error rates and
pAUC of the same comparisons are measured anew. The crop is all that is left of the photograph, so pixels
beyond its edge are not known; the edge is continued there (black would be a cue that no detector leaves).
"""
from dataclasses import dataclass, replace
from zlib import crc32

import cv2
import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.progress import progress
from fiqa_core.base.project import settings
from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE, similarity_transform
from fiqa_core.challenges.chosen_faces import (available_methods, chosen_benchmark, chosen_recognisers,
                                               embed_anew, pair_subset, score_anew, with_settings)
from fiqa_core.evaluation.bootstrap import ResampledPairs, percentile_interval
from fiqa_core.evaluation.comparisons import BenchmarkPairs, benchmark_pairs
from fiqa_core.evaluation.curves import Measure, Settings
from fiqa_core.evaluation.ranks import spearman
from fiqa_core.evaluation.thresholds import match_rate, threshold_at_fmr

JITTER, SCALE, DOWN = "landmark jitter", "scale", "shift down"
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
        self.pairs, self.aligned, self.limit, self.seed = pairs, aligned, limit, seed
        self.chosen = Settings(fmr, ("iso",), (limit,), resamples)
        self.resampled = ResampledPairs(pairs.genuine, pairs.identity_a, pairs.identity_b, resamples, seed)
        self.similarity = pairs.similarity(aligned.embeddings)
        self.threshold = threshold_at_fmr(self.similarity[~pairs.genuine], fmr)

    def verification(self, condition: Condition) -> dict:
        """Error rates of the changed faces at the threshold that was set on the aligned ones.

        Keys: change, level, fnmr, low, high (95 % over identities), fmr, fmr_low, fmr_high, and
        fnmr_own, the FNMR at a threshold set anew for these crops.
        """
        similarity = self.pairs.similarity(condition.embeddings)
        mated, impostor = similarity[self.pairs.genuine], similarity[~self.pairs.genuine]
        own = threshold_at_fmr(impostor, self.chosen.fmr)
        low, high = percentile_interval(self.resampled.fnmr(similarity, self.threshold))
        fmr_low, fmr_high = percentile_interval(self.resampled.fmr(similarity, self.threshold))
        return {"change": condition.change, "level": condition.level,
                "fnmr": 1 - match_rate(mated, self.threshold), "low": low, "high": high,
                "fmr": match_rate(impostor, self.threshold), "fmr_low": fmr_low, "fmr_high": fmr_high,
                "fnmr_own": 1 - match_rate(mated, own)}

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
        measure = Measure(self.pairs, similarity, self.chosen, self.seed)
        rows = []
        for method in self.aligned.scores:
            before, after = (c.scores[method].to_numpy(dtype=np.float64) for c in (self.aligned, condition))
            found = measure.method(after)["iso"]
            for compared in similarity:
                at = compared, self.limit
                low, high = percentile_interval(found.replicates.get(at))
                rows.append({"change": condition.change, "level": condition.level, "method": method,
                             "spearman": spearman(before, after), "shift": standard_shift(before, after),
                             "compared": compared, "pauc": found.pauc[at], "low": low, "high": high})
        return pd.DataFrame(rows)


def standard_shift(before: np.ndarray, after: np.ndarray) -> float:
    """Mean of after - before (N,) in standard deviations of `before`; NaN where that is constant."""
    spread = np.std(before)
    return float(np.mean(after - before) / spread) if spread > 0 else np.nan


def jitter_matrices(image_ids, radius: float, seed: int) -> np.ndarray:
    """Warps (N, 2, 3) that align by landmarks whose coordinates are off by uniform(-radius, radius) pixels.

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
    """Faces (N, H, W, 3) uint8 warped by `matrices`, (2, 3) or (N, 2, 3); bilinear, edges continued."""
    matrices = np.broadcast_to(matrices, (len(pixels), 2, 3))
    size = pixels.shape[2], pixels.shape[1]
    warped = np.empty(pixels.shape, dtype=np.uint8)
    for row, matrix in enumerate(matrices):
        warped[row] = cv2.warpAffine(np.ascontiguousarray(pixels[row]), matrix, size, flags=cv2.INTER_LINEAR,
                                     borderMode=cv2.BORDER_REPLICATE)
    return warped


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

    def condition(change: str, level: float, pixels: np.ndarray) -> Condition:
        pictures = replace(faces, pixels=pixels)
        return Condition(change, level, embed_anew(slug, pictures), score_anew(slugs, pictures))

    aligned = condition(JITTER, 0.0, faces.pixels)
    measure = Variability(benchmark_pairs(faces), aligned, settings("evaluation.fmr"), limit,
                          settings("evaluation.resamples"), settings("seed"))
    rates, quality = [measure.verification(aligned)], [measure.quality(aligned)]
    changes = with_settings(_changes, "challenges.detector.crops", image_ids=faces.images["image_id"])
    for change, level, matrices in progress(changes, "crops", unit="crops"):
        changed = condition(change, level, rewarp(faces.pixels, matrices))
        rates.append(measure.verification(changed))
        quality.append(measure.quality(changed))
    label = {"benchmark": faces.name, "recogniser": name}
    return pd.DataFrame(rates).assign(**label), pd.concat(quality, ignore_index=True).assign(**label)
