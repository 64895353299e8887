"""Lesson 4: how hard is it to push an embedding?"""
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from fiqa_core.course import sketch
from fiqa_core.course.claims import Claim
from fiqa_core.course.lessons.scene7 import printed
from fiqa_core.course.networks import faces, network, strengths
from fiqa_core.course.pack import SWEEP, load_pack
from fiqa_core.kernels.faceqan import FaceQAN, attack

EPSILON = 1e-3
GOOD, POOR = {}, {"defocus": 3, "yaw": 40}


@cache
def two_faces() -> torch.Tensor:
    """A good and a poor capture of one person (2, 3, 112, 112)."""
    return torch.cat([faces(1, 21, **GOOD), faces(1, 21, **POOR)])


def gradient(images: torch.Tensor) -> torch.Tensor:
    """Gradient (B, 3, H, W) of the distance of a slightly moved face to its own embedding."""
    recogniser = network()
    with torch.no_grad():
        y = recogniser(images)
    x = (images + 1e-3 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))).requires_grad_(True)
    distance = (1 - F.cosine_similarity(y, recogniser(x), dim=1)).sum()
    return torch.autograd.grad(distance, x)[0]


def draw_gradient():
    """Where a small change moves the embedding most."""
    found = gradient(two_faces())
    shown = torch.cat([two_faces(), 0.5 + 0.5 * found / found.abs().amax(dim=(1, 2, 3), keepdim=True)])
    return sketch.faces_row(shown, ["good face", "poor face", "its gradient", "its gradient"],
                             "Two faces and the gradients of their distance around mid-grey",
                             "Which pixels does the recogniser listen to?", columns=4)


def pushed(images: torch.Tensor, epsilon: float, steps: int) -> np.ndarray:
    """Similarities (B, steps + 1) along an attack that starts at the faces."""
    recogniser = network()
    with torch.no_grad():
        y = recogniser(images)
    start = images + epsilon * torch.rand(images.shape, generator=torch.Generator().manual_seed(3))
    return attack(recogniser, start.clamp(0, 1), y, epsilon, steps + 1).numpy()


def draw_epsilon():
    """One step of different sizes."""
    sizes = (0, 0.0005, 0.001, 0.002, 0.004, 0.008)
    found = np.array([pushed(two_faces(), size, 1)[:, -1] for size in sizes])
    return sketch.curves({"good face": (sizes, found[:, 0]), "poor face": (sizes, found[:, 1])}, "epsilon",
                          "cosine after one step", "Similarity after one step falls as the step grows",
                          "One step, how far?")


def draw_steps(steps: int = 8):
    """Similarity over the steps."""
    found = pushed(two_faces(), EPSILON, steps)
    return sketch.curves({"good face": (range(steps + 1), found[0]), "poor face": (range(steps + 1), found[1])},
                          "step", "cosine with its own embedding", "Similarity falls with every step",
                          "Step by step")


def draw_perturbation(factor: float = 200):
    """What one step changes, as it is and enlarged."""
    x = two_faces()
    moved = x + EPSILON * gradient(x).sign()
    shown = torch.stack([x[0], moved[0].clamp(0, 1), sketch.difference(x[0], moved[0], factor)])
    return sketch.faces_row(shown, ["face", "after a step", f"difference x {factor:g}"],
                             "A face, the same face after a step, and their difference "
                             "enlarged", "Can you see it?",
                             columns=3)


@cache
def similarities(repeats: int = 10):
    """S (2, k, l) and s_f (2,) of the good and the poor face."""
    return FaceQAN(network(), repeats=repeats).similarities(two_faces())


def draw_starts():
    """All similarities of both faces."""
    s, _ = similarities()
    good, poor = s[0].flatten().numpy(), s[1].flatten().numpy()
    return sketch.bars({f"good face: mean {good.mean():.3f}, deviation {good.std():.3f}": good.mean(),
                         f"poor face: mean {poor.mean():.3f}, deviation {poor.std():.3f}": poor.mean()},
                        "cosine over all starts and steps", "Mean similarity of both faces with two deviations",
                        "Ten random starts", intervals={
                            name: (v.mean() - 2 * v.std(), v.mean() + 2 * v.std()) for name, v in (
                                (f"good face: mean {good.mean():.3f}, deviation {good.std():.3f}", good),
                                (f"poor face: mean {poor.mean():.3f}, deviation {poor.std():.3f}", poor))})


def draw_symmetry():
    """Similarity to the mirrored face over yaw."""
    angles = (0, 10, 20, 30, 40, 50, 60, 70)
    turned = strengths("yaw", angles, seed=21)
    with torch.no_grad():
        s_f = F.cosine_similarity(network()(turned), network()(turned.flip(3)), dim=1).numpy()
    return sketch.curves({"s_f": (angles, s_f)}, "yaw, degrees", "cosine with the mirrored face",
                          "The similarity to the mirrored face over the angle of the head", "What does s_f "
                                                                                            "see?")


def compare(quality) -> str:
    """The learner's function against the package, on real faces."""
    images = torch.cat([two_faces(), faces(4, 33, yaw=[0, 20, 40, 60])])
    method = FaceQAN(network(), repeats=3)
    return same_scores(quality(*method.similarities(images), method.exponent), method(images), "4.2")


def same_scores(mine, theirs: torch.Tensor, exercise: str) -> str:
    """What a comparison of two functions' scores of the same faces found."""
    if not isinstance(mine, torch.Tensor) or mine.shape != theirs.shape:
        return f"no scores to compare yet: finish exercise {exercise} first"
    worst = float((mine - theirs).abs().max())
    told = "the same scores" if worst < 1e-5 else f"other scores (see exercise {exercise})"
    return f"{told} on {len(theirs)} faces; largest difference {worst:.1e}"


def change(flaw: str) -> np.ndarray:
    """By how much FaceQAN's score rises (people,) from no flaw to its strongest."""
    found = load_pack().swept("faceqan", flaw)
    return found[:, -1] - found[:, 0]


def draw_sweep(*flaws: str):
    """FaceQAN's score and the true similarity over some flaws' strengths."""
    lines = {f"{flaw} to "
             f"{SWEEP[flaw][-1]:g}": (range(6), load_pack().swept("faceqan", flaw).mean(0)) for flaw in flaws}
    return sketch.curves(lines, "strength (0 none, 5 the strongest)", "mean FaceQAN score",
                          "FaceQAN's mean score as each flaw grows", "Does the score fall with every flaw?")


def draw_truth(*flaws: str):
    """The true similarity over the same flaws."""
    lines = {f"{flaw} to "
             f"{SWEEP[flaw][-1]:g}": (range(6), load_pack().swept("cos", flaw).mean(0)) for flaw in flaws}
    return sketch.curves(lines, "strength (0 none, 5 the strongest)", "mean cosine with the portrait",
                          "Mean similarity to the portrait as each flaw grows", "What the recogniser really "
                                                                                "loses")


def printed_times():
    """FaceQAN's printed run times over the number of starts."""
    table = printed("faceqan_runtime")
    own = table[table["quantity"] == "run time mean"]
    starts = own["setting"].str.removeprefix("k=").astype(int)
    return sketch.curves({"FaceQAN": (starts, own["value"])}, "starts k", "seconds per image (printed)",
                          "The printed time grows with the starts", "FaceQAN (ICPR 2022), Table "
                                                                                "III")


def claimed() -> dict[str, Claim]:
    """The measured sentences."""
    def blind():
        rise, cosine = change("mask"), load_pack().swept("cos", "mask")[:, -1]
        return {"before": float(load_pack().swept("faceqan", "mask")[:, 0].mean()),
                "after": float(load_pack().swept("faceqan", "mask")[:, -1].mean()), "share": float(np.mean(rise > 0)),
                "cosine": float(cosine.mean())}

    return {
        "blind": Claim("Under the largest mask FaceQAN's mean score goes from {before:.2f} to {after:.2f} "
                       "and rises for "
                       "{share:.0%} of these people, while their mean cosine with the portrait is "
                       "{cosine:.2f}.", blind,
                       lambda before, after, share, cosine: after > before and share >= 0.5 and cosine < 0.8,
                       "the mean rises, for at least half of the people; mean cosine below 0.8"),
    }
