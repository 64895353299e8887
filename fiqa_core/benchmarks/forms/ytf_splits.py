"""The clip pairs of YouTube Faces: `splits.txt`, or the same in MATLAB's `meta_and_splits.mat`."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat

from fiqa_core.benchmarks.forms.presence import require
from fiqa_core.errors import FiqaError

LAYOUT = "a line holds split, pair, first clip, second clip, 1 if same, separated by commas, after one header"
PAIRS_REMEDY = "copy splits.txt from the set's site, or the folder meta_data from its archive"


def read_splits(path: Path) -> pd.DataFrame:
    """a, b ("Name/v"), genuine, fold of splits.txt in its order; FiqaError naming the first wrong line."""
    lines = (
        require(path, "pair list", PAIRS_REMEDY).read_text(encoding="utf-8", errors="replace").splitlines()
    )
    rows = [_pair(path, number, line) for number, line in enumerate(lines, 1) if number > 1 and line.strip()]
    if not rows:
        raise FiqaError(f"{path} lists no pair", LAYOUT)
    return pd.DataFrame(rows, columns=["a", "b", "genuine", "fold"])


def _pair(path: Path, number: int, line: str) -> tuple[str, str, int, int]:
    fields = [field.strip() for field in line.split(",")]
    if len(fields) < 5 or not fields[0].isdecimal() or fields[4] not in ("0", "1"):
        raise FiqaError(f"{path}, line {number}: {line[:80]!r} is no pair", LAYOUT)
    for clip in fields[2:4]:
        if not _is_clip(clip):
            raise FiqaError(f"{path}, line {number}: {clip!r} is no clip", "clips are Name/v, v a number")
    return fields[2], fields[3], int(fields[4]), int(fields[0])


def _is_clip(clip: str) -> bool:
    person, slash, video = clip.partition("/")
    return bool(person and slash) and video.isdecimal()


def read_mat(path: Path) -> pd.DataFrame:
    """The table of `read_splits` from video_names (N) and Splits (pairs, 3, splits), which count from 1."""
    try:
        content = loadmat(path)
    except Exception as error:  # noqa: BLE001 - on a damaged file scipy raises whatever it trips over
        raise FiqaError(f"{path} cannot be read: {error}", PAIRS_REMEDY) from None
    if not {"video_names", "Splits"} <= set(content):
        raise FiqaError(f"{path} lacks video_names or Splits", PAIRS_REMEDY)
    clips = np.array([_text(cell).replace("\\", "/") for cell in content["video_names"].ravel()], object)
    splits = np.asarray(content["Splits"])
    if splits.ndim != 3 or splits.shape[1] != 3:
        raise FiqaError(f"{path}: Splits has shape {splits.shape}, want (pairs, 3, splits)", PAIRS_REMEDY)
    first, second, same = (splits[:, column].T.ravel() for column in range(3))
    places = np.append(first, second)
    whole = (places >= 1) & (places <= len(clips)) & (places % 1 == 0)
    if not (np.isin(same, (0, 1)).all() and whole.all()):
        raise FiqaError(
            f"{path}: Splits holds a label other than 0 and 1, or a clip number outside 1 to {len(clips)}",
            PAIRS_REMEDY,
        )
    a, b = (clips[side.astype(int) - 1] for side in (first, second))
    fold = np.repeat(np.arange(1, splits.shape[2] + 1), len(splits))
    return pd.DataFrame({"a": a, "b": b, "genuine": same.astype(int), "fold": fold})


def _text(cell) -> str:
    return str(np.asarray(cell).ravel()[0]) if np.size(cell) else ""


def check_splits(pairs: pd.DataFrame, path: Path) -> None:
    """FiqaError where a label contradicts the clips' names, or two splits share a person."""
    person = {side: pairs[side].str.split("/").str[0] for side in "ab"}
    wrong = ((person["a"] == person["b"]) != (pairs["genuine"] == 1)).to_numpy()
    if wrong.any():
        pair = pairs.iloc[int(wrong.argmax())]
        raise FiqaError(
            f"{path}: {wrong.sum()} labels contradict the names of their clips, first {pair['a']} and "
            f"{pair['b']} with label {pair['genuine']}",
            "clips of one person lie in one folder; restore the list or correct the labels",
        )
    sides = pd.concat([pd.DataFrame({"person": person[side], "fold": pairs["fold"]}) for side in "ab"])
    spread = sides.drop_duplicates().groupby("person").size()
    if (spread > 1).any():
        raise FiqaError(
            f"{path}: {(spread > 1).sum()} persons occur in several splits, {spread.idxmax()} first",
            "the ten splits of YTF share no person; restore the list",
        )
