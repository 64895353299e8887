"""Quality of whole sets: the summary against closed forms, sources of faces, the notebook that shows them."""
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.challenges import synthetic_sets
from fiqa_core.challenges.synthetic_sets import published_sets, summarise
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import neutral
from fiqa_core.rendering.realism import FULL, LEVELS, Realism
from fiqa_core.rendering.renderer import render_faces

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    monkeypatch.setenv("FIQA_DEVICE", "cpu")
    shutil.copytree(ROOT / "fiqa_core" / "inputs" / "published", tmp_path / "data" / "published")
    suite = {"suite": "test", "about": "Made up for a test.", "seed": 3, "faces": {"source": "rendered"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(suite))
    return tmp_path


@pytest.fixture
def brightness(monkeypatch):
    """Every slug is a method whose score is the mean grey of a face in 0..1."""
    monkeypatch.setattr(synthetic_sets, "pipeline_method", lambda slug: lambda batch: batch.mean((1, 2, 3)))


def test_summary_of_known_numbers():
    scores = pd.DataFrame({"set": ["real"] * 3 + ["made"] * 3, "method": "CR-FIQA",
                           "score": [1.0, 2.0, 3.0, 4.0, -np.inf, 4.0]})
    table = summarise(scores, reference="real").set_index("set")
    assert table.loc["real", ["images", "failed", "mean", "sd", "distance"]].tolist() == [3, 0, 2.0, 1.0, 0.0]
    assert table.loc["made", ["images", "failed", "mean", "sd", "distance"]].tolist() == [2, 1, 4.0, 0.0, 2.0]
    assert summarise(scores)["distance"].isna().all()


def test_methods_stand_in_the_papers_order_and_are_never_mixed():
    scores = pd.DataFrame({"set": ["a", "b"] * 4, "method": ["Sharpness"] * 4 + ["CR-FIQA"] * 4,
                           "score": [1.0, 10, 3, 30, 5, 50, 7, 90]})
    table = summarise(scores, "a")
    assert table["method"].tolist() == ["CR-FIQA", "CR-FIQA", "Sharpness", "Sharpness"]
    assert table["mean"].tolist() == [6, 70, 2, 20]
    assert table["distance"].tolist() == pytest.approx([0, 64 / np.sqrt(2), 0, 18 / np.sqrt(2)])


def test_wrong_summaries_are_refused():
    scores = pd.DataFrame({"set": ["a"], "method": ["CR-FIQA"], "score": [1.0]})
    with pytest.raises(FiqaError, match="no set 'b'"):
        summarise(scores, "b")
    with pytest.raises(FiqaError, match="lack the column score"):
        summarise(scores.drop(columns="score"))


def test_published_sets_keep_what_cannot_be_assigned_apart(folder):
    table = published_sets()
    assert len(table) == 16 and table["assigned"].sum() == 10
    known = table[table["assigned"]].set_index(["spectrum", "set"])
    assert known.loc[("visible", "StyleGAN2"), ["mean", "sd"]].tolist() == [2.141, 0.075]
    assert known.loc[("visible", "StyleGAN2"), "distance"] == pytest.approx((2.141 - 1.743) / 0.259)
    assert known.loc[("near infrared", "Tufts"), "distance"] == 0
    assert set(table.loc[~table["assigned"], "set"]) == {"one of ArcBiFaceGAN, IDiff-Face (N), IDiff-Face"}


def test_levels_of_realism_change_what_they_say_and_nothing_else():
    people, nuisance, who = sample_identities(2, 3), neutral(2), np.arange(2)
    full, _ = render_faces(people, who, nuisance)
    assert np.array_equal(full, render_faces(people, who, nuisance, realism=FULL)[0])
    faces = {name: render_faces(people, who, nuisance, realism=level)[0].astype(float)
             for name, level in LEVELS.items()}
    middle = {name: pixels[:, 40:90, 35:77].std((1, 2)).mean() for name, pixels in faces.items()}
    assert middle["clay, coarse, flat"] < middle["clay"] < middle["full renderer"]
    corner = {name: pixels[:, :6, :6] for name, pixels in faces.items()}
    assert all(np.array_equal(corner["full renderer"], pixels) for pixels in corner.values())  # the backdrop
    assert not np.array_equal(faces["coarse mesh"], faces["full renderer"])
    assert np.array_equal(render_faces(people, who, nuisance, realism=Realism(facets=1))[0], full)


def test_rendered_sets_show_the_same_persons(folder):
    sets = synthetic_sets.rendered_sets(3, seed=5)
    assert list(sets) == list(LEVELS) and all(faces.shape == (3, 112, 112, 3) for faces, _ in sets.values())
    again = synthetic_sets.rendered_sets(3, seed=5)
    assert all(np.array_equal(sets[name][0], again[name][0]) for name in sets)
    with pytest.raises(FiqaError, match="no images 'ugly'"):
        synthetic_sets.rendered_sets(3, 5, "ugly")


def test_a_bad_image_in_a_folder_counts_as_failed(folder, brightness):
    (folder / "gan").mkdir()
    for i, grey in enumerate((51, 102)):
        cv2.imwrite(str(folder / "gan" / f"{i}.png"), np.full((112, 112, 3), grey, np.uint8))
    cv2.imwrite(str(folder / "gan" / "2.png"), np.zeros((50, 60, 3), np.uint8))  # no aligned crop
    (folder / "gan" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    table = summarise(synthetic_sets.score_sets(synthetic_sets.folder_sets({"my GAN": "gan"}), ["cr_fiqa"]))
    assert table[["images", "failed"]].values.tolist() == [[2, 2]]
    assert table["mean"].iloc[0] == pytest.approx((51 + 102) / 2 / 255, abs=1e-6)


def test_a_prepared_benchmark_is_a_set(folder, brightness):
    ids = [f"i{i}" for i in range(5)]
    images = pd.DataFrame({"image_id": ids, "identity": ids, "template_id": ids, "media_id": ids,
                           "crossfit": 0, "fte": [0, 0, 1, 0, 0]})
    pixels = np.full((5, 112, 112, 3), 128, np.uint8)
    FaceSet("LFW", pixels, images, empty_pairs()).save(folder / "build" / "test" / "benchmarks" / "LFW")
    scores = synthetic_sets.score_sets(synthetic_sets.benchmark_sets(["LFW"]), ["cr_fiqa"])
    assert np.flatnonzero(scores["score"] == -np.inf).tolist() == [2] and len(scores) == 5
    drawn = synthetic_sets.benchmark_sets(["LFW"], count=3, seed=1)["LFW"]
    assert len(drawn[0]) == 3


def test_a_sample_is_ordered_seeded_and_never_larger_than_the_set():
    sample = synthetic_sets.sample
    assert sample(5, 0, 1).tolist() == sample(5, 9, 1).tolist() == [0, 1, 2, 3, 4]
    drawn = sample(100, 10, 1)
    assert len(set(drawn)) == 10 and (np.diff(drawn) > 0).all()
    assert drawn.tolist() == sample(100, 10, 1).tolist() != sample(100, 10, 2).tolist()


def test_the_notebook_runs(folder, brightness, capsys):
    cells = json.loads((ROOT / "notebooks" / "50_synthetic_quality.ipynb").read_text())["cells"]
    namespace = {"__name__": "50"}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), namespace)
            if "parameters" in cell["metadata"].get("tags", []):
                namespace.update(methods=["cr_fiqa", "sharpness"], count=2)
    shown = capsys.readouterr().out
    assert "published: 6 of 8 assigned generated sets" in shown and "measured, CR-FIQA:" in shown
    made = {path.name for path in (folder / "results" / "test" / "artefacts" / "50_synthetic_quality").iterdir()}
    assert {"table.csv", "published.csv", "50_synthetic_quality_measured.png"} <= made
