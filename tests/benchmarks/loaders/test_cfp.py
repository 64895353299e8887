"""The loader of CFP: a set of the true form and size, one defect at a time, the trap of its two lists."""
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders import load_listing
from tests.helpers.forms_writers import change_line
from tests.helpers.true_forms import write_cfp


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
    assert "lacks the splits 7" in notes(listing) and "9 folds, published are 10" in notes(listing)
    assert "80 images in Pair_list_P.txt, published are 2,000" in notes(listing)


def test_an_image_paired_with_itself(tmp_path):
    change_line(write_cfp(tmp_path) / "Protocol/Split/FF/01/same.txt", 1, "1,1")
    with pytest.raises(FiqaError,
                       match="line 1: 1 of 80 pairs compare an image with itself, first 001/frontal/01"):
        load_listing("cfp", "CFP-FF", folder=tmp_path, protocol="FF")
