"""What every loader asks of a pair list: counts, labels, folds. Wrong ones are errors, other counts a note.

A table of pairs has path_a, path_b, identity_a, identity_b, genuine (1 or 0), fold (-1 unknown) and line,
where the pair stands in its list.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.errors import FiqaError

PUBLISHED_MISTAKES = 0.01  # share of contradictions that a published list is known to hold; kept and noted


@dataclass(frozen=True)
class Protocol:
    """How many pairs, folds, and images and identities in pairs were published; None: unknown."""

    genuine: int
    impostor: int
    folds: int | None = None
    images: int | None = None
    identities: int | None = None


def first_few(names: list, most: int = 3) -> str:
    """The first names of a list, and how many more there are: "a, b, c and 4 more"."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(str(name) for name in names[:most]) + more


def require(path: str | Path, what: str, kind: str = "file") -> Path:
    """`path` as a Path; FiqaError naming it as `what` unless it is a "file" or a "folder"."""
    path = Path(path)
    if not (path.is_file() if kind == "file" else path.is_dir()):
        raise FiqaError(f"{what} {path} is missing", "check the path in params.yaml or in the suite's file")
    return path


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def count_notes(protocol: Protocol, pairs: pd.DataFrame, images: pd.DataFrame) -> list[str]:
    """One note per number that is not the published one. pairs: genuine, fold; images: identity."""
    genuine, folds = int(pairs["genuine"].sum()), pairs["fold"][pairs["fold"] >= 0]
    found = {
        "genuine pairs": (genuine, protocol.genuine),
        "impostor pairs": (len(pairs) - genuine, protocol.impostor),
        "folds": (folds.nunique(), protocol.folds if len(folds) else None),
        "images in pairs": (len(images), protocol.images),
        "identities": (images["identity"].nunique(), protocol.identities),
    }
    return [
        f"{number:,} {what}, the published protocol has {published:,}"
        for what, (number, published) in found.items()
        if published not in (None, number)
    ]


def label_notes(pairs: pd.DataFrame, path: Path, tolerance: float = 0.0, unit: str = "line") -> list[str]:
    """Notes on pairs whose label contradicts their identities, of one image with itself, and given twice.

    Raises FiqaError that names the first line where more than the share `tolerance` of the pairs do so;
    a pair given twice is never an error. `unit` is what the column line counts.
    """
    same = (pairs["identity_a"] == pairs["identity_b"]).to_numpy()
    wrong = same != (pairs["genuine"] == 1).to_numpy()
    itself = (pairs["path_a"] == pairs["path_b"]).to_numpy()
    notes = []
    for mask, what in (
        (wrong, "labels contradict the identities of their images"),
        (itself, "pairs compare an image with itself"),
    ):
        if mask.any():
            first = pairs.iloc[int(mask.argmax())]
            text = (
                f"{path}, {unit} {first['line']}: {int(mask.sum())} of {len(pairs):,} {what}, first "
                f"{first['path_a']} and {first['path_b']} with genuine = {first['genuine']}"
            )
            if mask.mean() > tolerance:
                raise FiqaError(text, "correct the list, or get it again from where it was published")
            notes.append(f"{text}; kept as published")
    return notes + _repeated(pairs, path, unit)


def _repeated(pairs: pd.DataFrame, path: Path, unit: str) -> list[str]:
    codes, _ = pd.factorize(pd.concat([pairs["path_a"], pairs["path_b"]], ignore_index=True))
    sides = pd.DataFrame(np.sort(codes.reshape(2, -1), axis=0).T)
    twice = sides.duplicated().to_numpy()
    if not twice.any():
        return []
    first = pairs["line"].iloc[int(twice.argmax())]
    return [f"{path}, {unit} {first}: {int(twice.sum())} pairs stand in the list twice, this one first"]


def fold_notes(pairs: pd.DataFrame, path: Path, disjoint: bool) -> list[str]:
    """A note on identities that occur in several folds; FiqaError where the protocol says `disjoint`."""
    sides = [pairs[["fold", f"identity_{side}"]].set_axis(["fold", "identity"], axis=1) for side in "ab"]
    held = pd.concat(sides).query("fold >= 0").drop_duplicates()
    shared = held[held["identity"].duplicated(keep=False)].sort_values(["identity", "fold"])
    if shared.empty:
        return []
    first, folds = next(iter(shared.groupby("identity")["fold"]))
    text = (
        f"{path}: {shared['identity'].nunique()} identities occur in several folds, {first} in folds "
        f"{' and '.join(str(fold) for fold in folds)} first"
    )
    if disjoint:
        raise FiqaError(text, "the published folds share nobody: get the list again, or correct its order")
    return [text]


def folds_by_position(genuine: np.ndarray, folds: int = 10) -> np.ndarray:
    """Folds 1..`folds` of a list (N,) of labels that codes none: equal blocks, half of each genuine.

    -1 everywhere if its blocks are not balanced so: then the order says nothing about folds.
    """
    genuine = np.asarray(genuine, int)
    size = len(genuine) // folds
    if size == 0 or len(genuine) % folds or (2 * genuine.reshape(folds, size).sum(axis=1) != size).any():
        return np.full(len(genuine), -1)
    return np.arange(len(genuine)) // size + 1
