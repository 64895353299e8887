"""NIST's own package of IJB-C: what is read, how faces are cut, and the message for each defect."""
import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import read_image
from fiqa_core.benchmarks.loaders.ijbc_nist import ijbc_nist
from tests.helpers.forms_writers import change_line, write_ijbc_nist

G1, G2, PROBES, MATCHES = (f"ijbc_{part}.csv"
    for part in ("1N_gallery_G1", "1N_gallery_G2", "1N_probe_mixed", "11_G1_G2_matches"))


@pytest.fixture
def folder(tmp_path):
    return write_ijbc_nist(tmp_path / "IJB-C")


def message(folder, **options) -> str:
    with pytest.raises(FiqaError) as error:
        ijbc_nist("IJB-C", folder, **options)
    return str(error.value)


def test_tables(folder):
    listing = ijbc_nist("IJB-C", folder)
    assert list(listing.images["image_id"][:3]) == ["11/500/frames/1.jpg", "11/500/frames/2.jpg",
                                                    "11/501/img/3.jpg"]
    assert list(listing.images["template_id"]) == ["11", "11", "11", "21", "12", "22", "30"]
    assert list(listing.images["media_id"]) == ["500", "500", "501", "503", "502", "504", "505"]
    assert list(listing.images["identity"].str[-1]) == ["1", "1", "1", "2", "1", "2", "1"]
    pairs = listing.pairs.astype({"a": str, "b": str})
    assert [tuple(row) for row in pairs.itertuples(index=False)] == [
        ("11", "12", 1, -1), ("21", "22", 1, -1), ("11", "22", 0, -1),
        ("11", "30", 1, -1), ("21", "30", 0, -1),
    ]  # fmt: skip
    assert listing.notes[2] == "5 pairs, published are 15,658,489"


def test_faces_are_cut_around_their_labels(folder):
    listing = ijbc_nist("IJB-C", folder, margin=2)
    whole = read_image(folder / "images" / "img" / "3.jpg")
    assert (listing.read(2) == whole[8:56, 20:60]).all()  # the box 30, 20, 20 x 24, twice as large
    assert listing.read(6).shape == (36, 30, 3)  # cut off at the corner
    assert listing.read(5).shape == (112, 112, 3)  # no label: the whole picture


def test_a_face_listed_twice_is_counted_once(folder):
    change_line(folder / "protocols" / G1, 3, "11,1,frames/1.jpg,500,30,20,20,24,4")
    listing = ijbc_nist("IJB-C", folder)
    assert len(listing) == 6 and listing.notes[0] == "1 faces are listed twice in a template and counted once"


def test_missing_pictures_and_files(folder):
    (folder / "images" / "img" / "5.jpg").unlink()
    listing = ijbc_nist("IJB-C", folder, margin=2, allow_missing=True)
    assert listing.pairs.astype({"a": str})["a"].tolist() == ["11", "11", "11"]  # template 21 is gone
    whole = read_image(folder / "images" / "img" / "4.jpg")
    assert np.array_equal(listing.read(3), whole[8:56, 20:60])  # rows still belong to their pictures
    (folder / "protocols" / PROBES).unlink()
    assert "ijbc_1N_probe_mixed.csv is missing" in message(folder)
