"""Files of stages: where interrupted work waits, logs of trainings, a user's checkpoints taken in.

DVC deletes a stage's outputs before it runs the stage, so half-finished training and scoring live in
`build/partial`. The name there carries a hash of everything the work depends on: only the very same work finds
it again, and other parameters, data or code never pick it up.
"""
import hashlib
import json
import shutil
from collections.abc import Callable
from functools import cache
from glob import escape
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.files import digest, read_table, stamp, write_text
from fiqa_core.weights.place import checkpoint_path
from fiqa_core.weights.tensors import locate

WHOLE = 2**31       # bytes up to which pixels on disk are known by their content

def partial_path(name: str, codes: str | list[str], faces: FaceSet | None = None, files: list[Path] = (),
                 **identity) -> Path:
    """Path for the half-finished work `name` on `faces`, with the given parameters.

    codes   digests of what it computes with: of a notebook, or "NOTEBOOK@METHOD"; see `runner.write_digests`
    files   what else it reads, above all weights. Raises FiqaError where one is missing
    """
    known = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode())
    for code in [codes] if isinstance(codes, str) else codes:
        path = project.code() / f"{code}.txt"
        known.update(path.read_bytes() if path.is_file() else b"")
    for path in files:
        known.update(digest_of(path).encode())
    if faces is not None:
        known.update(faces.images.to_csv(index=False).encode())
        known.update(_of_pixels(faces.pixels).encode())
    folder = project.build() / "partial"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}-{known.hexdigest()[:16]}"


def digest_of(path: Path) -> str:
    """What a file of weights holds, in short. Raises FiqaError if it is missing."""
    if not path.is_file():
        raise FiqaError(f"{path} is missing", "run the stage that makes it: dvc repro")
    return digest(path)


def _of_pixels(pixels: np.ndarray) -> str:
    """All of them in short; of a large file its size and times, as reading 18 GB costs more than it saves."""
    path = getattr(pixels, "filename", None)
    if path is None:
        return hashlib.blake2b(np.ascontiguousarray(pixels)).hexdigest()
    facts = stamp(path)
    return _of_file(path, **facts) if facts["size"] <= WHOLE else str(facts)


@cache
def _of_file(path: Path, **facts: int) -> str:
    return digest(path)


def forget(path: Path) -> None:
    """Remove finished partial work (a file, a folder, or nothing)."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def log_path(partial: Path) -> Path:
    """Where the log of a half-finished training waits."""
    return partial.with_name(partial.name + ".csv")


def read_log(partial: Path) -> pd.DataFrame:
    """The log of a training; without rows where it wrote none."""
    log = log_path(partial)
    return read_table(log, text=("layer",)) if log.is_file() else pd.DataFrame()


def write_rows(table: pd.DataFrame, path: Path) -> None:
    """A log of a stage as CSV: floats with six decimals as they stand, not rounded beforehand."""
    write_text(table.to_csv(index=False, float_format="%.6f", lineterminator="\n"), path)


def copy_checked(checkpoint: str, target: Path, load: Callable[[Path], object]) -> None:
    """Copy a checkpoint to `target` once `load` has read it; the data files of a TensorFlow index come along.

    checkpoint   a path from the project's folder, or the name of a file in the weights folder; of several
                 files that a `*` in it fits the newest
    """
    path = locate(checkpoint_path(checkpoint),
                  f"correct {checkpoint!r} in params.yaml (python -m fiqa_core weights list says where to get it)")
    load(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    if path.suffix == ".index":
        for part in path.parent.glob(f"{escape(path.stem)}.data-*"):
            shutil.copyfile(part, target.with_name(target.stem + part.name.removeprefix(path.stem)))
