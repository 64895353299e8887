"""How well a recogniser verifies before any quality enters: DET points, EER, 10-fold accuracy, d'.

Throughout: similarity (P,) float, genuine (P,) bool or 0/1, a pair is accepted when similarity >= threshold.
"""
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.thresholds import Undefined, match_rate, threshold_at_fmr


@dataclass(frozen=True)
class Verification:
    """Summary of one recogniser on one benchmark; rates are fractions.

    accuracy, accuracy_sd  mean and standard deviation over the folds (LFW protocol)
    eer                    equal error rate
    fnmr_fmr1e2, fnmr_fmr1e3  FNMR at FMR 1e-2 and 1e-3, NaN with too few impostors
    threshold              similarity accepted at FMR 1e-3 (NaN likewise)
    dprime                 distance of the class means in units of the pooled standard deviation
    note                   why values are NaN
    """

    accuracy: float
    accuracy_sd: float
    eer: float
    fnmr_fmr1e2: float
    fnmr_fmr1e3: float
    threshold: float
    dprime: float
    genuine: int
    impostor: int
    note: str = ""


def verification(similarity: np.ndarray, genuine: np.ndarray, fold: np.ndarray | None = None) -> Verification:
    """All summary values at once; `fold` (P,) integers, -1 or None where unknown (see `accuracy`)."""
    similarity, genuine = separated(similarity, genuine)
    mated, impostor = similarity[genuine], similarity[~genuine]
    notes, cuts = [], {1e-2: np.nan, 1e-3: np.nan}
    try:
        accuracies = accuracy(similarity, genuine, fold)
    except Undefined as error:
        accuracies, notes = np.full(2, np.nan), [f"accuracy: {error.problem}"]
    for fmr in cuts:
        try:
            cuts[fmr] = threshold_at_fmr(impostor, fmr)
        except Undefined as error:
            notes.append(error.problem)
    fnmr = [np.nan if np.isnan(cut) else 1 - match_rate(mated, cut) for cut in cuts.values()]
    return Verification(float(accuracies.mean()), float(accuracies.std(ddof=1)),
                        equal_error_rate(similarity, genuine), *fnmr, cuts[1e-3], dprime(similarity, genuine),
                        len(mated), len(impostor), "; ".join(notes))


def verification_or_gap(similarity: np.ndarray, genuine: np.ndarray, fold: np.ndarray) -> Verification:
    """As `verification`, but NaN throughout and a note where one class is missing."""
    try:
        return verification(similarity, genuine, fold)
    except Undefined as error:
        mated = int(np.count_nonzero(genuine))
        return Verification(*[np.nan] * 7, mated, len(genuine) - mated, error.problem)


def separated(similarity: np.ndarray, genuine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arrays as float64 and bool. Raises FiqaError for unequal lengths, NaN or a missing class."""
    similarity, genuine = np.asarray(similarity, dtype=np.float64), np.asarray(genuine).astype(bool)
    if similarity.shape != genuine.shape or similarity.ndim != 1:
        raise FiqaError(f"similarity {similarity.shape} and genuine {genuine.shape} do not match",
                        "give two one-dimensional arrays of one length")
    if np.isnan(similarity).any():
        raise FiqaError(f"similarity is NaN for {np.isnan(similarity).sum()} pairs", "give -1 to such pairs")
    if genuine.all() or not genuine.any():
        raise Undefined("genuine holds one class only", "verification needs genuine and impostor comparisons")
    return similarity, genuine


def error_rates(similarity: np.ndarray, genuine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """DET points: thresholds (K,) ascending, FMR and FNMR (K,) at each; ROC is (FMR, 1 - FNMR).

    One point for every distinct similarity and one above the highest, where nothing is accepted.
    """
    similarity, genuine = separated(similarity, genuine)
    mated, impostor = np.sort(similarity[genuine]), np.sort(similarity[~genuine])
    thresholds = np.unique(similarity)
    thresholds = np.append(thresholds, np.nextafter(thresholds[-1], np.inf))
    fnmr = np.searchsorted(mated, thresholds, side="left") / len(mated)
    fmr = 1 - np.searchsorted(impostor, thresholds, side="left") / len(impostor)
    return thresholds, fmr, fnmr


def equal_error_rate(similarity: np.ndarray, genuine: np.ndarray) -> float:
    """Rate where FMR and FNMR cross, on the straight line between the two points around the crossing."""
    similarity, genuine = separated(similarity, genuine)
    mated, impostor = np.sort(similarity[genuine]), np.sort(similarity[~genuine])

    def rates(threshold) -> tuple[float, float]:
        return 1 - below([impostor], threshold) / len(impostor), below([mated], threshold) / len(mated)

    def crossed(threshold) -> bool:                      # FMR - FNMR falls from 1 to -1 along the thresholds
        fmr, fnmr = rates(threshold)
        return fmr - fnmr <= 0

    points = [values[place] for values in (mated, impostor)
              if (place := bisect_left(values, True, key=crossed)) < len(values)]
    after = min(points) if points else np.nextafter(max(mated[-1], impostor[-1]), np.inf)
    (fmr0, fnmr0), (fmr1, fnmr1) = rates(highest_below([mated, impostor], after)), rates(after)
    share = (fmr0 - fnmr0) / ((fmr0 - fnmr0) - (fmr1 - fnmr1))
    return float(fnmr0 + share * (fnmr1 - fnmr0))


def below(parts: list[np.ndarray], threshold):
    """How many values of ascending arrays lie below `threshold` (a number, or (K,) numbers)."""
    return sum(np.searchsorted(part, threshold, side="left") for part in parts)


def highest_below(parts: list[np.ndarray], threshold: float) -> float:
    """The highest value below `threshold` in ascending arrays; -inf if there is none."""
    places = [np.searchsorted(part, threshold, side="left") for part in parts]
    return float(max([part[place - 1] for part, place in zip(parts, places) if place], default=-np.inf))


def accuracy(similarity: np.ndarray, genuine: np.ndarray, fold: np.ndarray | None = None) -> np.ndarray:
    """Accuracy on each fold with the threshold that is best on the other folds (LFW protocol).

    fold  (P,) integers; None or a negative value anywhere: ten consecutive blocks of each class instead.
    Genuine and impostor pairs weigh alike, so more impostors than genuine pairs do not move the result;
    on LFW's balanced folds this is the plain share of correct decisions. Returns (folds,) in fold order.
    Source: Huang et al., Labeled Faces in the Wild (2007), image-restricted protocol.
    """
    similarity, genuine = separated(similarity, genuine)
    fold = consecutive_folds(genuine) if fold is None or np.min(fold) < 0 else np.asarray(fold)
    names = np.unique(fold)
    if len(names) < 2:
        raise Undefined("fold names a single fold", "give at least two folds, or None for ten blocks")
    mated, impostor = ([np.sort(similarity[side & (fold == name)]) for name in names]
                       for side in (genuine, ~genuine))
    return np.array([fold_accuracy(mated, impostor, held) for held in range(len(names))])


def consecutive_folds(genuine: np.ndarray, count: int = 10) -> np.ndarray:
    """Fold of each pair when none is known: consecutive blocks within genuine and within impostor pairs."""
    fold = np.empty(len(genuine), dtype=np.int64)
    for members in (genuine, ~genuine):
        fold[members] = np.arange(members.sum()) * count // max(members.sum(), 1)
    return fold


def fold_accuracy(mated: list[np.ndarray], impostor: list[np.ndarray], held: int) -> float:
    """Balanced accuracy on fold `held` at the threshold best on the others; ascending values per fold."""
    others = [parts[:held] + parts[held + 1:] for parts in (mated, impostor)]
    threshold = threshold_of_sorted(*others)
    own, foreign = mated[held], impostor[held]
    rates = [(len(own) - below([own], threshold)) / len(own)] if len(own) else []
    rates += [below([foreign], threshold) / len(foreign)] if len(foreign) else []
    return float(np.mean(rates))


def threshold_of_sorted(mated: list[np.ndarray], impostor: list[np.ndarray]) -> float:
    """Threshold of highest balanced accuracy, midway between two neighbours, the lowest of equals.

    mated, impostor  ascending arrays (one per fold, say). Raises `Undefined` if a class is empty.
    Only genuine similarities can be best: raising the threshold from one of them to the next rejects
    impostors at no cost.
    """
    count = [sum(map(len, parts)) for parts in (mated, impostor)]
    if not all(count):
        raise Undefined("genuine holds one class only", "verification needs genuine and impostor comparisons")
    thresholds = np.unique(np.concatenate(mated))
    cost = 1 - below(impostor, thresholds) / count[1] + below(mated, thresholds) / count[0]
    best = float(thresholds[np.argmin(np.round(cost, 12))])    # equal sums may differ in their last bit
    before = highest_below([*mated, *impostor], best)
    if before == -np.inf:
        return best
    return (before + best) / 2


def dprime(similarity: np.ndarray, genuine: np.ndarray) -> float:
    """(mean genuine - mean impostor) / sqrt((var genuine + var impostor) / 2), Daugman's decidability."""
    mated, impostor = similarity[genuine], similarity[~genuine]
    spread = np.sqrt((mated.var() + impostor.var()) / 2)
    return float((mated.mean() - impostor.mean()) / spread) if spread > 0 else np.nan
