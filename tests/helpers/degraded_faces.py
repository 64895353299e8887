"""A training set in small: identities are textures, their images blurred and noisy to a known degree."""
import functools
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.base.images import to_batch
from fiqa_core.training.recogniser import train_recogniser

NETWORK = {"network": "iresnet", "name": "tiny", "blocks": [1, 1, 1], "widths": [16, 16, 32], "size": 56,
           "stem_stride": 2, "embedding": 32, "dropout": 0.4}
TRAINING = {"epochs": 8, "batch": 32, "lr": 0.1, "scale": 16, "margin": 0.2, "seed": 1}
BLUR, NOISE = 10.0, 140.0             # of the worst images: deviations in pixels and in grey levels


def textures(identities: int, seed: int) -> np.ndarray:
    """(identities, 112, 112, 3) float32 in 0..255, with fine details of 4 and 8 pixels and faint ones of 28."""
    rng = np.random.default_rng(seed)
    pictures = np.full((identities, 112, 112, 3), 127.0)
    for size, strength in ((4, 50), (8, 50), (28, 20)):
        coarse = rng.uniform(-strength, strength, (identities, 112 // size, 112 // size, 3))
        pictures += coarse.repeat(size, 1).repeat(size, 2)
    return pictures.clip(0, 255).astype(np.float32)


def degrade(picture: np.ndarray, blur: float, noise: float, rng) -> np.ndarray:
    """A float picture (112, 112, 3) after blur and noise of these deviations, as uint8."""
    if blur > 0:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    return (picture + rng.normal(0, 1, picture.shape) * noise).clip(0, 255).astype(np.uint8)


def training_faces(identities: int = 16, each: int = 16, seed: int = 0) -> FaceSet:
    """Two of three images are degraded, by blur or noise of uniform severity."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(identities), each)
    severity = rng.uniform(0, 1, len(people)) * (np.arange(len(people)) % 3 > 0)
    blurred = rng.random(len(people)) < 0.5
    base = textures(identities, seed) * 0.9
    pixels = [degrade(np.roll(base[person], rng.integers(-3, 4, 2), (0, 1)) + rng.uniform(0, 25),
                      BLUR * s * chosen, NOISE * s * (not chosen) + 3, rng)
              for person, s, chosen in zip(people, severity, blurred)]
    names = [f"image{index:04d}" for index in range(len(people))]
    images = pd.DataFrame({"image_id": names, "identity": [f"person{person:02d}" for person in people],
                           "template_id": names, "media_id": names, "crossfit": -1, "severity": severity})
    return FaceSet("training", np.stack(pixels), images, empty_pairs())


def ladder(kind: str, count: int = 40, levels=(0, 1 / 3, 2 / 3, 1)) -> list[torch.Tensor]:
    """The same unseen faces at growing blur or noise: one batch (count, 3, 112, 112) in [0, 1] per level."""
    base = textures(count, seed=77)
    blur, noise = BLUR * (kind == "blur"), NOISE * (kind == "noise")
    return [to_batch(np.stack([degrade(picture, blur * level, noise * level, np.random.default_rng(row))
                               for row, picture in enumerate(base)])) for level in levels]


def means(method, kind: str) -> list[float]:
    """Mean score at each level of a ladder."""
    return [method(images).mean().item() for images in ladder(kind)]


@functools.cache
def trained_recogniser():
    """A recogniser of NETWORK, trained on `training_faces()` with dropout."""
    with tempfile.TemporaryDirectory() as folder:
        config = {**NETWORK, **TRAINING, "head": "cosface"}
        return train_recogniser(training_faces(), config, Path(folder) / "run.pt", "cpu")
