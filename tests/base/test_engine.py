"""Shards, their files, and what a worker does, without other processes."""
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from fiqa_core.base import engine
from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.pipeline import embed, recognise
from fiqa_core.pipeline.worker import JOBS
from fiqa_core.recognisers import recogniser as recogniser_module
from tests.helpers.small_project import face_set, small_project

ROWS = np.arange(100, 122)  # 22 rows: five shards of 4, one of 2


class Doubling:
    """Work that counts its rows, and stops like Ctrl-C after a number of them."""

    def __init__(self, stops_after=None):
        self.seen, self.stops_after = [], stops_after

    def __call__(self, rows):
        if self.stops_after is not None and len(self.seen) >= self.stops_after:
            raise KeyboardInterrupt
        self.seen.extend(rows.tolist())
        return 2.0 * rows


def merged(work, folder, rows=ROWS, size=4):
    return np.concatenate([values for _, values in engine.run_shards(work, rows, size, "test", folder)])


def test_a_stopped_run_goes_on_without_redoing_shards(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        merged(Doubling(stops_after=9), tmp_path / "parts")
    rest = Doubling()
    assert np.array_equal(merged(rest, tmp_path / "parts"), 2.0 * ROWS) and rest.seen == ROWS[12:].tolist()
    assert merged(Doubling(), None).tolist() == (2.0 * ROWS).tolist()
    assert list(engine.run_shards(Doubling(), ROWS[:0], 4, "test", tmp_path / "none")) == []


def test_a_damaged_shard_is_done_again(tmp_path):
    merged(Doubling(), tmp_path)
    whole = engine.part_path(tmp_path, 2).read_bytes()
    for content in (b"", whole[:-3], b"no array"):
        engine.part_path(tmp_path, 2).write_bytes(content)
        again = Doubling()
        assert np.array_equal(merged(again, tmp_path), 2.0 * ROWS) and again.seen == ROWS[8:12].tolist()


@pytest.mark.parametrize("rows, size", [(ROWS, 5), (ROWS + 1, 4), (ROWS[:-4], 4)])
def test_shards_of_other_rows_are_never_taken_up(tmp_path, rows, size):
    merged(Doubling(), tmp_path)
    again = Doubling()
    assert np.array_equal(merged(again, tmp_path, rows, size), 2.0 * rows) and again.seen == rows.tolist()


def job_file(folder, name="double", launcher=None, numbers=range(6)):
    engine.claim(folder, ROWS, 4)
    path = folder / "job.json"
    path.write_text(
        json.dumps(
            {
                "name": name,
                "arguments": {"factor": 2},
                "size": 4,
                "shards": list(numbers),
                "launcher": launcher or ["elsewhere", 1],
            }
        )
    )
    return path


def doubling_job(factor):
    return lambda rows: float(factor) * rows


def test_ranks_share_the_unfinished_shards(tmp_path, monkeypatch):
    path = job_file(tmp_path, numbers=[0, 2, 3, 5])
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, expected in (("0", [0, 3]), ("1", [0, 2, 3, 5])):
        monkeypatch.setenv("RANK", rank)
        engine.serve(path, {"double": doubling_job})
        assert [n for n in range(6) if engine.part_path(tmp_path, n).is_file()] == expected
    rest = Doubling()
    assert np.array_equal(merged(rest, tmp_path), 2.0 * ROWS) and rest.seen == [*ROWS[4:8], *ROWS[16:20]]


def test_a_worker_leaves_its_problem_for_the_launcher(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(FiqaError, match="no job is called 'triple'"):
        engine.serve(job_file(tmp_path, "triple"), {"double": doubling_job})
    with pytest.raises(FiqaError, match="no job is called 'triple'\n  remedy: known are double"):
        engine._check_workers(tmp_path, [0, 1], tmp_path / "workers.log")
    (tmp_path / "error.json").unlink()
    with pytest.raises(FiqaError, match="2 of 2 shards unfinished: see .*workers.log"):
        engine._check_workers(tmp_path, [0, 1], tmp_path / "workers.log")


def test_a_worker_stops_when_its_launcher_is_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    host = engine.socket.gethostname()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with pytest.raises(FiqaError, match="started the workers is gone"):
        engine.serve(job_file(tmp_path, launcher=[host, gone.pid]), {"double": doubling_job})
    assert not list(tmp_path.glob("part-*"))
    engine.serve(job_file(tmp_path, launcher=[host, os.getpid()]), {"double": doubling_job})
    assert len(list(tmp_path.glob("part-*"))) == 6


def test_the_environment_chooses(monkeypatch):
    for name in ("FIQA_ENGINE", "FIQA_WORKERS", "FIQA_DEVICE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert engine.engine() == "inline" and engine.workers() == os.cpu_count()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert (
        engine.engine() == "torchrun" and engine.workers() == 4 and default_device() == torch.device("cuda")
    )
    monkeypatch.setenv("LOCAL_RANK", "6")
    assert default_device() == torch.device("cuda", 2)
    monkeypatch.setenv("FIQA_ENGINE", "spark")
    with pytest.raises(FiqaError, match="FIQA_ENGINE=spark"):
        engine.engine()
    for wrong in ("0", "two", "-1"):
        monkeypatch.setenv("FIQA_WORKERS", wrong)
        with pytest.raises(FiqaError, match=f"FIQA_WORKERS={wrong}"):
            engine.workers()


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    monkeypatch.setenv("FIQA_DEVICE", "cpu")
    monkeypatch.setattr(recognise, "SHARD_BATCHES", 2)
    monkeypatch.setattr(embed, "compared_recognisers", lambda: {"cosface": "CosFace"})
    small_project(tmp_path, 13, embed__batch=3, scoring__recogniser="cosface")
    return tmp_path


def test_embeddings_go_on_and_are_memory_mapped(project, monkeypatch):
    embed.embed_benchmarks()
    vectors = embed.load_embeddings("cosface", "LFW")
    assert (
        isinstance(vectors, np.memmap)
        and vectors.shape == (13, 32)
        and not list(project.glob("build/demo/partial/*"))
    )
    calls, batch = [], recogniser_module.embed_batch

    def limited(recogniser, pixels, *arguments, **options):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(len(pixels))
        return batch(recogniser, pixels, *arguments, **options)

    monkeypatch.setattr(recognise, "embed_batch", limited)
    with pytest.raises(KeyboardInterrupt):
        embed.embed_benchmarks()
    calls[:] = ["done"] * 4  # the first shard's two batches are on disk, the third batch is lost
    embed.embed_benchmarks()
    assert calls == ["done"] * 4 + [3, 3, 1]
    assert np.array_equal(embed.load_embeddings("cosface", "LFW"), vectors)


def test_known_pictures_are_not_embedded_again(project):
    embed.embed_benchmarks()
    copy = face_set(13, "copy")
    pixels = copy.pixels.copy()
    pixels[[2, 7]] = 255 - pixels[[2, 7]]
    type(copy)("copy", pixels, copy.images, copy.pairs).save(project / "build" / "demo" / "benchmarks" / "copy")
    pd.DataFrame({"name": ["LFW", "copy"]}).to_csv(project / "results" / "demo" / "prepare" / "faces.csv", index=False)
    table = embed.embed_benchmarks()
    first, second = (embed.load_embeddings("cosface", name) for name in ("LFW", "copy"))
    same = np.delete(np.arange(13), [2, 7])
    assert table["images"].tolist() == [13, 13] and np.array_equal(first[same], second[same])
    assert np.abs(first[[2, 7]] - second[[2, 7]]).max(axis=1).min() > 1e-3


def test_worker_jobs_do_what_the_stages_do(project):
    rows = np.array([1, 4, 5, 6, 11])
    embed.embed_benchmarks()
    vectors = JOBS["embed"]("cosface", "LFW")(rows)
    assert np.allclose(vectors, embed.load_embeddings("cosface", "LFW")[rows], atol=1e-5)
    scores = JOBS["score"](slug="sharpness", model=0, faces="LFW", changes={})(rows)
    assert scores.shape == (5,) and scores.dtype == np.float32
