"""Listings stored as face sets: ways of aligning, failures that stay, resumed work, any number of threads."""
import os
import signal
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import POINT_COLUMNS, load_face_set
from fiqa_core.benchmarks import enrolment
from fiqa_core.benchmarks import store as store_module
from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE, align, centre_crop
from fiqa_core.benchmarks.detectors import Faces
from fiqa_core.benchmarks.enrolment import enrol, look
from fiqa_core.benchmarks.loaders.listing import Listing
from fiqa_core.benchmarks.store import store
from tests.helpers.processes import finished

COUNT = 20
NOBODY = Faces(np.empty((0, 4)), np.empty((0, 5, 2)), np.empty(0))


def picture(row: int, size: int = 160) -> np.ndarray:
    """Smooth waves: no two rows alike, and every shift of a crop changes pixels."""
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin((3 + row % 5) * x * (1 + c) + row) + np.cos((4 + c) * y + row) for c in range(3)]
    return np.clip(128 + 60 * np.stack(waves, axis=-1), 0, 255).astype(np.uint8)


def points(row: int) -> np.ndarray:
    return ARCFACE_TEMPLATE * (0.9 + 0.02 * row) + (10 + row, 5)


def listing(count: int = COUNT, read=picture, aligned: bool = False, landmarks: bool = True) -> Listing:
    ids = [f"person_{row // 2}/{row:04d}.jpg" for row in range(count)]
    images = pd.DataFrame(
        {"image_id": ids, "identity": [f"person_{row // 2}" for row in range(count)], "age": range(count)}
    )
    images = images.assign(template_id=ids, media_id=ids)
    pairs = pd.DataFrame({"a": ids[::2], "b": ids[1::2], "genuine": 1, "fold": 1})
    given = np.stack([points(row) for row in range(count)]) if landmarks else None
    return Listing("LFW", images, pairs, read, aligned, given, ("a list of our own",))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(store_module, "SHARD", 6)


@pytest.fixture
def detector(monkeypatch):
    """In place of networks: `answer` takes a picture and, where the face is looked for again, a zoom."""
    asked = {"answer": lambda image, zoom=1.0: NOBODY}
    monkeypatch.setattr(store_module, "load_detector", lambda name: lambda *a: asked["answer"](*a))
    return asked


def test_given_landmarks_place_the_face_and_are_kept(tmp_path, capsys):
    faces = store(listing(), tmp_path / "set", tmp_path / "partial", crossfit=3)
    assert all(np.array_equal(faces.pixels[row], align(picture(row), points(row))) for row in range(COUNT))
    assert (faces.images["crossfit"] == 3).all() and (faces.images["fte"] == 0).all()
    assert faces.images["age"].tolist() == list(range(COUNT))
    assert np.allclose(faces.images[list(POINT_COLUMNS)], [points(row).ravel() for row in range(COUNT)],
                       atol=1e-3)
    again = load_face_set(tmp_path / "set")
    pd.testing.assert_frame_equal(again.pairs, faces.pairs)
    assert np.array_equal(again.pixels, faces.pixels) and not {"attempt", "detector_score"} & set(
        again.images
    )
    assert (tmp_path / "set" / "failures.csv").read_text() == "image_id,reason\n"
    printed = capsys.readouterr().out
    assert "LFW: a list of our own" in printed and "20 images, 0 of them without an aligned face" in printed


def test_landmark_file_goes_before_the_listings_own(tmp_path):
    row = " ".join(str(value) for value in (points(9)).ravel())
    (tmp_path / "points.csv").write_text(f"path,landmarks\nperson_1/0002.jpg,{row}\n")
    faces = store(listing(), tmp_path / "set", tmp_path / "partial", landmarks=tmp_path / "points.csv")
    assert np.array_equal(faces.pixels[2], align(picture(2), points(9)))
    assert np.array_equal(faces.pixels[3], align(picture(3), points(3)))


def test_aligned_crops_are_stored_as_they_are(tmp_path):
    crops = listing(read=lambda row: picture(row, 112), aligned=True, landmarks=False)
    faces = store(crops, tmp_path / "set", tmp_path / "partial")
    assert np.array_equal(faces.pixels, [picture(row, 112) for row in range(COUNT)])
    assert not set(POINT_COLUMNS) & set(faces.images)


def broken(row: int) -> np.ndarray:
    if row == 4:
        raise FiqaError("/here/person_2/0004.jpg is not a complete image (17 bytes)", "replace it")
    if row == 7:
        raise cv2.error("OpenCV gave up\n on this one")
    return picture(row)


def test_failures_stay_in_their_place_and_are_told(tmp_path, capsys):
    bad = listing(read=broken)
    bad.landmarks[11] = 50.0
    faces = store(bad, tmp_path / "set", tmp_path / "partial")
    assert len(faces) == COUNT and np.flatnonzero(faces.images["fte"]).tolist() == [4, 7, 11]
    assert (faces.pixels[4] == 0).all() and np.array_equal(faces.pixels[11], centre_crop(picture(11)))
    assert np.isnan(faces.images["nose_x"].iloc[[4, 7, 11]]).all()
    table = pd.read_csv(tmp_path / "set" / "failures.csv")
    assert table["image_id"].tolist() == [faces.images["image_id"][row] for row in (4, 7, 11)]
    assert table["reason"].tolist()[:2] == ["the picture is not a complete image (17 bytes)",
                                            "OpenCV gave up on this one"]
    assert "landmarks lie all in one place" in table["reason"][2]
    printed = capsys.readouterr().out
    assert (
        "3 of them without an aligned face (15.00%)" in printed
        and "person_2/0004.jpg: the picture is" in printed
    )


def test_a_training_set_has_neither_failures_nor_pairs(tmp_path):
    bad = listing(read=broken)
    faces = store(bad, tmp_path / "set", tmp_path / "partial", training=True)
    assert len(faces) == COUNT - 2 and faces.images["age"].tolist() == [
        r for r in range(COUNT) if r not in (4, 7)
    ]
    assert np.array_equal(faces.pixels[4], align(picture(5), points(5)))
    assert len(pd.read_csv(tmp_path / "set" / "failures.csv")) == 2 and len(faces.pairs) == 0


def test_the_detector_is_asked_where_no_landmarks_are_known(tmp_path, detector):
    def answer(image, zoom=1.0):
        if image[0, 0, 0] == picture(5)[0, 0, 0]:
            return (
                NOBODY
                if zoom != 2.0
                else Faces(np.array([[0.0, 0, 90, 90]]), points(1)[None], np.array([0.6]))
            )
        boxes = np.array([(0, 0, 70, 70), (60, 60, 100, 100)], float)  # the second lies in the middle
        return Faces(boxes, np.stack([points(0), points(2)]), np.array([0.9, 0.8]))

    detector["answer"] = answer
    some = listing()
    some.landmarks[5:] = np.nan
    some = Listing(some.name, some.images.assign(detector_score=0.5), some.pairs, some.read, False,
                   some.landmarks)
    faces = store(some, tmp_path / "set", tmp_path / "partial", detector="mtcnn")
    assert np.array_equal(faces.pixels[4], align(picture(4), points(4)))
    assert np.array_equal(faces.pixels[5], align(picture(5), points(1)))
    assert np.array_equal(faces.pixels[6], align(picture(6), points(2)))
    assert faces.images["attempt"].tolist()[3:8] == [0, 0, 2, 1, 1]
    assert faces.images["detector_score"].tolist()[3:8] == [0.5, 0.5, 0.6, 0.8, 0.8]
    largest = store(some, tmp_path / "set", tmp_path / "partial", detector="mtcnn", policy="largest")
    assert np.array_equal(largest.pixels[6], align(picture(6), points(0)))


def test_no_face_is_a_failure_with_the_centre_of_the_picture(detector, tmp_path):
    detector["answer"] = lambda image, zoom=1.0: NOBODY
    result = enrol(lambda: picture(3), "3.jpg", None, detector["answer"])
    assert result.failure == "no face found" and np.array_equal(result.crop, centre_crop(picture(3)))
    assert enrol(lambda: picture(3), "3.jpg").failure == "no landmarks given" and result.attempt == 0
    with pytest.raises(FiqaError, match="not one of 20 images .* first, person_0/0000.jpg: no face found"):
        store(listing(landmarks=False), tmp_path / "set", tmp_path / "partial", detector="mtcnn")


def test_a_face_is_looked_for_again_at_other_sizes():
    zooms = []
    found = Faces(np.ones((1, 4)), points(0)[None], np.array([0.7]))
    faces, attempt = look(picture(0), lambda image,
                          zoom=1.0: zooms.append(zoom) or (found if zoom < 1 else NOBODY))
    assert zooms == [1.0, *enrolment.RETRY_ZOOMS] and attempt == 2 and len(faces.scores) == 1
    assert np.array_equal(faces.landmarks[0], points(0))
    assert look(picture(0), lambda image: found)[1] == 1


def test_a_picture_that_is_no_crop_fails_where_crops_are_promised():
    result = enrol(lambda: picture(0), "0.jpg", aligned=True)
    assert result.failure == "not an aligned 112 x 112 crop but 160 x 160 pixels"


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_any_number_of_threads_writes_the_same_bytes(tmp_path, workers):
    def uneven(row):
        time.sleep(0.002 * (row * 7 % 5))
        return broken(row)

    store(listing(), tmp_path / "clean", tmp_path / "p0", workers=1)
    store(listing(read=broken), tmp_path / "one", tmp_path / "p1", workers=1)
    store(listing(read=uneven), tmp_path / "many", tmp_path / "p2", workers=workers)
    assert contents(tmp_path / "one") == contents(tmp_path / "many") != contents(tmp_path / "clean")


def test_interrupted_work_goes_on_from_its_finished_shards(tmp_path):
    reads = []

    def stopping(row):
        reads.append(row)
        if row == 14:
            raise KeyboardInterrupt
        return picture(row)

    with pytest.raises(KeyboardInterrupt):
        store(listing(read=stopping), tmp_path / "set", tmp_path / "partial", workers=1)
    assert not (tmp_path / "set").exists() and len(list((tmp_path / "partial").glob("outcome-*"))) == 2
    reads.clear()
    store(listing(read=lambda row: reads.append(row) or picture(row)), tmp_path / "set", tmp_path / "partial",
          workers=1)
    assert reads == list(range(12, COUNT))
    store(listing(), tmp_path / "whole", tmp_path / "elsewhere")
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


def test_other_work_does_not_go_on_from_it(tmp_path):
    store(listing(), tmp_path / "set", tmp_path / "partial")
    reads = []
    moved = listing(read=lambda row: reads.append(row) or picture(row))
    store(moved, tmp_path / "set", tmp_path / "partial")
    assert reads == []
    moved.landmarks[3] += 1
    faces = store(moved, tmp_path / "set", tmp_path / "partial")
    assert sorted(reads) == list(range(COUNT)) and np.array_equal(faces.pixels[3],
                                                                  align(picture(3), points(3) + 1))


def test_finished_work_is_linked_and_never_written_through(tmp_path):
    store(listing(), tmp_path / "set", tmp_path / "partial")
    finished = (tmp_path / "partial" / "pixels.npy").read_bytes()
    assert os.path.samefile(tmp_path / "set" / "pixels.npy", tmp_path / "partial" / "pixels.npy")
    store(listing(read=broken), tmp_path / "set", tmp_path / "other")
    assert (tmp_path / "partial" / "pixels.npy").read_bytes() == finished


def test_options_that_do_not_fit(tmp_path, monkeypatch):
    def attempt(of, **options):
        return store(of, tmp_path / "set", tmp_path / "partial", **options)

    (tmp_path / "points.csv").write_text("path,landmarks\nx.jpg,1 2 3 4 5 6 7 8 9 10\n")
    crops = listing(aligned=True, landmarks=False)
    for arguments, options, message in (
        (crops, {"detector": "mtcnn"}, "holds aligned crops, but a detector"),
        (listing(landmarks=False), {}, "nothing says where the faces are"),
        (listing(0, landmarks=False), {}, "lists no image"),
        (
            listing(),
            {"landmarks": tmp_path / "points.csv"},
            "of none of LFW: it says x.jpg, .* person_0/0000.jpg",
        ),
        (listing(landmarks=False), {"detector": tmp_path / "no.onnx"}, "no.onnx is missing"),
    ):
        with pytest.raises(FiqaError, match=message):
            attempt(arguments, **options)
    monkeypatch.setattr(store_module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(FiqaError, match=r"LFW needs 0.0 GB below .*partial, 0.0 GB are free"):
        attempt(listing())


KILLED = """
import os, signal, sys
from pathlib import Path
from fiqa_core.benchmarks import store as store_module
from fiqa_core.benchmarks.store import store
from tests.benchmarks.test_store import listing
store_module.SHARD, write = 6, store_module.write_outcome
def dying(path, done):
    if "18" in path.name:
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, done)
store_module.write_outcome = dying
folder = Path(sys.argv[1])
store(listing(60), folder / "set", folder / "partial", workers=2)
"""


def test_killed_in_the_middle_and_resumed_gives_the_same_bytes(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]  # it dies between a shard's crops and their outcome
    assert finished(command, cwd=Path(__file__).parents[2]).returncode == -signal.SIGKILL
    assert len(list((tmp_path / "partial").glob("outcome-*"))) == 3
    reads = []
    long = listing(60, read=lambda row: reads.append(row) or picture(row))
    store(long, tmp_path / "set", tmp_path / "partial")
    assert sorted(reads) == list(range(18, 60))
    store(listing(60), tmp_path / "whole", tmp_path / "elsewhere")
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")
