"""MXNet RecordIO training sets: directories, labels, drawing, and the message for each defect."""
import pickle
import struct

import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders.recordio import choose, recordio
from tests.helpers.forms_writers import OWNERS, RANGES, jpeg, picture, record, records, write_recordio


@pytest.fixture
def folder(tmp_path):
    return write_recordio(tmp_path / "faces", records(), 3)


def message(folder, **options) -> str:
    with pytest.raises(FiqaError) as error:
        recordio("training", folder, **options)
    return str(error.value)


def test_tables(folder):
    listing = recordio("training", folder)
    assert list(listing.images["image_id"]) == [f"{n:08d}" for n in range(1, 7)]
    assert list(listing.images["identity"]) == [str(owner) for owner in OWNERS]
    assert (listing.images["template_id"] == listing.images["image_id"]).all()
    assert listing.aligned and len(listing.pairs) == 0 and listing.notes == ()


def test_pictures_stream_by_offset_in_rgb(folder):
    read = pickle.loads(pickle.dumps(recordio("training", folder).read))
    for row in (5, 0, 1):
        assert np.abs(read(row).astype(int) - picture(row + 1)).mean() < 5


def test_without_a_directory_every_record_is_an_image(tmp_path):
    flat = write_recordio(tmp_path, [record(0, (label,), jpeg(label)) for label in (4, 4, 8)], 2)
    listing = recordio("training", flat)
    assert list(listing.images["image_id"]) == ["00000000", "00000001", "00000002"]
    assert list(listing.images["identity"]) == ["4", "4", "8"] and listing.notes == ()


def test_keys_that_float32_rounds_are_not_trusted(tmp_path):
    large = records()
    large[0] = record(2, (7, 17_091_658))
    listing = recordio("training", write_recordio(tmp_path, large, 3))
    assert list(listing.images["identity"]) == [str(owner) for owner in OWNERS]
    assert listing.notes == (
        "keys beyond 16,777,216 are rounded in the directory; identities are the images' labels",
    )


def test_drawing_identities_and_images():
    identity = np.repeat(np.arange(50), 8)
    rows = choose(identity, 10, 3, seed=1)
    assert len(rows) == 30 and (np.diff(rows) > 0).all()
    assert (np.unique(identity[rows], return_counts=True)[1] == 3).all()
    assert (rows == choose(identity, 10, 3, seed=1)).all() and (rows != choose(identity, 10, 3, seed=2)).any()
    assert len(choose(identity, None, None, 0)) == 400 and len(choose(identity, 500, 80, 0)) == 400


def test_a_drawn_subset_reads_its_own_pictures(folder):
    listing = recordio("training", folder, per_identity=1, seed=4)
    assert sorted(listing.images["identity"]) == ["0", "1", "2"]
    assert listing.notes == ("3 of 6 images are drawn with seed 4",)
    for row, key in enumerate(listing.images["image_id"].astype(int)):
        assert np.abs(listing.read(row).astype(int) - picture(key)).mean() < 5


def test_property(folder):
    (folder / "property").write_text("5,112,112\n")
    assert recordio("training", folder).notes == ("property announces 5 identities, the records hold 3",)
    (folder / "property").write_text("3,112,96")
    assert "property: crops of 96 x 112 pixels" in message(folder)
    (folder / "property").write_text("3;112;112")
    assert "'3;112;112' is not `identities,height,width`" in message(folder)
    (folder / "property").unlink()
    assert "property is missing" in message(folder)


@pytest.mark.parametrize(
    "change, expected",
    [
        (
            {"ranges": [(1, 4), (3, 6), (6, 7)]},
            "identity record 8 claims the images 3 to 5, which are another's",
        ),
        (
            {"ranges": [(1, 4), (4, 6), (6, 9)]},
            "identity record 9 claims the images 6 to 8, which are another's",
        ),
        ({"ranges": [(1, 4), (4, 5), (6, 7)]}, "1 images belong to no identity record: 5"),
        (
            {"owners": [0, 0, 1, 1, 1, 2]},
            "the images 1 to 3 one identity of its own, but their labels are 0 and 1",
        ),
        (
            {"owners": [0, 0, 0, 1, 1, 0]},
            "the images 6 to 6 one identity of its own, but their labels are 0 and 0",
        ),
    ],
)
def test_defects_of_the_directory(tmp_path, change, expected):
    assert expected in message(write_recordio(tmp_path, records(**change), 3))


def test_directory_without_a_range_or_of_nobody(tmp_path):
    bad = records()
    bad[0] = record(1, (7,))
    assert "record 0 is a directory, but holds no range of keys" in message(write_recordio(tmp_path, bad, 3))
    bad[0] = record(2, (7, 7))
    assert "all identity records of the directory are not in the index" in message(
        write_recordio(tmp_path, bad, 3)
    )
    bad = [record(2, (1, 2)), record(2, (1, 1))]
    assert "train.rec holds no image" in message(write_recordio(tmp_path, bad, 3))


def test_identity_record_split_in_parts(tmp_path):
    bad = records()
    bad[8] = record(2, RANGES[1], parts=1)
    assert "record 8 is split in several parts" in message(write_recordio(tmp_path, bad, 3))


def test_a_damaged_picture_does_not_stop_the_rest(folder, tmp_path):
    bad = records()
    bad[3] = record(0, (0,), jpeg(3), parts=1)
    bad[5] = record(0, (1,), b"no picture at all")
    listing = recordio("training", write_recordio(tmp_path / "bad", bad, 3))
    with pytest.raises(FiqaError, match="record 3 is split in several parts"):
        listing.read(2)
    with pytest.raises(FiqaError, match="record 5 is not a complete image"):
        listing.read(4)
    assert listing.read(5).shape == (112, 112, 3)


def test_a_file_cut_off_or_overwritten_after_loading(folder):
    listing, path = recordio("training", folder), folder / "train.rec"
    data = bytearray(path.read_bytes())
    offset = int(listing.read.offsets[2])
    data[offset : offset + 4] = struct.pack("<I", 7)
    path.write_bytes(data[: int(listing.read.offsets[5]) + 500])
    with pytest.raises(FiqaError, match="record 3: no record starts at byte .* .0x00000007, not"):
        listing.read(2)
    with pytest.raises(FiqaError, match="record 6: 492 of "):
        listing.read(5)
    assert "offsets of the index lie outside it" in message(folder)


def test_record_file_is_missing(folder):
    (folder / "train.rec").unlink()
    assert "train.rec is missing" in message(folder)
    assert "other.idx is missing" in message(folder, stem="other")
