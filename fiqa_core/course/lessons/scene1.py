"""Lesson 1: which picture would a recogniser refuse?"""
from functools import cache

import numpy as np
import torch

from fiqa_core.course import sketch
from fiqa_core.course.claims import Claim
from fiqa_core.course.game import FMR
from fiqa_core.course.networks import cosines, faces, network
from fiqa_core.course.pack import SWEEP, load_pack, unit
from fiqa_core.evaluation.thresholds import threshold_at_fmr

# letter -> (caption, flaws); one person, one capture each
SIX = {"A": ("portrait", {}), "B": ("out of focus", {"defocus": 2}), "C": ("mask", {"mask": 0.8}),
       "D": ("turned away", {"yaw": 60}), "E": ("lit from the "
                                                "side", {"light_angle": 80}), "F": ("smile", {"smile": 1})}
GRID = ({}, {"smile": 0.8}, {"yaw": 30}, {"light_angle": 50})
SLIDE = (("pleasing", {"smile": 0.5}), ("pleasing", {"mask": 0.8}), ("ugly", {"defocus": 2}))


def six(letters_only: bool = True):
    """Six captures of one person."""
    captions = list(SIX) if letters_only else [f"{letter}: {name}" for letter, (name, _) in SIX.items()]
    return sketch.faces_row(captures(), captions, "Six captures of one person: " + ", ".join(
        name for name, _ in SIX.values()), "Which one would you refuse?")


@cache
def captures(seed: int = 11) -> torch.Tensor:
    """The six faces (6, 3, 112, 112)."""
    return torch.cat([faces(1, seed, **flaws) for _, flaws in SIX.values()])


def slide():
    """Looks against use: three faces with their similarity to the same person's portrait."""
    shown = torch.cat([faces(1, 5, **flaws) for _, flaws in SLIDE])
    found = cosines(shown, faces(1, 5).expand(len(shown), -1, -1, -1))
    captions = [f"{word}\ncosine {value:.2f}" for (word, _), value in zip(SLIDE, found)]
    return sketch.faces_row(shown, captions, "A smiling face, a masked face, a blurred face, with their "
                                             "cosines",
                             "Looks and use")


def similarity_matrix(people: int = 6):
    """Every capture with every other: `people` times four captures."""
    shown = torch.cat([faces(people, 3, **flaws) for flaws in GRID])
    order = np.arange(len(shown)).reshape(len(GRID), people).T.flatten()
    with torch.no_grad():
        e = unit(network("cosface")(shown[order]).numpy())
    return sketch.matrix(e @ e.T, range(len(GRID), len(e), len(GRID)),
                          "A matrix of similarities with brighter blocks on its diagonal, one for each person",
                          f"{people} people, {len(GRID)} captures each")


def sample_embeddings(people: int = 6) -> torch.Tensor:
    """Embeddings (people, D) of portraits, as the recogniser returns them."""
    with torch.no_grad():
        return network("cosface")(faces(people, 3))


@cache
def rates() -> dict[str, float]:
    """Threshold at the false match rate of the course, and who is rejected there."""
    similarity, genuine = load_pack().similarity(), load_pack()["genuine"]
    threshold = threshold_at_fmr(similarity[~genuine], FMR)
    return {"threshold": threshold, "fnmr": float(np.mean(similarity[genuine] < threshold)), "fmr": FMR}


def two_kinds():
    """Genuine and impostor similarities of the pack."""
    similarity, genuine = load_pack().similarity(), load_pack()["genuine"]
    return sketch.two_histograms(similarity[genuine], similarity[~genuine], rates()["threshold"],
                                  "Impostors lie around nought, genuine comparisons to the right, both overlap",
                                  "Where does one draw the line?")


def harm(flaw: str, place: int) -> float:
    """By how much a flaw at a strength lowers the mean similarity to the same person's portrait."""
    return float(1 - load_pack().swept("cos", flaw)[:, place].mean())


def draw_harm(*flaws: str):
    """Mean similarity over the six strengths of some flaws."""
    lines = {f"{flaw} to "
             f"{SWEEP[flaw][-1]:g}": (range(6), load_pack().swept("cos", flaw).mean(0)) for flaw in flaws}
    return sketch.curves(lines, "strength (0 none, 5 the strongest)", "mean cosine with the portrait",
                          "Similarity falls as each flaw grows, at different speed", "Which flaw hurts?",
                          level=rates()["threshold"])


def measured(order: str):
    """Your ranking of the six beside what the recogniser lost."""
    found = cosines(captures(), captures()[:1].expand(6, -1, -1, -1))
    names = [letter for letter in order.upper() if letter in SIX] + [x for x in SIX if x not in order.upper()]
    values = {f"{x}: {SIX[x][0]}": float(found[list(SIX).index(x)]) for x in names}
    return sketch.bars(values, "cosine with A (higher is better)", "Six captures in your order, with their "
                                                                   "cosines",
                        "Your order from the top, the recogniser's value to the "
                        "right", level=rates()["threshold"])


def refused(flaw: str, place: int) -> float:
    """Share of people that a flaw pushes below the threshold."""
    return float(np.mean(load_pack().swept("cos", flaw)[:, place] < rates()["threshold"]))


def claimed() -> dict[str, Claim]:
    """The measured sentences."""
    blur, mask = SWEEP["defocus"].index(2), SWEEP["mask"].index(0.8)

    def ugly():
        return {"blur": 1 - harm("defocus", blur), "mask": 1 - harm("mask", mask),
                "blurred": refused("defocus", blur), "masked": refused("mask", mask)}

    return {
        "rates": Claim("A threshold of {threshold:.2f} lets {fmr:.0%} of the impostors pass and rejects "
                       "{fnmr:.1%} of "
                       "the genuine comparisons.", rates, lambda threshold, fnmr, fmr: 0.002 < fnmr < 0.6,
                       "FNMR between 0.2 % and 60 %"),
        "ugly": Claim("Blur of 2 pixels looks bad and leaves a mean cosine of {blur:.2f} ({blurred:.0%} of "
                      "these people "
                      "would be refused); a clean picture with a mask is left with {mask:.2f} "
                      "({masked:.0%}).", ugly,
                      lambda blur, mask, blurred, masked: blur > mask + 0.1, "blur above mask by 0.1"),
    }
