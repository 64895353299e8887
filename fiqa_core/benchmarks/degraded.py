"""A harder copy of a benchmark: every pair compares a clean image with a degraded one, as XQLFW does.

XQLFW (Knoche et al., FG 2021) picked and degraded images until the two sides of each pair differed in
quality. Here the cause and its strength are drawn, so the truth is known: the columns are those of the
rendered benchmarks. One image has one degraded copy, drawn from the seed and the image's name alone.
"""
import hashlib

import cv2
import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.images import jpeg

# cause -> (column of truth, its value at severity 0, its value at severity 1, scale in between)
CAUSES = {
    "blur": ("defocus", 0.0, 3.5, "linear"),  # standard deviation, pixels of the 112 crop
    "resolution": ("resolution", 112.0, 16.0, "log"),  # pixels across after down-sampling
    "noise": ("noise", 0.0, 55.0, "linear"),  # standard deviation, grey values 0..255
    "jpeg": ("jpeg", 60.0, 4.0, "log"),  # quality setting; 100: not compressed
    "occlusion": ("occlusion", 0.0, 0.5, "linear"),  # covered share of the crop
    "darkness": ("light_level", 1.0, 0.06, "log"),  # exposure
}
CLEAN = {"cause": "none", "severity": 0.0, "defocus": 0.0, "resolution": 112.0, "noise": 0.0, "jpeg": 100.0,
         "occlusion": 0.0, "light_level": 1.0}
SUFFIX = "#degraded"


def cross_quality_benchmark(name: str, clean: FaceSet, seed: int = 0) -> FaceSet:
    """The pairs of `clean` with side a as it is and side b replaced by its degraded copy.

    Degraded images have the id of their origin followed by "#degraded". Causes of quality loss are drawn
    evenly, severity uniformly from [0, 1]. `clean` must hold single images, not templates.
    """
    if not (clean.images["template_id"] == clean.images["image_id"]).all():
        raise FiqaError(f"{clean.name} compares templates of several images",
                        "make the copy of a set of stills")
    keep = clean.images["image_id"].isin(clean.pairs["a"]).to_numpy()
    spoil = clean.images["image_id"].isin(clean.pairs["b"]).to_numpy()
    pixels, images = degrade_rows(clean, spoil, seed)
    return FaceSet(name, np.concatenate([clean.pixels[keep], pixels]),
                   pd.concat([clean.images[keep].assign(**CLEAN), images], ignore_index=True),
                   clean.pairs.assign(b=clean.pairs["b"] + SUFFIX))


def degraded_copies(faces: FaceSet, share: float, seed: int = 0) -> FaceSet:
    """A training set joined by degraded copies of a `share` in [0, 1] of its images."""
    if not 0 <= share <= 1:
        raise FiqaError(f"degraded_training = {share}", "give a share from 0 to 1")
    chosen = np.zeros(len(faces), bool)
    chosen[np.random.default_rng(seed).permutation(len(faces))[: round(share * len(faces))]] = True
    pixels, images = degrade_rows(faces, chosen, seed)
    return FaceSet(faces.name, np.concatenate([faces.pixels, pixels]),
                   pd.concat([faces.images.assign(**CLEAN), images], ignore_index=True), faces.pairs)


def degrade_rows(faces: FaceSet, chosen: np.ndarray, seed: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Degraded pixels and their images table for the rows `chosen` (N,) bool."""
    images = faces.images[chosen].reset_index(drop=True)
    truth = pd.DataFrame([draw_cause(image_id, seed) for image_id in images["image_id"]],
                         columns=["cause", "severity"])
    values = pd.DataFrame([truth_of(cause, severity) for cause, severity in truth.itertuples(index=False)],
                          columns=list(CLEAN))
    pixels = [
        degrade(picture, cause, severity, _stream(image_id, seed, "pixels"))
        for picture, cause, severity, image_id in zip(
            faces.pixels[chosen], truth["cause"], truth["severity"], images["image_id"]
        )
    ]
    for column in ("image_id", "template_id", "media_id"):
        images[column] += SUFFIX
    return np.array(pixels, np.uint8).reshape(-1, 112, 112, 3), images.assign(**values)


def draw_cause(image_id: str, seed: int) -> tuple[str, float]:
    """Cause and severity of an image's degraded copy: a function of the seed and the image's name."""
    stream = _stream(image_id, seed, "cause")
    return list(CAUSES)[stream.integers(len(CAUSES))], round(float(stream.uniform()), 4)


def truth_of(cause: str, severity: float) -> dict:
    """The truth columns of a degraded image: those of a clean one but for its cause."""
    return {**CLEAN, "cause": cause, "severity": severity, CAUSES[cause][0]: strength(cause, severity)}


def strength(cause: str, severity: float) -> float:
    """Physical strength of a cause at `severity` in [0, 1]; resolution and JPEG quality are whole numbers."""
    _, least, most, scale = CAUSES[cause]
    value = least * (most / least) ** severity if scale == "log" else least + (most - least) * severity
    return float(round(value)) if cause in ("resolution", "jpeg") else value


def degrade(pixels: np.ndarray, cause: str, severity: float, stream: np.random.Generator) -> np.ndarray:
    """uint8 (112, 112, 3) after one quality loss; `stream` places noise and occluding bar."""
    value = strength(cause, severity)
    if cause == "blur":
        return cv2.GaussianBlur(pixels, (0, 0), value) if value > 0 else pixels
    if cause == "resolution":
        small = cv2.resize(pixels, (int(value), int(value)), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (112, 112), interpolation=cv2.INTER_LINEAR)
    if cause == "noise":
        return np.clip(np.rint(pixels + stream.normal(0, value, pixels.shape)), 0, 255).astype(np.uint8)
    if cause == "jpeg":
        return jpeg(pixels, int(value))
    if cause == "occlusion":
        return _bar(pixels, value, stream)
    return np.rint(pixels * value).astype(np.uint8)


def _bar(pixels: np.ndarray, share: float, stream: np.random.Generator) -> np.ndarray:
    """A bar of one colour over `share` of the crop, across its full width, at a random height."""
    covered, height = pixels.copy(), round(112 * share)
    top = stream.integers(112 - height + 1)
    covered[top : top + height] = stream.integers(0, 256, 3)
    return covered


def _stream(image_id: str, seed: int, purpose: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed} {purpose} {image_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
