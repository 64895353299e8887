"""The time limit of a test: it is named, and so is the process that it waited for, which ends with its children."""
import os
import sys

from tests.helpers.processes import finished
from tests.helpers.small_project import ROOT

HANGING = """
from tests.helpers.processes import finished

def test_that_hangs():
    finished(["sh", "-c", "echo started; sleep 100000 & wait"])

def test_that_follows():
    pass
"""


def test_a_hanging_test_is_named_and_its_processes_are_ended(tmp_path):
    (tmp_path / "test_it.py").write_text(HANGING)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntimeout = 1\n")
    result = finished([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", tmp_path], cwd=tmp_path,
                      env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert result.returncode == 1 and "1 failed, 1 passed" in result.stdout, result.stdout + result.stderr
    assert "FAILED" in result.stdout and "test_it.py::test_that_hangs - Failed: Timeout" in result.stdout
    assert "ended while it ran: ['sh', '-c', 'echo started" in result.stdout and "\nstarted\n" in result.stdout
