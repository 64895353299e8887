"""Work on many images in shards: each finished one is a file, whole or not there, so a killed run goes on.

A shard is a run of rows of a face set; its values do not depend on which process works on it, since noise is
seeded by the picture and batches are cut within shards. Two back-ends give the same files:

inline    this process works on one shard after the other (default with at most one GPU)
torchrun  FIQA_WORKERS processes (default: one per GPU, else one per core) share the shards; rank r of n takes
          every n-th unfinished one, on GPU LOCAL_RANK if there are any (default with several GPUs)

FIQA_ENGINE and FIQA_WORKERS choose, in the environment, so that they never change a stage's identity. Several
machines with the project in one shared folder: FIQA_TORCHRUN="--nnodes=2 --rdzv-backend=c10d
--rdzv-endpoint=HOST:29400" on the first, and on each other the command that the first prints.
"""
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import replacing
from fiqa_core.base.process import ENVIRONMENT
from fiqa_core.base.progress import progress


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
    with replacing(path, f".{socket.gethostname()}-{os.getpid()}") as part, open(part, "wb") as file:
        np.save(file, values)


ENGINES = ("inline", "torchrun")
WORKER = "fiqa_core.pipeline.worker"
POLL = 0.2  # seconds between two looks at the workers' files


@dataclass(frozen=True)
class Job:
    """How a worker process comes by the work: a name `pipeline/worker.py` knows, arguments JSON can hold."""

    name: str
    arguments: dict


def run_shards(work: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, size: int, label: str,
               folder: Path | None = None, job: Job | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows (n,), values (n, ...)) of every shard of `size` rows, in order.

    work    rows (n,) -> values (n, ...), one of them per row
    folder  keeps finished shards; those of other rows or another size are removed. None: nothing is kept
    job     the same work for other processes; without it, or a folder, everything runs inline
    Raises FiqaError for an unknown engine, and with a worker's own problem.
    """
    shards = [rows[first : first + size] for first in range(0, len(rows), size)]
    if folder is not None:
        claim(folder, rows, size)
        waiting = [number for number, shard in enumerate(shards)
                   if read_part(folder, number, len(shard)) is None]
        if job is not None and len(waiting) > 1 and engine() == "torchrun":
            _run_workers(shards, waiting, size, folder, label, job)
    for number, shard in enumerate(progress(shards, label, len(rows), "images", weight=len)):
        yield shard, finished(work, shard, folder, number)


def engine() -> str:
    """`FIQA_ENGINE`, else torchrun where there are several GPUs. Raises FiqaError for an unknown one."""
    import torch

    chosen = os.environ.get("FIQA_ENGINE") or ("torchrun" if torch.cuda.device_count() > 1 else "inline")
    if chosen not in ENGINES:
        raise FiqaError(f"FIQA_ENGINE={chosen} is no engine", f"use one of: {', '.join(ENGINES)}")
    return chosen


def workers() -> int:
    """`FIQA_WORKERS`, else one per GPU, else one per core. Raises FiqaError unless it is at least 1."""
    import torch

    chosen = os.environ.get("FIQA_WORKERS") or str(torch.cuda.device_count() or os.cpu_count() or 1)
    if not chosen.isdigit() or int(chosen) < 1:
        raise FiqaError(f"FIQA_WORKERS={chosen} is no number of workers", "give a whole number from 1")
    return int(chosen)


def _run_workers(shards: list, waiting: list[int], size: int, folder: Path, label: str, job: Job) -> None:
    """Have worker processes finish the shards `waiting`, and show their progress."""
    path = folder / "job.json"
    (folder / "error.json").unlink(missing_ok=True)
    path.write_text(
        json.dumps(
            {
                "name": job.name,
                "arguments": job.arguments,
                "size": size,
                "shards": waiting,
                "launcher": [socket.gethostname(), os.getpid()],
            }
        )
    )
    options = shlex.split(os.environ.get("FIQA_TORCHRUN", "--standalone"))
    command = [sys.executable, "-m", "torch.distributed.run", *options, f"--nproc-per-node={workers()}", "-m",
               WORKER, str(path)]
    if "--standalone" not in options:
        print(f"on each other machine, in the same folder: {shlex.join(command)}", file=sys.stderr,
              flush=True)
    log = folder / "workers.log"
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=_environment())
    try:
        for _ in progress(_arriving(process, shards, waiting, folder), f"{label}, {workers()} workers",
                          sum(len(shards[number]) for number in waiting), "images", weight=len):
            pass
    finally:
        process.terminate()
        process.wait()
    _check_workers(folder, waiting, log)


def _environment() -> dict[str, str]:
    """The workers': this package and project, and no more threads in all than there are cores."""
    package = str(Path(__file__).resolve().parents[2])
    threads = max(1, (os.cpu_count() or 1) // workers())
    return {"OMP_NUM_THREADS": str(threads), **ENVIRONMENT, **os.environ, "FIQA_ROOT": str(project.root()),
            "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))}


def _arriving(process, shards: list, waiting: list[int], folder: Path) -> Iterator[np.ndarray]:
    """The shards in the order in which their files appear, until all are there or the process ended."""
    missing = set(waiting)
    while missing:
        ended = process.poll() is not None
        found = {number for number in missing if part_path(folder, number).is_file()}
        yield from (shards[number] for number in sorted(found))
        missing -= found
        if ended:
            return
        time.sleep(POLL)
    process.wait()


def _check_workers(folder: Path, waiting: list[int], log: Path) -> None:
    missing = [number for number in waiting if not part_path(folder, number).is_file()]
    if not missing:
        return
    if (folder / "error.json").is_file():
        raise FiqaError(*json.loads((folder / "error.json").read_text()))
    raise FiqaError(f"the workers ended with {len(missing)} of {len(waiting)} shards unfinished: see {log}",
                    "run the same command again to go on; FIQA_ENGINE=inline does without workers")


def serve(path: Path, jobs: dict[str, Callable]) -> None:
    """What a worker does: its share of the shards of the job file `path`. Rank and world are torchrun's.

    jobs  name -> function that turns the job's arguments into the work. Stops between two shards when the
    process that started the job is gone. Raises FiqaError for an unknown job; its own problem is left in
    error.json for the launcher.
    """
    folder, spec = path.parent, json.loads(path.read_text())
    rows, size = np.load(folder / f"rows-{spec['size']}.npy", allow_pickle=False), spec["size"]
    try:
        if spec["name"] not in jobs:
            raise FiqaError(f"{path}: no job is called {spec['name']!r}", f"known are {', '.join(jobs)}")
        work = jobs[spec["name"]](**spec["arguments"])
        for number in spec["shards"][int(os.environ["RANK"]) :: int(os.environ["WORLD_SIZE"])]:
            if _orphaned(*spec["launcher"]):
                raise FiqaError("the process that started the workers is gone", "run the stage again")
            finished(work, rows[number * size : (number + 1) * size], folder, number)
    except FiqaError as error:
        (folder / "error.json").write_text(json.dumps([error.problem, error.remedy]))
        raise


def _orphaned(host: str, process: int) -> bool:
    """Whether the launcher ran on this machine and has ended (asked on POSIX only)."""
    if host != socket.gethostname() or os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
