"""How much disk and memory a suite needs, and whether they suffice."""
from types import SimpleNamespace

import pytest

from fiqa_core.doctor import resources
from fiqa_core.doctor.estimates import Costs
from fiqa_core.doctor.workload import Faces
from fiqa_core.pipeline import suites
from tests.helpers.steady_machine import Steady

SETS = [Faces("training", 7200), Faces("LFW", 900, 3000, 10000)]


@pytest.fixture
def costs(root):
    return Costs(suites.load_suite("scratch"), SETS, Steady())


def test_too_little_disk_and_memory_are_problems(costs, monkeypatch):
    disk = resources.disk_needs(costs)
    assert disk["faces"] == 2 * 112 * 112 * 3 * 8100 and disk["embeddings"] == 2 * 4 * 900 * 8 * 128
    monkeypatch.setattr(resources, "free_disk", lambda: int(1e7))
    monkeypatch.setattr(resources, "free_memory", lambda: int(1e12))
    disk, memory = resources.resource_findings(costs)
    assert (disk.state, memory.state) == ("too little", "present") and "0.0 GB free" in disk.detail


def test_on_a_gpu_the_networks_need_its_memory_and_the_pairs_do_not(costs, monkeypatch):
    on_cpu = resources.resource_findings(costs)
    costs.machine.device = SimpleNamespace(type="cuda")
    monkeypatch.setattr(resources.torch.cuda, "mem_get_info", lambda device: (10**6, 10**9))
    disk, memory, gpu = resources.resource_findings(costs)
    assert [finding.name for finding in on_cpu] == ["disk", "memory"] and disk == on_cpu[0]
    assert (gpu.name, gpu.state) == ("GPU memory", "too little")
    assert "most of all to evaluate" not in gpu.detail and memory.detail != on_cpu[1].detail


def test_evaluation_memory_counts_the_two_largest_benchmarks(costs):
    small, large = Faces("a", 10, 1000, 1000), Faces("b", 10, 2000, 5000)
    alone, both, all_three = (resources.evaluation_memory(Costs(costs.suite, sets, costs.machine))
                              for sets in ([large], [small, large], [small, large, Faces("c", 10, 10, 10)]))
    assert alone - resources.PROCESS == 3 * 4 * 2000 * 1000 + 7000 * (32 + 8 * 8)
    assert all_three == both > alone
