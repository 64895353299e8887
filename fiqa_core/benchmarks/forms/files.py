"""From a checked table of pairs of image files to a listing: which files there are, and how each is read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.benchmarks.forms.checks import Protocol, count_notes, first_few
from fiqa_core.benchmarks.listing import Listing
from fiqa_core.errors import FiqaError
from fiqa_core.images import read_image

LOOKED_AT = 16  # pictures whose size tells whether a set is aligned


@dataclass(frozen=True)
class FilePictures:
    """Row -> picture of the file `folder / names[row]`, uint8 (H, W, 3); FiqaError if it is not intact.

    `failed` are rows whose list says that no face was found: a FiqaError too, so that they count as failures.
    """

    folder: Path
    names: tuple[str, ...]
    failed: frozenset[int] = frozenset()

    def __call__(self, row: int) -> np.ndarray:
        if row in self.failed:
            raise FiqaError(
                f"{self.names[row]} is listed as a failure (fte = 1)", "set fte to 0 to use the image"
            )
        return read_image(self.folder / self.names[row])


def file_listing(
    name: str,
    folder: Path,
    pairs: pd.DataFrame,
    path: Path,
    protocol: Protocol,
    notes: list[str],
    aligned: bool | None = None,
    allow_missing: bool = False,
) -> Listing:
    """The listing of `pairs` (columns as in `checks`) between images below `folder`, image_id = path there.

    path           the pair list, for messages
    aligned        None: told by the pictures' size (`look_aligned`)
    allow_missing  leave out pairs with an image that is not there, with a note, instead of a FiqaError
    """
    pairs, missing = present_pairs(pairs, folder, path, allow_missing)
    images = image_table(pairs)
    read = FilePictures(folder, tuple(images["image_id"]))
    table = pairs.rename(columns={"path_a": "a", "path_b": "b"})[["a", "b", "genuine", "fold"]]
    return Listing(
        name=name,
        images=images,
        pairs=table.reset_index(drop=True),
        read=read,
        aligned=look_aligned(read, len(images), folder) if aligned is None else aligned,
        notes=(*notes, *missing, *count_notes(protocol, table, images)),
    )


def image_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """The images of `pairs` once each, sorted by path: image_id, identity, template_id, media_id."""
    sides = [
        pairs[[f"path_{side}", f"identity_{side}"]].set_axis(["image_id", "identity"], axis=1)
        for side in "ab"
    ]
    images = pd.concat(sides).drop_duplicates("image_id").sort_values("image_id", ignore_index=True)
    return images.assign(template_id=images["image_id"], media_id=images["image_id"])


def missing_files(names: pd.Series, folder: Path) -> list[str]:
    """Those of `names`, each once and sorted, that are no files below `folder`."""
    return sorted(name for name in names.unique() if not (folder / name).is_file())


def present_pairs(
    pairs: pd.DataFrame, folder: Path, path: Path, allow_missing: bool
) -> tuple[pd.DataFrame, list[str]]:
    """The pairs whose images are both there, and a note on the others; FiqaError as in `file_listing`."""
    names = pd.concat([pairs["path_a"], pairs["path_b"]])
    missing = missing_files(names, folder)
    if not missing:
        return pairs, []
    kept = pairs[~(pairs["path_a"].isin(missing) | pairs["path_b"].isin(missing))]
    text = f"{path}: {len(missing):,} of {names.nunique():,} images are not in {folder}: {first_few(missing)}"
    if not allow_missing or kept.empty:
        raise FiqaError(
            text,
            "complete the folder, or give the one that the list's names start from; allow_missing: true "
            "leaves the pairs of missing images out and reports their number",
        )
    return kept, [f"{text}; {len(pairs) - len(kept):,} of {len(pairs):,} pairs were left out for it"]


def look_aligned(read: Callable[[int], np.ndarray], count: int, where: Path) -> bool:
    """True if pictures spread over the `count` rows of `read` are all 112 x 112 pixels, False if none is.

    Pictures that cannot be decoded are passed over. Raises FiqaError for a mixture.
    """
    sizes = []
    for row in np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(int)):
        try:
            sizes.append(read(int(row)).shape[:2])
        except FiqaError:
            continue
    crops = sizes.count((112, 112))
    if 0 < crops < len(sizes):
        other = next(size for size in sizes if size != (112, 112))
        raise FiqaError(
            f"{where}: of {len(sizes)} pictures {crops} have 112 x 112 pixels and {len(sizes) - crops} have "
            f"not (one has {other[1]} x {other[0]})",
            "give one kind: aligned crops or original photographs; or say which with aligned: true or false",
        )
    return crops > 0
