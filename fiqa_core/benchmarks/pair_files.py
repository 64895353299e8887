"""Comparisons on disk and as integers: text while a person may read them, binary for IJB-C's millions.

In memory a pairs table holds template ids as text or, where there are many pairs, as pandas categoricals,
which take two bytes a cell instead of sixty. `template_codes` treats both alike.
"""

import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.errors import FiqaError

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
    part = folder / f"{chosen}.part"
    if chosen == TEXT:
        pairs.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
    else:
        names = used_templates(pairs)
        with open(part, "wb") as file:
            np.savez(
                file,
                templates=names.to_numpy().astype(str),
                a=template_codes(pairs["a"], names),
                b=template_codes(pairs["b"], names),
                genuine=pairs["genuine"].to_numpy(np.uint8),
                fold=pairs["fold"].to_numpy(np.int32),
            )
    os.replace(part, folder / chosen)
    (folder / other).unlink(missing_ok=True)
    return folder / chosen


def read_pairs(folder: Path) -> pd.DataFrame:
    """The pairs of a face set's folder: a, b text from pairs.csv, categoricals from pairs.npz.

    Raises FiqaError if there is neither, or the binary file is damaged or not of this form.
    """
    folder = Path(folder)
    if (folder / TEXT).is_file():
        return pd.read_csv(folder / TEXT, dtype={"a": str, "b": str})
    path = folder / BINARY
    if not path.is_file():
        raise FiqaError(f"{folder / TEXT} is missing", "run the stage that prepares faces: dvc repro prepare")
    try:
        with np.load(path, allow_pickle=False) as file:
            names, a, b, genuine, fold = (file[name] for name in ARRAYS)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise FiqaError(f"{path} is damaged: {error}", "prepare the faces again: dvc repro prepare") from None
    bad = [
        name
        for name, codes in (("a", a), ("b", b))
        if len(codes) and not 0 <= codes.min() <= codes.max() < len(names)
    ]
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
