"""IJB-C in insightface's form: what is read, and the message for each defect."""
import pickle

import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.benchmarks.loaders.ijbc import ijbc
from fiqa_core.evaluation.comparisons import benchmark_pairs
from tests.helpers.forms_writers import TEMPLATE, change_line, picture, write_ijbc, write_lines

FACES, POINTS, PAIRS = (f"ijbc_{part}.txt"
                        for part in ("face_tid_mid", "name_5pts_score", "template_pair_label"))


@pytest.fixture
def folder(tmp_path):
    return write_ijbc(tmp_path / "IJBC")


def message(folder, **options) -> str:
    with pytest.raises(FiqaError) as error:
        ijbc("IJB-C", folder, **options)
    return str(error.value)


def test_tables(folder):
    listing = ijbc("IJB-C", folder)
    assert list(listing.images["image_id"]) == [f"{n}.jpg" for n in range(1, 8)]
    assert list(listing.images["template_id"]) == ["11", "11", "11", "12", "21", "22", "30"]
    assert list(listing.images["media_id"]) == ["500", "500", "501", "502", "503", "504", "505"]
    assert list(listing.images["identity"]) == ["subject_11"] * 4 + ["subject_21"] * 2 + ["subject_11"]
    assert (listing.images["detector_score"] == 0.99).all()
    pairs = listing.pairs.astype({"a": str, "b": str})
    assert [tuple(row) for row in pairs.itertuples(index=False)] == [
        ("11", "12", 1, -1), ("21", "22", 1, -1), ("11", "21", 0, -1),
        ("11", "22", 0, -1), ("12", "30", 1, -1), ("21", "30", 0, -1),
    ]  # fmt: skip
    assert isinstance(listing.pairs["a"].dtype, pd.CategoricalDtype)
    expected = np.array(TEMPLATE.split(), float).reshape(5, 2)
    assert not listing.aligned and listing.landmarks.shape == (7, 5, 2)
    assert (listing.landmarks == expected).all()


def test_pictures_are_read_by_row_also_in_another_process(folder):
    read = pickle.loads(pickle.dumps(ijbc("IJB-C", folder).read))
    assert np.abs(read(4).astype(int) - picture(5)).mean() < 12
    (folder / "loose_crop" / "5.jpg").write_bytes(b"no picture")
    with pytest.raises(FiqaError, match="5.jpg is not a complete image"):
        read(4)


def test_the_tables_evaluate(folder):
    listing = ijbc("IJB-C", folder)
    pixels = np.zeros((7, 112, 112, 3), np.uint8)
    coded = benchmark_pairs(FaceSet("IJB-C", pixels, listing.images.assign(crossfit=0), listing.pairs))
    embeddings = np.array([[1, 0], [1, 0], [0, 1], [1, 1], [0, 1], [0, 1], [1, 0]], np.float32)
    # template 11: the clip 500 counts once, so its vector is (1, 1) / sqrt 2
    assert coded.similarity(embeddings) == pytest.approx([1, 1, 0.5**0.5, 0.5**0.5, 0.5**0.5, 0], abs=1e-6)


def test_doubtful_and_unknown_landmarks_are_noted(folder):
    change_line(folder / "meta" / POINTS, 2, f"2.jpg {TEMPLATE} 0.1")
    change_line(folder / "meta" / POINTS, 3, "3.jpg " + "4 " * 10 + "0.9")
    listing = ijbc("IJB-C", folder)
    assert np.isnan(listing.landmarks[2]).all() and np.isfinite(np.delete(listing.landmarks, 2, 0)).all()
    assert listing.notes[-2:] == ("1 faces have no usable landmarks",
                                  "1 faces were detected with a score below 0.5: doubtful landmarks")


def test_missing_faces(folder):
    (folder / "loose_crop" / "4.jpg").unlink()
    (folder / "loose_crop" / "1.jpg").unlink()
    assert "2 of 7 faces are not in" in message(folder) and "1.jpg, 4.jpg" in message(folder)
    listing = ijbc("IJB-C", folder, allow_missing=True)
    assert list(listing.images["image_id"]) == ["2.jpg", "3.jpg", "5.jpg", "6.jpg", "7.jpg"]
    assert len(listing.pairs) == 4 and len(listing.landmarks) == 5  # template 12 has lost its only face
    assert np.abs(listing.read(2).astype(int) - picture(5)).mean() < 12


def test_all_faces_missing_is_never_allowed(folder):
    assert "7 of 7 faces" in message(folder, images=folder / "elsewhere", allow_missing=True)


def test_files_from_elsewhere(folder, tmp_path):
    (folder / "meta").rename(tmp_path / "lists")
    assert "folder of lists" in message(folder) and "is missing" in message(folder)
    assert len(ijbc("IJB-C", folder, meta=tmp_path / "lists")) == 7


def test_ijbb_has_the_same_form_but_not_the_same_folder(folder):
    for path in (folder / "meta").iterdir():
        path.rename(path.with_name(path.name.replace("ijbc", "ijbb")))
    assert ijbc("IJB-B", folder).notes[0] == "7 faces, published are 227,630"
    write_ijbc(folder)
    assert "holds the lists of both IJB-B and IJB-C" in message(folder)


def test_a_face_listed_twice(folder):
    change_line(folder / "meta" / FACES, 2, "1.jpg 11 500")
    change_line(folder / "meta" / POINTS, 2, f"1.jpg {TEMPLATE} 0.99")
    assert "1.jpg is listed twice" in message(folder)


def test_landmarks_in_another_order(folder):
    x, y = TEMPLATE.split()[::2], TEMPLATE.split()[1::2]
    lines = [f"{n}.jpg {' '.join(x + y)} 0.99" for n in range(1, 8)]
    write_lines(folder / "meta" / POINTS, lines)
    assert "in 100% of the faces the landmarks are not left eye, right eye, nose" in message(folder)
    mirrored = TEMPLATE.split()
    mirrored[0:4] = mirrored[2:4] + mirrored[0:2]
    write_lines(folder / "meta" / POINTS, [f"{n}.jpg {' '.join(mirrored)} 0.99" for n in range(1, 8)])
    assert "in 100% of the faces" in message(folder)


def test_a_list_is_missing_or_empty(folder):
    (folder / "meta" / PAIRS).write_text("")
    assert f"{PAIRS} cannot be read" in message(folder)
    (folder / "meta" / PAIRS).unlink()
    assert f"{PAIRS} is missing" in message(folder)
