"""Real photographs as face sets: a benchmark with its pair list, and training faces cross-fitted to it.

A learned quality method must not be judged on people it was trained on, and LFW leaves few other
photographs. Therefore its identity-disjoint folds are dealt into parts; model h scores part h and is
trained on everything else: `crossfit` of an image is the part of its identity, -1 outside the benchmark.
"""
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.base.files import read_csv
from fiqa_core.base.images import path_of
from fiqa_core.base.progress import progress
from fiqa_core.benchmarks.degraded import cross_quality_benchmark, degraded_copies
from fiqa_core.benchmarks.enrolment import Reader, face_reader
from fiqa_core.benchmarks.loaders.folders import people_below, read_pair_list
from fiqa_core.benchmarks.loaders.listing import Listing


def photograph_suite(root: Path, seed: int, folder: str, pairs: str, name: str = "LFW", parts: int = 2,
                     exclude: tuple[str, ...] = (), aliases: str | None = None, landmarks: str | None = None,
                     detector: str | None = None, subset: int | None = None, subset_impostors: int = 0,
                     degraded_training: float = 0.0,
                     cross_quality: str | None = "LFW-XQ") -> Iterator[FaceSet]:
    """Training faces, the benchmark `name`, and its harder copy `cross_quality` (None: no copy).

    Paths are relative to `root`; `pairs` is a list of `read_pair_list`. `landmarks` or `detector` for
    unaligned photographs, else they are taken as 112 x 112 crops; the remaining options are those of
    `photograph_benchmark` and `photograph_training_set`. Raises FiqaError for paths and files that do not
    fit together.
    """
    place = Path(root) / folder
    read = face_reader(landmarks and Path(root) / landmarks, detector, policy="central")
    listed = read_pair_list(Path(root) / pairs, place)
    yield photograph_training_set(place, listed, parts, exclude, aliases and Path(root) / aliases, read,
                                  degraded_training, seed)
    benchmark = photograph_benchmark(name, place, listed, parts, subset, subset_impostors, read, seed)
    yield benchmark
    if cross_quality is not None:
        yield cross_quality_benchmark(cross_quality, benchmark, seed)


def photograph_benchmark(name: str, folder: Path, listed: Listing, parts: int = 2, subset: int | None = None,
                         subset_impostors: int = 0, read: Reader | None = None, seed: int = 0) -> FaceSet:
    """The benchmark of a pair list: its images once each, aligned, `crossfit` by fold, the comparisons.

    subset  number of genuine pairs, drawn evenly from the folds with `seed`, whose images are marked 1 in
            the column `subset`: those that slow methods score. With `subset_impostors` as many impostor
            pairs are marked too (the preset `paper` discards impostors as well). None: no such column.
    Unreadable images and images without a face stay, with 1 in the column `fte` (failure to extract).
    Raises FiqaError for folds that share an identity across parts.
    """
    part = identity_parts(listed, parts)
    pixels, images = read_faces(folder, listed.images, read, name)
    images["crossfit"] = images["identity"].map(part).astype(int)
    table = listed.pairs
    if subset is not None:
        marked = pd.concat([subset_pairs(table[table["genuine"] == 1], subset, seed),
                            subset_pairs(table[table["genuine"] == 0], subset_impostors, seed)])
        images["subset"] = images["image_id"].isin({*marked["a"], *marked["b"]}).astype(int)
    return FaceSet(name, pixels, images, table)


def photograph_training_set(folder: Path, listed: Listing, parts: int = 2, exclude: tuple[str, ...] = (),
                            aliases: Path | None = None, read: Reader | None = None, degraded: float = 0.0,
                            seed: int = 0) -> FaceSet:
    """All photographs below `folder` that have a face, for training what scores the benchmark of `listed`.

    exclude   patterns of identities or relative paths to leave out ("yaleb__*", "raw/*")
    aliases   CSV with identity_a, identity_b: one person under two names. Both carry the part of the
              benchmark identity; a person with names in several parts is left out altogether
    degraded  share of the photographs, drawn with `seed`, that are joined by a degraded copy, so that a
              distilled method sees poor quality too
    """
    part = _with_aliases(identity_parts(listed, parts), aliases)
    people = people_below(folder, lambda name: part.get(_identity(name), -1) is None or any(
        fnmatch(name, pattern) or fnmatch(_identity(name), pattern) for pattern in exclude))
    if people.empty:
        raise FiqaError("training: no image is left", "loosen `exclude`, or check the face folder")
    pixels, images = read_faces(folder, people, read, "training")
    images["crossfit"] = images["identity"].map(lambda identity: part.get(identity, -1)).astype(int)
    kept = (images["fte"] == 0).to_numpy()
    faces = FaceSet("training", pixels[kept], images[kept].reset_index(drop=True), empty_pairs())
    return degraded_copies(faces, degraded, seed) if degraded else faces


def read_faces(folder: Path, listed: pd.DataFrame, read: Reader | None,
               label: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Crops (N, 112, 112, 3) and images table of the images listed; failures are kept and printed."""
    read, names = read or face_reader(), listed["image_id"].tolist()
    pixels, failed = np.empty((len(names), 112, 112, 3), np.uint8), []
    for row, name in enumerate(progress(names, f"read {label}", unit="images")):
        face = read(path_of(folder, name), name)
        pixels[row] = face.crop
        failed.append(int(face.failure != ""))
        if face.failure:
            print(f"{label}: {name}: {face.failure}")
    columns = ["image_id", "identity", "template_id", "media_id"]
    return pixels, listed[columns].assign(crossfit=-1, fte=np.array(failed, int))


def identity_parts(listed: Listing, parts: int) -> dict[str, int]:
    """Identity -> part in 0..parts-1, consecutive folds together; FiqaError for an identity in two parts."""
    pairs, identity = listed.pairs, listed.images.set_index("image_id")["identity"]
    folds = {fold: i for i, fold in enumerate(sorted(pairs["fold"].unique()))}
    if not 1 <= parts <= len(folds):
        raise FiqaError(f"parts = {parts} of {len(folds)} folds", "choose from 1 to the number of folds")
    part = pairs["fold"].map(folds) * parts // len(folds)
    table = pd.concat([pd.DataFrame({"identity": identity[pairs[side]].to_numpy(),
                                     "part": part}) for side in "ab"])
    spread = table.drop_duplicates().groupby("identity")["part"].size()
    if (spread > 1).any():
        raise FiqaError(f"{int((spread > 1).sum())} identities occur in folds of different parts, "
                        f"{spread.idxmax()} first",
                        "use folds that share no identity, or parts = 1 without methods that are trained")
    return dict(zip(table["identity"], table["part"]))


def subset_pairs(pairs: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """`count` of the pairs, the same number from every fold up to one; FiqaError if there are fewer."""
    if not 0 <= count <= len(pairs):
        raise FiqaError(f"a subset of {count} pairs is wanted of {len(pairs)}", "choose a smaller subset")
    order = np.random.default_rng(seed).permutation(len(pairs))
    turn = pairs["fold"].iloc[order].groupby(pairs["fold"].iloc[order].to_numpy()).cumcount().to_numpy()
    return pairs.iloc[order[np.argsort(turn, kind="stable")][:count]]


def _identity(name: str) -> str:
    return Path(name).parent.name


def _with_aliases(part: dict[str, int], aliases: Path | None) -> dict[str, int | None]:
    """`part` for all names of the benchmark's people; None where one person's names lie in several parts."""
    result: dict[str, int | None] = dict(part)
    for group in _alias_groups(aliases) if aliases is not None else []:
        found = {part[name] for name in group if name in part}
        if found:
            result.update(dict.fromkeys(group, found.pop() if len(found) == 1 else None))
    return result


def _alias_groups(path: Path) -> list[set[str]]:
    """Sets of names that are one person, joined over the rows of the alias file."""
    table = read_csv(path, {"identity_a": str, "identity_b": str},
                     "name two columns identity_a and identity_b, or leave `aliases` out")
    groups: list[set[str]] = []
    for a, b in zip(table["identity_a"], table["identity_b"]):
        joined = {a, b}.union(*(group for group in groups if group & {a, b}))
        groups = [group for group in groups if not group & {a, b}] + [joined]
    return groups
