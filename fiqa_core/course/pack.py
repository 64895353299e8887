"""What the lessons need beside the shipped networks: tables made once from them by `course pack`.

One file of arrays and a manifest that names the networks it was made from. Faces themselves are rendered anew.
"""
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import digest, replacing, write_text
from fiqa_core.base.images import to_batch
from fiqa_core.course.networks import network, unet
from fiqa_core.kernels.diffiqa import DifFIQA
from fiqa_core.kernels.faceqan import FaceQAN
from fiqa_core.methods.pixels import illumination, sharpness, symmetry
from fiqa_core.methods.ser_fiq import SERFIQ
from fiqa_core.recognisers.recogniser import embed
from fiqa_core.rendering.face_sets import load_protocol, rendered_benchmark, rendered_training_set
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import CAUSES, COLUMNS, neutral, severity
from fiqa_core.rendering.renderer import render_faces
from fiqa_core.weights.shipped import find_shipped

PACK = Path(__file__).resolve().parents[1] / "inputs" / "course"
SEED = 29794
USED = ("cosface", "arcface", "magface", "diffusion")
# flaw: six strengths from harmless to strong, in the units of `rendering.nuisance`
SWEEP = {"yaw": (0, 15, 30, 45, 60, 75), "pitch": (0, 8, 16, 24, 32, 40), "light_angle": (0, 20, 40, 60, 80, 100),
         "light_level": (1, 0.7, 0.5, 0.35, 0.2, 0.1), "defocus": (0, 1, 2, 3, 4, 6), "motion": (0, 3, 6, 9, 12, 16),
         "resolution": (112, 56, 40, 28, 20, 12), "noise": (0, 10, 20, 35, 50, 80), "jpeg": (100, 50, 30, 15, 8, 3),
         "mask": (0, 0.2, 0.4, 0.6, 0.8, 1), "bar": (0, 0.1, 0.2, 0.3, 0.4, 0.6), "hat": (0, 0.2, 0.4, 0.6, 0.8, 1),
         "smile": (0, 0.25, 0.5, 0.75, 1, 1.2), "eyes_closed": (0, 0.2, 0.4, 0.6, 0.8, 1),
         "jitter": (0, 1, 2, 3, 5, 8)}
SWEPT, TRAINED = 8, 400         # people of the sweep, faces with labels to learn from


@dataclass(frozen=True)
class Pack:
    """The arrays by name: `pack["genuine"]`; see `made` for what there is."""

    arrays: dict[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise FiqaError(f"the pack has no {name!r}", f"it has: {', '.join(self.arrays)}")
        return self.arrays[name]

    def similarity(self, recogniser: str = "cosface") -> np.ndarray:
        """Cosines (P,) of all comparisons."""
        e = unit(self[f"e_{recogniser}"])
        return np.einsum("pd,pd->p", e[self["a"]], e[self["b"]])

    def scores(self) -> dict[str, np.ndarray]:
        """Method -> scores (N,)."""
        return {name.removeprefix("q_"): values for name, values in self.arrays.items() if name.startswith("q_")}

    def swept(self, what: str, flaw: str) -> np.ndarray:
        """`what` of the people under a flaw, (people, strengths, ...)."""
        return self[f"sweep_{what}"][list(SWEEP).index(flaw)]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows (N, D) of length 1, float32."""
    vectors = vectors.astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@cache
def load_pack() -> Pack:
    """The shipped pack. Raises FiqaError where it is not there."""
    path = PACK / "pack.npz"
    if not path.is_file():
        raise FiqaError(f"{path} is missing", "restore it with git, or make it: python -m fiqa_core course "
                                              "pack")
    with np.load(path, allow_pickle=False) as file:
        return Pack({name: file[name] for name in file.files})


def make_pack(log=print) -> Path:
    """Render, embed and score what the lessons show; write the pack and its manifest. Some minutes on one core."""
    arrays = made(log)
    with replacing(PACK / "pack.npz") as part, open(part, "wb") as file:
        np.savez_compressed(file, **arrays)
    manifest = {"seed": SEED, "networks": {slug: find_shipped(slug).sha256 for slug in USED},
                "pack": digest(PACK / "pack.npz"), "licence": "MIT"}
    write_text(json.dumps(manifest, indent=1) + "\n", PACK / "MANIFEST.json")
    return PACK / "pack.npz"


def made(log=print) -> dict[str, np.ndarray]:
    """The arrays.

    identity (N,), a, b, genuine (P,): comparisons of LFW's rendered counterpart; causes (N, len(COLUMNS)), truth
    e_NAME (N, D): embeddings; q_METHOD (N,): scores
    sweep_cos, sweep_arcface, sweep_faceqan (F, people, strengths), sweep_terms (F, people, 2, 5): SWEEP's, and of its ends
    train_e (M, D), train_labels (M,), train_identity (M,): faces with DifFIQA's labels
    """
    faces = rendered_benchmark(load_protocol("lfw"), SEED)
    place = pd.Series(np.arange(len(faces.images)), index=faces.images["template_id"].astype(str))
    found = {"identity": pd.factorize(faces.images["identity"])[0].astype(np.int16),
             "a": place[faces.pairs["a"].astype(str)].to_numpy(np.int16),
             "b": place[faces.pairs["b"].astype(str)].to_numpy(np.int16),
             "genuine": faces.pairs["genuine"].to_numpy(bool),
             "causes": faces.images[list(COLUMNS)].to_numpy(np.float32)}
    cosface, pixels = network("cosface"), to_batch(faces.pixels)
    for slug in ("cosface", "arcface"):
        found[f"e_{slug}"] = embed(network(slug), faces.pixels).astype(np.float16)
    log("faces are embedded")
    found["q_severity"] = -faces.images["severity"].to_numpy(np.float32)
    found["q_occlusion"] = -faces.images["occlusion"].to_numpy(np.float32)
    found["q_length"] = np.linalg.norm(embed(cosface, faces.pixels), axis=1).astype(np.float32)
    found["q_magface"] = np.linalg.norm(embed(network("magface"), faces.pixels), axis=1).astype(np.float32)
    methods = {"sharpness": sharpness, "illumination": illumination, "symmetry": symmetry, "ser_fiq": SERFIQ(cosface),
               "faceqan": FaceQAN(cosface, repeats=2), "diffiqa": DifFIQA(unet(), cosface, repeats=1)}
    for name, method in methods.items():
        found[f"q_{name}"] = method(pixels).numpy().astype(np.float32)
        log(f"{name} has scored")
    return found | _sweep(methods, log) | _training(methods["diffiqa"], cosface)


def sweep_images() -> np.ndarray:
    """(F, people, strengths, 112, 112, 3) uint8: the same people under each flaw at each strength."""
    people = sample_identities(SWEPT, SEED + 1)
    tables = [flawed(SWEPT, flaw, strengths) for flaw, strengths in SWEEP.items()]
    table = pd.concat(tables, ignore_index=True)
    who = np.tile(np.repeat(np.arange(SWEPT), len(SWEEP["yaw"])), len(SWEEP))
    return render_faces(people, who, table)[0].reshape(len(SWEEP), SWEPT, -1, 112, 112, 3)


def flawed(people: int, flaw: str, strengths) -> pd.DataFrame:
    """Nuisance of each person at each strength of one flaw, and nothing else wrong."""
    table = neutral(people * len(strengths))
    table["style"] = np.repeat(np.arange(people), len(strengths))
    table[flaw] = np.tile(np.asarray(strengths, float), people)
    return table


def _sweep(methods: dict, log) -> dict[str, np.ndarray]:
    images = sweep_images()
    flat, shape = images.reshape(-1, 112, 112, 3), images.shape[:3]
    found = {}
    for name, slug in (("cos", "cosface"), ("arcface", "arcface")):
        e = unit(embed(network(slug), flat)).reshape(*shape, -1)
        found[f"sweep_{name}"] = np.einsum("fpsd,fpd->fps", e, e[:, :, 0]).astype(np.float32)
    found["sweep_faceqan"] = methods["faceqan"](to_batch(flat)).numpy().reshape(shape).astype(np.float32)
    log("the sweep is attacked")
    ends = images[:, :, [0, -1]].reshape(-1, 112, 112, 3)
    terms = methods["diffiqa"].similarities(to_batch(ends))
    found["sweep_terms"] = torch.stack([terms[name][:, 0] for name in TERMS], 1).numpy().reshape(*shape[:2], 2, 5)
    return found


TERMS = ("forward", "backward", "forward_flip", "backward_flip", "flip")


def _training(diffiqa, recogniser) -> dict[str, np.ndarray]:
    faces = rendered_training_set(load_protocol("training"), SEED + 2, scale=0.1)
    identity = pd.factorize(faces.images["identity"])[0]
    rows = np.flatnonzero(identity < identity[min(TRAINED, len(identity)) - 1])
    pixels = np.asarray(faces.pixels[rows])
    return {"train_e": embed(recogniser, pixels).astype(np.float16), "train_identity": identity[rows].astype(np.int16),
            "train_labels": diffiqa(to_batch(pixels)).numpy().astype(np.float32),
            "train_severity": severity(faces.images.iloc[rows][list(CAUSES)]).astype(np.float32)}
