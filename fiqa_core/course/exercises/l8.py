"""Lesson 8: open challenges, each with a measurement."""
from functools import cache

import numpy as np

from fiqa_core.course.designs import judge_causes
from fiqa_core.course.exercise import Exercise, Verdict, Wrong
from fiqa_core.course.kinds import KINDS, kinds, measures
from fiqa_core.evaluation.comparisons import pool

FUSE = """def fuse(embeddings, quality):
    \"\"\"One unit vector (D,) for a clip from its frames' embeddings (n, D) and qualities (n,) > 0.\"\"\"
    """
FUSE_BODY = """unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    total = quality @ unit
    return total / np.linalg.norm(total)
"""


def draw_clips(rng) -> list[tuple]:
    """Frames around one direction, whose lengths and qualities differ."""
    return [(rng.normal(size=(n, 5)) * rng.uniform(5, 15, (n, 1)) + 6 * rng.normal(size=5), rng.uniform(0.05, 3, n))
            for n in (2, 3, 5, 8, 12)]


def fuse(embeddings, quality):
    """The package's template of one clip."""
    zeros = np.zeros(len(embeddings), int)
    return pool(embeddings, zeros, zeros, quality)[0]


RATIO = """def variability(scores):
    \"\"\"Deviation within pictures over deviation between them; scores (P, J) of P pictures, each cropped J times.\"\"\"
    """


def variability(scores):
    """Root of the mean variance within pictures over the deviation of their means."""
    within = np.sqrt(np.mean([np.var(row) for row in scores]))
    return within / np.std([np.mean(row) for row in scores])


POINT = """def operating_point(similarity, split_a, goal):
    \"\"\"Threshold found on half A of genuine comparisons, and its FNMR on half B; split_a (P,) bool.\"\"\"
    """
POINT_BODY = """own = np.sort(similarity[split_a])
    t = own[int(np.floor(goal * len(own) + 1e-9))]
    return t, np.mean(similarity[~split_a] < t)
"""


def draw_halves(rng) -> list[tuple]:
    """Genuine similarities of two halves that differ a little."""
    cases = []
    for count, goal in ((40, 0.1), (90, 0.05), (60, 0.2), (200, 0.02), (150, 0.1)):
        split = rng.permutation(count) < count // 2
        cases.append(((rng.normal(0.6, 0.15, count) - 0.1 * split).round(4), split, goal))
    return cases


def operating_point(similarity, split_a, goal):
    """The largest threshold that rejects at most `goal` of A, by trying all."""
    a, b = similarity[split_a], similarity[~split_a]
    t = max(s for s in a if np.mean(a < s) <= goal + 1e-9)
    return t, np.mean(b < t)


CAUSE = """def cause(m, centres, spread):
    \"\"\"Place of the flaw of a face with the measures m (8,): centres (6, 8) of six kinds of faces, spread (8,).\"\"\"
    """


@cache
def unseen_kinds(seed: int):
    """Measures (60, 8) of faces with one flaw each, the kind of each, and centres and spread of other people."""
    known, kind = kinds(10, 81)
    found = measures(known)
    centres = np.stack([found[kind == name].mean(axis=0) for name in KINDS])
    faces, truth = kinds(10, 500 + seed % 3)
    return measures(faces).astype(float), [list(KINDS).index(name) for name in truth], centres, found.std(axis=0), list(KINDS)


def draw_kinds(rng) -> list[tuple]:
    """Sixty unseen faces."""
    found, _, centres, spread, _ = unseen_kinds(int(rng.integers(3)))
    return [(m, centres, spread) for m in found]


def judged_causes(outputs, cases, seed) -> Verdict:
    """The share of faces whose flaw was told."""
    known = next(facts for facts in map(unseen_kinds, range(3)) if np.array_equal(facts[0][0], cases[0][0]))
    return judge_causes(outputs, known[1], known[4])


EXERCISES = [
    Exercise(
        "8.1", "fuse", 5,
        "One vector for a clip: bring each frame's embedding to length 1, take their sum weighted by "
        "quality, and bring "
        "the result to length 1.",
        FUSE + "return ...\n", FUSE + FUSE_BODY,
        (Wrong("every frame counts the same in yours: weight by quality", "quality @ unit", "unit.sum(axis=0)"),
         Wrong("the fused vector has lost its length: a cosine forgives that, a distance does not",
               "total / np.linalg.norm(total)", "total / quality.sum()"),
         Wrong("a softmax of raw scores depends on the scale of the method", "quality @ unit",
               "np.exp(quality) / np.exp(quality).sum() @ unit"),
         Wrong("long embeddings count more in yours: bring them to length 1 first", "quality @ unit",
               "quality @ embeddings"),
         Wrong("that is the best frame alone", "quality @ unit", "unit[np.argmax(quality)]")),
        draw_clips, fuse, tolerance=1e-5),
    Exercise(
        "8.2", "variability", 5,
        "A detector finds a face a little differently each time. Does a score mind more than it tells people "
        "apart? "
        "Divide the deviation within a picture (the root of the mean variance over its crops) by the "
        "deviation of the "
        "pictures' mean scores.",
        RATIO + "return ...\n",
        RATIO + "within = np.sqrt(scores.var(axis=1).mean())\n    return within / scores.mean(axis=1).std()\n",
        (Wrong("that is the deviation of everything: pictures differ too", "np.sqrt(scores.var(axis=1).mean())",
               "scores.std()"),
         Wrong("the two directions are swapped", "scores.var(axis=1).mean())\n    return within / "
                                                 "scores.mean(axis=1)",
               "scores.var(axis=0).mean())\n    return within / scores.mean(axis=0)"),
         Wrong("deviations are not averaged: average the variances, then take the root",
               "np.sqrt(scores.var(axis=1).mean())", "scores.std(axis=1).mean()"),
         Wrong("variances were divided; the ratio of deviations is asked",
               "np.sqrt(scores.var(axis=1).mean())\n    return within / scores.mean(axis=1).std()",
               "scores.var(axis=1).mean()\n    return within / scores.mean(axis=1).var()")),
        lambda rng: [(rng.normal(0.7, 0.1, (p, 1)) + rng.normal(0, 0.05, (p, j)) * rng.uniform(0.3, 2, (p, 1)),)
                     for p, j in ((3, 4), (5, 6), (8, 3), (10, 10), (20, 5))], variability),
    Exercise(
        "8.3", "cause", 8,
        "Not only how poor a picture is, but *why*. Eight measures of a face are given, and the mean "
        "measures of faces "
        "of six kinds (none, pose, blur, noise, dark, side light). Return the place of the kind that is "
        "nearest. "
        "70 % of sixty unseen faces must be right. Mind that the measures have different scales.",
        CAUSE + "return ...\n",
        CAUSE + "return int(np.argmin((((centres - m) / spread) ** 2).sum(axis=1)))\n",
        (Wrong("every face is called pose", "int(np.argmin((((centres - m) / spread) ** 2).sum(axis=1)))", "1"),
         Wrong("mostly taken", "np.argmin", "np.argmax"),
         Wrong("every face is called side light", "((centres - m) / spread) ** 2", "(centres / spread) ** 2")),
        draw_kinds, judge=judged_causes, points=2, seeds=3,
        monkey=lambda rng: CAUSE + f"w = np.array({rng.normal(size=8).round(2).tolist()})\n"
                                   f"    return int(np.argsort(centres @ w)[int(abs(m @ w) * 7) % 6])\n"),
    Exercise(
        "8.4", "operating_point", 6,
        "An application may reject a share `goal` of the right people. Find the largest threshold that keeps "
        "this on "
        "half A (a comparison is accepted at `similarity >= t`; take one of A's similarities), then say what "
        "it really "
        "rejects on half B, which had no say. Return both.",
        POINT + "return ..., ...\n", POINT + POINT_BODY,
        (Wrong("the threshold was fitted on B, where it is to be tested", "similarity[split_a])",
               "similarity[~split_a])"),
         Wrong("all comparisons had a say: then B is no test", "similarity[split_a])", "similarity)"),
         Wrong("the rate is that of A: it promises, B tells", "similarity[~split_a] < "
                                                              "t", "similarity[split_a] < t"),
         Wrong("one more rejection is allowed: a comparison at the threshold is accepted",
               "int(np.floor(goal * len(own) + 1e-9))", "int(np.floor(goal * len(own) + 1e-9)) - 1")),
        draw_halves, operating_point),
]
