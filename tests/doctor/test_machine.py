"""What networks cost, and what the machine does in a second."""
import pytest
import torch

from fiqa_core.doctor import machine
from fiqa_core.doctor.machine import (ATTENTION, CONVOLUTION, Machine, architecture_pass, diffusion_pass,
                                      free_disk, free_memory, recogniser_pass, repeated)
from fiqa_core.pipeline import suites

DEMO = suites.load_suite("scratch")


@pytest.mark.parametrize("name, millions, parameters, family",
                         [("iresnet18", 2610, 24_025_600, CONVOLUTION),
                          ("adaface_ir101", 12_077, 65_150_912, CONVOLUTION),
                          ("transface_vit_s", 5757, 86_660_864, ATTENTION),
                          ("swinface_backbone", 4480, 28_895_226, ATTENTION),
                          ("mobilefacenet_xiaoccer", 189.4, 999_552, CONVOLUTION),
                          ("lightqnet_dm100", 37.23, 429_465, CONVOLUTION)])
def test_passes_cost_what_the_dossier_counted(name, millions, parameters, family):
    found = architecture_pass(name)
    assert found.adds / 1e6 == pytest.approx(millions, rel=1e-3)
    assert (found.parameters, found.family) == (parameters, family)
    assert 0 < found.widest < found.outputs


def test_the_published_u_net_costs_86_thousand_million():
    """A quarter of a thousand million less than its authors' program, which multiplies large matrices twice."""
    assert diffusion_pass({"checkpoint": "diff_pretrain.pt"}).adds / 1e9 == pytest.approx(86.45, rel=1e-3)
    assert diffusion_pass(DEMO["diffusion"]).adds < 0.1e9


def test_small_networks_are_tried_and_large_ones_scaled(monkeypatch):
    monkeypatch.setattr(machine, "SPAN", 0.0)
    found = Machine()
    small, large = recogniser_pass(DEMO["recognisers"]["arcface"]), architecture_pass("iresnet100")
    found._tried[CONVOLUTION] = 50e9
    assert found.pass_seconds(large) == (pytest.approx(large.adds / 50e9), "scaled")
    seconds, basis = found.pass_seconds(small)
    assert basis == "timed" and seconds > 0 and found.pass_seconds(small)[0] == seconds
    assert found.pass_seconds(recogniser_pass({"architecture": "sface"}))[1] == "assumed"


def test_a_probe_takes_the_least_of_its_repetitions(monkeypatch):
    times = iter([5.0, 1.8, 7.0])
    monkeypatch.setattr(machine, "stopwatch", lambda device: lambda: next(times))
    clock = iter([0.0, 0.1, 0.2, 10.0])  # the start, then the elapsed time before each further repetition
    monkeypatch.setattr(machine.time, "perf_counter", lambda: next(clock))
    assert repeated(lambda: None, torch.device("cpu")) == 1.8


@pytest.mark.parametrize("wall, own, told", [(10, 4, 4), (10, 19, 10)])
def test_time_that_other_programs_took_does_not_count(monkeypatch, wall, own, told):
    monkeypatch.setattr(machine.time, "perf_counter", iter([0.0, wall]).__next__)
    monkeypatch.setattr(machine.time, "process_time", iter([0.0, own]).__next__)
    assert machine.stopwatch(torch.device("cpu"))() == told


def test_a_trial_of_detection_gives_a_positive_rate(monkeypatch):
    monkeypatch.setattr(machine, "SPAN", 0.0)
    assert Machine().detect("mtcnn", 250) > 0


def test_free_disk_and_memory_are_those_of_the_machine(root, monkeypatch):
    assert free_disk() > 0 and free_memory() > 0
    monkeypatch.setattr(machine, "CGROUP", root)
    (root / "memory.max").write_text("3000000\n")
    (root / "memory.current").write_text("1000000\n")
    assert free_memory() == 2_000_000
    (root / "memory.max").write_text("max\n")
    assert free_memory() > 2_000_000
