"""Settings, suites, digests, the notebook runner and the shape of the stage graph."""
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from fiqa_core import registry
from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.base.process import ENVIRONMENT
from fiqa_core.loading import save_quality
from fiqa_core.pipeline import outputs, runner, score, stage_files, suites
from fiqa_core.pipeline.train import draw_identities, label_training_faces, train_method
from fiqa_core.reporting import names
from tests.helpers.small_networks import trained

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty project: dvc.yaml, params.yaml and a folder of notebooks."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    suites.write_params("demo")
    return tmp_path


def write_notebook(path, *cells, parameters="x = 1"):
    cells = [("parameters", parameters), *(("", cell) for cell in cells)]
    content = {"nbformat": 4, "nbformat_minor": 5,
               "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
               "cells": [{"cell_type": "code", "id": f"c{i}", "metadata": {"tags": [tag]} if tag else {}, "outputs": [],
                          "execution_count": None, "source": text} for i, (tag, text) in enumerate(cells)]}
    path.write_text(json.dumps(content))


def test_params_are_the_demo_suite_word_for_word(folder):
    assert (ROOT / "params.yaml").read_text() == (folder / "params.yaml").read_text()


@pytest.mark.parametrize("name", suites.suite_names())
def test_every_suite_fills_every_matrix(name):
    suite = suites.load_suite(name)
    assert suite["suite"] == name
    demo = suites.load_suite("demo")
    assert set(demo) == set(suite) - {"small_iresnet", "targets"}
    assert ("targets" in suite) == (name == "pretrain")
    for section in () if "targets" in suite else ("recognisers", "distilled", "trained", "on_recogniser", "on_pixels"):
        assert suite[section], f"{section} is empty: DVC would skip its stages without a word"
    assert suite["scoring"]["recogniser"] in suite["recognisers"]


def test_the_demo_has_every_method_of_the_papers_tables(folder):
    found = [registry.methods()[slug].name for slug in score.pipeline_methods() if not registry.methods()[slug].protocol]
    assert found == [name for name in names.METHODS.values() if name != "eDifFIQA(T)"]      # T is for suites with a MobileFaceNet


@pytest.mark.parametrize("slug, section, weights", [
    ("faceqan", "on_recogniser", ["recognisers/cosface.pt"]), ("magface", "on_recogniser", ["recognisers/magface.pt"]),
    ("diffiqa", "on_diffusion", ["diffusion/0.pt", "recognisers/cosface.pt"]), ("pfe", "trained", ["quality/pfe/1.pt"]),
    ("ediffiqa_s", "distilled", ["quality/ediffiqa_s/1.pt"]), ("sharpness", "on_pixels", [])])
def test_where_a_method_stands_and_which_weights_it_has(folder, slug, section, weights):
    assert registry.methods()[slug].section == section and score.entry_of(slug) == project.settings(f"{section}.{slug}")
    assert score.weights_of(slug, 1) == [folder / "build" / "demo" / path for path in weights]


def test_a_checkpoint_serves_all_parts_and_unknown_methods_are_explained(folder):
    suites.write_params("demo", ["trained.pfe.checkpoint=a.pt", "diffusion.checkpoint=d.pt"])
    assert score.quality_path("pfe", 1).name == "0.pt" and score.weights_of("diffiqa", 1)[0].name == "0.pt"
    with pytest.raises(FiqaError, match="no method 'ediffiqa_t'"):
        score.entry_of("ediffiqa_t")
    with pytest.raises(FiqaError, match="is missing"):
        stage_files.digest_of(folder / "none.pt")


def test_a_checkpoint_is_taken_once_it_fits(folder):
    (folder / "weights").mkdir()
    model, recogniser = trained("pcnet")
    save_quality(model, "pcnet", recogniser, folder / "weights" / "mine.pt")
    suites.write_params("demo", ["trained.pcnet.checkpoint=weights/mine.pt"])
    assert train_method("pcnet").empty
    images = torch.rand(2, 3, 112, 112)
    assert torch.equal(score.pipeline_method("pcnet")(images), model(images))
    suites.write_params("demo", ["trained.pcnet.checkpoint=weights/none.pt"])
    with pytest.raises(FiqaError, match="none.pt is not there"):
        train_method("pcnet")


def test_training_faces_are_chosen_by_column_and_part(folder):
    images = pd.DataFrame({"image_id": list("abc"), "identity": list("xyz"), "template_id": list("abc"),
                           "media_id": list("abc"), "crossfit": [0, 1, -1], "group": ["good", "good", "spoilt"]})
    faces = FaceSet("training", np.zeros((3, 112, 112, 3), np.uint8), images, empty_pairs())
    assert outputs.matching(faces, {"group": "good"}, "s").tolist() == [True, True, False]
    seen = {model: list(outputs.chosen_faces(faces, allowed).images["image_id"])
            for model, allowed, _ in outputs.crossfit(faces, "w", "n")}
    assert seen == {0: ["b", "c"], 1: ["a", "c"]}
    assert outputs.chosen_faces(faces, outputs.matching(faces, {}, "s")) is faces
    for only in ({"group": "none"}, {"colour": "red"}):
        with pytest.raises(FiqaError, match="diffusion.only"):
            outputs.matching(faces, only, "diffusion.only")


def test_a_cross_fitted_model_that_is_done_leaves_nothing_behind(folder):
    images = pd.DataFrame({"image_id": ["a"], "identity": ["x"], "template_id": ["a"], "media_id": ["a"],
                           "crossfit": [-1]})
    faces = FaceSet("training", np.zeros((1, 112, 112, 3), np.uint8), images, empty_pairs())
    for model, allowed, partial in outputs.crossfit(faces, "w", "n"):
        assert model == 0 and allowed.all()
        partial.write_text("state"), stage_files.log_path(partial).write_text("epoch,loss\n1,0.5\n")
        assert stage_files.read_log(partial)["loss"].tolist() == [0.5]
    assert not list((folder / "build" / "demo" / "partial").iterdir())
    assert list(outputs.crossfit(None, "w", "n")) == []


def test_merge_lays_changes_over_and_null_removes():
    base = {"a": {"b": 1, "c": 2}, "d": [1, 2], "e": 5}
    assert suites.merge(base, {"a": {"b": 9}, "d": [3], "e": None}) == {"a": {"b": 9, "c": 2}, "d": [3]}
    assert base["a"]["b"] == 1


def test_override_changes_one_value(folder):
    suites.write_params("demo", ["on_recogniser.faceqan.repeats=3"])
    assert project.settings("on_recogniser.faceqan.repeats") == 3
    assert project.settings("on_recogniser.faceqan.iterations") == 5


@pytest.mark.parametrize("override, said", [("on_recogniser.faceqan", "key=value"), ("no.such=1", "no section")])
def test_bad_override_is_explained(folder, override, said):
    with pytest.raises(FiqaError, match=said):
        suites.write_params("demo", [override])


def test_unknown_suite_and_section_are_explained(folder):
    with pytest.raises(FiqaError, match="demo"):
        suites.load_suite("nothing")
    with pytest.raises(FiqaError, match="on_pixels.nothing"):
        project.settings("on_pixels.nothing")
    (folder / "params.yaml").write_text("a: [")
    with pytest.raises(FiqaError, match="not valid YAML"):
        project.settings()


def test_digest_ignores_prose_but_not_code(folder):
    path = folder / "notebooks" / "n.ipynb"
    write_notebook(path, "from fiqa_core.evaluation.edc import edc")
    first = runner.digest(path)
    assert "fiqa_core.evaluation.edc" in first and "fiqa_core.base.errors" in first
    content = json.loads(path.read_text())
    content["cells"].append({"cell_type": "markdown", "id": "m", "metadata": {}, "source": "prose"})
    content["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "1"}]
    path.write_text(json.dumps(content))
    assert runner.digest(path) == first
    content["cells"][1]["source"] = "y = 2"
    path.write_text(json.dumps(content))
    assert runner.digest(path) != first


def test_digest_follows_lazy_public_names():
    assert "fiqa_core.kernels.faceqan" in runner.reachable("from fiqa_core import FaceQAN")
    assert "fiqa_core.rendering" not in runner.reachable("from fiqa_core.evaluation.edc import edc")


def test_every_stage_names_its_notebook_digest():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for name, stage in stages.items():
        words = stage.get("do", stage)["cmd"].split()
        if words[3] == "run":
            method = "".join(f"@{word.removeprefix('method=')}" for word in words[5:] if word.startswith("method="))
            assert f"build/code/{words[4]}{method}.txt" in stage.get("do", stage)["deps"], name
            if "$" not in words[4]:
                assert (ROOT / "notebooks" / f"{words[4]}.ipynb").is_file()


def test_every_artefact_notebook_is_a_stage():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    numbered = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb") if "10" <= path.stem[:2] <= "99"}
    suite = suites.load_suite("demo")
    assert {stages["artefact"]["foreach"], stages["challenge"]["foreach"]} == {"${artefacts}", "${challenge_notebooks}"}
    assert {*suite["artefacts"], *suite["challenge_notebooks"]} == numbered


def test_runner_executes_and_returns_the_copy(folder):
    write_notebook(folder / "notebooks" / "n.ipynb", "open('made.txt', 'w').write(str(x))")
    target = runner.run_notebook("n", {"x": 7})
    assert (folder / "notebooks" / "made.txt").read_text() == "7"
    assert target == folder / "build" / "demo" / "notebooks" / "n-7.ipynb" and target.is_file()


def test_kernels_get_the_settings_of_processes(folder, monkeypatch):
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    write_notebook(folder / "notebooks" / "n.ipynb",
                   "import json, os\njson.dump(dict(os.environ), open('made.txt', 'w'))")
    runner.run_notebook("n", {})
    assert ENVIRONMENT.items() <= json.loads((folder / "notebooks" / "made.txt").read_text()).items()


def test_runner_names_the_failing_cell(folder):
    write_notebook(folder / "notebooks" / "n.ipynb", "1 / 0")
    with pytest.raises(FiqaError, match="ZeroDivisionError"):
        runner.run_notebook("n", {})


def test_runner_says_that_the_kernel_died(folder):
    write_notebook(folder / "notebooks" / "n.ipynb", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(FiqaError, match="kernel died"):
        runner.run_notebook("n", {})


def test_runner_refuses_unknown_notebooks_and_parameters(folder):
    with pytest.raises(FiqaError, match="does not exist"):
        runner.run_notebook("none", {})
    write_notebook(folder / "notebooks" / "n.ipynb", "1")
    with pytest.raises(FiqaError, match="no parameter y"):
        runner.run_notebook("n", {"y": 1})


def test_partial_work_is_found_only_by_the_same_parameters(folder):
    same = [stage_files.partial_path("w", "n", config={"a": value}) for value in (1, 1, 2)]
    assert same[0] == same[1] != same[2]
    same[0].mkdir()
    stage_files.forget(same[0]), stage_files.forget(same[2])
    assert not same[0].exists()


def test_draw_identities_takes_whole_people_with_many_images_first():
    images = pd.DataFrame({"identity": list("aaaa") + list("bbbb") + list("cc") + list("d")})
    mask = draw_identities(images, pd.Series(True, images.index), 5, seed=0)
    assert set(images.identity[mask]) == {"a", "b"}
    allowed = images.identity != "a"
    assert "a" not in set(images.identity[draw_identities(images, allowed, 3, seed=0)])


def test_no_labels_where_none_are_wanted(folder):
    suites.write_params("demo", ["labels.images=0"])
    assert label_training_faces().empty
    assert (folder / "build" / "demo" / "labels").is_dir() and (folder / "results" / "demo" / "labels" / "labels.csv").is_file()
