"""Pairs drawn where a set has no official list: a function of the image names, the identities and a seed.

Names are drawn by the order of their hashes, not by a random number generator: the list is the same on every
machine, under every library version and in whatever order the images were found, so its sha256 tells whether
two results were measured on the same comparisons.
"""
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import read_csv, refuse
from fiqa_core.benchmarks.loaders.pair_checks import first_few

COLUMNS = ["a", "b", "genuine"]


def draw_pairs(images: pd.DataFrame, genuine: int, impostor: int, per_identity: int,
               seed: int = 0) -> pd.DataFrame:
    """Comparisons a < b (image_id), genuine (1 or 0), genuine ones first, each class sorted by a and b.

    images        image_id (unique) and identity, text
    per_identity  an identity has at most so many genuine pairs, and so many sides of impostor pairs
    There are fewer pairs than asked for where the set has no more under that limit.
    """
    images = images[["image_id", "identity"]].sort_values("image_id", ignore_index=True)
    parts = [_genuine(images, per_identity, seed).head(genuine).assign(genuine=1),
             _impostor(images, per_identity, seed).head(impostor).assign(genuine=0)]
    return pd.concat([part.sort_values(["a", "b"]) for part in parts], ignore_index=True)[COLUMNS]


def pair_list_text(pairs: pd.DataFrame) -> str:
    """The CSV text of a list: what is written and what its sha256 is taken of."""
    return pairs[COLUMNS].to_csv(index=False, lineterminator="\n")


def pair_list_hash(pairs: pd.DataFrame) -> str:
    """sha256 of `pair_list_text` in hexadecimal."""
    return hashlib.sha256(pair_list_text(pairs).encode()).hexdigest()


def read_drawn_pairs(path: Path, identity: pd.Series) -> pd.DataFrame:
    """The pairs of a CSV file with columns a, b, genuine; checked against `identity` (index: image_id).

    Raises FiqaError for missing columns, images that are unknown, and labels that contradict the identities.
    """
    table = read_csv(path, dict.fromkeys(COLUMNS, str), "give a CSV file with the columns a, b, genuine")
    strangers = sorted({*table["a"], *table["b"]} - set(identity.index))
    if strangers:
        raise FiqaError(f"{path}: {len(strangers)} images are not in the set: {first_few(strangers)}",
                        "the list belongs to another set, or to another selection of its folds")
    same = identity[table["a"]].to_numpy() == identity[table["b"]].to_numpy()
    wrong = table["genuine"].to_numpy() != np.where(same, "1", "0")
    shown = np.where(same, "one identity", "two identities")
    refuse(wrong, path, lambda row: f"genuine = {table['genuine'][row]!r}, but {table['a'][row]} and "
                                    f"{table['b'][row]} show {shown[row]}",
           "correct the line, or draw the list anew without this file")
    return table[COLUMNS].assign(genuine=same.astype(np.int64))


def _genuine(images: pd.DataFrame, per_identity: int, seed: int) -> pd.DataFrame:
    """All admissible genuine pairs in drawing order."""
    pairs = images.merge(images, on="identity", suffixes=("_a", "_b")).rename(
        columns={"image_id_a": "a", "image_id_b": "b"}
    )
    pairs = pairs[pairs["a"] < pairs["b"]]
    pairs = pairs.iloc[np.argsort(_ranks(seed, "genuine", pairs["a"], pairs["b"]), kind="stable")]
    return pairs[pairs.groupby("identity").cumcount() < per_identity][["a", "b"]]


def _impostor(images: pd.DataFrame, per_identity: int, seed: int) -> pd.DataFrame:
    """Admissible impostor pairs in drawing order.

    `per_identity` cards of every identity are shuffled and dealt in twos, so that every identity is as likely
    as any other; each card carries an image of its identity.
    """
    groups = [group.to_numpy() for _, group in images.groupby("identity")["image_id"]]
    owner = np.repeat(np.arange(len(groups)), per_identity)
    card = np.tile(np.arange(per_identity), len(groups))
    first = np.array([group[0] for group in groups], object)[owner]
    pick = _ranks(seed, "image", first, card) % np.array([len(group) for group in groups], np.uint64)[owner]
    order = np.argsort(_ranks(seed, "impostor", first, card), kind="stable")[: len(owner) // 2 * 2]
    image = np.array([groups[who][which] for who, which in zip(owner[order], pick[order])], object)
    sides = np.sort(image.reshape(-1, 2), axis=1)
    apart = owner[order].reshape(-1, 2)
    pairs = pd.DataFrame(sides, columns=["a", "b"])[apart[:, 0] != apart[:, 1]]
    return pairs.drop_duplicates()


def _ranks(seed: int, purpose: str, *columns) -> np.ndarray:
    """(N,) uint64 hashes of the seed, the purpose and the columns' values."""
    keys = ("\n".join(map(str, (seed, purpose, *values))) for values in zip(*columns))
    digests = b"".join(hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys)
    return np.frombuffer(digests, "<u8")
