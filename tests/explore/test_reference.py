"""The faces to compare with: who they are, and work that goes on where it ended and is done once."""
import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.faces import load_face_set
from fiqa_core.challenges.component_measures import COMPONENTS
from fiqa_core.explore import reference
from fiqa_core.explore.kit import Choice, Kit, kit_of, recognisers
from fiqa_core.explore.portrait import portrait
from fiqa_core.explore.reference import OWN, Reference, own_faces, references, suite_column
from fiqa_core.explore.state import State
from fiqa_core.pipeline.score import pipeline_method, score_pixels
from fiqa_core.recognisers.recogniser import embed


def test_the_set_is_the_same_every_time(root):
    first, again = own_faces(), own_faces()
    pd.testing.assert_frame_equal(first.images, again.images)
    pd.testing.assert_frame_equal(first.pairs, again.pairs)
    assert first.pairs["genuine"].sum() == 4 * 15 and (first.pairs["genuine"] == 0).sum() == 200


def test_scores_and_embeddings_are_those_of_the_methods(kit, faces):
    assert faces.ready == len(faces.faces) == 24
    for slug in ("faceqan", "diffiqa", "prefiqs", "sharpness"):
        wanted = score_pixels(pipeline_method(slug), faces.faces.pixels, 1, None)
        np.testing.assert_allclose(faces.scores[kit.scorers[slug].digest], wanted, atol=2e-4)
    np.testing.assert_allclose(faces.embeddings[kit.recogniser_digest],
                               embed(kit.recogniser, faces.faces.pixels), atol=1e-5)


def test_finished_work_is_kept_and_an_interruption_loses_nothing(kit, faces):
    new = Reference(own_faces(), 0)
    assert list(new.work(kit)) == []                            # all of it lies in build/explorer
    np.testing.assert_array_equal(new.faces.pixels, faces.faces.pixels)
    assert {key: value.tolist() for key, value in new.scores.items()} == {
        key: value.tolist() for key, value in faces.scores.items()}


def test_work_is_cut_into_small_steps(root, monkeypatch):
    monkeypatch.setattr(reference, "keep",
                        lambda *parts: root / "elsewhere" / ("-".join(parts)[:60] + ".npy"))
    new = Reference(own_faces(), 0)
    said = list(new.work(Kit(None)))
    assert said[0] == "rendering the faces to compare with, 4 of 24" and len(said) == 6 * (1 + len(COMPONENTS) + 3)
    assert said[-1] == "Symmetry of the faces to compare with, 24 of 24"
    np.testing.assert_array_equal(new.faces.pixels[5], portrait(new.state_of(5, State()))[0])


def test_a_suites_benchmark_brings_its_own_scores(root, kit):
    table = pd.DataFrame({"benchmark": "LFW", "image_id": [f"face {i:03d}" for i in range(12)],
                          "method": "Sharpness",
                          "score": np.arange(12.0)})
    path = root / "results" / "demo" / "scores" / "sharpness.csv"
    path.parent.mkdir()
    table.iloc[2:].to_csv(path, index=False)
    references.cache_clear()
    try:
        assert list(references()) == ["LFW", OWN]
        faces = load_face_set(root / "build" / "demo" / "benchmarks" / "LFW")
        column = suite_column(kit.scorers["sharpness"], faces)
        assert np.isnan(column[:2]).all() and column[2:].tolist() == list(range(2, 12))
        assert suite_column(kit.scorers["prefiqs"], faces) is None
        bench = reference.reference_of("LFW")
        state = bench.state_of(3, State(fmr=0.1))
        np.testing.assert_array_equal(state.pixels(), faces.pixels[3])
        assert state.picture_name == "face 003" and state.fmr == 0.1
    finally:
        path.unlink()
        references.cache_clear()
    assert list(references()) == [OWN]


def test_scores_of_the_suite_count_for_its_networks_alone(kit):
    assert kit.suite_scores(kit.scorers["faceqan"]) and kit.suite_scores(kit.scorers["sharpness"])
    other = Choice("file:cosface", "mine", "photographs", kit.choice.path)
    assert not kit.suite_scores(type(kit.scorers["faceqan"])("faceqan", "FaceQAN", None, on=other.key))


def test_every_recogniser_says_what_it_was_trained_on(root):
    found = recognisers()
    assert next(iter(found)) == "run:cosface"
    assert all(choice.trained_on and choice.path.is_file() for choice in found.values())
    assert kit_of("no such one").choice == found["run:cosface"]


@pytest.mark.parametrize("slug", ["faceqan", "diffiqa"])
def test_slow_methods_come_last(kit, slug):
    assert kit.scorers[slug].slow and not kit.scorers["prefiqs"].slow
