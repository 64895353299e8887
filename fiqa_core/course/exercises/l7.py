"""Lesson 7: reading tables and doubting them."""
import numpy as np
import pandas as pd

from fiqa_core.course.exercise import Exercise, Verdict, Wrong
from fiqa_core.course.published_claims import CLAIMS, judge_claims, random_claims
from fiqa_core.evaluation.bootstrap import pair_weights, percentile_interval

INTERVAL = """def interval(errors, identity, drawn):
    \"\"\"2.5 and 97.5 percentiles of the error rate. errors (P,) bool and identity (P,) of genuine comparisons;
    drawn (R, I): the identities of each of R resamples, some of them several times.\"\"\"
    """
INTERVAL_BODY = """counts = np.array([[np.sum(draw == who) for who in identity] for draw in drawn])
    rates = (counts * errors).sum(axis=1) / counts.sum(axis=1)
    return np.percentile(rates, [2.5, 97.5])
"""


def draw_resamples(rng) -> list[tuple]:
    """People with different numbers of comparisons and error rates."""
    cases = []
    for people, resamples in ((3, 12), (4, 15), (5, 18), (4, 20), (6, 14)):
        identity = np.repeat(np.arange(people), rng.integers(2, 7, people))
        errors = rng.random(len(identity)) < rng.uniform(0, 0.7, people)[identity]
        cases.append((errors, identity, rng.integers(people, size=(resamples, people))))
    return cases


def interval(errors, identity, drawn):
    """The package's interval."""
    counts = np.array([np.bincount(draw, minlength=drawn.shape[1]) for draw in drawn]).T.astype(float)
    weights = pair_weights(counts, identity, identity)
    low, high = percentile_interval(errors @ weights / weights.sum(axis=0))
    return np.array([low, high])


RANK = """def mean_ranks(pauc, marked):
    \"\"\"Mean rank (M,) of M methods over B benchmarks, 1 the best; pauc (M, B), marked (M, B) bool.\"\"\"
    """
RANK_BODY = """ranks = np.full(pauc.shape, np.nan)
    for b in range(pauc.shape[1]):
        own = ~marked[:, b]
        values = pauc[own, b]
        ranks[own, b] = [np.sum(values < v) + (np.sum(values == v) + 1) / 2 for v in values]
    return np.nanmean(ranks, axis=1)
"""


def draw_tables(rng) -> list[tuple]:
    """Printed areas with ties and one marked cell."""
    cases = []
    for methods, benchmarks in ((3, 2), (4, 3), (5, 4), (8, 5), (12, 7)):
        pauc = rng.integers(60, 60 + 2 * methods, (methods, benchmarks)) / 100
        pauc[1] = np.where(np.arange(benchmarks) == 0, pauc[0], pauc[1])
        marked = np.zeros(pauc.shape, bool)
        place = rng.integers(methods), rng.integers(benchmarks)
        marked[place], pauc[place] = True, pauc.min() - 0.05
        cases.append((pauc, marked))
    return cases


def mean_ranks(pauc, marked):
    """pandas' ranks, ties averaged."""
    return pd.DataFrame(np.where(marked, np.nan, pauc)).rank().mean(axis=1).to_numpy()


NEEDED = """def identities_needed(width, identities, difference):
    \"\"\"How many identities until half an interval is as narrow as a difference; now it is `width` wide with
    `identities` of them.\"\"\"
    """


def judged_claims(outputs, cases, seed) -> Verdict:
    """The verdicts on the five sentences with the printed numbers."""
    return judge_claims(outputs[0])


EXERCISES = [
    Exercise(
        "7.1", "interval", 8,
        "How certain is an error rate? Draw *people* again and again, with replacement, and look at the "
        "rates that come "
        "out. A person drawn twice brings all her comparisons twice. The drawn people are given; return the "
        "two "
        "percentiles with `np.percentile`.",
        INTERVAL + "return ...\n", INTERVAL + INTERVAL_BODY,
        (Wrong("an identity's comparisons move together: you resample comparisons as if each stood alone",
               "[[np.sum(draw == who) for who in identity] for draw in drawn]",
               "[np.bincount(draw % len(errors), minlength=len(errors)) for draw in drawn]"),
         Wrong("who is drawn twice counts twice, in yours only once", "np.sum(draw == who)", "np.any(draw == "
                                                                                             "who)"),
         Wrong("people count equally in yours, however many comparisons they bring",
               "(counts * errors).sum(axis=1) / counts.sum(axis=1)",
               "np.array([np.mean([errors[identity == who].mean() for who in draw]) for draw in drawn])"),
         Wrong("that is mean and deviation: an interval of a rate need not be symmetric, take percentiles",
               "np.percentile(rates, [2.5, 97.5])", "rates.mean() + 1.96 * rates.std() * np.array([-1, 1])"),
         Wrong("that leaves out a tenth: 95 % lie between the percentiles 2.5 and "
               "97.5", "[2.5, 97.5]", "[5, 95]")),
        draw_resamples, interval),
    Exercise(
        "7.2", "mean_ranks", 7,
        "A mean of areas lets the benchmark with the widest values decide; ranks do not. Lower is better and "
        "has rank "
        "1, equal values share the mean of their ranks, and marked cells (SER-FIQ on XQLFW, which it helped "
        "to choose) "
        "take no part: neither in the ranking of their benchmark nor in the mean of their method.",
        RANK + "return ...\n", RANK + RANK_BODY,
        (Wrong("equal values got different ranks, by their order in the table",
               "[np.sum(values < v) + (np.sum(values == v) + 1) / 2 for v in values]",
               "np.argsort(np.argsort(values, kind=\"stable\"), kind=\"stable\") + 1"),
         Wrong("the marked cell takes part: its method helped to choose these images", "~marked[:, b]",
               "np.ones(len(pauc), bool)"),
         Wrong("your best is the highest: less area is less error", "np.sum(values < v)", "np.sum(values > v)"),
         Wrong("the ranks begin at 0: the best is 1", "(np.sum(values == v) + 1) / 2",
               "(np.sum(values == v) - 1) / 2"),
         Wrong("equal values share the mean of their ranks, in yours they take the best of them",
               "(np.sum(values == v) + 1) / 2", "1")),
        draw_tables, mean_ranks),
    Exercise(
        "7.3", "verdicts", 8,
        "Five sentences about the printed tables, below as `a` to `e`. For each give the word (`\"true\"`, "
        "`\"false\"` "
        "or `\"not decidable\"`) and the printed numbers that show it, none where nothing printed can show it: "
        "`{\"a\": (\"true\", [0.7519, 0.6847]), ...}`. The word alone earns nothing.\n\n"
        + "\n".join(f"- **{key}** {claim.sentence}" for key, claim in CLAIMS.items()),
        "verdicts = ...\n",
        "verdicts = " + repr({key: (claim.word, list(claim.numbers)) for key, claim in CLAIMS.items()}) + "\n",
        (Wrong("e is called false: nothing printed says by how much two averages differ by chance",
               "'not decidable', []", "'false', [0.6822, 0.6768]"),
         Wrong("a: the word is right, the numbers do not show it", "[0.6822, 0.6768]", "[0.6822]"),
         Wrong("b: another word", "('false', [1.224])", "('true', [1.224])")),
        judge=judged_claims, monkey=random_claims, points=2),
    Exercise(
        "7.4", "identities_needed", 5,
        "An interval narrows with the root of the number of people. How many would it take until *half* the "
        "interval is "
        "no wider than a difference you want to see? Return a whole number, rounded up.",
        NEEDED + "return ...\n",
        NEEDED + "return int(np.ceil(identities * (width / 2 / difference) ** 2))\n",
        (Wrong("twice as many people do not halve the interval: it narrows with the root", " ** 2", ""),
         Wrong("half the interval is to be as narrow, not the whole", "width / 2", "width"),
         Wrong("round up: with fewer people the interval is still too wide", "np.ceil", "np.floor"),
         Wrong("upside down: a smaller difference needs more people", "(width / 2 / difference)",
               "(difference / (width / 2))")),
        lambda rng: [(float(rng.uniform(0.05, 0.2)), int(rng.integers(50, 2000)), d)
                     for d in (0.005, 0.01, 0.02, 0.003, 0.03)],
        lambda width, identities, difference: int(np.ceil(identities / (2 * difference / width) ** 2))),
]
