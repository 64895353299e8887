"""Loaders of LFW and XQLFW: small sets of the true form, one defect at a time."""
import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import sha256
from fiqa_core.base.images import read_image, write_image
from fiqa_core.benchmarks.loaders import load_listing
from fiqa_core.benchmarks.loaders.lfw import OFFICIAL
from tests.helpers.forms_writers import change_line
from tests.helpers.true_forms import face, write_lfw, write_official_lfw, write_xqlfw


def notes(listing) -> str:
    return "\n".join(listing.notes)


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
    assert raw.pairs.iloc[3].tolist() == ["Person_00/Person_00_0001.jpg", "Person_02/Person_02_0002.jpg", 0,
                                          1]
    write_lfw(tmp_path / "crops")
    assert load_listing("lfw", "LFW", folder=tmp_path / "crops" / "lfw", pairs=path).aligned


def test_the_official_list_and_all_its_images(tmp_path):
    """The published pairs.txt to the byte, so every count, fold and label of View 2 is checked."""
    path = write_official_lfw(tmp_path)
    assert sha256(path) == OFFICIAL["pairs.txt"]
    listing = load_listing("lfw", "LFW", folder=tmp_path, pairs=path)
    assert listing.notes == () and len(listing) == 7701 and len(listing.pairs) == 6000 and listing.aligned
    assert listing.pairs.groupby(["fold", "genuine"]).size().tolist() == [300] * 20
    assert listing.pairs.iloc[300].tolist()[:2] == ["Abdel_Madi_Shabneh/Abdel_Madi_Shabneh_0001.jpg",
                                                    "Dean_Barker/Dean_Barker_0001.jpg"]


def test_published_lists_are_known_by_their_digest(tmp_path, monkeypatch):
    path = write_lfw(tmp_path)
    monkeypatch.setitem(OFFICIAL, "pairs.txt", sha256(path))
    listing = load_listing("lfw", "LFW", folder=tmp_path, pairs=path)
    assert "none of the lists" not in notes(listing)


def test_development_list_has_its_own_counts(tmp_path):
    lines = write_lfw(tmp_path).read_text().splitlines()
    (tmp_path / "pairsDevTest.txt").write_text("\n".join(["3", *lines[1:7]]))
    listing = load_listing("lfw", "LFW", folder=tmp_path, pairs=tmp_path / "pairsDevTest.txt")
    assert "3 genuine pairs, published are 500" in notes(listing)
    assert "folds" not in notes(listing)


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


def test_crops_among_photographs_are_refused_unless_told(tmp_path):
    path = write_lfw(tmp_path)
    write_image(tmp_path / "lfw/Person_00/Person_00_0001.jpg", face(1, 250))
    with pytest.raises(FiqaError,
                       match="of 16 pictures 15 have 112 x 112 pixels and 1 have not .one has 250 x 250"):
        load_listing("lfw", "LFW", folder=tmp_path, pairs=path)
    assert load_listing("lfw", "LFW", folder=tmp_path, pairs=path, aligned=True).aligned


def test_a_broken_image_is_left_to_the_reader(tmp_path):
    path = write_lfw(tmp_path)
    (tmp_path / "lfw/Person_00/Person_00_0001.jpg").write_bytes(b"\xff\xd8 broken")
    listing = load_listing("lfw", "LFW", folder=tmp_path, pairs=path)
    assert len(listing) == 24 and listing.aligned
    with pytest.raises(FiqaError, match="Person_00_0001.jpg is not a complete image"):
        listing.read(0)


def test_xqlfw_below_its_top_folder_with_scores(tmp_path):
    listing = load_listing("xqlfw", "XQLFW", **write_xqlfw(tmp_path))
    assert listing.images["image_id"][0] == "Person_00/Person_00_0001.jpg" and listing.aligned
    expected = [float(f"0.{i[7:9]}{int(i[-5])}") for i in listing.images["image_id"]]
    np.testing.assert_allclose(listing.images["xqlfw_score"], expected)
    assert "has 24 scores, the published file 13,233" in notes(listing) and "SER-FIQ" in notes(listing)
    assert "24 images in pairs, published are 7,263" in notes(listing)


def test_xqlfw_images_without_score_are_counted(tmp_path):
    options = write_xqlfw(tmp_path)
    change_line(options["scores"], 2, None)
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
