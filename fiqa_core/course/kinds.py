"""Six kinds of faces, each spoilt by one cause, and what eight measures of the pixels say of them (lesson 8)."""
from functools import cache

import numpy as np
import pandas as pd
import torch

from fiqa_core.base.images import to_batch
from fiqa_core.challenges.component_measures import COMPONENTS
from fiqa_core.course.networks import rendered
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import neutral

KINDS = {"none": {}, "pose": {"yaw": 45}, "blur": {"defocus": 3}, "noise": {"noise": 45}, "dark": {"light_level": 0.25},
         "side light": {"light_angle": 85}}


@cache
def kinds(people: int = 10, seed: int = 81) -> tuple[torch.Tensor, np.ndarray]:
    """Faces (people * 6, 3, 112, 112) with one flaw each, of varying strength, and the kind (N,) of each."""
    rng, tables = np.random.default_rng(seed), []
    for flaws in KINDS.values():
        table = neutral(people)
        for name, value in flaws.items():
            harmless = table[name]
            table[name] = harmless + (value - harmless) * rng.uniform(0.8, 1.2, people)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    table["style"] = rng.integers(0, 2 ** 40, len(table))
    shown = rendered(sample_identities(people, seed), np.tile(np.arange(people), len(KINDS)), table)
    return to_batch(shown), np.repeat(list(KINDS), people)


def measures(images: torch.Tensor) -> np.ndarray:
    """Eight component measures (N, 8)."""
    return torch.stack([measure(images) for measure in COMPONENTS.values()], dim=1).numpy()
