"""Challenge: the same faces cropped by a less exact, or just another, detector (notebook 41)."""
import numpy as np
import pandas as pd

from fiqa_core.benchmarks import FaceSet
from fiqa_core.benchmarks.perturbing import crop_matrix, jitter_matrices, rewarp
from fiqa_core.evaluation.pairs import benchmark_pairs
from fiqa_core.evaluation.variability import Condition, Variability
from fiqa_core.pipeline.challenge_faces import (
    available_methods,
    chosen_benchmark,
    chosen_recognisers,
    embed_anew,
    pair_subset,
    score_anew,
    with_pixels,
    with_settings,
)
from fiqa_core.pipeline.settings import settings
from fiqa_core.progress import progress

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
