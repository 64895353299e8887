"""Lesson 1: decisions and thresholds."""
import numpy as np

from fiqa_core.course.designs import judge_captures, judge_order, random_captures
from fiqa_core.course.exercise import Exercise, Verdict, Wrong
from fiqa_core.evaluation.comparisons import unit
from fiqa_core.evaluation.thresholds import threshold_at_fmr


def draw_decisions(rng) -> list[tuple]:
    """Pairs of embeddings far from the threshold on both sides, and exact ones upon it."""
    exact = [(np.array([2.0, 0, 0, 0]), np.array([4.0, 4, 4, 4]), 0.5),
             (np.array([0, 8.0, 0, 0]), np.array([0, 2.0, 0, 0]), 1.0)]
    cases = []
    for wanted, side in ((-0.2, 1), (0.3, 1), (0.3, -1), (0.8, 1), (0.8, -1), (0.55, 1)):
        a, b = rng.normal(size=(2, 6))
        a /= np.linalg.norm(a)
        b -= b @ a * a
        other = wanted * a + np.sqrt(1 - wanted ** 2) * b / np.linalg.norm(b)
        lengths = rng.uniform(7, 16, 2)
        t = wanted + side * rng.uniform(0.05, 0.2)
        cases.append((a * lengths[0], other * lengths[1], float(t)))
    cases.append((cases[0][0], cases[0][0] * 1.5, 0.9))
    cases.append((cases[1][0], -cases[1][0], 0.1))
    return exact + cases


def decide(e1, e2, t):
    """What the package decides."""
    return bool((unit(e1[None]) @ unit(e2[None]).T)[0, 0] >= t)


DECIDE = """def decide(e1, e2, t):
    \"\"\"True where embeddings e1, e2 (D,) are taken for one person at the threshold t.\"\"\"
    """


def draw_impostors(rng) -> list[tuple]:
    """Similarities with ties, and numbers of impostors that the rate divides or does not."""
    cases = []
    for impostors, fmr in ((30, 0.1), (47, 0.1), (300, 0.01), (60, 0.05), (250, 0.01), (25, 0.1)):
        genuine = np.arange(impostors + 20) < 20
        values = np.where(genuine, rng.normal(0.7, 0.1, len(genuine)), rng.normal(0.1, 0.15, len(genuine)))
        order = rng.permutation(len(values))
        cases.append((values[order].round(6 if fmr == 0.1 else 2), genuine[order], fmr))
    return cases


def threshold(similarity, genuine, fmr):
    """The package's threshold, of the impostors alone."""
    return threshold_at_fmr(similarity[~genuine], fmr)


THRESHOLD = """def threshold(similarity, genuine, fmr):
    \"\"\"Smallest threshold whose false match rate is at most fmr. similarity (P,), genuine (P,) bool.\"\"\"
    """

ORDERED = {"defocus": 3, "hat": 0.6, "mask": 0.8, "noise": 50, "smile": 1, "yaw": 60}


def judged_order(outputs, cases, seed) -> Verdict:
    """The verdict on an order of flaws."""
    return judge_order(outputs[0], ORDERED, "defocus")


def judged_captures(outputs, cases, seed) -> Verdict:
    """The verdict on two pairs of captures."""
    return judge_captures(outputs[0], seed)


EXERCISES = [
    Exercise(
        "1.1", "decide", 4,
        "Are two embeddings taken for one person? Their similarity is the cosine of the angle between them; a "
        "comparison is accepted when its similarity is at least `t`.",
        DECIDE + "return ...\n",
        DECIDE + "cosine = e1 @ e2 / (np.linalg.norm(e1) * np.linalg.norm(e2))\n    return bool(cosine >= t)\n",
        (Wrong("these embeddings have lengths from 7 to 16: without dividing by both, length counts as "
               "likeness",
               " / (np.linalg.norm(e1) * np.linalg.norm(e2))", ""),
         Wrong("a comparison that lies exactly at the threshold is accepted", ">= t", "> t"),
         Wrong("that is a distance: the larger a similarity, the more alike",
               "e1 @ e2 / (np.linalg.norm(e1) * np.linalg.norm(e2))", "np.linalg.norm(e1 - e2)")),
        draw_decisions, decide),
    Exercise(
        "1.2", "threshold", 6,
        "Which threshold lets at most a share `fmr` of the impostors pass? A comparison passes at "
        "`similarity >= t`. "
        "Of all thresholds that keep the promise return the smallest; `np.nextafter(s, np.inf)` is the "
        "number just "
        "above `s`. `np.floor(fmr * M + 1e-9)` says how many of `M` impostors may pass.",
        THRESHOLD + "return ...\n",
        THRESHOLD + "impostor = np.sort(similarity[~genuine])[::-1]\n"
        "    allowed = int(np.floor(fmr * len(impostor) + 1e-9))\n"
        "    return np.nextafter(impostor[allowed], np.inf)\n",
        (Wrong("no comparison has the similarity you return: it lies between two that occurred",
               "np.nextafter(impostor[allowed], np.inf)", "np.quantile(impostor, 1 - fmr)"),
         Wrong("k impostors may pass, and you let k + 1: the one at the threshold is accepted too",
               "np.nextafter(impostor[allowed], np.inf)", "impostor[allowed]"),
         Wrong("k impostors may pass, and you let only k - 1: counting starts at 0", "(impostor[allowed]",
               "(impostor[allowed - 1]"),
         Wrong("a false match rate knows impostors only, and genuine comparisons are in "
               "yours", "[~genuine]", ""),
         Wrong("that is the lowest end of the impostors: almost all of them pass", "[::-1]", "")),
        draw_impostors, threshold, tolerance=0.0),
    Exercise(
        "1.3", "harm_order", 4,
        "Order six flaws by the harm that they do to recognition, the worst first. Write your guess *before* "
        "you look at "
        "step 5 again, and your list after it here: " + ", ".join(f"`{k}` at "
                                                                  f"{v:g}" for k, v in ORDERED.items()) + ".",
        "harm_order = ...\n", "harm_order = [\"mask\", \"yaw\", \"hat\", \"defocus\", \"noise\", \"smile\"]\n",
        (Wrong("That is what the eye dislikes", "[\"mask\", \"yaw\", \"hat\", \"defocus\", \"noise\", "
                                                "\"smile\"]",
               "[\"defocus\", \"noise\", \"yaw\", \"mask\", \"hat\", \"smile\"]"),
         Wrong("the recogniser orders them otherwise", "[\"mask\", \"yaw\", \"hat\", \"defocus\", \"noise\", "
                                                       "\"smile\"]",
               "[\"smile\", \"noise\", \"defocus\", \"hat\", \"yaw\", \"mask\"]")),
        judge=judged_order, monkey=lambda rng: f"harm_order = {rng.permutation(list(ORDERED)).tolist()!r}\n"),
    Exercise(
        "1.4", "captures", 7,
        "Find two pairs of captures `(A, B)`, each capture a dictionary of *one* flaw such as `{\"yaw\": "
        "30}`, with four "
        "different flaws in all, so that A is less sharp than B and is nevertheless more like the portrait, "
        "by 0.2. "
        "Tried on five people whom nobody has seen; four of them must show it.",
        "captures = [(..., ...), (..., ...)]\n",
        "captures = [({\"defocus\": 2}, {\"mask\": 0.8}), ({\"resolution\": 40}, {\"yaw\": 75})]\n",
        (Wrong("A covers the face", "{\"defocus\": 2}, {\"mask\": 0.8}", "{\"mask\": 0.8}, {\"defocus\": 2}"),
         Wrong("the four captures need four different flaws", "{\"resolution\": 40}", "{\"defocus\": 3}"),
         Wrong("A is not the less sharp one", "{\"defocus\": 2}", "{\"noise\": 30}"),
         Wrong("A is not more alike by 0.2", "{\"mask\": 0.8}", "{\"smile\": 0.5}")),
        judge=judged_captures, monkey=random_captures, points=2, seeds=3),
]
