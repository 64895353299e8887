"""Judges of exercises whose answer is a design: tried on people that nobody has seen, or held against the pack."""
import numpy as np
import torch

from fiqa_core.base.images import to_batch
from fiqa_core.course.exercise import Verdict
from fiqa_core.course.networks import cosines, rendered
from fiqa_core.course.pack import SWEEP, load_pack
from fiqa_core.evaluation.ranks import spearman
from fiqa_core.methods.pixels import sharpness
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import CAUSES, neutral

UNSEEN, ENOUGH = 5, 4           # people of a trial, and how many of them must show the effect


def wrong_form(text: str) -> Verdict:
    """The answer is of another form."""
    return Verdict(False, text, "counter-example")


def problem_of(capture) -> str:
    """What is wrong with a capture, a dictionary of flaws within the renderer's ranges; "" if nothing."""
    if not isinstance(capture, dict) or not capture:
        return f"{capture!r} is no capture: write a dictionary such as {{\"yaw\": 30}}"
    for name, value in capture.items():
        if name not in CAUSES:
            return f"there is no flaw {name!r}; there are: {', '.join(CAUSES)}"
        _, low, high, _ = CAUSES[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            return f"{name} is {value!r}: give a number from {low:g} to {high:g}"
    return ""


def trial(captures: list[dict], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sharpness and cosine with the portrait (len(captures) + 1, UNSEEN) of unseen people; row 0 is the portrait."""
    people, tables = sample_identities(UNSEEN, 9000 + seed), []
    for capture in ({}, *captures):
        table = neutral(UNSEEN)
        for name, value in capture.items():
            table[name] = float(value)
        tables.append(to_batch(rendered(people, np.arange(UNSEEN), table)))
    shown = torch.cat(tables)
    sharp = sharpness(shown).numpy().reshape(-1, UNSEEN)
    return sharp, cosines(shown, tables[0].repeat(len(tables), 1, 1, 1)).reshape(-1, UNSEEN)


# 1.3

def harms(strengths: dict[str, float], what: str = "cos") -> dict[str, float]:
    """Loss of mean cosine by flaws of the pack's sweep at one strength each."""
    return {flaw: float(1 - load_pack().swept(what, flaw)[:, SWEEP[flaw].index(value)].mean())
            for flaw, value in strengths.items()}


def judge_order(answer, strengths: dict[str, float], eye: str) -> Verdict:
    """Whether flaws are ordered by harm, the worst first: Spearman at least 0.9, which 1 % of orders reach.

    eye   the flaw that learners put first
    """
    if not isinstance(answer, (list, tuple)) or sorted(map(str, answer)) != sorted(strengths):
        return wrong_form(f"give a list of these six names: {', '.join(strengths)}")
    found = harms(strengths)
    rho = spearman(np.array([found[flaw] for flaw in answer]), -np.arange(len(answer)))
    if rho >= 0.9:
        return Verdict(True, f"right (Spearman {rho:.2f})", "right")
    if answer[0] == eye:
        return Verdict(False, f"{eye} first? That is what the eye dislikes (Spearman {rho:.2f})", "hint")
    return Verdict(False, f"the recogniser orders them otherwise (Spearman {rho:.2f}): look at step 5 "
                          f"again", "hint")


# 1.4 and 3.4

COVERS = {"mask", "bar", "hat", "glasses"}


def judge_captures(answer, seed: int) -> Verdict:
    """Two pairs (A, B) of captures with four different flaws: A less sharp and yet more alike by 0.2."""
    if not isinstance(answer, (list, tuple)) or len(answer) != 2 or not all(
            isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in answer):
        return wrong_form("give two pairs: [(A1, B1), (A2, B2)]")
    captures = [capture for pair in answer for capture in pair]
    for capture in captures:
        if problem_of(capture):
            return wrong_form(problem_of(capture))
        if len(capture) != 1:
            return wrong_form(f"each capture has one flaw, {capture} has {len(capture)}")
    flaws = [next(iter(capture)) for capture in captures]
    if len(set(flaws)) < 4:
        return Verdict(False, "the four captures need four different flaws", "hint")
    for number, pair in enumerate(answer, 1):
        sharp, cosine = trial(list(pair), seed)
        good = (sharp[1] < sharp[2]) & (cosine[1] >= cosine[2] + 0.2)
        if good.sum() < ENOUGH:
            told = (f"pair {number}: sharpness {sharp[1].mean():.4f} and {sharp[2].mean():.4f}, cosine "
                    f"{cosine[1].mean():.2f} and {cosine[2].mean():.2f}")
            if set(pair[0]) <= COVERS:
                return Verdict(False, f"A covers the face: a cover is sharp, and it hides ({told})", "hint")
            if np.mean(sharp[1] < sharp[2]) < 0.8:
                return Verdict(False, f"A is not the less sharp one ({told})", "hint")
            return Verdict(False, f"A is not more alike by 0.2 ({told})", "hint")
    return Verdict(True, f"right, on {ENOUGH} of {UNSEEN} unseen people or more", "right")


def random_captures(rng) -> str:
    """Two pairs with random flaws of random strength."""
    flaws = rng.choice([name for name in CAUSES if name != "age"], 4, replace=False)
    a = [{str(f): round(float(rng.uniform(CAUSES[f][1], CAUSES[f][2])), 3)} for f in flaws]
    return f"captures = [({a[0]}, {a[1]}), ({a[2]}, {a[3]})]\n"


def judge_capture(answer, seed: int) -> Verdict:
    """A capture whose sharpness rises tenfold while the cosine falls by 0.1, and its mean stays above 0.6."""
    if problem_of(answer):
        return wrong_form(problem_of(answer))
    sharp, cosine = trial([answer], seed)
    factor = sharp[1] / sharp[0]
    told = f"sharpness times {factor.mean():.1f}, mean cosine {cosine[1].mean():.2f}"
    if factor.mean() < 1:
        return Verdict(False, f"the picture is less sharp than before ({told})", "hint")
    if (factor >= 10).sum() < ENOUGH:
        return Verdict(False, f"too weak: sharpness does not rise tenfold ({told})", "hint")
    if cosine[1].mean() < 0.6:
        return Verdict(False, f"too strong: hardly anybody would be recognised ({told})", "hint")
    if (cosine[1] <= 0.9).sum() < ENOUGH:
        return Verdict(False, f"sharp enough, but the recogniser hardly minds ({told})", "hint")
    return Verdict(True, f"right ({told})", "right")


def random_capture(rng) -> str:
    """One or two random flaws."""
    flaws = rng.choice(list(CAUSES), rng.integers(1, 3), replace=False)
    return f"capture = {({str(f): round(float(rng.uniform(CAUSES[f][1], CAUSES[f][2])), 3) for f in flaws})!r}\n"


# 4.4 and 5.4

def judge_words(answer, truth: dict[str, str], words: tuple[str, ...], hints: dict[str, str]) -> Verdict:
    """Whether flaw -> word is what was measured; `hints` say what to look at."""
    if not isinstance(answer, dict) or set(answer) != set(truth) or not set(map(str, answer.values())) <= set(words):
        return wrong_form(f"give a dictionary from {', '.join(truth)} to one of: {', '.join(words)}")
    for flaw, word in truth.items():
        if answer[flaw] != word:
            return Verdict(False, hints.get(flaw, f"{flaw} does something else: look at the figure "
                                                  f"again"), "hint")
    return Verdict(True, "right", "right")


def random_words(rng, flaws, words, name: str) -> str:
    """A random word for each flaw."""
    return f"{name} = { {flaw: str(rng.choice(words)) for flaw in flaws}!r}\n"


# 6.4

def judge_split(outputs: list, cases: list[tuple]) -> Verdict:
    """Whether a mask (N,) puts about a share of the images aside, and nobody on both sides."""
    for mask, (identity, share, _) in zip(outputs, cases):
        mask = np.asarray(mask)
        if mask.shape != identity.shape or mask.dtype != bool:
            return wrong_form(f"give a bool for each of the {len(identity)} images")
        both = set(identity[mask].tolist()) & set(identity[~mask].tolist())
        if both:
            return Verdict(False, f"{len(both)} people are on both sides: the student has met whom it is "
                                  f"tested on",
                           "hint")
        people = len(np.unique(identity))
        if len(np.unique(identity[mask])) != round(share * people):
            return Verdict(False, f"{len(np.unique(identity[mask]))} of {people} people are put aside, where "
                                  f"a share "
                           f"of {share} is wanted", "hint")
    asides = {tuple(np.unique(identity[np.asarray(mask)])) for mask, (identity, _, _) in zip(outputs, cases)}
    if len(asides) == 1:
        return Verdict(False, "always the same people are put aside: draw them with the generator", "hint")
    return Verdict(True, "right", "right")


# 8.3

def judge_causes(outputs: list, truths: list[int], kinds: list[str]) -> Verdict:
    """Whether 70 % of unseen faces were told their flaw."""
    given = np.array([int(output) if isinstance(output, (int, np.integer)) else -1 for output in outputs])
    if not np.isin(given, range(len(kinds))).all():
        return wrong_form(f"return a whole number from 0 to {len(kinds) - 1}, the place of the flaw")
    share = float(np.mean(given == np.array(truths)))
    if share >= 0.7:
        return Verdict(True, f"right for {share:.0%} of {len(truths)} unseen faces", "right")
    if len(np.unique(given)) == 1:
        return Verdict(False, f"every face is called {kinds[given[0]]}: right for {share:.0%}", "hint")
    taken = [f"{kinds[k]} for {kinds[np.bincount(given[np.array(truths) == k], minlength=len(kinds)).argmax()]}"
             for k in range(len(kinds)) if np.mean(given[np.array(truths) == k] == k) < 0.5]
    return Verdict(False, f"right for {share:.0%}; mostly taken: {', '.join(taken)}", "hint")
