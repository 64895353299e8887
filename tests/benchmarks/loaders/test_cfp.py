"""The loader of CFP: a set of the true form and size, one defect at a time, the trap of its two lists."""
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders import load_listing
from tests.helpers.true_forms import edit, write_cfp


def notes(listing) -> str:
    return "\n".join(listing.notes)


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
    with pytest.raises(FiqaError,
        match="05/same.txt, line 1: Pair_list_P.txt has no image 82.*\n.*second in Pair_list_P"):
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


def test_an_image_paired_with_itself(tmp_path):
    edit(write_cfp(tmp_path) / "Protocol/Split/FF/01/same.txt", 1, "1,1")
    with pytest.raises(FiqaError,
                       match="line 1: 1 of 80 pairs compare an image with itself, first 001/frontal/01"):
        load_listing("cfp", "CFP-FF", folder=tmp_path, protocol="FF")
