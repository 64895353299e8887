"""Control lines of every EDC: a perfect ranking (oracle) and discard at random.

The oracle lets every genuine pair below the threshold leave first, one by one. Image qualities may be
unable to reach it, because the minimum couples the pairs that share an image.
"""
from dataclasses import replace

import numpy as np

from fiqa_core.evaluation.edc import LEVELS, ErrorDiscardCurve, edc, level_starts
from fiqa_core.evaluation.thresholds import ROUNDING


def oracle_curve(curve: ErrorDiscardCurve) -> ErrorDiscardCurve:
    """The perfect ranking of the comparisons of `curve`, under its preset, with its threshold kept."""
    left = np.arange(curve.genuine) if curve.preset == "iso" else level_starts(curve.genuine + curve.impostor)
    discard = left / curve.genuine if curve.preset == "iso" else LEVELS.copy()
    return replace(curve, discard=discard, fnmr=oracle_fnmr(curve.errors, curve.genuine, left),
                   thresholds=np.full(len(discard), curve.threshold))


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
