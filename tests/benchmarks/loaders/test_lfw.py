"""Loaders of LFW and XQLFW: small sets of the true form, one defect at a time."""
import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import read_image, write_image
from fiqa_core.benchmarks.loaders import load_listing
from fiqa_core.benchmarks.loaders.lfw import OFFICIAL
from fiqa_core.benchmarks.loaders.pair_checks import sha256
from tests.helpers.true_forms import edit, face, write_lfw, write_official_lfw


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


def test_lfw_smaller_than_published_is_noted(tmp_path):
    listing = load_listing("lfw", "LFW", folder=tmp_path, pairs=write_lfw(tmp_path))
    for text in ("12 genuine pairs, the published protocol has 3,000", "12 impostor pairs", "4 folds",
                 "24 images in pairs, the published protocol has 7,701", "12 identities"):
        assert text in notes(listing)
    assert f"{tmp_path / 'pairs.txt'} is none of the lists that LFW published" in notes(listing)


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
