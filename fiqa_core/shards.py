"""The files of work in shards: one numpy array per finished shard, whole or not there."""

import os
import shutil
import socket
from pathlib import Path

import numpy as np


def finished(work, shard: np.ndarray, folder: Path | None, number: int) -> np.ndarray:
    """The values of one shard, from its file or from `work`, whose result is then kept."""
    values = None if folder is None else read_part(folder, number, len(shard))
    if values is None:
        values = work(shard)
        if folder is not None:
            write_whole(part_path(folder, number), values)
    return values


def part_path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.npy"


def read_part(folder: Path, number: int, count: int) -> np.ndarray | None:
    """The values of a finished shard of `count` rows; None where there are none, or not these."""
    try:
        values = np.load(part_path(folder, number), allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return values if values.ndim and len(values) == count else None


def claim(folder: Path, rows: np.ndarray, size: int) -> None:
    """Make `folder` that of shards of these `rows` and this `size`: anything else in it goes."""
    path = folder / f"rows-{size}.npy"
    try:
        if np.array_equal(np.load(path, allow_pickle=False), rows):
            return
    except (FileNotFoundError, ValueError, EOFError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_whole(path, rows)


def write_whole(path: Path, values: np.ndarray) -> None:
    """The whole file or none, also where two processes write the same."""
    part = path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}.part")
    with open(part, "wb") as file:
        np.save(file, values)
    os.replace(part, path)
