"""The command line: help without heavy imports, and one line for whatever the system refuses."""
import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from fiqa_core import cli
from fiqa_core.base.images import write_image
from fiqa_core.recognisers.zoo import build_model

HEAVY = ("torch", "torchvision", "pandas", "scipy", "numpy", "matplotlib", "cv2", "requests")


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"], ["weights", "list"]])
def test_help_imports_nothing_heavy(arguments, tmp_path):
    code = ("import sys\nfrom fiqa_core import cli\n"
            f"try:\n    cli.main({arguments})\nexcept SystemExit:\n    pass\n"
            f"print([name for name in {HEAVY} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=os.environ | {"FIQA_WEIGHTS": str(tmp_path)})
    assert done.stdout.splitlines()[-1] == "[]" and len(done.stdout.splitlines()) > 10, done.stderr


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder outside of any project, the working folder, with a picture in `faces`."""
    write_image(tmp_path / "faces" / "a.png", np.full((112, 112, 3), 99, np.uint8))
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    monkeypatch.setenv("FIQA_DEVICE", "cpu")
    return tmp_path


def refused(capsys, *arguments) -> str:
    """What a command says that ends with exit code 2: the error and its remedy, and no traceback."""
    assert cli.main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and printed.count("\n  remedy: ") == 1 and printed.count("\n") == 2
    return printed


SCORE = ("score", "faces", "--method", "sharpness")


@pytest.mark.parametrize("arguments, message", [
    ([*SCORE, "--out", "faces"], "faces is a folder\n  remedy: name a CSV file"),
    ([*SCORE, "--out", "file/s.csv"], "file: File exists"),
    ([*SCORE, "--out", "/proc/none/s.csv"], "/proc/none: No such file or directory\n  remedy: check the"),
    ([*SCORE, "--out", "n" * 300 + ".csv"], "File name too long\n  remedy: give a shorter name"),
    ([*SCORE, "--out", "s.csv", "--landmarks", "faces"], "faces cannot be read: Is a directory"),
    (["score", "none", "--method", "sharpness", "--out", "s.csv"], "none is not a folder"),
    (["score", "faces", "--method", "pcnet", "--model", "faces", "--out", "s.csv"], "faces is a folder\n"),
    (["weights", "convert", "faces", "x.pth"], "faces is a folder\n  remedy: name the file in it"),
    (["suite", "demo", "--set", "seed=[1"], "'[1' is no value"),
    (["suite", "demo", "--set", "evaluation.resamples=2.5"], "resamples is 2.5\n  remedy: give a whole")])
def test_a_wrong_place_or_value_is_one_line(place, capsys, arguments, message):
    before = sorted(place.rglob("*"))
    assert message in refused(capsys, *arguments)
    assert sorted(place.rglob("*")) == before


def test_score_works_from_any_folder_where_everything_is_named(place, capsys, monkeypatch):
    monkeypatch.delenv("FIQA_ROOT")
    torch.save(build_model("mobilefacenet_foamliu").state_dict(), place / "w.pth")
    score = ("score", "faces", "--method", "faceqan", "--out", "s.csv", "--recogniser", "mobilefacenet_foamliu")
    options = [f"--option={text}" for text in ("iterations=1", "repeats=1", "epsilon=1e-3")]
    assert cli.main([*score, *options, "--weights", "w.pth"]) == 0
    assert (place / "s.csv").read_text().splitlines()[1].startswith("a.png,") and capsys.readouterr()
    for option in ("repeats=2.5", "exponent=2.5", "iterations=many"):
        message = refused(capsys, *score, "--weights", "w.pth", "--option", option)
        assert f"faceqan: {option.partition('=')[0]} is " in message and "give a whole number" in message
    assert "neither built here nor among" in (message := refused(capsys, *score))
    assert "give the path of a checkpoint" in message


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_what_cannot_be_written_stays_as_it_was(place, capsys, monkeypatch, code):
    def refuse(*arguments, **options):
        raise OSError(code, os.strerror(code), "params.yaml")

    (place / "dvc.yaml").touch()
    assert cli.main(["suite", "ci"]) == 0
    before = (place / "params.yaml").read_bytes()
    monkeypatch.setattr(os, "replace", refuse)
    message = refused(capsys, "suite", "demo")
    assert os.strerror(code) in message and "params.yaml" in message and "another place" in message
    assert (place / "params.yaml").read_bytes() == before


def test_the_file_that_is_no_text_is_named(place, capsys):
    (place / ".git").mkdir()
    (place / "params.yaml").write_bytes(b"suite: \xff\xfe")
    assert "params.yaml is not valid YAML" in refused(capsys, "repro")
    assert cli.main([*SCORE, "--out", "s.csv"]) == 0
    capsys.readouterr()
    (place / "s.csv").write_bytes(b"image,score,percentile,status\n\xe4.png,1,,ok\n")
    message = refused(capsys, *SCORE, "--out", "s.csv")
    assert "s.csv is not UTF-8 text: invalid continuation byte at byte 30" in message
    (place / "s.csv.json").write_text("{")
    assert "s.csv.json is damaged" in refused(capsys, *SCORE, "--out", "s.csv")
    (place / "s.csv.json").unlink()
    assert "s.csv exists, but s.csv.json" in refused(capsys, *SCORE, "--out", "s.csv")


def test_a_project_without_git_says_what_is_enough(place, capsys):
    (place / "params.yaml").write_text("suite: demo\n")
    assert f"git init {place}   (that is enough" in refused(capsys, "repro", "--suite", "ci")
    assert (place / "params.yaml").read_text() == "suite: demo\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="SKIPPED: this system has no /dev/full")
def test_a_full_disk_behind_the_output_is_an_error(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "fiqa_core", "weights", "list"], stdout=full, text=True,
                              stderr=subprocess.PIPE, env=os.environ | {"FIQA_WEIGHTS": str(tmp_path)})
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: No space left on device")


def test_an_output_that_nobody_reads_ends_quietly(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "fiqa_core", "weights", "list"], stdout=writer, text=True,
                          stderr=subprocess.PIPE, env=os.environ | {"FIQA_WEIGHTS": str(tmp_path)})
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
