"""Adience's folds and the pair list drawn from them: what is read and drawn, the message for each defect."""
import hashlib

import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders.adience import adience
from fiqa_core.benchmarks.loaders.drawing import draw_pairs, pair_list_hash
from tests.helpers.forms_writers import change_line, picture, write_adience

SMALL = {"genuine": 30, "impostor": 40, "per_identity": 5}
ROW = "0@N00\t010_abc_o.jpg\t1\t(25, 32)\tf\t0\t414\t1086\t1383\t-115\t30\t17"


@pytest.fixture
def folder(tmp_path):
    return write_adience(tmp_path / "Adience")


def message(folder, **options) -> str:
    with pytest.raises(FiqaError) as error:
        adience("Adience", folder, **(SMALL | options))
    return str(error.value)


def test_tables(folder):
    listing = adience("Adience", folder, **SMALL)
    images, pairs = listing.images.set_index("image_id"), listing.pairs
    person = images["identity"]
    assert ((person[pairs["a"]].to_numpy() == person[pairs["b"]].to_numpy()) == (pairs["genuine"] == 1)).all()
    assert pairs["genuine"].value_counts().to_dict() == {0: 40, 1: 30}
    fold = images["fold"]
    same = fold[pairs["a"]].to_numpy() == fold[pairs["b"]].to_numpy()
    assert (pairs["fold"] == np.where(same, fold[pairs["a"]].to_numpy(), -1)).all() and 0 < same.mean() < 1
    assert set(images.index) == {*pairs["a"], *pairs["b"]}
    assert (listing.images["template_id"] == listing.images["image_id"]).all()
    assert images.loc["0@N00/1.010_abc_o.jpg", ["identity", "user_id", "age"]].tolist() == [
        "face_1", "0@N00", "(25, 32)",
    ]  # fmt: skip
    row = list(images.index).index("0@N00/1.010_abc_o.jpg")
    assert np.abs(listing.read(row).astype(int) - picture(1)).mean() < 12


def test_notes_of_a_small_set(folder):
    notes = adience("Adience", folder, **SMALL | {"impostor": 50, "genuine": 70}).notes
    assert notes[0] == "60 faces, published are 19,370"
    assert notes[1] == "20 identities, published are 2,284"
    assert notes[2].startswith("pair list of 60 genuine and 4") and "(drawn with seed 0)" in notes[2]
    assert notes[3] == "only 60 of 70 genuine pairs can be drawn with 5 per identity"
    assert notes[4].endswith("of 50 impostor pairs can be drawn with 5 per identity")


def test_the_list_is_a_function_of_names_and_seed():
    images = pd.DataFrame({"image_id": [f"p{i // 4}/{i}" for i in range(80)]})
    images["identity"] = images["image_id"].str.split("/").str[0]
    pairs = draw_pairs(images, 50, 60, 10)
    shuffled = draw_pairs(images.sample(frac=1, random_state=1), 50, 60, 10)
    assert pairs.equals(shuffled) and not pairs.equals(draw_pairs(images, 50, 60, 10, seed=1))
    # fixed for good: a change of this hash makes measured results incomparable with earlier ones
    assert pair_list_hash(pairs) == "e604064575041e852653fd67ce84ca172fa28fb264a77ed5447a4b215623619c"


def test_no_identity_has_more_than_its_share():
    sizes = {"many": 40, **{f"few{i}": 3 for i in range(30)}}
    images = pd.DataFrame([(f"{who}/{i}", who) for who, size in sizes.items() for i in range(size)],
                          columns=["image_id", "identity"])
    pairs = draw_pairs(images, 1000, 100, 8)
    who = pairs.assign(a=pairs["a"].str.split("/").str[0], b=pairs["b"].str.split("/").str[0])
    genuine, impostor = who[who["genuine"] == 1], who[who["genuine"] == 0]
    assert (genuine["a"] == genuine["b"]).all() and (impostor["a"] != impostor["b"]).all()
    assert genuine["a"].value_counts().to_dict() == {"many": 8, **{f"few{i}": 3 for i in range(30)}}
    assert pd.concat([impostor["a"], impostor["b"]]).value_counts().max() <= 8
    assert len(impostor) == 100 and not pairs.duplicated(["a", "b"]).any() and (pairs["a"] < pairs["b"]).all()


def test_a_list_file_is_written_then_used(folder, tmp_path):
    path = tmp_path / "lists" / "adience.csv"
    drawn = adience("Adience", folder, pairs=path, **SMALL)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"sha256 {found} (drawn with seed 0)" in drawn.notes[2]
    assert adience("Adience", folder, pairs=path, **SMALL).pairs.equals(drawn.pairs)
    other = adience("Adience", folder, pairs=path, seed=3, **SMALL)
    assert other.pairs.equals(drawn.pairs) and "seed 3 draws another" in other.notes[2]
    assert "has sha256 " + found in message(folder, pairs=path, sha256="0" * 64)
    assert adience("Adience", folder, sha256=found, **SMALL).pairs.equals(drawn.pairs)


@pytest.mark.parametrize(
    "line, text, expected",
    [
        (1, "a,b,label", "lacks column genuine"),
        (2, "0@N00/1.010_abc_o.jpg,nobody/1.jpg,1", "1 images are not in the set: nobody/1.jpg"),
        (2, "0@N00/1.010_abc_o.jpg,0@N00/2.020_abc_o.jpg,1", "line 2: genuine = '1', but"),
        (2, "0@N00/1.010_abc_o.jpg,0@N00/1.011_abc_o.jpg,0", "show one identity"),
    ],
)
def test_defects_of_a_list_file(folder, tmp_path, line, text, expected):
    path = tmp_path / "adience.csv"
    adience("Adience", folder, pairs=path, **SMALL)
    change_line(path, line, text)
    assert expected in message(folder, pairs=path)


def test_both_variants_have_one_pair_list(folder):
    faces = adience("Adience", folder, **SMALL)
    for path in (folder / "faces").rglob("*.jpg"):
        path.rename(path.with_name(path.name.replace("coarse_tilt", "landmark")))
    (folder / "faces").rename(folder / "aligned")
    aligned = adience("Adience", folder, variant="aligned", **SMALL)
    assert aligned.pairs.equals(faces.pairs) and not aligned.aligned
    assert "choose variant" in message(folder, variant="raw")


def test_folds_may_lie_in_a_folder_of_their_own(folder):
    (folder / "folds").mkdir()
    for path in folder.glob("fold_*.txt"):
        path.rename(folder / "folds" / path.name)
    assert len(adience("Adience", folder, **SMALL).pairs) == 70
    assert "holds no fold_frontal_0_data.txt" in message(folder, frontal=True)


def test_a_fold_file_is_missing(folder):
    (folder / "fold_3_data.txt").unlink()
    assert "fold_3_data.txt is missing" in message(folder)


def test_traps_are_noted(folder):
    change_line(folder / "fold_1_data.txt", 2, ROW)  # listed in fold 0 already, in the album 0@N00
    notes = adience("Adience", folder, **SMALL).notes
    assert notes[0] == "1 faces are listed twice and counted once"
    change_line(folder / "fold_1_data.txt", 2, ROW.replace("0@N00", "2@N00"))
    (folder / "faces/0@N00/coarse_tilt_aligned_face.1.010_abc_o.jpg").rename(
        folder / "faces/2@N00/coarse_tilt_aligned_face.1.010_abc_o.jpg"
    )
    (folder / "faces/0@N00/coarse_tilt_aligned_face.1.010_abc_o.jpg").touch()
    notes = adience("Adience", folder, **SMALL).notes
    assert "1 face ids occur in several albums, face_1 first" in notes
    change_line(folder / "fold_1_data.txt", 2, ROW.replace("\t1\t", "\t77\t", 1))
    (folder / "faces/0@N00/coarse_tilt_aligned_face.77.010_abc_o.jpg").touch()
    assert "1 albums occur in several folds, 0@N00 first" in adience("Adience", folder, **SMALL).notes
