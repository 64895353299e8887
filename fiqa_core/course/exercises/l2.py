"""Lesson 2: error-versus-discard curves and their partial area."""
import numpy as np

from fiqa_core.course.exercise import Exercise, Verdict, Wrong
from fiqa_core.course.game import judge_game, random_game
from fiqa_core.evaluation import comparisons
from fiqa_core.evaluation.discard import discard_steps, ranks
from fiqa_core.evaluation.edc import step_area


def draw_pairs(rng) -> list[tuple]:
    """Qualities of images, and which of them are compared."""
    return [(rng.normal(0.3, 0.6, n).round(3), rng.integers(n, size=2 * n), rng.integers(n, size=2 * n))
            for n in (3, 5, 8, 13, 21)]


PAIR = """def pair_quality(quality, a, b):
    \"\"\"Quality (P,) of comparisons of the images a, b (P,), which are places in quality (N,).\"\"\"
    """


def draw_curves(rng) -> list[tuple]:
    """Comparisons with ties, at least one error kept and one discarded."""
    cases = []
    for n in (6, 10, 25, 40, 80):
        quality = rng.integers(0, max(4, n // 3), n) / 10
        errors = rng.random(n) < np.where(quality < np.median(quality), 0.6, 0.25)
        errors[np.argmin(quality)], errors[np.argmax(quality)] = True, True
        cases.append((errors, quality))
    return cases


def edc(errors, quality):
    """The package's step curve."""
    return discard_steps(errors, ranks(quality))


EDC = """def edc(errors, quality):
    \"\"\"Points (discard, fnmr) of the curve, two arrays (K,); errors (P,) bool: genuine and rejected.\"\"\"
    """
EDC_BODY = """levels = np.unique(quality)
    discard = np.array([np.mean(quality < q) for q in levels])
    fnmr = np.array([np.mean(errors[quality >= q]) for q in levels])
    return discard, fnmr
"""


def draw_areas(rng) -> list[tuple]:
    """Step curves that the limit cuts between two points."""
    cases = []
    for points, limit in ((3, 0.5), (6, 0.3), (9, 0.3), (15, 0.2), (30, 0.4)):
        inner = np.sort(rng.choice(np.arange(1, 100), points - 1, replace=False)) / 100 + 0.003
        cases.append((np.append(0.0, inner), rng.uniform(0.02, 0.4, points), limit))
    return cases


def pauc(discard, fnmr, limit):
    """The area of preset `iso`."""
    return step_area(discard, fnmr, limit) / (limit * fnmr[0])


PAUC = """def pauc(discard, fnmr, limit):
    \"\"\"Area under the curve up to limit, over the area of no discarding; the curve holds fnmr[i] from
    discard[i] until discard[i + 1].\"\"\"
    """
PAUC_BODY = """edges = np.minimum(np.append(discard, 1.0), limit)
    return np.sum(fnmr * np.diff(edges)) / (limit * fnmr[0])
"""


def draw_games(rng) -> list[tuple]:
    """Comparisons of people that nobody has seen: the similarities of a fair recogniser."""
    cases = []
    for _ in range(5):
        genuine = np.arange(4000) < 1000
        similarity = np.where(genuine, rng.normal(0.6, 0.17, 4000), rng.normal(0.1, 0.16, 4000)).clip(-1, 1)
        cases.append((similarity, genuine))
    return cases


def judged_game(outputs, cases, seed) -> Verdict:
    """The two presets' areas of a gamed score."""
    return judge_game(outputs, cases)


GAME = """def gamed_score(similarity, genuine):
    \"\"\"A "quality" (P,) of comparisons for which `paper` falls below 0.6 while `iso` stays from 0.95 to 1.05.\"\"\"
    """

EXERCISES = [
    Exercise(
        "2.1", "pair_quality", 3,
        "A comparison has two images and needs one quality. Which number of the two makes discarding images "
        "and "
        "discarding comparisons the same thing?",
        PAIR + "return ...\n", PAIR + "return np.minimum(quality[a], quality[b])\n",
        (Wrong("a good image does not mend a poor one: averaged, a comparison with one useless image may stay",
               "np.minimum(quality[a], quality[b])", "(quality[a] + quality[b]) / 2"),
         Wrong("scores may be negative, and a product of two poor ones then looks good",
               "np.minimum(quality[a], quality[b])", "quality[a] * quality[b]"),
         Wrong("that is the better of the two, but the poorer one spoils the comparison", "minimum", "maximum"),
         Wrong("that reads only one of the two images", "np.minimum(quality[a], quality[b])", "quality[a]")),
        draw_pairs, comparisons.pair_quality),
    Exercise(
        "2.2", "edc", 8,
        "The curve: discard the comparisons of lowest quality, and say which share of those that are left is "
        "rejected. "
        "Comparisons of equal quality leave together, so that there is one point for each quality that "
        "occurs: the "
        "share discarded before it, and the error rate of what is kept.",
        EDC + "discard, fnmr = ..., ...\n    return discard, fnmr\n", EDC + EDC_BODY,
        (Wrong("your curve discards the best first", "np.mean(quality < q) for q in levels])\n    fnmr = "
                                                     "np.array("
               "[np.mean(errors[quality >= q]) for q in levels])", "np.mean(quality > q) for q in "
                                                                   "levels[::-1]])\n"
               "    fnmr = np.array([np.mean(errors[quality <= q]) for q in levels[::-1]])"),
         Wrong("comparisons of equal quality were split, in an order that means nothing", EDC_BODY,
               "order = np.argsort(quality, kind=\"stable\")\n    n = len(quality)\n    discard = "
               "np.arange(n) / n\n"
               "    fnmr = np.array([errors[order][i:].mean() for i in range(n)])\n    return discard, fnmr\n"),
         Wrong("your rate divides by all comparisons: it must divide by those that are kept",
               "np.mean(errors[quality >= q])", "np.sum(errors[quality >= q]) / len(errors)"),
         Wrong("those that lie at the quality q are still kept when it begins", "np.mean(quality < q)",
               "np.mean(quality <= q)"),
         Wrong("that is the share of errors that is left of all errors; the rate of the kept comparisons is "
               "asked",
               "np.mean(errors[quality >= q])", "np.sum(errors[quality >= q]) / np.sum(errors)")),
        draw_curves, edc),
    Exercise(
        "2.3", "pauc", 6,
        "One number for the left part of the curve: the area below it up to `limit`, as a share of the area "
        "with "
        "nothing gained (`limit` times the first rate). 1 is no better than chance.",
        PAUC + "return ...\n", PAUC + PAUC_BODY,
        (Wrong("the curve holds its value until the next point: no slanted lines", PAUC_BODY,
               "part = discard <= limit\n    return np.trapezoid(fnmr[part], discard[part]) / (limit * "
               "fnmr[0])\n"),
         Wrong("the last step reaches beyond the limit and must be cut there", PAUC_BODY,
               "edges = np.append(discard, 1.0)\n    part = discard < limit\n"
               "    return np.sum((fnmr * np.diff(edges))[part]) / (limit * fnmr[0])\n"),
         Wrong("divide by the first rate too, or sets of different difficulty cannot be compared",
               "(limit * fnmr[0])", "limit"),
         Wrong("divide by the width too: the area of no discarding is a rectangle", "(limit * "
                                                                                    "fnmr[0])", "fnmr[0]"),
         Wrong("the whole curve is not asked, only its part up to the limit", PAUC_BODY,
               "edges = np.append(discard, 1.0)\n    return np.sum(fnmr * np.diff(edges)) / fnmr[0]\n")),
        draw_areas, pauc),
    Exercise(
        "2.4", "gamed_score", 8,
        "Fool a preset. Under `paper` impostor comparisons leave too, and the threshold follows them. Invent "
        "a score of "
        "comparisons that looks excellent there (below 0.6 at the limit 0.3) while `iso` finds it as good as "
        "chance. "
        "It is judged on comparisons that you have not seen.",
        GAME + "return ...\n",
        GAME + "return np.where(genuine, 1.0, -similarity)\n",
        (Wrong("`iso` falls too: that score discards the rejected genuine comparisons, as an honest one would",
               "np.where(genuine, 1.0, -similarity)", "np.where(genuine, similarity, 1.0)"),
         Wrong("`paper` is not fooled: the impostors that set the threshold are still there",
               "np.where(genuine, 1.0, -similarity)", "np.where(genuine, 1.0, similarity)"),
         Wrong("`paper` is not fooled: no impostor leaves within the limit",
               "np.where(genuine, 1.0, -similarity)", "np.ones(len(similarity))")),
        draw_games, judge=judged_game, monkey=random_game, points=2),
]
