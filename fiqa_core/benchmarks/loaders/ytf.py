"""YouTube Faces: clips compared with clips, each a template of at most 30 evenly spaced frames.

`splits.txt` or `meta_data/meta_and_splits.mat` lists the clip pairs of ten splits that share no person.
Frames are whole pictures in `frame_images_DB`, whose `Name.labeled_faces.txt` says where the face is, or
crops in `aligned_images_DB` (aligned in its own way, not to the ArcFace template). eDifFIQA does not say
which frames it used; ours are evenly spaced. Source: Wolf, Hassner and Maoz, CVPR 2011; the set's README.
"""
import os
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import IMAGE_SUFFIXES
from fiqa_core.benchmarks.loaders.listing import (CutPictures, Expected, Facts, FilePictures, Listing,
                                                  boxes_around)
from fiqa_core.benchmarks.loaders.pair_checks import (count_notes, first_existing, left_out_note, list_lines,
                                                      missing_note, require)

CLIPS = 3425
FACTS = Facts("research only", "register on www.cs.tau.ac.il/~wolf/ytfaces", side=240,
              expect=(Expected(path="frame_images_DB|aligned_images_DB", folders=CLIPS),
                      Expected("splits", "splits.txt|meta_data/splits.txt|meta_data/meta_and_splits.mat")),
              counts={"splits": 10, "genuine pairs": 2_500, "impostor pairs": 2_500},
              estimates={"faces": 30 * CLIPS, "templates": CLIPS})
LAYOUT = "a line holds split, pair, first clip, second clip, 1 if same, separated by commas, after one header"
PAIRS_REMEDY = "copy splits.txt from the set's site, or the folder meta_data from its archive"


def read_splits(path: Path) -> pd.DataFrame:
    """a, b ("Name/v"), genuine, fold of splits.txt in its order; FiqaError naming the first wrong line."""
    lines = list_lines(require(path, "pair list", remedy=PAIRS_REMEDY), LAYOUT)
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
        raise FiqaError(f"{path}: Splits holds a label other than 0 and 1, or a clip number outside 1 to "
                        f"{len(clips)}", PAIRS_REMEDY)
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
        raise FiqaError(f"{path}: {wrong.sum()} labels contradict the names of their clips, first "
                        f"{pair['a']} and {pair['b']} with label {pair['genuine']}",
                        "clips of one person lie in one folder; restore the list or correct the labels")
    sides = pd.concat([pd.DataFrame({"person": person[side], "fold": pairs["fold"]}) for side in "ab"])
    spread = sides.drop_duplicates().groupby("person").size()
    if (spread > 1).any():
        raise FiqaError(f"{path}: {(spread > 1).sum()} persons occur in several splits, {spread.idxmax()} "
                        "first",
                        "the ten splits of YTF share no person; restore the list")


VARIANTS = {"frames": "frame_images_DB", "aligned": "aligned_images_DB"}
BOX_LAYOUT = r"a line holds Name\v\v.frame.jpg,0,x,y,width,height,0.0,1 with the centre and size of the face"


def ytf(name: str, folder: Path | str, variant: str = "frames", splits: Path | str | None = None,
        frames: int = 30, margin: float = 2.2, allow_missing: bool = False) -> Listing:
    """The listing of YouTube Faces in `folder`.

    variant   "frames" (pictures cut to `margin` times the labelled box: the factor of the set's own crops) or
              "aligned"
    splits    the pair list, if not folder/splits.txt or folder/meta_data/meta_and_splits.mat; for instance
              the corrected one
    frames    at most so many per clip, evenly spaced by their numbers' order
    Images have the column `frame`. Template and medium of a frame are its clip, "Name/v". Raises FiqaError
    naming file and line.
    """
    folder = Path(folder)
    if variant not in VARIANTS or frames < 1:
        raise FiqaError(f"variant {variant!r} with {frames} frames", 'use "frames" or "aligned", frames >= 1')
    root = require(folder / VARIANTS[variant], "folder", "folder", "unpack it there, or choose the other "
                                                                   "variant")
    pairs, notes = clip_pairs(folder, splits and Path(splits))
    clips = sorted({*pairs["a"], *pairs["b"]})
    tables = {clip: clip_frames(root, clip, variant) for clip in clips}
    absent = [clip for clip in clips if not len(tables[clip])]
    notes += missing_note(absent, len(clips), "clips", folder, root, allow_missing)
    usable = ~(pairs["a"].isin(absent) | pairs["b"].isin(absent))
    notes += left_out_note(usable, folder)
    pairs = pairs[usable].reset_index(drop=True)
    images = pd.concat([evenly(table, frames) for table in tables.values() if len(table)], ignore_index=True)
    if (folder / "YTFErrors.csv").is_file() and splits is None:
        notes.append("YTFErrors.csv is not applied; give splits: the corrected list, to use one")
    return Listing(name, images[["image_id", "identity", "template_id", "media_id", "frame"]], pairs,
                   frame_reader(root, images, variant, margin), notes=tuple(notes))


def clip_pairs(folder: Path, splits: Path | None) -> tuple[pd.DataFrame, list[str]]:
    """a, b ("Name/v"), genuine, fold (from 1) of the official lists, checked, and notes; else FiqaError."""
    text = splits or first_existing([folder / "splits.txt", folder / "meta_data" / "splits.txt"])
    mat = first_existing([folder / place / "meta_and_splits.mat" for place in ("meta_data", ".")])
    if text is None and mat is None:
        raise FiqaError(f"{folder} holds neither splits.txt nor meta_data/meta_and_splits.mat", PAIRS_REMEDY)
    path = text or mat
    pairs = read_mat(path) if path.suffix == ".mat" else read_splits(path)
    check_splits(pairs, path)
    genuine = int(pairs["genuine"].sum())
    notes = count_notes(FACTS.counts, {"splits": pairs["fold"].nunique(), "genuine pairs": genuine,
                                       "impostor pairs": len(pairs) - genuine})
    if text is not None and mat is not None and text != mat:
        other = {*read_mat(mat).itertuples(index=False, name=None)}
        differ = len(other.symmetric_difference(pairs.itertuples(index=False, name=None)))
        if differ:
            notes.append(f"{text.name} is used; {differ} pairs of it and of {mat.name} are not in the other")
    return pairs, notes


def clip_frames(root: Path, clip: str, variant: str) -> pd.DataFrame:
    """Frames of a clip that are there, by number: image_id, identity, ...; empty where the clip is missing.

    Whole frames have x, y, width, height of the labelled face too; frames without a label are left out.
    """
    person, found = clip.split("/")[0], _numbered_files(root, clip)
    table = pd.DataFrame({"frame": list(found), "image_id": list(found.values())}, dtype=object)
    if variant == "frames" and len(table):
        table = table.merge(labelled_faces(root / f"{person}.labeled_faces.txt", clip), on="image_id")
    table = table.astype({"frame": int}).sort_values("frame", ignore_index=True)
    return table.assign(identity=person, template_id=clip, media_id=clip)


def frame_reader(root: Path, images: pd.DataFrame, variant: str, margin: float) -> FilePictures | CutPictures:
    """The listing's `read`: crops as they are, whole frames cut to `margin` times the labelled face."""
    names = tuple(images["image_id"])
    if variant == "aligned":
        return FilePictures(root, names)
    boxes = boxes_around(images[["x", "y"]].to_numpy(), images[["width", "height"]].to_numpy(), margin)
    return CutPictures(root, names, boxes)


def _numbered_files(root: Path, clip: str) -> dict[int, str]:
    """Frame number -> path relative to `root` of the pictures `...frame.jpg` of a clip."""
    folder = root / clip
    files = [Path(name) for name in (os.listdir(folder) if folder.is_dir() else []) if name[0] != "."]
    numbers = {file: file.stem.rpartition(".")[2] for file in files if file.suffix.lower() in IMAGE_SUFFIXES}
    return {int(number): f"{clip}/{file}" for file, number in numbers.items() if number.isdecimal()}


def labelled_faces(path: Path, clip: str) -> pd.DataFrame:
    """image_id, x, y (centre), width, height of the faces of one clip in a person's label file."""
    require(path, "label file", remedy="it belongs to frame_images_DB; unpack the archive completely")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        fields = line.split(",")
        image_id = fields[0].strip().replace("\\", "/")
        if not image_id.startswith(f"{clip}/"):
            continue
        try:
            x, y, width, height = (float(field) for field in fields[2:6])
        except ValueError:
            width = 0.0
        if not (width > 0 and height > 0):
            raise FiqaError(f"{path}, line {number}: {line[:80]!r} is no labelled face", BOX_LAYOUT)
        rows.append((image_id, x, y, width, height))
    return pd.DataFrame(rows, columns=["image_id", "x", "y", "width", "height"]).drop_duplicates("image_id")


def evenly(frames: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` rows, evenly spaced, the first and the last among them (the first, if one)."""
    places = np.linspace(0, len(frames) - 1, min(count, len(frames)))
    return frames.iloc[np.rint(places).astype(int)]
