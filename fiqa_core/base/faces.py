"""The one form of a benchmark or training set: packed pixels, an images table, a pairs table.

On disk a face set is a folder with `pixels.npy` (uint8, memory-mapped on load), `images.csv` and the pairs
(`pairs.csv` while a person may read them, `pairs.npz` for IJB-C's millions). Loose image files are never
tracked: thousands of them slow DVC down.

In memory a pairs table holds template ids as text or, where there are many pairs, as pandas categoricals,
which take two bytes a cell instead of sixty. `template_codes` treats both alike.
"""
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import read_table, replacing, write_csv

TEXT, BINARY = "pairs.csv", "pairs.npz"
TEXT_LIMIT = 1_000_000  # pairs; beyond it text takes minutes to read and gigabytes of strings
ARRAYS = ("templates", "a", "b", "genuine", "fold")


def write_pairs(pairs: pd.DataFrame, folder: Path, limit: int = TEXT_LIMIT) -> Path:
    """Write a, b, genuine, fold to pairs.csv, beyond `limit` pairs to pairs.npz; returns the file.

    The npz holds templates (T,) text and per pair a, b int32 (places in `templates`), genuine uint8 and fold
    int32; equal tables give equal bytes. The file of the other form is removed. Columns beyond these four are
    kept in text only.
    """
    folder = Path(folder)
    chosen, other = (BINARY, TEXT) if len(pairs) > limit else (TEXT, BINARY)
    if chosen == TEXT:
        write_csv(pairs, folder / chosen, digits=6)
    else:
        names = used_templates(pairs)
        with replacing(folder / chosen) as part, open(part, "wb") as file:
            np.savez(file, templates=names.to_numpy().astype(str), a=template_codes(pairs["a"], names),
                     b=template_codes(pairs["b"], names), genuine=pairs["genuine"].to_numpy(np.uint8),
                     fold=pairs["fold"].to_numpy(np.int32))
    (folder / other).unlink(missing_ok=True)
    return folder / chosen


def read_pairs(folder: Path) -> pd.DataFrame:
    """The pairs of a face set's folder: a, b text from pairs.csv, categoricals from pairs.npz.

    Raises FiqaError if there is neither, or the binary file is damaged or not of this form.
    """
    folder = Path(folder)
    if (folder / TEXT).is_file():
        return read_table(folder / TEXT)
    path = folder / BINARY
    if not path.is_file():
        raise FiqaError(f"{folder / TEXT} is missing", "run the stage that prepares faces: dvc repro prepare")
    try:
        with np.load(path, allow_pickle=False) as file:
            names, a, b, genuine, fold = (file[name] for name in ARRAYS)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise FiqaError(f"{path} is damaged: {error}", "prepare the faces again: dvc repro prepare") from None
    bad = [name for name, codes in (("a", a), ("b", b))
           if len(codes) and not 0 <= codes.min() <= codes.max() < len(names)]
    if bad or not len(a) == len(b) == len(genuine) == len(fold):
        raise FiqaError(
            f"{path} is damaged: {bad[0] if bad else 'columns'} of wrong "
            f"{'template numbers' if bad else 'length'}",
            "prepare the faces again: dvc repro prepare",
        )
    kind = pd.CategoricalDtype(pd.Index(names, dtype=object))
    return pd.DataFrame(
        {
            "a": pd.Categorical.from_codes(a, dtype=kind),
            "b": pd.Categorical.from_codes(b, dtype=kind),
            "genuine": genuine,
            "fold": fold,
        }
    )


def used_templates(pairs: pd.DataFrame) -> pd.Index:
    """The template ids that occur in a or b, each once; missing values (NaN) are among them."""
    found = []
    for column in (pairs["a"], pairs["b"]):
        if isinstance(column.dtype, pd.CategoricalDtype):
            counts = np.bincount(column.cat.codes.to_numpy() + 1, minlength=len(column.cat.categories) + 1)
            found.append(column.cat.categories[counts[1:] > 0].astype(object))
            if counts[0]:
                found.append(pd.Index([np.nan], dtype=object))
        else:
            found.append(pd.Index(column.unique(), dtype=object))
    return found[0].append(found[1:]).unique()


def template_codes(column: pd.Series, names: pd.Index) -> np.ndarray:
    """Place (P,) int32 in `names` (unique) of every template id in a column of pairs; -1 where it has none."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return names.get_indexer(column).astype(np.int32)
    place = np.append(names.get_indexer(column.cat.categories), -1).astype(np.int32)
    return place[column.cat.codes.to_numpy()]


IMAGE_COLUMNS = ("image_id", "identity", "template_id", "media_id", "crossfit")
POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")     # as seen in the image
POINT_COLUMNS = tuple(f"{point}_{axis}" for point in POINTS for axis in "xy")
# Columns that some benchmarks have and that are no cause of quality loss: scored by slow methods, no face found,
# the detector's score, the attempt that found the face (0: none did), landmarks in pixels of the source picture.
IMAGE_MARKS = ("subset", "fte", "detector_score", "attempt", *POINT_COLUMNS)
PAIR_COLUMNS = ("a", "b", "genuine", "fold")


@dataclass(frozen=True)
class FaceSet:
    """Aligned faces of one benchmark or training set.

    name    the benchmark's name as the papers print it ("CFP-FP"), or "training"
    pixels  (N, 112, 112, 3) uint8, RGB, aligned to the ArcFace template; row i belongs to images row i
    images  N rows: image_id (unique), identity, template_id, media_id, crossfit, then true nuisance
            values or provenance. A still image is a template of its own (template_id == image_id).
            crossfit: in a benchmark, the index of the trained model that scores the image; in a
            training set, the index of the model that must not see it, -1 where every model may.
    pairs   comparisons: a, b (template_id; text or categorical), genuine (1 or 0), fold (-1 unknown); empty
            for training
    """

    name: str
    pixels: np.ndarray
    images: pd.DataFrame
    pairs: pd.DataFrame

    def __post_init__(self):
        check(self)

    def __len__(self) -> int:
        return len(self.images)

    def save(self, folder: Path) -> None:
        """Write the set to `folder`, replacing what is there. Pixels that lie in that very file stay."""
        folder.mkdir(parents=True, exist_ok=True)
        if not lies_in(self.pixels, folder / "pixels.npy"):
            # the old file may be what `pixels` is read from
            with replacing(folder / "pixels.npy") as part, open(part, "wb") as file:
                np.save(file, self.pixels)
        self.save_tables(folder)

    def save_tables(self, folder: Path) -> None:
        """Write all but the pixels, for sets whose pixels are in `folder` already."""
        write_csv(self.images, folder / "images.csv", digits=6)
        write_pairs(self.pairs, folder)


def lies_in(pixels: np.ndarray, path: Path) -> bool:
    """Whether `pixels` is the memory-mapped whole of the file `path`."""
    if not isinstance(pixels, np.memmap) or pixels.filename is None or not path.is_file():
        return False
    whole = np.load(path, mmap_mode="r")
    return path.samefile(pixels.filename) and pixels.flags.c_contiguous and pixels.shape == whole.shape


def empty_pairs() -> pd.DataFrame:
    """The pairs table of a set that is not compared (a training set)."""
    return pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in
                         zip(PAIR_COLUMNS, ("str", "str", "int64", "int64"))})


def load_face_set(folder: Path) -> FaceSet:
    """Read a face set; pixels are memory-mapped. Raises FiqaError if a file is missing or inconsistent."""
    folder = Path(folder)
    for name in ("pixels.npy", "images.csv"):
        if not (folder / name).is_file():
            raise FiqaError(f"{folder / name} is missing", "run the stage that prepares faces: dvc repro prepare")
    return FaceSet(folder.name, np.load(folder / "pixels.npy", mmap_mode="r"),
                   read_table(folder / "images.csv"), read_pairs(folder))


def check(faces: FaceSet) -> None:
    """Raise FiqaError unless pixels, images and pairs fit together."""
    images, pairs, pixels = faces.images, faces.pairs, faces.pixels
    problems = []
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (112, 112, 3):
        problems.append(f"pixels are {pixels.dtype} {pixels.shape}, want uint8 (N, 112, 112, 3)")
    if len(pixels) != len(images):
        problems.append(f"{len(pixels)} pictures for {len(images)} rows of images")
    problems += [f"images lack column {c}" for c in IMAGE_COLUMNS if c not in images]
    problems += [f"pairs lack column {c}" for c in PAIR_COLUMNS if c not in pairs]
    if not problems:
        if images["image_id"].duplicated().any():
            problems.append(f"image_id {images['image_id'][images['image_id'].duplicated()].iloc[0]} occurs twice")
        named = used_templates(pairs)
        unknown = sorted(map(str, named[~named.isin(images["template_id"].unique())]))
        if unknown:
            problems.append(f"{len(unknown)} templates in pairs are not in images, {unknown[0]} first")
        if not pairs["genuine"].isin((0, 1)).all():
            problems.append("pairs.genuine holds values other than 0 and 1")
    if problems:
        raise FiqaError(f"face set {faces.name}: " + "; ".join(problems),
                        "prepare it again (dvc repro prepare), or correct the loader's input")
