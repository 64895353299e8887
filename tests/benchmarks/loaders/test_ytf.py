"""YouTube Faces: clip pairs, frames chosen and cut, and the message for each defect."""
import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import read_image
from fiqa_core.benchmarks.loaders.ytf import evenly, ytf
from tests.helpers.forms_writers import change_line, write_ytf, write_ytf_mat

PAIRS = [("Ann_A/0", "Ann_A/3", 1, 1), ("Ann_A/0", "Bob_B/3", 0, 1), ("Cy_C/0", "Cy_C/3", 1, 2),
         ("Cy_C/0", "Di_D/3", 0, 2)]


@pytest.fixture
def folder(tmp_path):
    return write_ytf(tmp_path / "YouTubeFaces")


def message(folder, **options) -> str:
    with pytest.raises(FiqaError) as error:
        ytf("YTF", folder, **options)
    return str(error.value)


def rows(listing) -> list[tuple]:
    return list(listing.pairs.itertuples(index=False, name=None))


def test_tables(folder):
    listing = ytf("YTF", folder)
    assert rows(listing) == PAIRS
    images = listing.images
    assert sorted(images["template_id"].unique()) == ["Ann_A/0", "Ann_A/3", "Bob_B/3", "Cy_C/0", "Cy_C/3",
                                                      "Di_D/3"]
    assert (images["template_id"] == images["media_id"]).all() and len(images) == 36
    first = images[images["template_id"] == "Ann_A/3"]
    assert list(first["frame"]) == [98, 99, 100, 101, 102, 103]  # by number: as text 100 comes before 98
    assert list(first["image_id"])[2] == "Ann_A/3/3.100.jpg" and set(first["identity"]) == {"Ann_A"}
    assert listing.notes == ("2 splits, published are 10",
                             "2 genuine pairs, published are 2,500",
                             "2 impostor pairs, published are 2,500")


def test_frames_are_cut_around_the_labelled_face(folder):
    labels = folder / "frame_images_DB" / "Ann_A.labeled_faces.txt"
    change_line(labels, 1, r"Ann_A\0\0.98.jpg,0,40,30,20,20,0.0,1")
    change_line(labels, 2, r"Ann_A\0\0.99.jpg,0,5,30,20,20,0.0,1")
    change_line(labels, 3, r"Ann_A\0\0.100.jpg,0,500,30,20,20,0.0,1")
    listing = ytf("YTF", folder)
    whole = read_image(folder / "frame_images_DB" / "Ann_A/0/0.98.jpg")
    assert (listing.read(0) == whole[8:52, 18:62]).all()  # 2.2 times the box of 20 pixels around (40, 30)
    assert listing.read(1).shape == (44, 27, 3)  # cut off at the left border
    with pytest.raises(FiqaError, match="0.100.jpg: the labelled face lies outside the 80 x 60 pixels"):
        listing.read(2)


def test_aligned_crops_are_taken_as_they_are(folder):
    listing = ytf("YTF", folder, variant="aligned")
    assert rows(listing) == PAIRS and not listing.aligned
    assert listing.images["image_id"][2] == "Ann_A/0/aligned_detect_0.100.jpg"
    assert listing.read(2).shape == (50, 50, 3)


def test_at_most_so_many_frames_evenly_spaced(folder):
    images = ytf("YTF", folder, frames=3).images
    assert list(images["frame"][:3]) == [98, 100, 103] and len(images) == 18
    long = images.iloc[np.zeros(181, int)].assign(frame=range(181))
    chosen = evenly(long, 30)["frame"].to_numpy()
    assert len(chosen) == 30 and chosen[0] == 0 and chosen[-1] == 180
    assert set(np.diff(chosen)) <= {6, 7}
    assert list(evenly(long, 1)["frame"]) == [0]
    assert "frames >= 1" in message(folder, frames=0)


def test_matlab_file_alone_gives_the_same_pairs(folder):
    write_ytf_mat(folder)
    assert not any("splits.txt" in note for note in ytf("YTF", folder).notes)
    (folder / "splits.txt").unlink()
    assert rows(ytf("YTF", folder)) == PAIRS


def test_both_lists_are_compared(folder):
    write_ytf_mat(folder)
    change_line(folder / "splits.txt", 3, "1, 2, Ann_A/3, Bob_B/3, 0, 7, 8")
    note = ytf("YTF", folder).notes[-1]
    assert note == "splits.txt is used; 2 pairs of it and of meta_and_splits.mat are not in the other"


def test_damaged_matlab_file(folder):
    write_ytf_mat(folder)
    path = folder / "meta_data" / "meta_and_splits.mat"
    path.write_bytes(b"MATLAB" + bytes(20))
    assert "meta_and_splits.mat cannot be read" in message(folder, splits=path)


def test_errata_are_announced(folder):
    (folder / "YTFErrors.csv").write_text("Ann_A/0\n")
    assert "YTFErrors.csv is not applied" in ytf("YTF", folder).notes[-1]
    corrected = folder / "corrected.txt"
    corrected.write_text((folder / "splits.txt").read_text())
    assert "YTFErrors" not in str(ytf("YTF", folder, splits=corrected).notes)


def test_no_list(folder):
    (folder / "splits.txt").write_text("split number, pair number\n")
    assert "splits.txt lists no pair" in message(folder)
    (folder / "splits.txt").unlink()
    assert "holds neither splits.txt nor meta_data/meta_and_splits.mat" in message(folder)


def test_missing_clips(folder):
    for path in (folder / "frame_images_DB/Cy_C/3").iterdir():
        path.unlink()
    assert "1 of 6 clips are not in" in message(folder) and "Cy_C/3" in message(folder)
    listing = ytf("YTF", folder, allow_missing=True)
    assert rows(listing) == [PAIRS[0], PAIRS[1], PAIRS[3]]
    (folder / "frame_images_DB" / "Ann_A.labeled_faces.txt").unlink()
    assert "Ann_A.labeled_faces.txt is missing" in message(folder)


def test_the_variant_must_be_there(folder):
    (folder / "aligned_images_DB").rename(folder / "elsewhere")
    assert "aligned_images_DB is missing" in message(folder, variant="aligned")
    assert "variant 'clips'" in message(folder, variant="clips")
