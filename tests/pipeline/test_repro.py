"""Two commands at once: the second is refused before it changes anything. What `make` hands on arrives whole."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fiqa_core import cli
from fiqa_core.base.images import write_image
from fiqa_core.pipeline.suites import write_params
from tests.helpers.processes import held

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = "build/demo/notebooks/01_prepare.ipynb"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small project with git, a folder of faces and the scores of a command that was stopped."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    monkeypatch.delenv("FIQA_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    write_params("demo")
    for row in range(4):
        write_image(tmp_path / "faces" / f"p{row // 2}" / f"{row}.png", np.full((112, 112, 3), 50 * row, np.uint8))
    assert cli.main(["score", "faces", "--method", "sharpness", "--out", "s.csv"]) == 0
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts}


@pytest.mark.parametrize("target, arguments", [
    ("project", ["suite", "ci"]), ("project", ["repro", "--suite", "ci"]), ("project", ["repro", "--set", "scoring.batch=8"]),
    ("project", ["repro"]), (NOTEBOOK, ["suite", "ci"]), (NOTEBOOK, ["repro"]), (NOTEBOOK, ["run", "01_prepare"]),
    ("s.csv", ["score", "faces", "--method", "sharpness", "--out", "s.csv"]),
    ("linked.csv", ["score", "faces", "--method", "sharpness", "--out", "link.csv"]),
    ("faces/pairs.csv", ["data", "pairs", "faces"]), ("corpora/lfw", ["data", "fetch", "lfw", "--accept-licence"]),
    ("weights/face_detection_yunet_2023mar.onnx", ["weights", "fetch", "yunet", "--accept-licence"])])
def test_the_second_command_is_refused_and_changes_nothing(project, capsys, target, arguments):
    (project / "link.csv").symlink_to("linked.csv")
    capsys.readouterr()
    with held(project / target) as other:
        before = contents(project)
        assert cli.main(arguments) == 2
        assert contents(project) == before
    said = capsys.readouterr().err
    assert re.search(rf"error: .* is in use by process {other.pid} on .*python.* since \d{{4}}-.*\n  remedy: wait", said), said


def test_a_killed_command_is_no_obstacle(project):
    for target in ("project", NOTEBOOK):
        with held(project / target) as other:
            other.kill()
            other.wait()
            assert (project / target).with_name(f".{Path(target).name}.lock").is_file()
            assert cli.main(["suite", "ci"]) == 0
    assert not list(project.rglob("*.lock")) and "suite: ci" in (project / "params.yaml").read_text()


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("text, changes", [
    ("a=[x, y] b=c", ["a=[x, y]", "b=c"]), ("a={k: [1, 2], m=n: 3} b-c.d=", ["a={k: [1, 2], m=n: 3}", "b-c.d="]),
    ("about=It's two words, isn't it  b=1", ["about=It's two words, isn't it", "b=1"]),
    ("a='x b=1' c=\"[y d=2\"", ["a='x b=1'", 'c="[y d=2"']), ("a.folder=/my faces/x; y a.pairs=/p (1).csv",
                                                                ["a.folder=/my faces/x; y", "a.pairs=/p (1).csv"]), ("", [])])
def test_values_with_spaces_pass_through_make(tmp_path, text, changes):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".ready").touch()
    done = subprocess.run(["make", "-s", "-C", ROOT, "repro", f"VENV={tmp_path}", "SUITE=ci", f"SET={text}"], check=True, text=True,
                          capture_output=True, env={key: value for key, value in os.environ.items() if key != "MAKEFLAGS"})
    arguments = cli.command_line().parse_args(done.stdout.splitlines()[2:])
    assert done.stdout.splitlines()[:2] == ["-m", "fiqa_core"] and (arguments.suite, arguments.set) == ("ci", changes)
