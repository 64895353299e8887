"""Section `faces` with source official: sets stored by their forms, what is missing, work that goes on."""
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import write_image
from fiqa_core.benchmarks import loaders, store
from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE
from fiqa_core.benchmarks.detectors import Faces
from fiqa_core.benchmarks.loaders import load_listing
from fiqa_core.challenges import portraits
from fiqa_core.pipeline import prepare
from fiqa_core.pipeline.outputs import load_benchmarks, load_sets, load_training
from fiqa_core.pipeline.prepare import prepare_faces
from tests.benchmarks.test_crossfit import smooth_picture
from tests.helpers.forms_writers import record, write_adience, write_ijbc, write_recordio, write_ytf
from tests.helpers.true_forms import encoded, write_calfw, write_cplfw

PEOPLE, FOLDS = 4, 2


def write_lfw(folder, pad: int, broken: str = "") -> None:
    """A small LFW of crops, or of photographs with the crops `pad` pixels inside, and its pairs.txt."""
    lines = [f"{FOLDS}\t{PEOPLE // FOLDS}"]
    for fold in range(FOLDS):
        names = [f"Person_{fold}{i}" for i in range(PEOPLE // FOLDS)]
        for name in names:
            for number in (1, 2):
                photograph = np.zeros((112 + 2 * pad, 112 + 2 * pad, 3), np.uint8)
                photograph[pad : pad + 112, pad : pad + 112] = smooth_picture(int(name[-2:]) * 10 + number)
                write_image(folder / "lfw" / name / f"{name}_{number:04d}.png", photograph)
        lines += [f"{name}\t1\t2" for name in names]
        lines += [f"{names[0]}\t1\t{names[1]}\t{number}" for number in (1, 2)]
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")
    if broken:
        (folder / "lfw" / broken).write_bytes(b"\x89PNG broken")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A project folder with an LFW of crops, one of photographs with a landmark file, and params.yaml."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    write_lfw(tmp_path / "crops", 0, broken="Person_01/Person_01_0002.png")
    write_lfw(tmp_path / "raw", 69)
    ids = sorted(path.relative_to(tmp_path / "raw/lfw").as_posix()
                 for path in (tmp_path / "raw/lfw").rglob("*.png"))
    row = " ".join(f"{value:.6f}" for value in (ARCFACE_TEMPLATE + 69).ravel())
    pd.DataFrame({"path": ids, "landmarks": row}).to_csv(tmp_path / "points.csv", index=False)
    return tmp_path


CROPS = {"form": "lfw", "folder": "crops", "pairs": "crops/pairs.txt"}
RAW = {"form": "lfw", "folder": "raw", "pairs": "raw/pairs.txt", "landmarks": "points.csv"}


def write_params(place, **faces) -> None:
    (place / "params.yaml").write_text(
        yaml.safe_dump({"faces": {"source": "official", **faces}}, sort_keys=False)
    )


def test_benchmarks_and_training_are_stored_where_the_stages_look(place, capsys):
    write_params(place, benchmarks={"LFW": RAW, "LFW (crops)": CROPS}, training=CROPS)
    table = prepare_faces()
    assert table["name"].tolist() == ["training", "LFW", "LFW (crops)"] and table["images"].tolist() == [
        7,
        8,
        8,
    ]
    assert table["genuine"].tolist() == [0, 4, 4]
    found = load_benchmarks()
    raw, crops = found["LFW"], found["LFW (crops)"]
    assert raw.images["fte"].sum() == 0 and crops.images["fte"].sum() == 1
    good = (crops.images["fte"] == 0).to_numpy()
    assert np.abs(raw.pixels[good].astype(int) - crops.pixels[good]).max() <= 1
    pd.testing.assert_frame_equal(raw.pairs, crops.pairs)
    assert (load_training().images["crossfit"] == -1).all() and (raw.images["crossfit"] == 0).all()
    failed = pd.read_csv(project.results() / "prepare" / "failures.csv")
    assert failed["benchmark"].tolist() == ["training", "LFW (crops)"]
    assert failed["image_id"].unique().tolist() == ["Person_01/Person_01_0002.png"]
    assert failed["reason"].str.contains("not a complete image").all()
    assert not list((project.build() / "partial").iterdir())
    assert "LFW (crops): 8 images, 1 of them without" in capsys.readouterr().out


def test_a_suite_without_training_faces(place):
    write_params(place, benchmarks={"LFW": CROPS})
    assert prepare_faces()["images"].tolist() == [0, 8]
    assert list(load_sets()) == ["LFW"]
    with pytest.raises(FiqaError, match="no training faces"):
        load_training()


def test_what_is_missing_is_named_before_any_work(place):
    gone = {**CROPS, "folder": "nowhere/lfw", "pairs": "nowhere/pairs.txt"}
    write_params(place, benchmarks={"LFW": CROPS, "CALFW": gone})
    with pytest.raises(FiqaError,
                       match="CALFW: .*/nowhere/lfw is missing; CALFW: .*/nowhere/pairs.txt is missing"):
        prepare_faces()
    assert not project.build().exists()


def test_what_is_missing_is_left_out_where_the_suite_says_so(place, capsys):
    gone = {**CROPS, "folder": "nowhere"}
    write_params(place, benchmarks={"CALFW": gone, "LFW": CROPS}, missing="skip", training=gone)
    assert prepare_faces()["name"].tolist() == ["training", "LFW"]
    printed = capsys.readouterr().out
    assert "left out, CALFW: " in printed and "left out, training: " in printed
    write_params(place, benchmarks={"CALFW": gone}, missing="skip")
    with pytest.raises(FiqaError, match="no benchmark is left"):
        prepare_faces()


@pytest.mark.parametrize(
    "faces, message",
    [
        ({"benchmarks": {"LFW": {**CROPS, "pair": 1}}}, "benchmarks.LFW: form lfw has no option pair"),
        ({"benchmarks": {"LFW": {"form": "lfw", "folder": "crops"}}}, "needs the option pairs"),
        ({"benchmarks": {"LFW": {**CROPS, "form": "lwf"}}}, "lwf"),
        ({"benchmarks": {"LFW": "crops"}}, "benchmarks.LFW names no form"),
        ({"benchmarks": {"a/b": CROPS}}, "'a/b' cannot name a folder"),
        ({"benchmarks": {"LFW": CROPS}, "missing": "maybe"}, "faces.missing is 'maybe'"),
        ({"benchmarks": {"LFW": CROPS}, "scale": 2}, "params.yaml, faces: .*'scale'"),
        ({"benchmarks": {"LFW": {**CROPS, "detector": "faces.onnx"}}}, "faces.onnx is missing"),
        ({"benchmarks": {"LFW": {**CROPS, "detector": "mtcnn"}}}, "LFW holds aligned crops, but a detector"),
    ],
)
def test_defects_of_the_section(place, faces, message):
    write_params(place, **faces)
    with pytest.raises(FiqaError, match=message):
        prepare_faces()


def test_a_set_that_is_done_is_not_done_again_after_a_kill(place, monkeypatch):
    """The second benchmark stops the stage; DVC then removes what the stage wrote and starts it again."""
    write_params(place, benchmarks={"LFW": RAW, "LFW (crops)": CROPS})
    reads, loaded = [], loaders.load_listing

    def load(name, **options):
        listing = loaded(name=name, **options)
        if name == "LFW (crops)" and not reads:
            raise KeyboardInterrupt
        object.__setattr__(listing, "read", lambda row, read=listing.read: reads.append(name) or read(row))
        return listing

    monkeypatch.setattr(prepare, "load_listing", lambda name,
                        **options: loaded(name=name, **options) if name == "LFW" else load(name, **options))
    with pytest.raises(KeyboardInterrupt):
        prepare_faces()
    shutil.rmtree(project.build() / "benchmarks")
    reads.append("")
    monkeypatch.setattr(prepare, "load_listing", load)
    prepare_faces()
    assert set(reads) == {"", "LFW (crops)"} and len(load_benchmarks()["LFW"]) == 8
    assert np.array_equal(load_benchmarks()["LFW"].pixels[0], smooth_picture(1))


def test_large_and_small_forms_go_through_together(place, monkeypatch):
    """Templates with landmarks, clips, flat folders, a packed training set: one section, one kind of set."""
    face = Faces(np.array([[0.0, 0, 40, 50]]), ARCFACE_TEMPLATE[None] / 2, np.array([0.9]))
    monkeypatch.setattr(store, "load_detector", lambda name: lambda image, zoom=1.0: face)
    write_ijbc(place / "IJBC")
    write_ytf(place / "ytf")
    write_adience(place / "adience")
    write_calfw(place / "calfw")
    write_cplfw(place / "cplfw")
    write_recordio(place / "ms1m", [record(0, (row // 2,), encoded(row, place)) for row in range(8)],
                   classes=4)
    benchmarks = {
        "IJB-C": {"form": "ijbc", "folder": "IJBC"},
        "YTF": {"form": "ytf", "folder": "ytf", "frames": 3, "detector": "mtcnn"},
        "Adience": {
            "form": "adience",
            "folder": "adience",
            "genuine": 20,
            "impostor": 20,
            "detector": "mtcnn",
        },
        "CALFW": {"form": "calfw", "folder": "calfw/images", "pairs": "calfw/pairs_CALFW.txt"},
        "CPLFW": {"form": "cplfw", "folder": "cplfw/images", "pairs": "cplfw/pairs_CPLFW.txt"},
    }
    write_params(place, benchmarks=benchmarks, training={"form": "recordio", "folder": "ms1m"})
    table = prepare_faces().set_index("name")
    assert table.loc["training", ["images", "identities"]].tolist() == [8, 4]
    found = load_benchmarks()
    assert list(found) == list(benchmarks)
    for name, faces in found.items():
        expected = load_listing(
            name=name,
            **{
                k: place / v if k in ("folder", "pairs") else v
                for k, v in benchmarks[name].items()
                if k != "detector"
            },
        )
        assert faces.images["fte"].sum() == 0 and faces.pixels.any(axis=(1, 2, 3)).all()
        assert faces.images["image_id"].tolist() == expected.images["image_id"].tolist()
        for column in ("a", "b", "genuine", "fold"):
            assert faces.pairs[column].astype(str).tolist() == expected.pairs[column].astype(str).tolist()
    ijbc = found["IJB-C"]
    assert ijbc.images["template_id"].nunique() < len(ijbc) and (ijbc.images["detector_score"] == 0.99).all()
    assert (found["YTF"].images["attempt"] == 1).all() and "attempt" not in found["CALFW"].images


def test_a_harder_copy_of_a_benchmark_is_a_set_of_its_own(place):
    write_params(place, benchmarks={"LFW (crops)": {**CROPS, "cross_quality": "LFW-XQ"}})
    suite = yaml.safe_load((place / "params.yaml").read_text())
    (place / "params.yaml").write_text(yaml.safe_dump(suite | {"seed": 1}))
    assert prepare_faces()["name"].tolist() == ["training", "LFW (crops)", "LFW-XQ"]
    found = load_benchmarks()
    crops, harder = found["LFW (crops)"], found["LFW-XQ"]
    assert harder.pairs["a"].equals(crops.pairs["a"]) and (harder.pairs["b"] == crops.pairs["b"] + "#degraded").all()
    assert harder.images["severity"].max() > 0 and set(harder.images["cause"]) > {"none"}
    failed = pd.read_csv(project.results() / "prepare" / "failures.csv")
    assert set(failed["benchmark"]) == {"LFW (crops)", "LFW-XQ"}
    write_params(place, benchmarks={"LFW": {**CROPS, "cross_quality": "a/b"}})
    with pytest.raises(FiqaError, match="'a/b' cannot name a folder"):
        prepare_faces()


def test_photographs_behind_the_crops_are_read_once_more_for_what_only_they_show(place):
    write_params(place, benchmarks={"LFW": {**RAW, "cross_quality": "LFW-XQ"}})
    suite = yaml.safe_load((place / "params.yaml").read_text())
    (place / "params.yaml").write_text(yaml.safe_dump(suite | {"seed": 1}))
    prepare_faces()
    found = load_benchmarks()
    own, harder = (portraits.photograph_measures(found[name]) for name in ("LFW", "LFW-XQ"))
    assert np.allclose(own["face alignment"], 0, atol=1e-3) and own["background uniformity"].notna().all()
    assert harder["background uniformity"].isna().all() and harder["head pose roll"].notna().all()
