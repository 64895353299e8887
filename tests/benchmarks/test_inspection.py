"""Looking at prepared faces: landmarks in crops against the fit one by one, summaries, the second look."""
import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import POINT_COLUMNS, FaceSet, empty_pairs
from fiqa_core.benchmarks import inspection
from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE, similarity_transform
from fiqa_core.benchmarks.detectors import Faces
from fiqa_core.reporting.figure_alignment import aligned_sheet, distributions, failure_sheet, second_look


def turned(count: int = 6) -> np.ndarray:
    """Landmarks of faces of several sizes, turned and a little out of shape, the last one unknown."""
    random = np.random.default_rng(1)
    points = ARCFACE_TEMPLATE + random.normal(0, 3, (count, 5, 2))
    for i, angle in enumerate(random.uniform(-3, 3, count)):
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points[i] = (1 + i) * points[i] @ rotation.T + (100, 20 * i)
    points[-1] = np.nan
    return points


def face_set(name: str = "LFW", **columns) -> FaceSet:
    ids = [f"i{row}" for row in range(6)]
    images = pd.DataFrame(
        {"image_id": ids, "identity": ids, "template_id": ids, "media_id": ids, "crossfit": 0}
    )
    return FaceSet(name, np.zeros((6, 112, 112, 3), np.uint8), images.assign(**columns), empty_pairs())


def test_landmarks_lie_in_the_crop_where_alignment_takes_them():
    points = turned()
    placed = inspection.in_crop(points)
    for one, found in zip(points[:-1], placed):
        matrix = similarity_transform(one, ARCFACE_TEMPLATE)
        assert np.allclose(found, one @ matrix[:, :2].T + matrix[:, 2], atol=1e-9)
    assert np.isnan(placed[-1]).all()


def test_measures_of_a_known_face():
    points = np.stack([2 * ARCFACE_TEMPLATE + 7])
    assert inspection.eye_distance(points)[0] == pytest.approx(
        2 * np.hypot(73.5318 - 38.2946, 51.6963 - 51.5014)
    )
    assert inspection.misfit(inspection.in_crop(points))[0] == pytest.approx(0, abs=1e-9)
    assert inspection.misfit((ARCFACE_TEMPLATE + (3, 4))[None])[0] == pytest.approx(5)


def test_summary_with_and_without_landmarks():
    known = dict(zip(POINT_COLUMNS, turned().reshape(6, 10).T))
    images = face_set(fte=[0, 0, 0, 0, 0, 1], attempt=[1, 2, 1, 1, 1, 0], **known).images
    row = inspection.summary("LFW", images)
    assert (row["images"], row["failures"], row["second_attempt"], row["landmarks"]) == (6, 1, 1, 5)
    assert (
        row["share"] == pytest.approx(1 / 6) and row["eye_distance"] > 20 and np.isnan(row["detector_score"])
    )
    bare = inspection.summary("demo", face_set().images)
    assert bare["failures"] == bare["landmarks"] == 0 and np.isnan(bare["misfit"])


def test_failures_with_their_reasons(tmp_path, monkeypatch):
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    (tmp_path / "params.yaml").write_text("suite: test\n")
    with pytest.raises(FiqaError, match="faces.csv is missing"):
        inspection.prepared_names()
    face_set("B", fte=[0, 1, 0, 0, 1, 0]).save(tmp_path / "build" / "test" / "benchmarks" / "B")
    face_set("A").save(tmp_path / "build" / "test" / "benchmarks" / "A")
    face_set("left over").save(tmp_path / "build" / "test" / "benchmarks" / "left over")
    (tmp_path / "results" / "test" / "prepare").mkdir(parents=True)
    (tmp_path / "results" / "test" / "prepare" / "faces.csv").write_text("name,images\nB,6\ntraining,6\nA,6\n")
    assert inspection.prepared_names() == ["A", "B"]
    (tmp_path / "results" / "test" / "prepare" / "failures.csv").write_text(
        "benchmark,image_id,reason\nB,i4,no face found\n"
    )
    table = inspection.failures(["A", "B"])
    assert table["row"].tolist() == [1, 4] and table["reason"].tolist() == [
        inspection.NOTHING,
        "no face found",
    ]


def test_a_second_look_takes_the_central_face_in_pixels_of_the_crop():
    def find(image):
        assert image.shape == (224, 224, 3) and image[0, 0, 0] == inspection.GREY and image[56, 56, 0] == 0
        boxes = np.array([(0, 0, 80, 80), (72, 72, 152, 152)], float)
        return Faces(boxes, np.stack([ARCFACE_TEMPLATE * 0, ARCFACE_TEMPLATE + inspection.MARGIN]),
                     np.ones(2))

    found = inspection.found_again(face_set(), np.array([0, 3]), find)
    assert np.allclose(found, ARCFACE_TEMPLATE)
    nobody = Faces(np.empty((0, 4)), np.empty((0, 5, 2)), np.empty(0))
    assert np.isnan(inspection.found_again(face_set(), np.array([1]), lambda image: nobody)).all()


def test_rows_are_drawn_from_faces_that_were_found():
    faces = face_set(fte=[0, 1, 0, 0, 1, 0])
    assert set(inspection.spread_rows(faces, 3)) < {0, 2, 3, 5}
    assert inspection.spread_rows(faces, 9).tolist() == [0, 2, 3, 5]
    assert (
        inspection.spread_rows(face_set(), 4, seed=1).tolist()
        != inspection.spread_rows(face_set(), 4).tolist()
    )


def test_figures_say_what_they_show():
    points = inspection.in_crop(turned())
    pixels = np.zeros((6, 112, 112, 3), np.uint8)
    assert "found in 5 of them" in aligned_sheet(pixels, points, columns=4).get_label()
    assert "i1, no face" in failure_sheet(pixels[:1], ["i1, no face"]).get_label()
    assert "every image" in failure_sheet(pixels[:0], []).get_label()
    table = inspection.measures("LFW", face_set(**dict(zip(POINT_COLUMNS, turned().reshape(6, 10).T))).images)
    shown = distributions(table)
    assert len(shown.axes) == 2 and "distance of the eyes" in shown.get_label()
    assert (
        "No landmarks are known" in distributions(inspection.measures("demo", face_set().images)).get_label()
    )
    panels = second_look({"LFW": points, "CFP-FP": points[:2]})
    assert [axis.get_title() for axis in panels.axes] == ["LFW: 5 of 6 seen", "CFP-FP: 2 of 2 seen"]
