"""Scoring folders and face sets: failures as rows, resume after a kill, no mixing of settings."""
import json
import os

import numpy as np
import pandas as pd
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.base.images import read_image, to_batch, write_image
from fiqa_core.cli import main
from fiqa_core.loading import load_method
from fiqa_core.methods.grafiqs import GraFIQs
from fiqa_core.methods.magface import MagFace
from fiqa_core.methods.pixels import illumination, symmetry
from fiqa_core.methods.prefiqs import PreFIQs
from fiqa_core.methods.ser_fiq import SERFIQ
from fiqa_core.pipeline import score_folder
from fiqa_core.pipeline.score import score_face_set
from fiqa_core.recognisers.zoo import recogniser_from_catalogue
from fiqa_core.registry import methods
from fiqa_core.reporting import names
from tests.helpers.degraded_faces import ladder, trained_recogniser

NAMES = ["a/1.png", "a/2.png", "b/3.png", "b/broken.jpg", "b/large.png", "c/7.png", "c/8.png"]


class Brightness(torch.nn.Module):
    """A quality method whose scores are known; `fails_after` images it is killed."""

    def __init__(self, fails_after: int | None = None):
        super().__init__()
        self.fails_after, self.seen = fails_after, 0

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        if self.fails_after is not None and self.seen > self.fails_after:
            raise KeyboardInterrupt
        return images.mean(dim=(1, 2, 3))


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(NAMES):
        side = 150 if "large" in name else 112
        write_image(tmp_path / "in" / name, np.full((side, side, 3), 10 + 20 * (7 * i % 10), np.uint8))
    broken = tmp_path / "in" / "b" / "broken.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    (tmp_path / "dvc.yaml").touch()
    return tmp_path


@pytest.fixture
def score(folder, monkeypatch):
    """Run `score` on the folder with a Brightness method: (exit code, table or None)."""
    monkeypatch.setenv("FIQA_ROOT", str(folder))
    monkeypatch.setenv("FIQA_DEVICE", "cpu")
    (folder / "weights.pt").write_bytes(b"weights")

    def run(*options, method=None, out="scores.csv", name="faceqan"):
        monkeypatch.setattr(score_folder, "load_recogniser", lambda *args: None)
        monkeypatch.setattr(score_folder, "load_method", lambda *args, **named: method or Brightness())
        recogniser = (
            ["--recogniser", "net", "--weights", str(folder / "weights.pt")] if name == "faceqan" else []
        )
        code = main(
            [
                "score",
                str(folder / "in"),
                "--method",
                name,
                *recogniser,
                "--out",
                str(folder / out),
                "--batch",
                "2",
                *options,
            ]
        )
        path = folder / out
        return code, pd.read_csv(path) if path.is_file() else None

    return run


def test_every_image_has_a_row(score):
    code, table = score()
    assert code == 1 and table["image"].tolist() == sorted(NAMES)
    failed = table.set_index("image")["status"].loc[["b/broken.jpg", "b/large.png"]].tolist()
    assert failed[0].startswith("the picture is not a complete image")
    assert failed[1] == "not an aligned 112 x 112 crop but 150 x 150 pixels"
    good = table[table["status"] == "ok"]
    expected = [(10 + 20 * (7 * NAMES.index(name) % 10)) / 255 for name in good["image"]]
    assert np.allclose(good["score"], expected) and good["score"].between(0, 1).all()
    assert sorted(good["percentile"]) == [10, 30, 50, 70, 90]
    assert (good["percentile"].rank() == good["score"].rank()).all()
    assert table["score"].isna().sum() == table["percentile"].isna().sum() == 2


def test_an_interrupted_run_goes_on_and_ends_the_same(score, folder):
    score(out="whole.csv")
    assert score(method=Brightness(fails_after=2))[0] == 130
    lines = (folder / "scores.csv").read_text()
    assert lines.count("\n") == 3
    (folder / "scores.csv").write_text(lines + "b/3.png,0.12")  # killed in the middle of a line
    rest = Brightness()
    score(method=rest)
    assert rest.seen == 3
    assert (folder / "scores.csv").read_text() == (folder / "whole.csv").read_text()
    again = Brightness()
    score(method=again)
    assert again.seen == 0
    assert (folder / "scores.csv").read_text() == (folder / "whole.csv").read_text()


def test_a_replaced_picture_is_scored_again(score, folder, capsys):
    """Whether it failed before or not, and also where size and time of the file stay the same."""
    score()
    write_image(folder / "in" / "b" / "broken.jpg", np.full((112, 112, 3), 99, np.uint8))
    before = (folder / "in" / "a" / "1.png").stat()
    (folder / "in" / "a" / "1.png").write_bytes((folder / "in" / "c" / "7.png").read_bytes())
    os.utime(folder / "in" / "a" / "1.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (folder / "in" / "a" / "1.png").stat().st_size == before.st_size
    (folder / "in" / "c" / "8.png").unlink()
    (folder / "in" / "a" / "2.png").touch()                 # another time, the same content
    method = Brightness()
    _, table = score(method=method)
    scores = table.set_index("image")["score"]
    assert method.seen == 2 and scores["a/1.png"] == scores["c/7.png"] and "c/8.png" not in scores
    assert table.set_index("image")["status"]["b/broken.jpg"] == "ok"
    assert "2 scores are of pictures that are gone or were replaced" in capsys.readouterr().err
    (folder / "scores.csv.pictures").unlink()               # nothing tells which files the scores are of
    again = Brightness()
    assert score(method=again)[1].equals(table) and again.seen == 5


def test_a_score_that_is_not_finite_is_never_ok(score):
    def odd(images):
        return torch.where(images.mean(dim=(1, 2, 3)) < 0.2, torch.nan,
                           1 / (images[:, 0, 0, 0] - images[0, 0, 0, 0]))

    code, table = score(method=odd)
    bad = table["status"] == "the score is not finite"
    assert code == 1 and bad.any() and np.isfinite(table["score"][table["status"] == "ok"]).all()
    assert table["score"][bad].isna().all()


def test_names_that_are_no_utf8_or_look_like_numbers_are_rows(score, folder):
    odd = os.fsdecode(os.fsencode(folder / "in") + b"/caf\xe9.png")
    os.rename(folder / "in" / "a" / "1.png", odd)
    for name in ("NA", "007", "1e5"):
        (folder / "in" / name).write_bytes((folder / "in" / "a" / "2.png").read_bytes())
    score()
    table = pd.read_csv(folder / "scores.csv", dtype=str, keep_default_na=False).set_index("image")
    assert table["status"][r"caf\xe9.png"] == table["status"]["NA"] == table["status"]["007"] == "ok"
    again = Brightness()
    score(method=again)
    assert again.seen == 0


def test_from_any_folder_without_a_project(tmp_path, monkeypatch):
    """With recogniser and weights named in full nothing of a project is needed."""
    write_image(tmp_path / "in" / "1.png", np.full((112, 112, 3), 99, np.uint8))
    torch.save(recogniser_from_catalogue("mobilefacenet_foamliu").network.state_dict(), tmp_path / "w.pth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIQA_ROOT", raising=False)
    monkeypatch.delenv("FIQA_WEIGHTS", raising=False)
    assert main(["score", "in", "--method", "magface", "--recogniser", "mobilefacenet_foamliu", "--weights",
                 "w.pth",
                 "--out", "s.csv"]) == 0
    assert pd.read_csv("s.csv")["status"].tolist() == ["ok"]


def test_batch_size_does_not_matter(score, folder):
    score("--batch", "5", out="five.csv"), score("--batch", "1", out="one.csv")
    assert (folder / "five.csv").read_text() == (folder / "one.csv").read_text()


def test_other_settings_are_not_mixed(score, folder, capsys):
    score()
    (folder / "weights.pt").write_bytes(b"other weights")
    code, _ = score()
    message = capsys.readouterr().err
    assert code == 2 and "scores.csv was scored with weights = " in message and "remedy" in message
    (folder / "scores.csv.json").unlink()
    assert score()[0] == 2
    (folder / "scores.csv.json").write_text(json.dumps({}))
    assert score()[0] == 2


def test_a_file_that_is_no_score_table_is_left_alone(score, folder):
    score()
    (folder / "scores.csv").write_text("shopping list\n")
    assert score()[0] == 2 and (folder / "scores.csv").read_text() == "shopping list\n"


def test_landmarks_align_larger_images(score, folder, capsys):
    points = " ".join(str(v) for v in (38.3, 51.7, 73.5, 51.5, 56.0, 71.7, 41.5, 92.4, 70.7, 92.2))
    (folder / "points.csv").write_text(f"path,landmarks\nb/large.png,{points}\n")
    _, table = score("--landmarks", str(folder / "points.csv"))
    assert table["status"].value_counts()["ok"] == 1
    assert "no landmarks given" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        (["--batch", "0"], "--batch 0"),
        (["--model", "x.pt"], "--model has no use with --method faceqan"),
        (["--detector", "nowhere.onnx"], "nowhere.onnx is missing"),
        (["--landmarks", "none.csv"], "none.csv is missing"),
        (["--device", "tpu9"], "not a torch device"),
    ],
)
def test_wrong_options_give_one_clear_message(score, capsys, options, message):
    code, table = score(*options)
    error = capsys.readouterr().err
    assert code == 2 and table is None and message in error and "Traceback" not in error


def test_missing_parts_are_named(folder, monkeypatch, capsys):
    monkeypatch.setenv("FIQA_ROOT", str(folder))
    start = ["score", str(folder / "in"), "--out", str(folder / "s.csv")]
    for options, message in (
        (["--method", "faceqan"], "needs --recogniser"),
        (["--method", "faceqan", "--recogniser", "iresnet18", "--weights", "no.pt"], "no.pt is not there"),
        (["--method", "ediffiqa_l", "--recogniser", "net"], "--recogniser has no use"),
        (["--method", "ediffiqa_l"], "build/demo/quality/ediffiqa_l/0.pt is not there"),
    ):
        assert main([*start, *options]) == 2 and message in capsys.readouterr().err
    assert main(["score", str(folder / "none"), "--out", "s.csv", "--method", "faceqan"]) == 2
    assert main([*start, "--method", "magic"]) == 2 and "no method 'magic'" in capsys.readouterr().err


def test_method_by_name_names_what_it_lacks():
    for slug, missing in (("faceqan", "a recogniser"), ("diffiqa", "diffusion model"),
                          ("diffiqa_r", "a model file")):
        with pytest.raises(FiqaError, match=missing):
            load_method(slug)
    with pytest.raises(FiqaError, match="no method 'magic'"):
        load_method("magic")


def test_methods_without_training_by_name():
    network = trained_recogniser()
    images = ladder("blur", 3, (0.5,))[0]
    for slug, wanted in (("magface", network(images).norm(dim=1)), ("ser_fiq", SERFIQ(network)(images)),
                         ("grafiqs", GraFIQs(network)(images)), ("prefiqs", PreFIQs(network)(images))):
        torch.testing.assert_close(load_method(slug, network)(images), wanted, msg=slug)
        with pytest.raises(FiqaError, match="a recogniser"):
            load_method(slug)
    assert torch.equal(load_method("symmetry")(images), symmetry(images))
    assert load_method("prefiqs", network, sparsity=0.0)(images).eq(0).all()
    with pytest.raises(FiqaError, match="no option sparsety"):
        load_method("prefiqs", network, sparsety=0.0)


def test_every_method_has_one_name():
    assert {slug: method.name for slug, method in methods().items() if not method.protocol} == names.METHODS
    again = {slug: method for slug, method in methods().items() if method.protocol}
    assert all(slug == f"{learner}_flaws" and method.name == f"{methods()[learner].name} (flaws)"
               for (slug, method), learner in zip(again.items(), (slug for slug in methods() if methods()[slug].training)))
    assert len(set(names.METHODS.values())) == len(names.METHODS)


def test_a_folder_is_scored_without_training(folder, monkeypatch, capsys):
    """By the real methods, through the command line."""
    monkeypatch.setenv("FIQA_ROOT", str(folder))
    monkeypatch.setattr(score_folder, "load_recogniser", lambda *args: trained_recogniser())
    (folder / "weights.pt").write_bytes(b"weights")
    network = ["--recogniser", "net", "--weights", str(folder / "weights.pt")]
    images = to_batch(np.stack([read_image(folder / "in" / name) for name in ("a/1.png", "c/7.png")]))
    for slug, options, method in (("magface", network, MagFace(trained_recogniser())),
                                  ("illumination", [], illumination)):
        out = folder / f"{slug}.csv"
        assert main(["score", str(folder / "in"), "--method", slug, "--out", str(out), "--device", "cpu",
                     *options]) == 1
        scores = pd.read_csv(out).set_index("image")["score"]
        assert scores[["a/1.png", "c/7.png"]].to_numpy() == pytest.approx(method(images).numpy(), rel=1e-4)
    start = ["score", str(folder / "in"), "--out", str(folder / "s.csv"), "--method"]
    for options, message in ((["grafiqs"], "needs --recogniser"),
                             (["prefiqs", *network, "--model", "x.pt"], "--model has no use"),
                             (["sharpness", *network], "--recogniser has no use"),
                             (["sharpness", "--model", "x.pt"], "--model has no use"),
                             (["sharpness", "--option", "a=1"], "--option has no use"),
                             (["magface", *network, "--option", "a=1"], "magface has no option a"),
                             (["magface", *network, "--option", "a"], "key=value")):
        assert main([*start, *options]) == 2 and message in capsys.readouterr().err


def face_set(count: int) -> FaceSet:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 112, 112, 3)).astype(np.uint8)
    names = [f"face {i}" for i in range(count)]
    images = pd.DataFrame(
        {"image_id": names, "identity": names, "template_id": names, "media_id": names, "crossfit": 0}
    )
    return FaceSet("LFW", pixels, images, empty_pairs())


def test_face_set_scores_resume_from_finished_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("fiqa_core.pipeline.score.SHARD", 4)
    faces, mask = face_set(11), np.arange(11) != 3
    whole = score_face_set(Brightness(), faces, mask=mask, batch=3)
    assert np.allclose(whole, faces.pixels[mask].mean(axis=(1, 2, 3)) / 255)
    with pytest.raises(KeyboardInterrupt):
        score_face_set(Brightness(fails_after=6), faces, mask=mask, partial=tmp_path / "part", batch=2)
    rest = Brightness()
    assert np.array_equal(score_face_set(rest, faces, mask=mask, partial=tmp_path / "part", batch=2), whole)
    assert rest.seen == 6 and not list(tmp_path.glob("part/*.part"))
    assert score_face_set(Brightness(), faces, mask=np.zeros(11, bool)).shape == (0,)


def test_a_score_that_is_no_number_names_the_image():
    with pytest.raises(FiqaError, match="face 2"):
        score_face_set(lambda images: images.mean(dim=(1, 2, 3)).masked_fill(torch.arange(4) == 2, torch.nan),
                       face_set(4))
