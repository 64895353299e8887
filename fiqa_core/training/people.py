"""Who is on the training images: persons held out, batches with several images of a person, genuine pairs."""
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.kernels.chunks import check_at_least


def codes_of(identities) -> np.ndarray:
    """Names (N,) as whole numbers (N,) int64, numbered in the order of the sorted names."""
    return np.unique(np.asarray(identities, dtype=str), return_inverse=True)[1]


def accompanied(codes: np.ndarray) -> np.ndarray:
    """Rows (M,) of the images whose person has at least one image more.

    codes  (N,) person of each image. Raises FiqaError if nobody has two images.
    """
    rows = np.flatnonzero(np.bincount(codes)[codes] > 1)
    if not len(rows):
        raise FiqaError("no person has two training images",
                        "this method compares images of one person: give several of each")
    return rows


def hold_out(codes: np.ndarray, rows: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`rows` parted into (training, validation), by person: about a `share` of the persons validates.

    Raises FiqaError unless share is in [0, 1) and somebody is left to train on.
    """
    people = np.random.default_rng(seed).permutation(np.unique(codes[rows]))
    chosen = people[:round(share * len(people))]
    if not 0 <= share < 1 or len(chosen) == len(people):
        raise FiqaError(f"{len(chosen)} of {len(people)} persons would validate (validation = {share})",
                        "lower the share `validation`, or give images of more persons")
    validates = np.isin(codes[rows], chosen)
    return rows[~validates], rows[validates]


def shuffled(rows: np.ndarray, generator: np.random.Generator, batch: int) -> list[np.ndarray]:
    """Batches of at most `batch` rows in random order, every row once."""
    order = generator.permutation(rows)
    return [order[first:first + batch] for first in range(0, len(order), batch)]


def by_person(rows: np.ndarray, generator: np.random.Generator, codes: np.ndarray, people: int,
              each: int) -> list[np.ndarray]:
    """Batches of `people` groups, a group being 2 to `each` images of one person.

    rows (M,), codes (N,) the person of every image. Every row occurs at most once; a person's last image is
    left out where it would be alone. The number of batches does not depend on the generator. Raises
    FiqaError for empty groups or groups without a pair.
    """
    check_at_least("people", people, 1)
    check_at_least("each", each, 2)
    order = generator.permutation(rows)
    order = order[np.argsort(codes[order], kind="stable")]
    person = codes[order]
    first = np.searchsorted(person, person)                     # where the run of this person begins
    begins = np.flatnonzero((np.arange(len(order)) - first) % each == 0)
    groups = [group for group in np.split(order, begins[1:]) if len(group) > 1]
    groups = [groups[index] for index in generator.permutation(len(groups))]
    return [np.concatenate(groups[start:start + people]) for start in range(0, len(groups), people)]


def pair_batches(faces: FaceSet, settings: dict) -> tuple[np.ndarray, tuple, Callable]:
    """For a training on genuine pairs: codes (N,) of the persons, (training, validation) rows, and `draw` of
    `fit`, whose batches have `people` groups of up to `each` images of one person.

    Raises FiqaError where nobody has two images and for unfit settings.
    """
    codes = codes_of(faces.images["identity"])
    rows = hold_out(codes, accompanied(codes), settings["validation"], settings["seed"])
    return codes, rows, partial(by_person, codes=codes, people=settings["people"], each=settings["each"])


def genuine_pairs(codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(i, j) with i < j and codes[i] == codes[j]: all genuine pairs of a batch (B,), each once."""
    same = codes[:, None] == codes[None]
    return same.triu(1).nonzero(as_tuple=True)


def pair_cosines(embeddings: torch.Tensor, pairs: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Cosines (P,) of pairs (i, j) of embeddings (B, D) of length 1."""
    i, j = pairs
    return (embeddings[i] * embeddings[j]).sum(dim=1)
