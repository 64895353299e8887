"""The ORL faces: conversions of line ends undone, pictures that stay short left out."""
import hashlib

import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders import load_listing
from fiqa_core.benchmarks.loaders.orl import HEADER
from tests.helpers.forms_writers import write_orl


@pytest.fixture
def folder(tmp_path):
    return write_orl(tmp_path / "orl")


def load(folder, **options):
    return load_listing("orl", "ORL", folder=folder, **{"genuine": 50, "impostor": 50, "per_identity": 10} | options)


def converted(path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def test_line_ends_are_restored_where_the_header_shows_a_conversion(folder):
    before = load(folder)
    row = before.images.index[before.images["image_id"] == "s2/3.pgm"][0]
    picture = before.read(row)
    assert picture.shape == (112, 92, 3) and (picture == 10).any()                # line ends among its grey values
    converted(folder / "s2" / "3.pgm")
    after = load(folder)
    assert np.array_equal(after.read(row), picture) and after.notes == before.notes


def test_the_two_bytes_of_a_line_end_are_left_alone_in_a_file_that_was_not_converted(folder):
    values = bytearray((folder / "s1" / "1.pgm").read_bytes())
    values[500:502] = b"\r\n"
    (folder / "s1" / "1.pgm").write_bytes(values)
    listing = load(folder)
    assert len(listing) == 400
    pixels = listing.read(0)[..., 0].ravel()
    place = 500 - len(HEADER)
    assert pixels[place:place + 2].tolist() == [13, 10]


def test_a_picture_that_stays_short_is_left_out_and_said(tmp_path):
    listing = load(write_orl(tmp_path / "orl", short="s8/10.pgm"))
    assert len(listing) == 399 and "s8/10.pgm" not in set(listing.images["image_id"])
    assert any("1 pictures are a byte short" in note and "s8/10.pgm" in note for note in listing.notes)
    assert any("399 faces, published are 400" in note for note in listing.notes)


def test_pairs_are_drawn_the_same_everywhere_and_compare_people_rightly(folder):
    listing = load(folder, genuine=1800, impostor=300, per_identity=60)
    people = listing.images.set_index("image_id")["identity"]
    same = people[listing.pairs["a"]].to_numpy() == people[listing.pairs["b"]].to_numpy()
    assert np.array_equal(same, listing.pairs["genuine"] == 1) and same.sum() == 40 * 45
    text = listing.pairs[["a", "b", "genuine"]].to_csv(index=False, lineterminator="\n")
    assert hashlib.sha256(text.encode()).hexdigest() in listing.notes[-1]
    assert not load(folder, seed=1).pairs.equals(load(folder).pairs)


def test_other_pictures_and_other_folders_are_refused(folder, tmp_path):
    (folder / "s1" / "1.pgm").write_bytes(b"P5\n46 56\n255\n" + bytes(46 * 56))
    with pytest.raises(FiqaError, match="s1/1.pgm is no picture of 92 x 112 grey values"):
        load(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FiqaError, match="holds no folder s1.*\n.*data fetch orl"):
        load(tmp_path / "empty")
