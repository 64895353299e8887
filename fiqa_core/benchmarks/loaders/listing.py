"""What a loader of an official form yields: which images there are, how each is read, which are compared.

A listing holds no pixels. `benchmarks/store.py` reads its images in order, aligns them and writes a face set.
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import PAIR_COLUMNS

LISTING_COLUMNS = ("image_id", "identity", "template_id", "media_id")


@dataclass(frozen=True)
class Listing:
    """The images and comparisons of one benchmark or training set, before alignment.

    name       the benchmark's name as the papers print it ("CFP-FP"), or "training"
    images     N rows of text: image_id (unique), identity, template_id, media_id; further columns are kept
    pairs      a, b (template_id), genuine (1 or 0), fold (-1 unknown); empty for training
    read       row number -> the picture, uint8 (H, W, 3) RGB; raises FiqaError if it cannot be decoded
    aligned    True where pictures are 112 x 112 crops on the ArcFace template already
    landmarks  (N, 5, 2) float x, y in pixels of the picture, NaN where unknown; None: none are given
    notes      what the loader found that is not an error: a known trap, a count other than the published one
    Raises FiqaError if the tables do not fit together.
    """

    name: str
    images: pd.DataFrame
    pairs: pd.DataFrame
    read: Callable[[int], np.ndarray]
    aligned: bool = False
    landmarks: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        problems = [f"images lack column {c}" for c in LISTING_COLUMNS if c not in self.images]
        problems += [f"pairs lack column {c}" for c in PAIR_COLUMNS if c not in self.pairs]
        if not problems and not self.images["image_id"].is_unique:
            twice = self.images["image_id"][self.images["image_id"].duplicated()].iloc[0]
            problems.append(f"image {twice} is listed twice")
        if self.landmarks is not None and self.landmarks.shape != (len(self.images), 5, 2):
            problems.append(f"landmarks are {self.landmarks.shape} for {len(self.images)} images")
        if problems:
            raise FiqaError(f"listing {self.name}: " + "; ".join(problems), "correct the loader's input")

    def __len__(self) -> int:
        return len(self.images)
