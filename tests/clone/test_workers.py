"""Real processes: two workers write what one does, and a scoring killed with -9 goes on to the same file."""
import os
import signal
import sys

import pytest

from fiqa_core.base import engine
from fiqa_core.pipeline.score import score_benchmarks
from tests.helpers.processes import finished
from tests.helpers.small_project import ROOT, small_project

KILLED = """
import os, signal
from fiqa_core.base import engine
from fiqa_core.pipeline import score
score.SHARD, write = 4, engine.write_whole
def dying(path, values):
    if path.name == "part-00003.npy":
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, values)
engine.write_whole = dying
score.score_benchmarks("faceqan")
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """48 faces in shards of 4, FaceQAN with k = 2 on a small recogniser; returns the folder."""
    for name, value in {"FIQA_ROOT": str(tmp_path), "FIQA_ENGINE": "inline", "FIQA_WORKERS": "2",
                        "FIQA_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("fiqa_core.pipeline.score.SHARD", 4)
    small_project(tmp_path, 48, scoring__recogniser="cosface", scoring__batch=3, on_recogniser__faceqan__repeats=2)
    return tmp_path


def scored(folder) -> bytes:
    return (folder / "results" / "demo" / "scores" / "faceqan.csv").read_bytes()


def test_two_workers_write_what_one_process_writes(project, monkeypatch):
    score_benchmarks("faceqan")
    alone, ranks = scored(project), []
    assert len(alone.splitlines()) == 49
    monkeypatch.setenv("FIQA_ENGINE", "torchrun")
    monkeypatch.setattr(engine, "_check_workers", lambda folder, waiting, log: ranks.append(len(waiting)))
    score_benchmarks("faceqan")
    assert scored(project) == alone and ranks == [12]  # all twelve shards came from the workers


def test_scoring_killed_in_the_middle_goes_on_to_the_same_file(project):
    result = finished([sys.executable, "-c", KILLED], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert result.returncode == -signal.SIGKILL, result.stderr
    written = {path: path.stat().st_mtime_ns for path in project.glob("build/demo/partial/*/part-*.npy")}
    assert len(written) == 3 and not (project / "results" / "demo" / "scores").exists()

    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fiqa_core.pipeline.score.forget",
                      lambda partial: seen.extend(partial.glob("part-*.npy")))
        score_benchmarks("faceqan")
    assert (
        len(seen) == 12 and {path: path.stat().st_mtime_ns for path in written} == written
    )  # none was redone
    resumed = scored(project)
    for path in seen:
        path.unlink()
    score_benchmarks("faceqan")
    assert scored(project) == resumed
