"""Run a submission in a process of its own with limits on time, memory and files, and read what it returned.

A child process is no sandbox: it may read what this user may read, and use the network. For submissions of
strangers run the whole grading in a container. What it protects against: endless loops, memory, floods of
output, crashes, and changes to the grader itself, which never executes anything of a submission.
"""
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from fiqa_core.course.candidate import decode
from fiqa_core.course.exercise import Exercise
from fiqa_core.course.judge import Failure

CPU, WALL, MEMORY, DISK = 120, 300, 6 << 30, 64 << 20       # seconds, seconds, bytes, bytes of one file
SILENT = "the submission ended its own process before this exercise was reached"
LATE = "the submission ran out of its time ({} s) before this exercise was done"


def answers_of(cells: list[str], wanted: dict[str, Exercise], seed: int, cpu: int = CPU,
               wall: int = WALL) -> dict[str, list]:
    """Exercise id -> outputs of the submission `cells` for `exercise.cases(seed)`; [Failure] where there are none."""
    job = {"cells": cells, "wanted": {identity: (exercise.name, exercise.stub, exercise.cases(seed))
                                      for identity, exercise in wanted.items()}}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "job", Path(folder) / "answers"
        source.write_bytes(pickle.dumps(job))
        late = run(source, target, cpu, wall)
        lines = target.read_text("utf-8", "replace").splitlines() if target.is_file() else []
    found = {identity: [Failure(LATE.format(wall) if late else SILENT)] for identity in wanted}
    for line in lines:
        try:
            identity, outputs = json.loads(line)
            outputs = [decode(output) for output in outputs]
        except (ValueError, KeyError, TypeError, RecursionError, MemoryError):
            continue
        if identity in found and len(outputs) in (1, len(job["wanted"][identity][2])):
            found[identity] = outputs
    return found


def run(source: Path, target: Path, cpu: int, wall: int) -> bool:
    """Whether the process had to be stopped. It and all that it started are gone afterwards."""
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "SYSTEMROOT", "LD_LIBRARY_PATH")
                   if name in os.environ}
    environment |= {"OMP_NUM_THREADS": "1", "HOME": str(source.parent), "TMPDIR": str(source.parent),
                    "MPLBACKEND": "agg"}
    process = subprocess.Popen(
        [sys.executable, "-m", "fiqa_core.course.candidate", str(source), str(target)], cwd=source.parent,
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=(lambda: limit(cpu)) if os.name == "posix" else None)
    try:
        process.wait(wall)
        return process.returncode in (-signal.SIGXCPU, -signal.SIGKILL) if os.name == "posix" else False
    except subprocess.TimeoutExpired:
        return True
    finally:
        if os.name == "posix":
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        else:
            process.kill()
        process.wait()


def limit(cpu: int) -> None:
    """Limits of this process, as far as the system knows them; never above those that hold already."""
    import resource
    for kind, most in ((resource.RLIMIT_CPU, cpu), (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, DISK),
                       (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):       # macOS refuses some
            continue
