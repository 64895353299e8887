"""The networks that come with the workbook, as the lessons use them, and faces to show them."""
from functools import cache

import numpy as np
import pandas as pd
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import to_batch
from fiqa_core.loading import load_shipped
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import neutral
from fiqa_core.rendering.renderer import render_faces

@cache
def network(slug: str = "cosface"):
    """A shipped network: a recogniser by its name, or "diffusion"."""
    return load_shipped(slug)


def unet():
    """The shipped diffusion model."""
    return network("diffusion")


def faces(people: int = 1, seed: int = 7, **flaws) -> torch.Tensor:
    """Faces (people, 3, 112, 112) in [0, 1], each of another person, with the given flaws and no others.

    >>> faces(2, mask=0.6, yaw=[0, 30]).shape
    torch.Size([2, 3, 112, 112])
    """
    table = neutral(people)
    for name, value in flaws.items():
        if name not in table:
            raise FiqaError(f"there is no flaw {name!r}", f"choose among {', '.join(table.columns)}")
        table[name] = np.broadcast_to(np.asarray(value, float), people)
    return to_batch(rendered(sample_identities(people, seed), np.arange(people), table))


def strengths(flaw: str, values, seed: int = 7) -> torch.Tensor:
    """One person (len(values), 3, 112, 112) under a flaw of growing strength."""
    table = neutral(len(values))
    table["style"] = 0
    table[flaw] = np.asarray(values, float)
    return to_batch(rendered(sample_identities(1, seed), np.zeros(len(values), int), table))


def rendered(people: torch.Tensor, who: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Pixels (N, 112, 112, 3)."""
    return render_faces(people, who, table)[0]


def cosines(a: torch.Tensor, b: torch.Tensor, slug: str = "cosface") -> np.ndarray:
    """Cosines (N,) of the embeddings of faces a, b (N, 3, 112, 112)."""
    with torch.no_grad():
        return torch.cosine_similarity(network(slug)(a), network(slug)(b), dim=1).numpy()
