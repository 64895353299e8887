"""The two presets' verdicts on a score of comparisons that is made to please one of them (lesson 2)."""
import numpy as np

from fiqa_core.course.exercise import Verdict
from fiqa_core.evaluation.edc import edc

FMR, LIMIT = 1e-2, 0.3


def both_areas(similarity, genuine, score) -> tuple[float, float]:
    """pAUC of `score` (P,) under paper and iso."""
    return tuple(edc(similarity, genuine, score, preset, FMR).pauc(LIMIT) for preset in ("paper", "iso"))


def judge_game(outputs: list, cases: list[tuple]) -> Verdict:
    """Whether every score has `paper` below 0.6 while `iso` stays from 0.95 to 1.05."""
    areas = []
    for output, (similarity, genuine) in zip(outputs, cases):
        score = np.asarray(output)
        if score.shape != similarity.shape or score.dtype.kind not in "biuf" or np.isnan(score).any():
            return Verdict(False, f"give one number for each of the {len(similarity)} "
                                  f"comparisons", "counter-example")
        areas.append(both_areas(similarity, genuine, score))
    paper, iso = np.mean(areas, axis=0)
    told = f" (paper {paper:.2f}, iso {iso:.2f})"
    if iso < 0.95:
        why = "`iso` falls too: that score discards the rejected genuine comparisons, as an honest one would"
        return Verdict(False, why + told, "hint")
    if iso > 1.05:
        return Verdict(False, "`iso` rises: genuine comparisons that are accepted leave before rejected "
                              "ones; let "
                       f"the genuine ones have no order at all{told}", "counter-example")
    if paper >= 0.6:
        left = [np.mean(score_of_impostors(output, case)) for output, case in zip(outputs, cases)]
        why = ("`paper` is not fooled: no impostor leaves within the limit" if max(left) == 0 else
               "`paper` is not fooled: the impostors that set the threshold are still there")
        return Verdict(False, why + told, "hint")
    return Verdict(True, f"right{told}", "right")


def score_of_impostors(score, case) -> np.ndarray:
    """Which impostors (I,) lie below the best score."""
    score = np.asarray(score)
    return score[~case[1]] < score.max()


def random_game(rng) -> str:
    """A score of random ingredients."""
    a, b, c = rng.normal(size=3).round(3)
    form = rng.choice(["{a} * similarity + {b} * genuine", "{a} * similarity * genuine + {b} * similarity",
                       "{a} * np.abs(similarity - {b})", "np.where(genuine, {a} * similarity, {b} * "
                                                         "similarity)",
                       "{a} * (similarity > {b}) + {c} * genuine", "np.sin({a} * similarity * 9) + {c} * "
                                                                   "genuine"])
    return f"def gamed_score(similarity, genuine):\n    return {form.format(a=a, b=b, c=c)}\n"
