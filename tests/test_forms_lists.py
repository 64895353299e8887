"""Loaders of LFW, XQLFW, CALFW, CPLFW and CFP: small sets of the true forms, one defect at a time."""

import inspect
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from fiqa_core.benchmarks.forms import FORMS, PATH_OPTIONS, form_options, load_listing
from fiqa_core.benchmarks.forms.checks import Protocol, count_notes, first_few, folds_by_position, sha256
from fiqa_core.benchmarks.forms.lfw import OFFICIAL
from fiqa_core.errors import FiqaError
from fiqa_core.images import read_image, write_image
from tests.true_forms import edit, face, write_calfw, write_cfp, write_cplfw, write_lfw, write_official_lfw


def notes(listing) -> str:
    return "\n".join(listing.notes)


def test_forms_are_looked_up_by_name():
    assert form_options("calfw") == (["folder", "pairs", "aligned", "allow_missing"], ["folder", "pairs"])
    with pytest.raises(FiqaError, match="no form is called 'lwf'\n.*choose from lfw, xqlfw"):
        load_listing("lwf", "LFW")
    with pytest.raises(FiqaError, match="LFW: form lfw needs the option pairs"):
        load_listing("lfw", "LFW", folder=".")
    with pytest.raises(FiqaError, match="LFW: form lfw has no option pair\n.*folder, pairs, aligned"):
        load_listing("lfw", "LFW", folder=".", pair="pairs.txt")


@pytest.mark.parametrize("form", FORMS)
def test_every_option_that_is_a_path_is_named_so(form):
    options = inspect.signature(FORMS[form]).parameters.values()
    paths = {option.name for option in options if "Path" in str(option.annotation)}
    assert "folder" in paths or "file" in paths
    assert paths <= set(PATH_OPTIONS)


# LFW


def test_lfw_raw_and_aligned(tmp_path):
    path = write_lfw(tmp_path, size=250)
    raw = load_listing("lfw", "LFW", folder=tmp_path, pairs=path)
    assert len(raw) == 24 and not raw.aligned and raw.read(3).shape == (250, 250, 3)
    assert (
        raw.images.iloc[3].tolist()
        == ["Person_01/Person_01_0002.jpg", "Person_01"] + ["Person_01/Person_01_0002.jpg"] * 2
    )
    np.testing.assert_array_equal(raw.read(3), read_image(tmp_path / "lfw" / raw.images["image_id"][3]))
    assert raw.pairs["genuine"].tolist() == ([1] * 3 + [0] * 3) * 4
    assert raw.pairs["fold"].tolist() == [fold for fold in (1, 2, 3, 4) for _ in range(6)]
    assert raw.pairs.iloc[3].tolist() == [
        "Person_00/Person_00_0001.jpg",
        "Person_02/Person_02_0002.jpg",
        0,
        1,
    ]
    write_lfw(tmp_path / "crops")
    assert load_listing("lfw", "LFW", folder=tmp_path / "crops" / "lfw", pairs=path).aligned


def test_lfw_smaller_than_published_is_noted(tmp_path):
    listing = load_listing("lfw", "LFW", folder=tmp_path, pairs=write_lfw(tmp_path))
    for text in (
        "12 genuine pairs, the published protocol has 3,000",
        "12 impostor pairs",
        "4 folds",
        "24 images in pairs, the published protocol has 7,701",
        "12 identities",
    ):
        assert text in notes(listing)
    assert f"{tmp_path / 'pairs.txt'} is none of the lists that LFW published" in notes(listing)


def test_the_official_list_and_all_its_images(tmp_path):
    """The published pairs.txt to the byte, so every count, fold and label of View 2 is checked."""
    path = write_official_lfw(tmp_path)
    assert sha256(path) == OFFICIAL["pairs.txt"]
    listing = load_listing("lfw", "LFW", folder=tmp_path, pairs=path)
    assert listing.notes == () and len(listing) == 7701 and len(listing.pairs) == 6000 and listing.aligned
    assert listing.pairs.groupby(["fold", "genuine"]).size().tolist() == [300] * 20
    assert listing.pairs.iloc[300].tolist()[:2] == [
        "Abdel_Madi_Shabneh/Abdel_Madi_Shabneh_0001.jpg",
        "Dean_Barker/Dean_Barker_0001.jpg",
    ]


def test_published_lists_are_known_by_their_digest(tmp_path, monkeypatch):
    path = write_lfw(tmp_path)
    monkeypatch.setitem(OFFICIAL, "pairs.txt", sha256(path))
    listing = load_listing("lfw", "LFW", folder=tmp_path, pairs=path)
    assert "none of the lists" not in notes(listing)


def test_development_list_has_its_own_counts(tmp_path):
    lines = write_lfw(tmp_path).read_text().splitlines()
    (tmp_path / "pairsDevTest.txt").write_text("\n".join(["3", *lines[1:7]]))
    listing = load_listing("lfw", "LFW", folder=tmp_path, pairs=tmp_path / "pairsDevTest.txt")
    assert "3 genuine pairs, the published protocol has 500" in notes(listing)
    assert "folds" not in notes(listing)


@pytest.mark.parametrize(
    "line, text, message",
    [
        (1, None, "pairs.txt, line 1: .* is not a header"),
        (1, "4\t4", "24 pairs, but the header announces 4 folds of 4 genuine and 4 impostor pairs = 32"),
        (1, "0\t3", "line 1: .* is not a header"),
        (3, "Person_01\t1\tPerson_02\t1", r"line 3: .* three fields \(genuine\) for fold 1"),
        (5, "Person_00\t1\t2", r"line 5: .* four fields \(impostor\) for fold 1"),
        (2, "Person_00\tone\t2", "line 2: .* is not a line of three fields"),
        (
            2,
            "Person_00\t1\t7",
            "1 of 25 images are not in .*lfw: Person_00/Person_00_0007.jpg\n.*allow_missing",
        ),
        (5, "Person_00\t1\tPerson_00\t2", "line 5: 1 of 24 labels contradict the identities of their images"),
        (2, "Person_00\t1\t1", "line 2: 1 of 24 pairs compare an image with itself"),
        (2, "Person_10\t1\t2", "1 identities occur in several folds, Person_10 in folds 1 and 2 first"),
    ],
)
def test_defects_of_lfw(tmp_path, line, text, message):
    path = write_lfw(tmp_path)
    edit(path, line, text)
    with pytest.raises(FiqaError, match=message):
        load_listing("lfw", "LFW", folder=tmp_path, pairs=path)


def test_paths_of_lfw_that_are_not_there(tmp_path):
    path = write_lfw(tmp_path)
    with pytest.raises(FiqaError, match="face folder .*nowhere is missing"):
        load_listing("lfw", "LFW", folder=tmp_path / "nowhere", pairs=path)
    with pytest.raises(FiqaError, match="pair list .*pairs.csv is missing"):
        load_listing("lfw", "LFW", folder=tmp_path, pairs=tmp_path / "pairs.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FiqaError, match="empty holds no folder Person_00"):
        load_listing("lfw", "LFW", folder=tmp_path / "empty", pairs=path)
    with pytest.raises(FiqaError, match="jpg is not a text file"):
        load_listing("lfw", "LFW", folder=tmp_path, pairs=tmp_path / "lfw/Person_00/Person_00_0001.jpg")


def test_missing_images_may_be_left_out(tmp_path):
    path = write_lfw(tmp_path)
    for person in ("Person_00", "Person_31"):
        (tmp_path / "lfw" / person / f"{person}_0002.jpg").unlink()
    listing = load_listing("lfw", "LFW", folder=tmp_path, pairs=path, allow_missing=True)
    assert len(listing) == 22 and len(listing.pairs) == 20 and list(listing.pairs.index) == list(range(20))
    assert "2 of 24 images are not in" in notes(listing)
    assert "Person_00/Person_00_0002.jpg, Person_31/Person_31_0002.jpg; 4 of 24 pairs were left out" in notes(
        listing
    )


def test_a_set_without_any_image_is_an_error_even_so(tmp_path):
    path = write_lfw(tmp_path)
    for image in tmp_path.rglob("*.jpg"):
        image.unlink()
    with pytest.raises(FiqaError, match="24 of 24 images are not in .*and 21 more"):
        load_listing("lfw", "LFW", folder=tmp_path, pairs=path, allow_missing=True)


def test_crops_among_photographs_are_refused_unless_told(tmp_path):
    path = write_lfw(tmp_path)
    write_image(tmp_path / "lfw/Person_00/Person_00_0001.jpg", face(1, 250))
    with pytest.raises(
        FiqaError, match="of 16 pictures 15 have 112 x 112 pixels and 1 have not .one has 250 x 250"
    ):
        load_listing("lfw", "LFW", folder=tmp_path, pairs=path)
    assert load_listing("lfw", "LFW", folder=tmp_path, pairs=path, aligned=True).aligned


def test_a_broken_image_is_left_to_the_reader(tmp_path):
    path = write_lfw(tmp_path)
    (tmp_path / "lfw/Person_00/Person_00_0001.jpg").write_bytes(b"\xff\xd8 broken")
    listing = load_listing("lfw", "LFW", folder=tmp_path, pairs=path)
    assert len(listing) == 24 and listing.aligned
    with pytest.raises(FiqaError, match="Person_00_0001.jpg is not a complete image"):
        listing.read(0)


# XQLFW


def write_xqlfw(folder):
    path = write_lfw(folder / "xqlfw", top="lfw_original_imgs_min_qual0.85variant11").rename(
        folder / "xqlfw_pairs.txt"
    )
    lines = [f"Person_{fold}{i} {number} 0.{fold}{i}{number}"
             for fold in range(4) for i in range(3) for number in (1, 2)]  # fmt: skip
    (folder / "xqlfw_scores.txt").write_text("\n".join(["ID Num Score", *lines]) + "\n")
    return {"folder": folder, "pairs": path, "scores": folder / "xqlfw_scores.txt"}


def test_xqlfw_below_its_top_folder_with_scores(tmp_path):
    listing = load_listing("xqlfw", "XQLFW", **write_xqlfw(tmp_path))
    assert listing.images["image_id"][0] == "Person_00/Person_00_0001.jpg" and listing.aligned
    expected = [float(f"0.{i[7:9]}{int(i[-5])}") for i in listing.images["image_id"]]
    np.testing.assert_allclose(listing.images["xqlfw_score"], expected)
    assert "has 24 scores, the published file 13,233" in notes(listing) and "SER-FIQ" in notes(listing)
    assert "24 images in pairs, the published protocol has 7,263" in notes(listing)


@pytest.mark.parametrize(
    "line, text, message",
    [
        (1, "Name Num Score", "xqlfw_scores.txt, line 1: 'Name Num Score' is not the header"),
        (4, "Person_01 1", "line 4: 'Person_01 1' is not a name, a number and a score"),
        (4, "Person_01 1 1.2", r"line 4: .* score in \[0, 1\]"),
        (4, "Person_01 1 nan", "line 4"),
        (4, "Person_00 1 0.5", "line 4: this image has a score already"),
    ],
)
def test_defects_of_xqlfw_scores(tmp_path, line, text, message):
    options = write_xqlfw(tmp_path)
    edit(options["scores"], line, text)
    with pytest.raises(FiqaError, match=message):
        load_listing("xqlfw", "XQLFW", **options)


def test_xqlfw_images_without_score_are_counted(tmp_path):
    options = write_xqlfw(tmp_path)
    edit(options["scores"], 2, None)
    listing = load_listing("xqlfw", "XQLFW", **options)
    assert "has no score for 1 images: Person_00/Person_00_0001.jpg" in notes(listing)
    assert listing.images["xqlfw_score"].isna().tolist() == [True] + [False] * 23
    options["scores"].write_text("ID Num Score\nNobody 1 0.5\n")
    with pytest.raises(FiqaError, match="rates none of the images of XQLFW"):
        load_listing("xqlfw", "XQLFW", **options)


def test_xqlfw_is_not_lfw(tmp_path, monkeypatch):
    path = write_lfw(tmp_path)
    assert f"{tmp_path / 'lfw'} is named as LFW's folder" in notes(
        load_listing("xqlfw", "XQLFW", folder=tmp_path, pairs=path)
    )
    monkeypatch.setitem(OFFICIAL, "pairs.txt", sha256(path))
    with pytest.raises(FiqaError, match="pairs.txt is LFW's own list, not XQLFW's\n.*xqlfw_pairs.txt"):
        load_listing("xqlfw", "XQLFW", folder=tmp_path, pairs=path)


def test_the_folder_read_is_named_where_two_hold_the_people(tmp_path):
    path = write_lfw(tmp_path, top="a_original")
    write_lfw(tmp_path, top="b_aligned")
    listing = load_listing("xqlfw", "XQLFW", folder=tmp_path, pairs=path)
    assert (
        f"{tmp_path / 'b_aligned'} holds these people too; images are read from {tmp_path / 'a_original'}"
        in (notes(listing))
    )


# CALFW


def test_calfw_of_full_size(tmp_path):
    path = write_calfw(tmp_path, per_fold=300, touch=True)
    assert len(path.read_text().splitlines()) == 12000
    listing = load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)
    table = listing.pairs.groupby(["genuine", "fold"]).size()
    assert table.tolist() == [300] * 20 and table.index.tolist() == [
        (g, f) for g in (0, 1) for f in range(1, 11)
    ]
    assert listing.images["identity"][0] == "Ann_a_0" and listing.images["image_id"][0] == "Ann_a_0_0001.jpg"
    assert (
        len(listing.notes) == 1 and "is not the list revised on 2018-09-19: its sha256 is" in listing.notes[0]
    )


def test_the_revised_list_is_known_by_its_digest(tmp_path, monkeypatch):
    path = write_calfw(tmp_path)
    monkeypatch.setattr(import_module("fiqa_core.benchmarks.forms.calfw"), "REVISED", sha256(path))
    listing = load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)
    assert f"is the list revised on 2018-09-19 (sha256 {sha256(path)})" in notes(listing)


@pytest.mark.parametrize(
    "line, text, message",
    [
        (1, None, "39 lines, but two make a pair"),
        (3, "Ann_b_0_0001.jpg", "line 3: .* is no file name and token from 0 to 10"),
        (3, "Ann_b_0_0001.jpg 11", "line 3: .* token from 0 to 10"),
        (3, "Ann_b_0_0001.jpg 3", "lines 3 and 4: the tokens of a pair are 3 and 2; they differ in 1 pairs"),
        (3, "Ann_b_0_1.jpg 2", "line 3: 'Ann_b_0_1.jpg' is not a name of the form that this set has"),
        (4, "Ann_c_0_0002.jpg 2", "line 3: 1 of 20 labels contradict"),
        (40, "Bob_z_0002.jpg 0", "1 of 30 images are not in .*images: Bob_z_0002.jpg"),
    ],
)
def test_defects_of_calfw(tmp_path, line, text, message):
    path = write_calfw(tmp_path)
    edit(path, line, text)
    with pytest.raises(FiqaError, match=message):
        load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)


def test_calfw_pairs_in_another_order_have_no_folds(tmp_path):
    path = write_calfw(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[20:] + lines[:20]))
    with pytest.raises(FiqaError, match=r"line 21: a genuine pair \(token 1\) after impostor pairs"):
        load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)
    path.write_text("\n".join(lines[:30]))
    listing = load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)
    assert listing.pairs["fold"].tolist() == [*range(1, 11), -1, -1, -1, -1, -1]
    assert "impostor pairs are not as many as genuine ones" in notes(listing)


def test_originals_and_aligned_copies_are_not_mixed_up(tmp_path):
    path = write_calfw(tmp_path)
    aligned = load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)
    assert "taken as aligned to the ArcFace template" in notes(aligned)
    (tmp_path / "aligned images").mkdir()
    (tmp_path / "aligned images" / "Ann_a_0_0001.jpg").touch()
    with pytest.raises(FiqaError, match="holds the images several times: .*aligned images, .*images"):
        load_listing("calfw", "CALFW", folder=tmp_path, pairs=path)
    assert len(load_listing("calfw", "CALFW", folder=tmp_path / "images", pairs=path)) == 30
    (tmp_path / "none").mkdir()
    with pytest.raises(FiqaError, match="none holds no image of the list, Ann_a_0_0001.jpg for one"):
        load_listing("calfw", "CALFW", folder=tmp_path / "none", pairs=path)


# CPLFW


def test_cplfw_labels_names_and_folds(tmp_path):
    listing = load_listing("cplfw", "CPLFW", folder=tmp_path, pairs=write_cplfw(tmp_path))
    assert listing.pairs["genuine"].tolist() == [1, 0] * 10
    assert listing.pairs["fold"].tolist() == [fold for fold in range(1, 11) for _ in "ab"]
    assert listing.images.iloc[1].tolist()[:2] == ["Ann_0_12.jpg", "Ann_0"]
    assert "some published impostor pairs show one person" in notes(listing)
    assert "10 genuine pairs, the published protocol has 3,000" in notes(listing)


def test_cplfw_genuine_first_has_no_folds(tmp_path):
    path = write_cplfw(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(sorted(lines, key=lambda line: -int(line[-1]))))
    listing = load_listing("cplfw", "CPLFW", folder=tmp_path, pairs=path)
    assert (listing.pairs["fold"] == -1).all() and "folds are unknown (-1)" in notes(listing)


@pytest.mark.parametrize(
    "line, text, message",
    [
        (2, "Ann_0_12.jpg 0", "lines 1 and 2: the tokens of a pair are 1 and 0; they differ in 1 pairs"),
        (7, None, "39 lines, but two make a pair"),
        (2, "Ann_0_12.jpg 2", "line 2: .* token from 0 to 1"),
        (2, "Landon_Donovan_3jpg.jpg 1", "line 2: 'Landon_Donovan_3jpg.jpg' is not a name of the form"),
        (
            2,
            "Ann_1_12.jpg 1",
            "line 1: 1 of 20 labels contradict .* Ann_0_1.jpg and Ann_1_12.jpg with genuine = 1",
        ),
        (2, "Ann_0_13.jpg 1", "1 of 30 images are not in"),
    ],
)
def test_defects_of_cplfw(tmp_path, line, text, message):
    path = write_cplfw(tmp_path)
    edit(path, line, text)
    with pytest.raises(FiqaError, match=message):
        load_listing("cplfw", "CPLFW", folder=tmp_path, pairs=path)


def test_a_wrong_label_among_thousands_is_kept_and_noted(tmp_path):
    path = write_cplfw(tmp_path, pairs=200, touch=True)
    edit(path, 4, "Ann_0_12.jpg 0")
    listing = load_listing("cplfw", "CPLFW", folder=tmp_path, pairs=path)
    assert "line 3: 1 of 200 labels contradict" in notes(listing) and "kept as published" in notes(listing)
    assert len(listing.pairs) == 200


def test_malformed_names_in_the_folder_do_no_harm(tmp_path):
    path = write_cplfw(tmp_path)
    for name in ("Landon_Donovan_3jpg.jpg", "Leni_Bjorklund-2.jpg", "Mike_Montgomery_3.jip.jpg"):
        (tmp_path / "images" / name).touch()
    assert (
        not load_listing("cplfw", "CPLFW", folder=tmp_path, pairs=path)
        .images["image_id"]
        .str.contains("3j")
        .any()
    )


# CFP


def test_cfp_of_full_size(tmp_path):
    root = write_cfp(tmp_path, people=500, per_class=350)
    listing = load_listing("cfp", "CFP-FP", folder=tmp_path)
    assert listing.notes == () and len(listing.pairs) == 7000 and listing.pairs["genuine"].sum() == 3500
    view = listing.images.set_index("image_id")["view"]
    assert (listing.pairs["a"].map(view) == "frontal").all() and (
        listing.pairs["b"].map(view) == "profile"
    ).all()
    people = listing.images.set_index("image_id")["identity"]
    same = listing.pairs["a"].map(people) == listing.pairs["b"].map(people)
    assert (same == (listing.pairs["genuine"] == 1)).all()
    assert listing.pairs.iloc[0].tolist() == ["001/frontal/01.jpg", "001/profile/02.jpg", 1, 1]
    frontal = load_listing("cfp", "CFP-FF", folder=root, protocol="FF")
    assert frontal.notes == () and set(frontal.images["view"]) == {"frontal"} and len(frontal.pairs) == 7000


@pytest.mark.parametrize(
    "file, line, text, message",
    [
        ("Pair_list_P.txt", 2, None, "Pair_list_P.txt, line 2: the index is 3"),
        ("Pair_list_P.txt", 2, "../Data/Images/001/profile/02.jpg", "line 2: .* is not an index and a path"),
        (
            "Pair_list_P.txt",
            2,
            "2 ../Data/Images/001/frontal/02.jpg",
            "line 2: .*frontal/02.jpg is no profile image",
        ),
        (
            "Pair_list_F.txt",
            1,
            "1 ../Data/Images/001/frontal/11.jpg",
            "1 of 100 images are not in .*frontal/11.jpg",
        ),
        ("Split/FP/02/same.txt", 1, "21", "02/same.txt, line 1: '21' is not two indices"),
        ("Split/FP/02/same.txt", 1, "21,0", "line 1: Pair_list_P.txt has no image 0, it has 80"),
        ("Split/FP/02/same.txt", 1, "21,81", "line 1: Pair_list_P.txt has no image 81, it has 80"),
        ("Split/FP/02/same.txt", 1, "201,9", "line 1: Pair_list_F.txt has no image 201, it has 200"),
        (
            "Split/FP/02/same.txt",
            1,
            "21,1",
            "same.txt, line 1: 003/frontal/01.jpg and 001/profile/01.jpg are two persons",
        ),
        (
            "Split/FP/02/diff.txt",
            2,
            "21,9",
            "diff.txt, line 2: 003/frontal/01.jpg and 003/profile/01.jpg are one person",
        ),
    ],
)
def test_defects_of_cfp(tmp_path, file, line, text, message):
    edit(write_cfp(tmp_path) / "Protocol" / file, line, text)
    with pytest.raises(FiqaError, match=message):
        load_listing("cfp", "CFP-FP", folder=tmp_path)


def test_the_frontal_list_for_both_sides_is_caught(tmp_path):
    protocol = write_cfp(tmp_path) / "Protocol"
    (protocol / "Pair_list_P.txt").write_text((protocol / "Pair_list_F.txt").read_text())
    with pytest.raises(FiqaError, match="Pair_list_P.txt, line 1: .*frontal/01.jpg is no profile image"):
        load_listing("cfp", "CFP-FP", folder=tmp_path)


def test_indices_of_another_protocol_are_caught(tmp_path):
    protocol = write_cfp(tmp_path) / "Protocol"
    (protocol / "Split/FP/05/same.txt").write_text((protocol / "Split/FF/05/same.txt").read_text())
    with pytest.raises(
        FiqaError, match="05/same.txt, line 1: Pair_list_P.txt has no image 82.*\n.*second in Pair_list_P"
    ):
        load_listing("cfp", "CFP-FP", folder=tmp_path)


def test_parts_of_cfp_that_are_not_there(tmp_path):
    root = write_cfp(tmp_path)
    with pytest.raises(FiqaError, match="CFP has no protocol 'PP'"):
        load_listing("cfp", "CFP-FP", folder=tmp_path, protocol="PP")
    with pytest.raises(FiqaError, match="Data holds no folders Protocol and Data/Images"):
        load_listing("cfp", "CFP-FP", folder=root / "Data")
    (root / "Protocol/Split/FP/07/diff.txt").write_text("\n")
    with pytest.raises(FiqaError, match="07/diff.txt is empty"):
        load_listing("cfp", "CFP-FP", folder=tmp_path)
    for file in (root / "Protocol/Split/FP/07").iterdir():
        file.unlink()
    with pytest.raises(FiqaError, match="07/same.txt is missing"):
        load_listing("cfp", "CFP-FP", folder=tmp_path)
    (root / "Protocol/Split/FP/07").rmdir()
    listing = load_listing("cfp", "CFP-FP", folder=tmp_path)
    assert "lacks the splits 7" in notes(listing) and "9 folds, the published protocol has 10" in notes(
        listing
    )
    assert "Pair_list_P.txt has 80 images, the published list 2,000" in notes(listing)


# what the loaders share


def test_counts_are_compared_one_by_one():
    pairs = pd.DataFrame({"genuine": [1, 1, 0], "fold": [1, 2, 2]})
    images = pd.DataFrame({"identity": ["a", "b", "b"]})
    assert count_notes(Protocol(2, 1, 2, 3, 2), pairs, images) == []
    assert count_notes(Protocol(2, 1), pairs, images) == []
    assert count_notes(Protocol(3, 1, 2, 4, 2), pairs, images) == [
        "2 genuine pairs, the published protocol has 3",
        "3 images in pairs, the published protocol has 4",
    ]


def test_folds_of_balanced_blocks():
    assert folds_by_position(np.tile([1, 0, 0, 1], 10)).tolist() == [
        fold for fold in range(1, 11) for _ in "abcd"
    ]
    assert (folds_by_position(np.repeat([1, 0], 20)) == -1).all()
    assert (folds_by_position(np.tile([1, 0], 11)) == -1).all()


def test_long_lists_are_cut():
    assert first_few(["a", "b"]) == "a, b" and first_few(list("abcde")) == "a, b, c and 2 more"
