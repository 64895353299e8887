"""Decision thresholds from impostor similarities. A pair is accepted when similarity >= threshold.

Rules that are written with "strictly above" or with distances are turned into it by the next float up.
"""
import numpy as np

from fiqa_core.base.errors import FiqaError

ROUNDING = 1e-9      # keeps fmr * M and u * N whole when they are whole in exact arithmetic


class Undefined(FiqaError):
    """A statistic that such comparisons cannot show: a gap and a note in the tables of many benchmarks."""


def threshold_at_fmr(impostor: np.ndarray, fmr: float = 1e-3) -> float:
    """Smallest threshold whose false match rate does not exceed `fmr` (ISO/IEC 19795-1, preset `iso`).

    impostor  (M,) similarities of non-mated comparisons
    Returns the float just above the (floor(fmr * M) + 1)-th highest similarity, so with M = 3000 and no
    ties exactly 3 impostors pass at 1e-3. Raises FiqaError unless 0 < fmr < 1 and fmr * M >= 1.
    """
    impostor = np.asarray(impostor, dtype=np.float64)
    if not 0 < fmr < 1:
        raise FiqaError(f"fmr is {fmr}", "give a false match rate between 0 and 1, 1e-3 say")
    allowed = int(np.floor(fmr * len(impostor) + ROUNDING))
    if allowed < 1:
        raise Undefined(f"{len(impostor)} impostor comparisons cannot show a false match rate of {fmr:g}",
                        f"give at least {int(np.ceil(1 / fmr - ROUNDING))} of them, or a larger fmr")
    place = len(impostor) - 1 - allowed
    return float(np.nextafter(np.partition(impostor, place)[place], np.inf))


def paper_index(count: int, fmr: float = 1e-3) -> int | None:
    """Rank (0 = highest) of the impostor similarity that is the threshold of preset `paper`.

    count - 1 is divided by ten as an integer, once per power of ten in `fmr` (three times for 1e-3).
    None where 0 is reached before the last division: the level has too few impostors and is skipped.
    Source: MagFace's quality evaluation. Raises FiqaError if fmr is no power of ten.
    """
    divisions = round(-np.log10(fmr)) if 0 < fmr < 1 else 0
    if divisions < 1 or abs(10.0 ** -divisions - fmr) > 1e-12:
        raise FiqaError(f"preset paper divides by ten and cannot reach fmr {fmr}", "give 1e-2, 1e-3 or 1e-4")
    if (count - 1) // 10 ** (divisions - 1) < 1:
        return None
    return (count - 1) // 10 ** divisions


def nearest_threshold(similarity: np.ndarray, genuine: np.ndarray, weight: np.ndarray,
                      fmr: float = 1e-3) -> float:
    """Threshold of preset `nearest` (CR-FIQA's error-versus-reject script) among pairs (P,) kept by `weight`.

    Every kept similarity, genuine ones included, is a candidate; the first in ascending order whose share of
    impostors at or above it lies nearest to `fmr` is chosen, and a pair must lie strictly above it.
    """
    candidates, parts = np.unique(similarity[weight > 0]), []
    for value in np.unique(weight[(weight > 0) & ~genuine]):         # whole pairs, and those of a tied block
        own = np.sort(similarity[(weight == value) & ~genuine])
        parts.append((value * len(own), value * np.searchsorted(own, candidates, side="left")))
    if not parts:
        return np.nan
    share = 1 - sum(below for _, below in parts) / sum(total for total, _ in parts)
    return float(np.nextafter(candidates[np.argmin(np.round(np.abs(share - fmr), 12))], np.inf))


def match_rate(similarity: np.ndarray, threshold: float) -> float:
    """Share of comparisons at or above `threshold`: FMR of impostors, 1 - FNMR of genuine ones."""
    return float(np.mean(similarity >= threshold)) if len(similarity) else np.nan
