"""A file of the user's that is replaced makes stale what read it, and nothing else; unfinished work never mixes two."""
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from dvc.repo import Repo

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.images import write_image
from fiqa_core.base.project import settings
from fiqa_core.pipeline import inputs, prepare, stage_files, suites
from tests.helpers.small_project import ROOT, face_set

READERS = ("prepare", "recogniser", "diffusion", "distil", "train")
SETS = ["faces.benchmarks.Faces.folder=faces", "faces.benchmarks.Faces.pairs=lists/pairs.csv", "recognisers.own.checkpoint=own.onnx",
        "recognisers.other={name: Other, architecture: sface, checkpoint: other.onnx}", "diffusion.checkpoint=diffusion.pt",
        "trained.lightqnet.checkpoint=light.pb", "trained.pfe={checkpoint: pfe/ckpt-*.index}", "distilled.ediffiqa_t.checkpoint=t.onnx"]
FILES = ["faces/A/1.png", "faces/A/2.png", "elsewhere/3.png", "lists/pairs.csv", "own.onnx", "other.onnx", "diffusion.pt", "light.pb",
         "pfe/ckpt-1.index", "pfe/ckpt-1.data-00000-of-00001", "t.onnx"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The readers of the user's files as DVC sees them, in the suite `faces`: of what else they read nothing."""
    folder = tmp_path_factory.mktemp("project")
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"the first {name}")
    (folder / "faces" / "B").symlink_to(folder / "elsewhere")
    subprocess.run(["git", "init", "-q", folder], check=True)
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    read = {name: {key: value for key, value in stages[name].items() if key in ("cmd", "matrix")}
            | {"deps": [path for path in stages[name]["deps"] if "/inputs/" in path]} for name in READERS}
    for name in ("inputs", "look"):
        stages[name]["do"].pop("params"), stages[name]["do"].pop("deps")
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {**{name: stages[name] for name in ("inputs", "look")}, **read}}))
    return folder


@pytest.fixture
def committed(project, monkeypatch):
    """Everything is up to date; what is stale after the stage `inputs` has looked again is called for."""
    monkeypatch.setenv("FIQA_ROOT", str(project))
    suites.write_params("faces", SETS)
    inputs.write_inputs()
    with Repo(str(project)) as repo:
        repo.commit(force=True)

    def stale() -> set[str]:
        inputs.write_inputs()
        with Repo(str(project)) as repo:
            return {name.rpartition(":")[2] for name in repo.status()} - {"look@files"}

    assert stale() == set()
    return stale


@pytest.mark.parametrize("name, reader", [
    ("faces/A/1.png", "prepare"), ("elsewhere/3.png", "prepare"), ("faces/A/new.png", "prepare"), ("lists/pairs.csv", "prepare"),
    ("own.onnx", "recogniser@own"), ("other.onnx", "recogniser@other"), ("diffusion.pt", "diffusion"),
    ("light.pb", "train@lightqnet"), ("pfe/ckpt-1.data-00000-of-00001", "train@pfe"), ("pfe/ckpt-2.index", "train@pfe"),
    ("t.onnx", "distil@ediffiqa_t"), ("faces/.hidden/4.png", None), ("faces/A/.1.png.swp", None)])
def test_a_replaced_file_makes_its_reader_stale_and_no_other(project, committed, name, reader):
    """Of equal length: neither sizes nor names alone tell."""
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text(f"the other {name}")
    assert committed() == {reader} - {None}


def test_a_picture_that_goes_counts_and_a_checkpoint_touched_or_copied_anew_does_not(project, committed):
    os.utime(project / "own.onnx", ns=(1, 1))
    shutil.copyfile(project / "own.onnx", project / "copy")
    os.replace(project / "copy", project / "own.onnx")
    assert committed() == set()
    (project / "faces" / "A" / "2.png").unlink()
    assert committed() == {"prepare"}


def test_a_picture_replaced_with_its_old_time_counts(project, committed):
    facts = os.stat(project / "elsewhere" / "3.png")
    (project / "elsewhere" / "3.png").write_text("THE FIRST elsewhere/3.png"[:facts.st_size].ljust(facts.st_size))
    os.utime(project / "elsewhere" / "3.png", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert committed() == {"prepare"}


@pytest.mark.parametrize("name", suites.suite_names())
def test_a_suite_watches_files_if_it_names_any(name):
    suite = suites.load_suite(name)
    assert suite["inputs"] == inputs.inputs_of(suite)
    assert bool(suite["inputs"]["watched"]) == (name not in ("demo", "ci", "pretrain", "scratch")) != bool(suite["inputs"]["fixed"])


def test_a_checkpoint_given_to_a_suite_is_watched(tmp_path, monkeypatch):
    """By a suite's change, by a change of params.yaml alone, and not silently ignored where it is written by hand."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    change = ["recognisers.cosface={name: CosFace, architecture: iresnet50, checkpoint: a.pth}"]
    for write in (lambda: suites.write_params("scratch", change), lambda: (suites.write_params("scratch"), suites.change_params(change))):
        write()
        assert settings("inputs") == {"fixed": [], "watched": ["files"]}
        inputs.write_inputs()
        assert "a.pth missing" in (tmp_path / "build/scratch/inputs/recognisers/cosface.txt").read_text()
    suites.change_params(["recognisers.cosface=null"])
    assert settings("inputs") == {"fixed": ["files"], "watched": []}
    path = tmp_path / "params.yaml"
    path.write_text(path.read_text().replace("\ndiffusion:\n", "\ndiffusion:\n  checkpoint: d.pt\n"))
    with pytest.raises(FiqaError, match=r"names d\.pt, but .*\n.*watched: \[files\]"):
        inputs.write_inputs()


def on_disk(folder: Path, faces: FaceSet) -> FaceSet:
    np.save(folder / "pixels.npy", faces.pixels)
    return FaceSet(faces.name, np.load(folder / "pixels.npy", mmap_mode="r"), faces.images, faces.pairs)


@pytest.mark.parametrize("whole, stored", [(2**31, False), (2**31, True), (0, True)])
def test_half_finished_work_is_of_these_very_faces_and_weights(tmp_path, monkeypatch, whole, stored):
    """One grey level of one picture, whichever, is other work; so is another file of weights."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    monkeypatch.setattr(stage_files, "WHOLE", whole)
    suites.write_params("demo")
    faces, weights = face_set(8), tmp_path / "weights.pt"
    weights.write_bytes(b"one")

    def path() -> Path:
        return stage_files.partial_path("work", "05_score", on_disk(tmp_path, faces) if stored else faces, [weights], a=1)

    found = [path()]
    if whole:
        assert path() == found[0]
    for place in ((0, 0, 0, 0), (7, 111, 111, 2), (3, 50, 60, 1)):
        faces.pixels[place] ^= 1
        found.append(path())
    weights.write_bytes(b"two")
    assert len({*found, path()}) == 5


def test_half_prepared_faces_are_not_mixed_with_replaced_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    suites.write_params("demo")
    for row, picture in enumerate(face_set(8).pixels):
        write_image(tmp_path / "faces" / f"p{row // 2}" / f"{row}.png", picture)
    options = prepare.check("Faces", {"form": "folders", "folder": "faces"})
    before = np.array(prepare.prepare("Faces", options).pixels)
    write_image(tmp_path / "faces" / "p1" / "2.png", 255 - before[2])
    after = prepare.prepare("Faces", options).pixels
    assert [row for row in range(8) if not np.array_equal(before[row], after[row])] == [2]
