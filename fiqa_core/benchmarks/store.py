"""A listing of photographs becomes a face set on disk: read, aligned and written shard by shard.

Pictures are never all in memory, and a kill costs one shard at most. A failure to extract a face is a result
and not an exception: the image stays, marked 1 in the column `fte`, its reason is in `failures.csv`. The
evaluation discards such images first, as ISO/IEC 29794-1 does; to drop them would flatter every method.

Aligning a long listing in shards: threads, progress, and work that a kill at any moment does not spoil.

A shard is finished when its outcome file exists; its crops were written before. Outcomes hold arrays only.
"""
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial as partial_of
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import POINT_COLUMNS, FaceSet, empty_pairs
from fiqa_core.base.files import new_array, replacing, write_csv, write_text
from fiqa_core.base.progress import progress
from fiqa_core.benchmarks.detectors import load_detector
from fiqa_core.benchmarks.enrolment import Enrolment, enrol, read_landmarks
from fiqa_core.benchmarks.loaders.listing import Listing

SHARD = 256
CROP = (112, 112, 3)
CROP_BYTES = int(np.prod(CROP))


def prepare_partial(partial: Path, listing: Listing, points: np.ndarray | None, options: dict) -> None:
    """Keep `partial` where it belongs to this very work, else empty it; FiqaError if the disk is too full."""
    label = partial / "work.txt"
    identity = work_identity(listing, points, options)
    if not label.is_file() or label.read_text() != identity:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        free, need = shutil.disk_usage(partial).free, len(listing) * CROP_BYTES
        if free < need:
            raise FiqaError(f"{listing.name} needs {need / 1e9:.1f} GB below {partial}, {free / 1e9:.1f} GB "
                            "are free",
                            "free space, or leave the benchmark out")
        with replacing(partial / "pixels.npy") as blank:
            np.lib.format.open_memmap(blank, "w+", np.uint8, (len(listing), *CROP)).flush()
        write_text(identity, label)


def work_identity(listing: Listing, points: np.ndarray | None, options: dict) -> str:
    """A line that differs where images, landmarks or options differ."""
    digest = hashlib.sha256("\n".join(listing.images["image_id"]).encode())
    digest.update(b"" if points is None else np.ascontiguousarray(points, np.float64).tobytes())
    known = {"name": listing.name, "aligned": listing.aligned, "shard": SHARD, "images": digest.hexdigest()}
    return json.dumps(known | options, sort_keys=True) + "\n"


def align_shards(listing: Listing, points: np.ndarray | None, detector: str | Path | None, policy: str,
                 partial: Path, workers: int | None) -> None:
    """Align what no finished shard of `partial` holds; arguments as in `store`, points (N, 5, 2) or None."""
    shards = [range(start, min(start + SHARD, len(listing))) for start in range(0, len(listing), SHARD)]
    waiting = [rows for rows in shards if not outcome_path(partial, rows.start).is_file()]
    find = None if detector is None else per_thread(detector)

    names = listing.images["image_id"].tolist()

    def one(row: int) -> Enrolment:
        return enrol(partial_of(listing.read, row), names[row], None if points is None else points[row], find,
                     policy, listing.aligned)

    with threads(workers) as pool:
        steps = align_rows(one, waiting, pool, partial)
        label = f"{'read' if listing.aligned else 'align'} {listing.name}"
        for _ in progress(steps, label, sum(len(rows) for rows in waiting), "images"):
            pass


def align_rows(one, shards: list[range], pool: Executor, partial: Path) -> Iterator[int]:
    """Yield every row of `shards` when `one(row)` is done; a shard is written when all its rows are."""
    for rows in shards:
        done = []
        for row, enrolment in zip(rows, pool.map(one, rows)):
            done.append(enrolment)
            yield row
        write_crops(partial / "pixels.npy", rows.start, np.stack([item.crop for item in done]))
        write_outcome(outcome_path(partial, rows.start), done)


def write_crops(path: Path, start: int, crops: np.ndarray) -> None:
    """Write crops (M, 112, 112, 3) uint8 into the .npy file `path` from row `start` on, down to the disk.

    Plain writing, not a memory map: a map of 469,375 crops would count 18 GB against the process.
    """
    with open(path, "r+b") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        file.seek(start * CROP_BYTES, os.SEEK_CUR)
        file.write(crops.tobytes())
        file.flush()
        os.fsync(file.fileno())


def outcome_path(partial: Path, start: int) -> Path:
    return partial / f"outcome-{start:09d}.npz"


def write_outcome(path: Path, done: list[Enrolment]) -> None:
    """What became of a shard's pictures, in one step: the file is there completely or not at all."""
    with replacing(path) as part, open(part, "wb") as file:
        np.savez(file, points=np.stack([item.points for item in done]),
                 score=np.array([item.score for item in done]),
                 attempt=np.array([item.attempt for item in done]),
                 failure=np.array([item.failure for item in done], dtype=str))


def load_outcome(partial: Path, count: int) -> dict[str, np.ndarray]:
    """All outcomes in the listing's order: points (N, 5, 2), score (N,), attempt (N,), failure (N,) text."""
    parts = []
    for start in range(0, count, SHARD):
        with np.load(outcome_path(partial, start), allow_pickle=False) as part:
            parts.append(dict(part))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def per_thread(detector: str | Path):
    """The detector as `load_detector` makes it, one for each thread that calls it: networks keep state."""
    load_detector(detector)  # a wrong file is reported before the work starts
    own = threading.local()

    def find(*arguments):
        if not hasattr(own, "find"):
            own.find = load_detector(detector)
        return own.find(*arguments)

    return find


@contextmanager
def threads(workers: int | None) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads; OpenCV's own threads rest meanwhile, or each would start as many again."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    inner = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ThreadPoolExecutor(workers or usable) as pool:
            yield pool
    finally:
        cv2.setNumThreads(inner)


NAMED = 5  # failures that the printed report names
CHUNK = 4096  # crops copied at a time: 154 MB


def store(listing: Listing, folder: Path, partial: Path, detector: str | Path | None = None,
          landmarks: Path | None = None, policy: str = "central", crossfit=0, workers: int | None = None,
          training: bool = False) -> FaceSet:
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
    write_csv(failures, folder / "failures.csv")
    return faces


def given_points(listing: Listing, landmarks: Path | None) -> np.ndarray | None:
    """(N, 5, 2) landmarks of the CSV file, else of the listing, NaN where unknown; None if there are none."""
    if landmarks is None:
        return listing.landmarks
    known = read_landmarks(Path(landmarks))
    ids = listing.images["image_id"]
    rows = np.flatnonzero(ids.isin(known.keys()))
    if len(rows) == 0:
        raise FiqaError(f"{landmarks} has landmarks of {len(known)} images, but of none of {listing.name}: "
                        f"it says {next(iter(known), 'nothing')}, the benchmark {ids.iloc[0]}",
                        "write the image_id of the benchmark's images into the column path")
    points = np.full((len(listing), 5, 2), np.nan) if listing.landmarks is None else listing.landmarks.copy()
    points[rows] = [known[name] for name in ids.iloc[rows]]
    return points


def check_options(listing: Listing, points: np.ndarray | None, detector) -> None:
    """Raise FiqaError unless there is something to align and exactly one way to do it."""
    if len(listing) == 0:
        raise FiqaError(f"{listing.name} lists no image", "check the folder and the lists that were given")
    if listing.aligned and (detector is not None or points is not None):
        raise FiqaError(f"{listing.name} holds aligned crops, but a detector or landmarks are given",
                        "leave them out, or give the unaligned photographs")
    if not listing.aligned and points is None and detector is None:
        raise FiqaError(f"{listing.name} holds unaligned photographs and nothing says where the faces are",
                        "give `detector: mtcnn` (or yunet), or `landmarks:` a CSV file")


def failure_table(listing: Listing, reasons: np.ndarray) -> pd.DataFrame:
    """image_id and reason of the images without an aligned face; `reasons` (N,) text, "" for the others."""
    failed = reasons != ""
    return pd.DataFrame({"image_id": listing.images["image_id"][failed], "reason": reasons[failed]})


def report(listing: Listing, failures: pd.DataFrame) -> None:
    """Print what the loader noted and how many images failed, why, and the first of them.

    Raises FiqaError where every image failed: then the options are wrong, not the photographs.
    """
    for note in listing.notes:
        print(f"{listing.name}: {note}")
    if len(failures) == len(listing):
        raise FiqaError(f"{listing.name}: not one of {len(listing)} images gave an aligned face; the first, "
                        f"{failures['image_id'].iloc[0]}: {failures['reason'].iloc[0]}",
                        "check that folder, detector and landmarks belong to these photographs")
    print(f"{listing.name}: {len(listing)} images, {len(failures)} of them without an aligned face "
          f"({len(failures) / len(listing):.2%})")
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
    copy = new_array(target, np.uint8, (len(rows), *CROP))
    for start in range(0, len(rows), CHUNK):
        copy[start : start + CHUNK] = pixels[rows[start : start + CHUNK]]
    copy.flush()
