"""What processes tell the libraries below them, and how much memory chunks may take."""
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from fiqa_core.base import device
from fiqa_core.base.process import ENVIRONMENT

SHOW = """
import json, os, sys
from fiqa_core.base.process import settle
settle()
print(json.dumps({"torch": "torch" in sys.modules, "environment": dict(os.environ)}))
"""


def shown(**given) -> dict:
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    return json.loads(subprocess.run([sys.executable, "-c", SHOW], env={**environment, **given}, check=True,
                                     capture_output=True).stdout)


def test_the_settings_are_made_before_torch_and_a_users_own_stay():
    found = shown(OMP_WAIT_POLICY="ACTIVE")
    assert not found["torch"]
    assert {**ENVIRONMENT, "OMP_WAIT_POLICY": "ACTIVE"}.items() <= found["environment"].items()


GB = 2**30


@pytest.mark.parametrize("memory, cores, wanted", [
    (2 * GB, 2, 192 * 2**20), (8 * GB, 8, GB // 2), (16 * GB, 2, GB), (512 * GB, 8, 1536 * 2**20),
    (64 * GB, 64, GB // 2)])
def test_the_budget_is_a_part_of_the_memory(memory, cores, wanted, monkeypatch):
    monkeypatch.setattr(device, "memory", lambda: memory)
    monkeypatch.setattr(device, "os", SimpleNamespace(cpu_count=lambda: cores))
    assert device.activation_budget(torch.device("cpu")) == wanted


def test_memory_is_that_of_the_control_group_where_it_has_less(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "CGROUP", tmp_path)
    whole = device.memory()
    (tmp_path / "memory.max").write_text("max\n")
    assert device.memory() == whole
    (tmp_path / "memory.max").write_text(f"{whole // 2}\n")
    assert device.memory() == whole // 2
    (tmp_path / "memory.max").write_text(f"{2 * whole}\n")
    assert device.memory() == whole
