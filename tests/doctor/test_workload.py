"""How many faces and comparisons a suite means."""
import pandas as pd

from fiqa_core.doctor import workload
from fiqa_core.doctor.workload import Faces, face_sets
from fiqa_core.pipeline import suites


def sizes(name):
    return {faces.name: faces for faces in face_sets(suites.load_suite(name))}


def test_rendered_sets_have_the_sizes_that_rendering_gives_them(root):
    sets = sizes("demo")
    assert (sets["training"].images, sets["LFW"].images, sets["LFW"].genuine) == (2 * 252 * 12, 1024, 1536)
    assert (sets["IJB-C"].images, sets["YTF"].images, sets["YTF"].genuine) == (960, 1140, 1425)


def test_prepared_sets_are_counted_for_the_suite_that_prepared_them(root):
    suites.write_params("demo")
    (root / "results" / "demo" / "prepare").mkdir(parents=True)
    pd.DataFrame({"name": ["LFW"], "images": [7], "identities": [1], "templates": [7], "genuine": [3],
                  "impostor": [4]}).to_csv(root / "results" / "demo" / "prepare" / "faces.csv", index=False)
    assert sizes("demo")["LFW"] == Faces("LFW", 7, 3, 4)
    assert sizes("ci")["LFW"].images != 7


def test_official_sets_are_as_published_and_folders_are_counted(root):
    sets = sizes("paper")
    assert sets["IJB-C"] == Faces("IJB-C", 469_375, 19_557, 15_638_932, 150)
    assert sets["training"].images == 4000 * 30 and sets["CFP-FP"].genuine == 3500
    (root / "mine" / "Ann").mkdir(parents=True)
    for number in range(3):
        (root / "mine" / "Ann" / f"{number}.jpg").write_bytes(b"")
    (root / "mine" / "pairs.csv").write_text("a,b,genuine\n" + "x,y,1\n" * 10)
    found = workload.official("Faces", {"form": "folders", "folder": "mine", "detector": "yunet"})
    assert found == Faces("Faces", 3, 5, 5, 250, "yunet")


def test_training_sets_are_counted_in_their_index_and_limited_as_the_suite_says(root):
    (root / "rec").mkdir()
    (root / "rec" / "train.idx").write_text("1\t0\n" * 500)
    count = {"form": "recordio", "folder": "rec"}
    assert workload.official("training", count).images == 500
    assert workload.official("training", {**count, "identities": 10, "per_identity": 20}).images == 200


def test_photographs_count_training_faces_and_both_benchmarks(root):
    sets = sizes("lfw")
    assert list(sets) == ["training", "LFW", "LFW-XQ"] and sets["LFW"].genuine == 3000
    assert sets["training"].images == round(1.5 * workload.GUESS)
