"""One way from a picture to its crop: whoever asks gets the same crop, failure and second look."""
import re

import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.faces import empty_pairs
from fiqa_core.base.images import find_images, read_image, write_image
from fiqa_core.benchmarks import enrolment, store
from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE, align, misshape
from fiqa_core.benchmarks.crossfit import read_faces
from fiqa_core.benchmarks.detectors import Faces
from fiqa_core.benchmarks.loaders.listing import FilePictures, Listing
from fiqa_core.challenges.synthetic_sets import folder_sets
from fiqa_core.pipeline.score_folder import faces_of, score_batch
from tests.helpers.shared import shared_path
from tests.helpers.true_forms import face

NOBODY = Faces(np.empty((0, 4)), np.empty((0, 5, 2)), np.empty(0))
POINTS = ARCFACE_TEMPLATE + 20


def find(image, zoom=1.0) -> Faces:
    """Sees a face by the red of the first pixel: 1 at once, 2 at twice the size only, else none."""
    if image[0, 0, 0] != 1 and (image[0, 0, 0] != 2 or zoom != 2.0):
        return NOBODY
    return Faces(np.array([[20.0, 20, 132, 132]]), POINTS[None], np.array([0.9]))


@pytest.fixture
def listing(tmp_path, monkeypatch):
    """A face found at once, one found in the second look, none, and a damaged picture."""
    for number in (1, 2, 3):
        picture = face(number, 160)
        picture[0, 0, 0] = number
        write_image(tmp_path / "f" / f"{number}.png", picture)
    (tmp_path / "f" / "4.png").write_bytes(b"\x89PNG")
    for module in (enrolment, store):
        monkeypatch.setattr(module, "load_detector", lambda name: find)
    names = [path.name for path in find_images(tmp_path / "f")]
    images = pd.DataFrame(dict.fromkeys(("image_id", "identity", "template_id", "media_id"), names))
    return Listing("set", images, empty_pairs(), FilePictures(tmp_path / "f", tuple(names)))


def test_a_face_that_only_the_second_look_finds_is_scored_and_prepared_alike(listing, tmp_path, capsys):
    """`score`, `prepare` from listings and photographs, sets of a folder: four callers, one answer."""
    folder, names = tmp_path / "f", listing.images["image_id"].tolist()
    stored = store.store(listing, tmp_path / "set", tmp_path / "partial", detector="mtcnn")
    expected = align(read_image(folder / "2.png"), POINTS)
    assert stored.images["attempt"].tolist() == [1, 2, 0, 0] and stored.images["fte"].tolist() == [0, 0, 1, 1]
    assert np.array_equal(stored.pixels[1], expected)

    read = enrolment.face_reader(detector="mtcnn")
    rows = score_batch(lambda batch: batch[:, 0, 60, 60], names, faces_of(read, folder, names), "cpu")
    told = pd.read_csv(tmp_path / "set" / "failures.csv")
    assert rows["status"].tolist() == ["ok", "ok", *told["reason"]]
    assert rows["status"][2:].tolist() == ["no face found", "the picture is not a complete image (4 bytes)"]
    assert rows["score"][1] == pytest.approx(expected[60, 60, 0] / 255)

    pixels, images = read_faces(folder, listing.images, read, "LFW")
    crops, good = folder_sets({"mine": folder}, detector="mtcnn")["mine"]
    assert np.array_equal(pixels, stored.pixels) and np.array_equal(crops, stored.pixels)
    assert images["fte"].tolist() == (1 - good).tolist() == stored.images["fte"].tolist()


def test_a_crop_of_another_size_is_refused_by_all(tmp_path, listing):
    aligned = Listing("set", listing.images, empty_pairs(), listing.read, aligned=True)
    write_image(tmp_path / "f" / "1.png", face(1))
    stored = store.store(aligned, tmp_path / "set", tmp_path / "partial")
    statuses = [enrolment.face_reader()(tmp_path / "f" / name,
                                        name).status for name in listing.images["image_id"]]
    reasons = pd.read_csv(tmp_path / "set" / "failures.csv")["reason"].tolist()
    assert stored.images["fte"].tolist() == [0, 1, 1, 1] and statuses == ["ok", *reasons]
    assert reasons[0] == "not an aligned 112 x 112 crop but 160 x 160 pixels"


FACE = ARCFACE_TEMPLATE + 20


@pytest.mark.parametrize("points, said", [
    (FACE / 160, "all in one place .or are fractions"), (np.full((5, 2), 40.0), "all in one place"),
    (FACE[[1, 0, 2, 4, 3]], "left and right exchanged"), ((160, 0) - FACE * (1, -1), "left and right "
                                                                                     "exchanged"),
    (FACE[[1, 0, 2, 3, 4]], "do not resemble a face"), (FACE[[3, 2, 1, 0, 4]], "do not resemble a face"),
    (FACE * (1, 0) + (0, 50), "on one line"), (np.c_[FACE[:, 0], FACE[:, 0]], "on one line"),
    (FACE + 160, "outside the picture"), (FACE - (90, 0), "outside the picture"), (FACE * 3, "outside the "
                                                                                             "picture"),
])
def test_landmarks_that_cannot_be_a_face_are_refused_with_a_reason(points, said):
    """Whether they are given or a detector's; the crop is the picture's centre, as for any failure."""
    picture = face(1, 160)
    seen = Faces(np.array([[0.0, 0, 160, 160]]), points[None], np.array([0.9]))
    for result in (enrolment.enrol(lambda: picture, "a.png", points),
                   enrolment.enrol(lambda: picture, "a.png", find=lambda image, zoom=1.0: seen)):
        assert re.search(said, result.failure) and result.crop.shape == (112, 112, 3)
        assert np.isnan(result.points).all()


@pytest.mark.parametrize("points", [FACE, FACE @ [[0, 1], [-1, 0]] + (160, 0), 160 - FACE,
                                    (FACE - 80) * (0.3, 1) + 80, FACE * 0.1 + 3, FACE - (62, 0)])
def test_turned_profile_small_and_cut_off_faces_are_none_of_these(points):
    assert enrolment.enrol(lambda: face(1, 160), "a.png", points).failure == ""


def test_no_real_face_is_refused():
    """The 8,961 labelled faces of the photograph pack, in the pictures that they were labelled in."""
    known = pd.read_csv(shared_path("faces/metadata.csv")).dropna(subset="landmarks")
    sizes = known[["source_height", "source_width"]].to_numpy()
    points = np.array([text.split() for text in known["landmarks"]], float).reshape(-1, 5, 2)
    assert len(points) == 8961 and {misshape(*face) for face in zip(points, sizes)} == {""}
