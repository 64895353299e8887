"""`bench` on tiny settings: what it writes, and its arithmetic."""
import json

import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fiqa_core.base.errors import FiqaError
from fiqa_core.cli import main
from fiqa_core.pipeline import bench

CPU = torch.device("cpu")


@pytest.fixture
def tiny(monkeypatch):
    """Networks and products that take no time."""
    monkeypatch.setattr(bench, "TINY", {**bench.TINY, "blocks": [1], "widths": [16], "embedding": 16})
    monkeypatch.setattr(bench, "TINY_DIFFUSION", {**bench.TINY_DIFFUSION, "multipliers": (1, 2), "head_dim": 4})
    monkeypatch.setattr(bench, "FaceQAN", lambda *given, **options: FACEQAN(*given, repeats=2, iterations=2, **options))
    monkeypatch.setattr(bench, "DifFIQA", lambda *given, **options: DIFFIQA(*given, repeats=1, timestep=2, **options))
    monkeypatch.setattr(bench, "limit", lambda device, precision, side: 2.0)
    monkeypatch.setattr(bench, "RUNS", 1)


FACEQAN, DIFFIQA = bench.FaceQAN, bench.DifFIQA


def test_every_kernel_has_a_row_for_each_precision(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FIQA_DEVICE", "cpu")
    assert main(["bench", "--faces", "4", "--out", str(tmp_path / "b")]) == 0
    table = pd.read_csv(tmp_path / "b.csv")
    assert list(table) == bench.COLUMNS
    assert [*zip(table["kernel"], table["precision"])] == [
        (kernel, precision) for kernel in ("FaceQAN, k = 10", "eDifFIQA(small)", "DifFIQA, n = 10")
        for precision in ("float32", "bf16")]
    assert (table["images"] == 4).all() and (table[["ms", "gflop", "peak_mb"]] > 0).all().all()
    float32 = table[table["precision"] == "float32"]
    assert (float32["agreement"] == 1).all()
    assert table["seed_agreement"].isna().tolist() == [False, False, True, True, False, False]
    assert table["share"].to_numpy() == pytest.approx(table["tflops"].to_numpy() / 2, abs=1e-4)
    whole = json.loads((tmp_path / "b.json").read_text())
    assert whole["faces"] == 4 and whole["networks"] == "small" and len(whole["rows"]) == 6
    assert capsys.readouterr().out.count("float32") == 3


def test_operations_are_those_of_the_passes(tiny):
    """FaceQAN with k = 2, l = 2: the face, its mirror image, and of each example two passes and a gradient."""
    images = bench.rendered_faces(8, CPU)
    recogniser = bench.calibrated(bench.recogniser_of(None), images)
    with FlopCounterMode(display=False) as counter:
        recogniser(images[:1])
    forward = counter.get_total_flops() / 1e9
    work = next(bench.works(CPU, images, True))
    row, = bench.measure(work, images[:4], ("float32",), {"float32": 2.0})
    assert row["gflop"] / forward == pytest.approx(2 + 2 * 3)
    assert row["tflops"] == pytest.approx(row["gflop"] / row["ms"])


def test_networks_and_faces_are_always_the_same():
    images = bench.rendered_faces(5, CPU)
    assert images.shape == (5, 3, 112, 112) and torch.equal(images, bench.rendered_faces(5, CPU))
    first, second = (bench.calibrated(bench.recogniser_of(None), images)(images) for _ in range(2))
    assert torch.equal(first, second) and first.std(0).min() > 0


def test_a_head_is_always_the_same(tiny):
    images = bench.rendered_faces(5, CPU)
    recogniser = bench.calibrated(bench.recogniser_of(None), images)
    exact, again, coarse = (bench.one_pass(recogniser, precision)(images) for precision in ("float32", "float32", "bf16"))
    assert torch.equal(exact, again) and not torch.equal(exact, coarse)
    torch.testing.assert_close(coarse, exact, rtol=0, atol=0.05)


def test_too_few_faces_are_refused(tmp_path):
    with pytest.raises(FiqaError, match="--faces 2"):
        bench.run(CPU, True, tmp_path / "b", 2)
