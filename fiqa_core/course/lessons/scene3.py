"""Lesson 3: three ways to guess quality."""
from functools import cache

import numpy as np
import pandas as pd
import torch

from fiqa_core.challenges.component_measures import COMPONENTS
from fiqa_core.course import sketch
from fiqa_core.course.claims import Claim
from fiqa_core.course.lessons.scene2 import LIMIT, NAMES, curve_of
from fiqa_core.course.networks import faces, network, strengths
from fiqa_core.course.pack import SWEEP, load_pack, unit
from fiqa_core.methods.faceqnet import comparison_labels, galleries
from fiqa_core.methods.pixels import sharpness, symmetry
from fiqa_core.methods.ser_fiq import SERFIQ

FAMILIES = pd.DataFrame([
    ("analytical", "pixels alone, a formula", "sharpness, illumination, symmetry", "no", "no"),
    ("regression", "a network learns labels", "FaceQnet, SDD-FIQA, LightQNet, DifFIQA(R), "
                                              "eDifFIQA", "yes", "in the labels"),
    ("model-based", "reaction of a recogniser", "SER-FIQ, FaceQAN, DifFIQA, MagFace, PFE, "
                                                "CR-FIQA", "no", "yes")],
    columns=["family", "what it looks "
                       "at", "methods here", "needs labels?", "knows a recogniser?"]).set_index("family")
SHOWN = {"none": {}, "blur": {"defocus": 3}, "noise": {"noise": 45}, "dark": {"light_level": 0.25},
         "side light": {"light_angle": 80}, "turned": {"yaw": 50}, "eyes closed": {"eyes_closed": 1},
         "mouth open": {"mouth_open": 1}}


@cache
def flawed() -> torch.Tensor:
    """One person under eight flaws."""
    return torch.cat([faces(1, 52, **flaws) for flaws in SHOWN.values()])


def draw_flawed():
    """The eight faces."""
    return sketch.faces_row(flawed(), list(SHOWN), "One person under " + ", ".join(SHOWN), "One flaw "
                                                                                           "each", columns=4)


def draw_components():
    """Eight measures of the eight faces, as deviations from the flawless one."""
    table = pd.DataFrame({name: measure(flawed()).numpy() for name, measure in COMPONENTS.items()}, index=list(SHOWN))
    return sketch.cells((table - table.loc["none"]).div(table.std() + 1e-9), -2.5, 2.5,
                         "Eight faces by eight measures, as distances from the flawless face", "What does "
                                                                                               "each measure "
                                                                                               "see?",
                         "{:+.1f}")


def swept(measure, flaw: str, values=None) -> tuple[np.ndarray, np.ndarray]:
    """Strengths and a measure's values for one person."""
    values = np.asarray(SWEEP[flaw] if values is None else values, float)
    return values, measure(strengths(flaw, values, seed=52)).numpy()


def draw_fooled(measure: str, flaw: str):
    """A measure over a flaw beside the similarity that the flaw costs."""
    values, found = swept({"sharpness": sharpness, "symmetry": symmetry}[measure], flaw)
    cosine = load_pack().swept("cos", flaw).mean(0)
    lines = {f"{measure}, as a share of its highest": (values, found / found.max()),
             "mean cosine with the portrait": (values, cosine)}
    return sketch.curves(lines, f"{flaw} (units of the renderer)", "value",
                          f"{measure} and similarity over {flaw}", f"Does {measure} see {flaw}?")


def labels() -> np.ndarray:
    """FaceQnet's labels of the pack's labelled faces."""
    pack = load_pack()
    gallery = galleries(pack["train_identity"], pack["train_severity"], np.arange(len(pack["train_identity"])).astype(str))
    return comparison_labels(unit(pack["train_e"]), gallery)


def draw_labels():
    """Labels over true severity."""
    severity = load_pack()["train_severity"]
    return sketch.scatter(severity, labels(), "true severity of the face's flaws", "FaceQnet's label",
                           "One dot for each labelled face", "Labels without anybody labelling")


def draw_ser_fiq(flaw: str = "defocus"):
    """SER-FIQ over a flaw."""
    values, found = swept(SERFIQ(network()), flaw)
    return sketch.curves({"SER-FIQ": (values, found)}, f"{flaw} (units of the renderer)", "SER-FIQ",
                          f"SER-FIQ's score over {flaw}", "Do the sub-networks disagree?")


def draw_families():
    """Areas of one or two scores of each family."""
    chosen = ("sharpness", "symmetry", "illumination", "ser_fiq", "faceqan", "magface", "length")
    found = {NAMES[name]: curve_of(name).pauc(LIMIT) for name in chosen}
    return sketch.bars(dict(sorted(found.items(), key=lambda item: item[1])), f"pAUC at {LIMIT} (lower is "
                                                                              f"better)",
                        "One dot for each score; the dashed line is chance", "Which family discards "
                                                                             "best?", level=1.0)


def claimed() -> dict[str, Claim]:
    """The measured sentences."""
    def noise():
        _, found = swept(sharpness, "noise")
        return {"factor": float(found[-1] / found[0]), "cosine": float(load_pack().swept("cos", "noise")[:, -1].mean())}

    def blur():
        _, found = swept(symmetry, "defocus")
        return {"before": float(found[0]), "after": float(found[-1]),
                "cosine": float(load_pack().swept("cos", "defocus")[:, -1].mean())}

    return {
        "noise": Claim("Strong noise multiplies sharpness by {factor:.0f} and leaves a mean cosine of "
                       "{cosine:.2f} with the "
                       "portrait.", noise, lambda factor, cosine: factor > 10 and cosine < 0.95,
                       "sharpness more than tenfold, mean cosine below 0.95"),
        "blur": Claim("Strong blur moves symmetry from {before:.2f} to {after:.2f}, while the mean cosine "
                      "falls to "
                      "{cosine:.2f}: the blurred face looks as symmetric as before, or more.", blur,
                      lambda before, after, cosine: after > before - 0.02 > 0.5 and cosine < 0.9,
                      "symmetry not lower by more than 0.02, mean cosine below 0.9"),
    }
