"""The notebooks of the open challenges run on a small project: noise for faces, an untrained recogniser.

The numbers they measure here mean nothing; that they measure, write and say why they cannot is what is
tested.
"""
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.base.images import to_pixels
from fiqa_core.challenges import applications, chosen_faces, components, video
from fiqa_core.evaluation import comparisons
from fiqa_core.loading import save_recogniser
from fiqa_core.pipeline.outputs import load_benchmarks
from fiqa_core.pipeline.suites import load_suite
from tests.helpers.small_networks import faces as smooth_faces
from tests.helpers.small_networks import recogniser

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").glob("4*.ipynb") if path.stem[:2] in ("41", "42",
                                                                                               "43", "44"))
CHALLENGES = {
    "detector": {"benchmark": "LFW", "comparisons": 100, "recogniser": "cosface", "methods": ["faceqan"],
                 "limit": 0.3,
                 "crops": {"jitter": [2], "scales": [0.9], "shifts": [4]}},
    "video": {"benchmarks": ["YTF"], "recognisers": ["cosface"], "methods": ["faceqan"], "draws": 2,
              "focus": 1.0,
              "longer": {"protocol": "ytf", "frames": 0, "drift": 0.5, "impostor": 100, "scale": 0.1}},
    "vector": {"comparisons": 100, "recogniser": "cosface", "space": {"faces": 12, "components": 4},
               "limit": 0.3},
    "specialised": {"recogniser": "cosface", "methods": ["faceqan"], "splits": 2, "resamples": 20,
                    "most_discarded": 0.6, "applications": {"door": {"fmr": 0.1, "fnmr": 0.8},
                                                            "vault": {"fmr": 0.1, "fnmr": 0.001},
                                     "bank": {"fmr": 0.001, "fnmr": 0.1}}},
}


def face_set(name: str, frames: int, seed: int) -> FaceSet:
    """10 identities with 2 templates of `frames` images; every template is compared with every other."""
    rows = [(f"{name}{i}", f"{name}{i}t{t}", f"{name}{i}t{t}f{f}") for i in range(10) for t in range(2)
            for f in range(frames)]
    images = pd.DataFrame(rows, columns=["identity", "template_id", "image_id"])
    rng = np.random.default_rng(seed)
    images = images.assign(media_id=images["template_id"], crossfit=0, severity=rng.random(len(images)),
                           yaw=rng.normal(0, 20, len(images)), occlusion=0.0)
    owner = images.drop_duplicates("template_id")[["template_id", "identity"]].to_numpy()
    pairs = [(a, b, int(i == j), -1) for n, (a, i) in enumerate(owner) for b, j in owner[n + 1:]]
    pixels = to_pixels(smooth_faces(len(images), seed))
    return FaceSet(name, pixels, images, pd.DataFrame(pairs, columns=["a", "b", "genuine", "fold"]))


@pytest.fixture(scope="module")
def small_project(tmp_path_factory):
    """A prepared, embedded and scored project below a temporary folder."""
    folder = tmp_path_factory.mktemp("challenges")
    (folder / "notebooks").mkdir()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    suite = load_suite("demo")
    small = {"recognisers": {"cosface": {"name": "CosFace"}}, "challenges": CHALLENGES,
             "on_recogniser": {"faceqan": {"recogniser": "cosface", "repeats": 1, "iterations": 1}}}
    suite = suite | small | {"evaluation": suite["evaluation"] | {"fmr": 0.05, "resamples": 20}}
    (folder / "params.yaml").write_text(yaml.safe_dump(suite))
    shutil.copytree(ROOT / "fiqa_core" / "inputs" / "published", folder / "data" / "published")
    (folder / "build" / "demo" / "recognisers").mkdir(parents=True)
    save_recogniser(recogniser(), folder / "build" / "demo" / "recognisers" / "cosface.pt")
    sets = [face_set("LFW", 1, 0), face_set("YTF", 3, 1)]
    for faces in sets:
        faces.save(folder / "build" / "demo" / "benchmarks" / faces.name)
    training = face_set("training", 1, 2)
    FaceSet("training", training.pixels, training.images, empty_pairs()).save(folder / "build" / "demo" / "training")
    (folder / "results" / "demo" / "prepare").mkdir(parents=True)
    pd.DataFrame({"name": ["training", "LFW", "YTF"]}).to_csv(folder / "results" / "demo" / "prepare" / "faces.csv")
    write_scores(folder, sets)
    return folder


def write_scores(folder: Path, sets: list[FaceSet]) -> None:
    rng = np.random.default_rng(0)
    tables = []
    for faces in sets:
        path = folder / "build" / "demo" / "embeddings" / "cosface" / f"{faces.name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        who = pd.factorize(faces.images["identity"])[0]
        person, noise = rng.normal(size=(who.max() + 1, 8))[who], rng.normal(size=(len(faces), 8))
        np.save(path, (person + 0.7 * noise).astype(np.float32))
        tables.append(pd.DataFrame({"benchmark": faces.name, "image_id": faces.images["image_id"],
                                    "method": "FaceQAN", "score": rng.random(len(faces))}))
    (folder / "results" / "demo" / "scores").mkdir()
    pd.concat(tables).to_csv(folder / "results" / "demo" / "scores" / "faceqan.csv", index=False)


@pytest.fixture
def project(small_project, monkeypatch):
    monkeypatch.delenv("FIQA_ROOT", raising=False)
    monkeypatch.chdir(small_project / "notebooks")
    return small_project


def execute(notebook: Path, **changes) -> dict:
    namespace: dict = {}
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), notebook.name, "exec"), namespace)
            if cell["metadata"].get("tags") == ["parameters"]:
                namespace.update(changes)
    return namespace


def made_by(notebook: Path, project: Path) -> dict[str, bytes]:
    execute(notebook)
    return {path.name: path.read_bytes()
            for path in (project / "results" / "demo" / "artefacts" / notebook.stem).iterdir()}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_measures_and_writes(notebook, project):
    files = made_by(notebook, project)
    assert "table.csv" in files and any(name.endswith(".png") for name in files)
    assert all(len(files[name.replace(".png", ".txt")]) > 20 for name in files if name.endswith(".png"))
    assert not list((project / "notebooks").iterdir())
    if notebook.stem[:2] in ("42", "44"):
        assert files == made_by(notebook, project)


def test_thresholds_in_reach_out_of_reach_and_without_impostors(project):
    execute(NOTEBOOKS[3])
    table = pd.read_csv(project / "results" / "demo" / "artefacts" / NOTEBOOKS[3].stem / "table.csv")
    verdicts = table[table["rule"] == "value"].set_index("application")["verdict"]
    assert verdicts["vault"] == "out of reach" and verdicts["bank"] == "too few impostor pairs"
    assert verdicts["door"].startswith(("held", "missed"))
    assert table["fnmr"].notna().sum() >= 1


def test_notebooks_without_clips_or_a_threshold_in_reach_say_so(project):
    params = project / "params.yaml"
    before = params.read_text()
    suite = yaml.safe_load(before)
    suite["challenges"]["video"]["benchmarks"] = []
    suite["challenges"]["specialised"]["applications"] = {"vault": {"fmr": 0.1, "fnmr": 0.001}}
    params.write_text(yaml.safe_dump(suite))
    try:
        assert b"No benchmark of this suite holds clips" in made_by(NOTEBOOKS[1],
                                                                    project)["42_video_clip.txt"]
        files = made_by(NOTEBOOKS[3], project)
        assert b"nothing to transfer" in files["44_specialised_quality_transfer.txt"]
    finally:
        params.write_text(before)


def test_there_are_four_notebooks():
    assert len(NOTEBOOKS) == 4


def test_a_part_of_the_comparisons_keeps_whole_templates(project):
    faces = load_benchmarks()["YTF"]
    part = chosen_faces.pair_subset(faces, 2, 0)
    used = part.images["template_id"].unique()
    assert 2 <= len(used) <= 8 and len(part) == 3 * len(used) and part.pairs["genuine"].sum() >= 2
    among = faces.pairs["a"].isin(used) & faces.pairs["b"].isin(used)
    assert len(part.pairs) == among.sum()
    row = faces.images.index[faces.images["image_id"] == part.images["image_id"][5]][0]
    assert np.array_equal(part.pixels[5], faces.pixels[row])
    assert chosen_faces.pair_subset(faces, 10_000, 0) is faces


def test_settings_are_checked_by_name(project):
    def measure(wanted, jitter, scales, shifts):
        return wanted, jitter, scales, shifts

    section = "challenges.detector.crops"
    assert chosen_faces.with_settings(measure, section, wanted=1) == (1, [2], [0.9], [4])
    with pytest.raises(FiqaError, match="crops: scale is missing; scales is unknown; shifts is unknown"):
        chosen_faces.with_settings(lambda jitter, scale: None, section)


def test_names_that_the_suite_lacks_are_left_out_or_refused(project):
    assert chosen_faces.chosen_recognisers(["transface"]) == {"cosface": "CosFace"}
    assert chosen_faces.available_methods(["faceqan", "diffiqa_r"]) == {"faceqan": "FaceQAN"}
    with pytest.raises(FiqaError, match="none of diffiqa_r has scores"):
        chosen_faces.available_methods(["diffiqa_r"])
    with pytest.raises(FiqaError, match="IJB-Z is not prepared"):
        chosen_faces.chosen_benchmark("IJB-Z")


def test_changed_pixels_give_other_scores_and_the_same_ones_the_same(project):
    faces = load_benchmarks()["LFW"]
    before = chosen_faces.score_anew({"faceqan": "FaceQAN"}, faces)["FaceQAN"]
    dark = replace(faces, pixels=faces.pixels // 4)
    assert np.array_equal(before, chosen_faces.score_anew({"faceqan": "FaceQAN"}, faces)["FaceQAN"])
    assert not np.allclose(before, chosen_faces.score_anew({"faceqan": "FaceQAN"}, dark)["FaceQAN"])


def test_pooled_traffic_holds_every_pair_once_with_the_right_people(project):
    pool = applications.Pool("cosface", ["FaceQAN"])
    everything, only = pool.traffic("FaceQAN"), pool.traffic("FaceQAN", "YTF")
    assert everything.identities == 20 and len(everything.similarity) == 2 * 20 * 19 // 2
    assert (everything.identity_a == everything.identity_b).tolist() == everything.genuine.tolist()
    assert len(only.similarity) == 190 and len(only.image_quality) == 60
    with pytest.raises(FiqaError, match="Other has no scores of any benchmark"):
        pool.traffic("Other")


def test_splits_count_only_those_in_reach():
    table = pd.DataFrame({"method": "m", "application": "a", "rule": "value", "fnmr_goal": 0.1,
                          "quality_threshold": [0.5, 0.6, np.nan], "fnmr": [0.05, 0.2, np.nan],
                          "discard": [0.2, 0.4, np.nan]})
    row = applications.over_splits(table).iloc[0]
    assert (row["splits"], row["reached"], row["held"], row["discard"]) == (3, pytest.approx(2 / 3), 0.5,
                                                                            pytest.approx(0.3))


def test_a_clip_to_show_is_the_one_that_varies_most(project):
    faces = load_benchmarks()["YTF"]
    scores = pd.DataFrame({"m": np.zeros(len(faces)), "true": np.zeros(len(faces))})
    scores.loc[7, "true"] = 1.0                                          # a frame of the third clip
    frames, own = video.one_clip(faces, scores)
    assert len(frames) == 3 and np.array_equal(frames[1], faces.pixels[7]) and own["true"].tolist() == [0, 1,
                                                                                                        0]
    with pytest.raises(FiqaError, match="clip is 99"):
        video.one_clip(faces, scores, 99)


def test_a_suite_without_clips_says_so(project):
    assert not video.holds_clips(comparisons.benchmark_pairs(load_benchmarks()["LFW"]))


def test_without_training_faces_rendered_ones_stand_for_what_is_not_occluded(project):
    of_training = components.face_space(12, 4)["occlusion"].mean
    table = project / "build" / "demo" / "training" / "images.csv"
    table.rename(table.with_suffix(".away"))
    try:
        assert not np.allclose(components.face_space(12, 4)["occlusion"].mean, of_training)
    finally:
        table.with_suffix(".away").rename(table)


def test_similarity_with_others_of_the_same_person_is_what_is_learned(project):
    faces = load_benchmarks()["YTF"]
    vectors = np.random.default_rng(0).normal(size=(len(faces), 8))
    found = components.genuine_rank(faces, vectors)
    pairs = comparisons.benchmark_pairs(faces)
    similarity = pairs.similarity(vectors)
    clip = [similarity[pairs.genuine & ((pairs.a == t) | (pairs.b == t))].mean() for t in range(20)]
    assert np.allclose(found, pd.Series(np.repeat(clip, 3)).rank() / 61)


def test_an_unknown_method_to_explain_is_refused(project):
    ranks = pd.DataFrame({"benchmark": "LFW", "image_id": ["a"], "pose": [0.5], "FaceQAN": [0.5]})
    with pytest.raises(FiqaError, match="explained_by is 'X'"):
        components.explained_faces(ranks, "X")
