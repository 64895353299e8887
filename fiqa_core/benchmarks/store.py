"""A listing of photographs becomes a face set on disk: read, aligned and written shard by shard.

Pictures are never all in memory, and a kill costs one shard at most. A failure to extract a face is a result
and not an exception: the image stays, marked 1 in the column `fte`, its reason is in `failures.csv`. The
evaluation discards such images first, as ISO/IEC 29794-1 does; to drop them would flatter every method.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.benchmarks.listing import Listing
from fiqa_core.benchmarks.reading import read_landmarks
from fiqa_core.benchmarks.shards import CROP, align_shards, load_outcome, prepare_partial
from fiqa_core.benchmarks.tables import POINT_COLUMNS, FaceSet, empty_pairs
from fiqa_core.errors import FiqaError

NAMED = 5  # failures that the printed report names
CHUNK = 4096  # crops copied at a time: 154 MB


def store(
    listing: Listing,
    folder: Path,
    partial: Path,
    detector: str | Path | None = None,
    landmarks: Path | None = None,
    policy: str = "central",
    crossfit=0,
    workers: int | None = None,
    training: bool = False,
) -> FaceSet:
    """Align the pictures of `listing` and write them as a face set into `folder`; returns it, pixels on disk.

    partial    folder of the work in progress. A second call with the same listing and options goes on from
               its finished shards. It stays, complete, until the caller removes it: where several sets are
               stored in one stage, a kill during the last one does not cost the others.
    detector   what `load_detector` takes, for unaligned pictures without landmarks
    landmarks  CSV as `read_landmarks` describes it, `path` being the image_id; it precedes the listing's own
    policy     which of several faces is meant: "central" or "largest" (`choose_face`)
    crossfit   the column of that name, one number or (N,)
    workers    threads that read, detect and align (None: one per usable core); any number gives the same set
    training   a training set: without pairs and without the images that failed, which `failures.csv` lists
    `listing.read` is called from several threads. Columns added to the images: crossfit, fte and, where they
    are known, detector_score, attempt and the five landmarks used. Raises FiqaError for options that do not
    fit the listing, lack of disk space, and a listing of which not one image could be aligned.
    """
    points = given_points(listing, landmarks)
    check_options(listing, points, detector)
    prepare_partial(partial, listing, points, {"detector": str(detector), "policy": policy})
    align_shards(listing, points, detector, policy, partial, workers)
    outcome = load_outcome(partial, len(listing))
    failures = failure_table(listing, outcome["failure"])
    report(listing, failures)
    images = listing.images.assign(crossfit=crossfit, fte=(outcome["failure"] != "").astype(int))
    kept = (images["fte"] == 0).to_numpy() | (not training)
    images = with_outcome(images, outcome, asked=detector is not None)[kept].reset_index(drop=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_pixels(partial / "pixels.npy", kept, folder / "pixels.npy")
    pairs = empty_pairs() if training else listing.pairs
    faces = FaceSet(listing.name, np.load(folder / "pixels.npy", mmap_mode="r"), images, pairs)
    faces.save_tables(folder)
    failures.to_csv(folder / "failures.csv", index=False, lineterminator="\n")
    return faces


def given_points(listing: Listing, landmarks: Path | None) -> np.ndarray | None:
    """(N, 5, 2) landmarks of the CSV file, else of the listing, NaN where unknown; None if there are none."""
    if landmarks is None:
        return listing.landmarks
    known = read_landmarks(Path(landmarks))
    ids = listing.images["image_id"]
    rows = np.flatnonzero(ids.isin(known.keys()))
    if len(rows) == 0:
        raise FiqaError(
            f"{landmarks} has landmarks of {len(known)} images, but of none of {listing.name}: it says "
            f"{next(iter(known), 'nothing')}, the benchmark {ids.iloc[0]}",
            "write the image_id of the benchmark's images into the column path",
        )
    points = np.full((len(listing), 5, 2), np.nan) if listing.landmarks is None else listing.landmarks.copy()
    points[rows] = [known[name] for name in ids.iloc[rows]]
    return points


def check_options(listing: Listing, points: np.ndarray | None, detector) -> None:
    """Raise FiqaError unless there is something to align and exactly one way to do it."""
    if len(listing) == 0:
        raise FiqaError(f"{listing.name} lists no image", "check the folder and the lists that were given")
    if listing.aligned and (detector is not None or points is not None):
        raise FiqaError(
            f"{listing.name} holds aligned crops, but a detector or landmarks are given",
            "leave them out, or give the unaligned photographs",
        )
    if not listing.aligned and points is None and detector is None:
        raise FiqaError(
            f"{listing.name} holds unaligned photographs and nothing says where the faces are",
            "give `detector: mtcnn` (or yunet), or `landmarks:` a CSV file",
        )


def failure_table(listing: Listing, reasons: np.ndarray) -> pd.DataFrame:
    """image_id and reason of the images without an aligned face; `reasons` (N,) text, "" for the others."""
    failed = reasons != ""
    ids = listing.images["image_id"][failed]
    return pd.DataFrame({"image_id": ids, "reason": [plain(*row) for row in zip(reasons[failed], ids)]})


def plain(reason: str, image_id: str) -> str:
    """The reason without the file's path, which the image_id tells and every machine has otherwise."""
    place, name, rest = reason.partition(image_id.rsplit("/", 1)[-1])
    return f"the picture{rest}" if name and (not place or place.endswith("/")) else reason


def report(listing: Listing, failures: pd.DataFrame) -> None:
    """Print what the loader noted and how many images failed, why, and the first of them.

    Raises FiqaError where every image failed: then the options are wrong, not the photographs.
    """
    for note in listing.notes:
        print(f"{listing.name}: {note}")
    if len(failures) == len(listing):
        raise FiqaError(
            f"{listing.name}: not one of {len(listing)} images gave an aligned face; the first, "
            f"{failures['image_id'].iloc[0]}: {failures['reason'].iloc[0]}",
            "check that folder, detector and landmarks belong to these photographs",
        )
    print(
        f"{listing.name}: {len(listing)} images, {len(failures)} of them without an aligned face "
        f"({len(failures) / len(listing):.2%})"
    )
    for row in failures.head(NAMED).itertuples():
        print(f"  {row.image_id}: {row.reason}")
    if len(failures) > NAMED:
        print(f"  and {len(failures) - NAMED} more, see failures.csv")


def with_outcome(images: pd.DataFrame, outcome: dict[str, np.ndarray], asked: bool) -> pd.DataFrame:
    """`images` joined by the landmarks used, if any, and by the detector's answers where it was `asked`."""
    if asked:
        known = images.get("detector_score", np.nan)
        score = np.where(outcome["attempt"] > 0, outcome["score"], known)
        images = images.assign(detector_score=score, attempt=outcome["attempt"])
    points = outcome["points"].reshape(-1, 10)
    if np.isnan(points).all():
        return images
    return images.assign(**dict(zip(POINT_COLUMNS, points.T)))


def write_pixels(source: Path, kept: np.ndarray, target: Path) -> None:
    """The `kept` rows of the pixels in `source` as the file `target`: a link where all are kept, else a copy.

    A file that stands at `target` is unlinked, never written over: it may be a link to finished work itself.
    """
    target.unlink(missing_ok=True)
    if kept.all():
        try:
            os.link(source, target)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(source, target)
        return
    pixels, rows = np.load(source, mmap_mode="r"), np.flatnonzero(kept)
    copy = np.lib.format.open_memmap(target, "w+", np.uint8, (len(rows), *CROP))
    for start in range(0, len(rows), CHUNK):
        copy[start : start + CHUNK] = pixels[rows[start : start + CHUNK]]
    copy.flush()
