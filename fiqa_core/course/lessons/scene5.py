"""Lesson 5: does the face survive noise and repair?"""
from functools import cache

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from fiqa_core.course import sketch
from fiqa_core.course.claims import Claim
from fiqa_core.course.lessons.scene4 import same_scores
from fiqa_core.course.lessons.scene7 import printed
from fiqa_core.course.networks import faces, network, unet
from fiqa_core.course.pack import SWEEP, TERMS, load_pack
from fiqa_core.kernels.diffiqa import DifFIQA
from fiqa_core.kernels.diffusion import tables

TIMES = (5, 20, 100, 300, 500)
WORDS = {"forward": "noised", "backward": "repaired", "forward_flip": "noised, mirrored",
         "backward_flip": "repaired, mirrored", "flip": "mirrored"}


@cache
def two_faces() -> torch.Tensor:
    """A good and a poor capture of one person (2, 3, 112, 112)."""
    return torch.cat([faces(1, 21), faces(1, 21, defocus=3, yaw=40)])


def draw_schedule():
    """What is left of the picture, and how much noise there is."""
    abar = tables()["alphas_cumprod"].numpy()
    return sketch.curves({"picture": (np.arange(1000), np.sqrt(abar)), "noise": (np.arange(1000), np.sqrt(1 - abar))},
                          "time t", "factor", "The factor of the picture falls from one to nought, that of "
                                              "the noise rises",
                          "The two factors", marks=False)


def noised(images: torch.Tensor, t: int, seed: int = 0) -> torch.Tensor:
    """x_t of images, back in [0, 1] at full size."""
    model = unet()
    x = model.shrink(images)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return model.enlarge(model.add_noise(x, t, noise))


def draw_forward():
    """One face at growing times."""
    face = two_faces()[:1]
    shown = torch.cat([face, *(noised(face, t) for t in TIMES)])
    return sketch.faces_row(shown, ["face", *(f"t = {t}" for t in TIMES)], "One face under growing noise",
                             "The forward process")


def separation(t: int, people: int = 24) -> float:
    """Share of (good, poor) pairs of faces of which the good one keeps the higher cosine after noise of time t."""
    good, poor = faces(people, 41), faces(people, 41, defocus=3, yaw=40)
    with torch.no_grad():
        kept = [F.cosine_similarity(network()(x), network()(noised(x, t, 1)), dim=1).numpy() for x in (good, poor)]
    return float(np.mean(kept[0][:, None] > kept[1][None]))


def draw_separation():
    """How well noise alone tells good from poor."""
    return sketch.curves({"noise alone": (TIMES, [separation(t) for t in TIMES])}, "time t",
                          "share of pairs in the right order", "One value for each time; 0.5 is chance",
                          "Is noise alone enough?", level=0.5)


@torch.no_grad()
def repaired(images: torch.Tensor, t: int = 5) -> torch.Tensor:
    """x_hat of images at full size."""
    model = unet()
    x = model.shrink(images)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(len(x), max(t - 1, 1), *x.shape[1:], generator=generator)
    noise = torch.randn(x.shape, generator=generator)
    return model.enlarge(model.reconstruct(model.add_noise(x, t, noise), t, z))


def draw_repair(factor: float = 5):
    """Faces, their reconstructions, and the differences."""
    before, after = unet().enlarge(unet().shrink(two_faces())), repaired(two_faces())
    shown = torch.cat([two_faces(), after.clamp(0, 1), sketch.difference(before, after, factor)])
    return sketch.faces_row(shown, ["good", "poor", "repaired", "repaired", f"difference x {factor:g}",
                                     f"difference x {factor:g}"],
                             "Two faces, what the diffusion model makes of them, and the differences",
                             "What does the model repair?")


@cache
def terms(repeats: int = 5) -> dict[str, torch.Tensor]:
    """The five similarities (2, n)."""
    return DifFIQA(unet(), network(), repeats=repeats).similarities(two_faces())


def draw_terms(face: int):
    """The five of one face."""
    found = {WORDS[name]: float(terms()[name][face].mean()) for name in TERMS}
    name = ("good", "poor")[face]
    return sketch.bars(found, "cosine with the face's own embedding", f"Five similarities of the {name} face",
                        f"The five terms of the {name} face")


def draw_repeats():
    """The running mean over n repeats."""
    found = torch.stack([terms()[name] for name in TERMS]).mean(0).numpy()
    counts = np.arange(1, found.shape[1] + 1)
    return sketch.curves({name: (counts, found[i].cumsum() / counts) for i, name in enumerate(("good face", "poor face"))},
                          "repeats n", "mean over terms and repeats", "The running mean of both faces over n",
                          "How many repeats?")


def compare(quality) -> str:
    """The learner's function against the package, on real faces."""
    images = torch.cat([two_faces(), faces(2, 33, yaw=[0, 50])])
    method = DifFIQA(unet(), network(), repeats=2)
    return same_scores(quality(method.similarities(images)), method(images), "5.3")


def fall(flaw: str) -> dict[str, float]:
    """By how much each term falls from no flaw to the strongest, mean over people."""
    found = load_pack().swept("terms", flaw).mean(0)
    return {name: float(found[0, i] - found[-1, i]) for i, name in enumerate(TERMS)}


def draw_falls(*flaws: str):
    """Falls of three terms under some flaws."""
    table = pd.DataFrame({WORDS[name]: [fall(flaw)[name] for flaw in flaws] for name in ("forward", "backward", "flip")},
                         index=[f"{flaw} {SWEEP[flaw][-1]:g}" for flaw in flaws])
    return sketch.cells(table, -0.02, 0.09, "For each flaw, by how much three terms fall",
                         "By how much does each term fall?", "{:+.3f}")


def printed_times():
    """The printed times of DifFIQA and its students."""
    table = printed("runtime_and_parameters")
    own = table[(table["quantity"] == "run time mean") & table["source"].str.startswith("DifFIQA")]
    return own[["method", "value", "unit", "source"]].reset_index(drop=True)


def claimed() -> dict[str, Claim]:
    """The measured sentences."""
    def yaw():
        found = fall("yaw")
        return {"flip": found["flip"], "backward": found["backward"]}

    def mask():
        return {"most": max(map(abs, fall("mask").values())), "cosine": float(load_pack().swept("cos", "mask")[:, -1].mean())}

    return {
        "yaw": Claim("When the head turns, the mirrored term falls by {flip:.2f} and the repaired one by "
                     "{backward:.2f}.", yaw,
                     lambda flip, backward: flip > backward + 0.03, "the mirror falls more, by 0.03"),
        "mask": Claim("Under the largest mask no term moves by more than {most:.3f}, while the mean cosine with the portrait "
                      "is {cosine:.2f}: the blind spot is FaceQAN's.", mask,
                      lambda most, cosine: most < 0.01 and 0 < cosine < 0.8, "no term by 0.01; mean cosine below 0.8"),
    }
