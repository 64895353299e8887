"""Aligning a long listing in shards: threads, progress, and work that a kill at any moment does not spoil.

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
from pathlib import Path

import cv2
import numpy as np

from fiqa_core.benchmarks.detectors import load_detector
from fiqa_core.benchmarks.enrolment import Enrolment, enrol
from fiqa_core.benchmarks.listing import Listing
from fiqa_core.errors import FiqaError
from fiqa_core.progress import progress

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
            raise FiqaError(
                f"{listing.name} needs {need / 1e9:.1f} GB below {partial}, {free / 1e9:.1f} GB are free",
                "free space, or leave the benchmark out",
            )
        blank = partial / "blank.npy"
        np.lib.format.open_memmap(blank, "w+", np.uint8, (len(listing), *CROP)).flush()
        os.replace(blank, partial / "pixels.npy")
        label.write_text(identity)


def work_identity(listing: Listing, points: np.ndarray | None, options: dict) -> str:
    """A line that differs where images, landmarks or options differ."""
    digest = hashlib.sha256("\n".join(listing.images["image_id"]).encode())
    digest.update(b"" if points is None else np.ascontiguousarray(points, np.float64).tobytes())
    known = {"name": listing.name, "aligned": listing.aligned, "shard": SHARD, "images": digest.hexdigest()}
    return json.dumps(known | options, sort_keys=True) + "\n"


def align_shards(
    listing: Listing,
    points: np.ndarray | None,
    detector: str | Path | None,
    policy: str,
    partial: Path,
    workers: int | None,
) -> None:
    """Align what no finished shard of `partial` holds; arguments as in `store`, points (N, 5, 2) or None."""
    shards = [range(start, min(start + SHARD, len(listing))) for start in range(0, len(listing), SHARD)]
    waiting = [rows for rows in shards if not outcome_path(partial, rows.start).is_file()]
    find = None if detector is None else per_thread(detector)

    def one(row: int) -> Enrolment:
        return enrol(
            listing.read, row, None if points is None else points[row], find, policy, listing.aligned
        )

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
    unfinished = path.with_name("unfinished.npz")
    np.savez(
        unfinished,
        points=np.stack([item.points for item in done]),
        score=np.array([item.score for item in done]),
        attempt=np.array([item.attempt for item in done]),
        failure=np.array([item.failure for item in done], dtype=str),
    )
    os.replace(unfinished, path)


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
