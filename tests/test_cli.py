"""The command line: help without heavy imports, and what a user reads when something is wrong."""
import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "pandas", "scipy", "numpy", "matplotlib", "cv2", "requests")


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"], ["weights", "list"]])
def test_help_imports_nothing_heavy(arguments, tmp_path):
    code = ("import sys\nfrom fiqa_core import cli\n"
            f"try:\n    cli.main({arguments})\nexcept SystemExit:\n    pass\n"
            f"print([name for name in {HEAVY} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=os.environ | {"FIQA_WEIGHTS": str(tmp_path)})
    assert done.stdout.splitlines()[-1] == "[]" and len(done.stdout.splitlines()) > 10, done.stderr
