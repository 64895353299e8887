"""What millions of pairs need gives the numbers of the plain way: codes, blocks, cut impostors."""
import dataclasses

import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, load_face_set, write_pairs
from fiqa_core.evaluation import comparisons, edc_large
from fiqa_core.evaluation.comparisons import benchmark_pairs
from fiqa_core.evaluation.curves import Measure, Settings
from fiqa_core.evaluation.edc import edc
from fiqa_core.evaluation.evaluate import evaluate
from fiqa_core.pipeline.embed import thinned
from tests.base.test_faces import categorical
from tests.helpers.small_project import face_set


def test_a_face_set_with_categorical_pairs_is_checked_and_measured_alike(tmp_path):
    faces = face_set(8)
    ids = faces.images["template_id"]
    coded = dataclasses.replace(faces, pairs=categorical(faces.pairs, *ids))
    plain, quick = benchmark_pairs(faces), benchmark_pairs(coded)
    for name in ("a", "b", "identity_a", "identity_b", "genuine", "fold"):
        assert np.array_equal(getattr(plain, name), getattr(quick, name)), name
    for pairs in (faces.pairs, coded.pairs):
        with pytest.raises(FiqaError, match="1 templates in pairs are not in images, face 007 first"):
            FaceSet("LFW", faces.pixels[:7], faces.images[:7], pairs)


def test_saving_a_loaded_face_set_over_itself_keeps_its_pixels(tmp_path):
    faces = face_set(8)
    faces.save(tmp_path / "LFW")
    inode = (tmp_path / "LFW" / "pixels.npy").stat().st_ino
    loaded = load_face_set(tmp_path / "LFW")
    loaded.save(tmp_path / "LFW")
    assert (tmp_path / "LFW" / "pixels.npy").stat().st_ino == inode
    upside_down = dataclasses.replace(loaded, pixels=loaded.pixels[::-1])
    upside_down.save(tmp_path / "LFW")
    assert np.array_equal(load_face_set(tmp_path / "LFW").pixels, faces.pixels[::-1])


@pytest.mark.parametrize("most", [1, 7, 10**6])
@pytest.mark.parametrize("fused", [False, True])
def test_blocks_of_templates_pool_to_the_same_bits(monkeypatch, most, fused):
    generator = np.random.default_rng(0)
    template = generator.permutation(np.append(np.arange(40), generator.integers(40, size=160)))
    media, keep = generator.integers(60, size=200), generator.random(200) < 0.8
    keep[np.unique(template, return_index=True)[1]] = True
    vectors = generator.standard_normal((200, 16)).astype(np.float32)
    quality = generator.standard_normal(200) if fused else None
    whole = comparisons.pool(vectors[keep], template[keep], media[keep],
                             None if quality is None else quality[keep])
    monkeypatch.setattr(comparisons, "POOLED", most)
    blocked = comparisons.pool(vectors, template, media, quality, keep=keep)
    assert blocked.dtype == np.float32 and np.array_equal(blocked, whole)
    expected = np.stack(
        [pooled_by_hand(vectors, quality, np.flatnonzero(keep & (template == t)), media) for t in range(40)]
    )
    assert np.allclose(blocked, expected, atol=1e-6)


def pooled_by_hand(vectors, quality, rows, media):
    """One template: unit vectors, weighted mean per medium, sum, unit length."""
    weight = (
        np.ones(len(vectors)) if quality is None or (quality[rows] <= 0).all() else np.maximum(quality, 0)
    )
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    means = [np.mean([weight[row] * units[row] for row in rows[media[rows] == medium]], axis=0)
             for medium in np.unique(media[rows])]
    return np.sum(means, axis=0) / np.linalg.norm(np.sum(means, axis=0))


def test_ranks_sort_as_comparisons_do(monkeypatch):
    monkeypatch.setattr(edc_large, "RADIX", 10)
    generator = np.random.default_rng(0)
    for values in (generator.integers(0, 9, 500) / 7, generator.standard_normal(500),
                   np.array([0.0, -0.0] * 9), np.append(generator.random(50), [-np.inf] * 5),
                   generator.random(70_000)):
        assert np.array_equal(edc_large.stable_order(values), np.argsort(values, kind="stable"))


@pytest.mark.parametrize("least", [1, 40, 10_000])
@pytest.mark.parametrize("takes", ["at random", "the highest impostors first"])
def test_the_highest_impostors_give_the_whole_curve(monkeypatch, least, takes):
    monkeypatch.setattr(edc_large, "LEAST", least)
    monkeypatch.setattr(edc_large, "MARGIN", 1)
    generator = np.random.default_rng(3)
    genuine = generator.random(4000) < 0.1
    similarity = np.round(0.3 * generator.standard_normal(4000) + 0.7 * genuine, 2)  # with ties and beyond 1
    quality = (
        generator.integers(0, 30, 4000) / 10 if takes == "at random" else np.where(genuine, 1.0, -similarity)
    )
    quality[generator.random(4000) < 0.01] = np.inf
    used = generator.random(4000) < 0.9
    expected = edc(similarity[used], genuine[used], quality[used], "paper", 1e-2)
    got = edc_large.JointDiscard(similarity, genuine, 1e-2).curve(edc_large.discard_levels(quality, used),
                                                                  int(used.sum()), 0)
    for field in dataclasses.fields(expected):
        pair = getattr(expected, field.name), getattr(got, field.name)
        assert np.array_equal(*pair, equal_nan=field.type is np.ndarray)
    with pytest.raises(FiqaError, match="impostor pairs are too few for preset paper at fmr 1e-05"):
        edc_large.JointDiscard(similarity, genuine, 1e-5).curve(edc_large.discard_levels(quality, used),
                                                                int(used.sum()), 0)


@pytest.mark.parametrize("preset", ["iso", "paper"])
@pytest.mark.parametrize("failures", [0, 3])
def test_cached_thresholds_change_no_point(preset, failures):
    """Failures of one method alone lower similarities for it alone, so its threshold is found anew."""
    faces = benchmark_of(300)
    pairs, generator = benchmark_pairs(faces), np.random.default_rng(5)
    similarity = {name: 0.2 * generator.standard_normal(len(pairs.a)) + 0.5 * pairs.genuine
                  for name in ("A", "B")}
    quality = generator.random(300)
    quality[generator.permutation(300)[:failures]] = -np.inf
    measured = Measure(pairs, similarity, Settings(fmr=1e-2, resamples=0), [0]).points(
        pairs.quality(quality), preset
    )
    for name, values in similarity.items():
        expected = edc(values, pairs.genuine, pairs.quality(quality), preset, 1e-2)
        assert (
            measured.pauc[name, 0.3] == expected.pauc(0.3)
            and measured.curves[name].failures == expected.failures
        )
        assert np.array_equal(measured.curves[name].thresholds, expected.thresholds)
        assert (measured.curves[name].fmr, measured.curves[name].errors) == (expected.fmr, expected.errors)


def benchmark_of(count: int) -> FaceSet:
    """`count` images of count / 3 identities, 200 genuine and 4,000 impostor pairs; pictures are black."""
    generator, number = np.random.default_rng(2), np.arange(count)
    ids = np.array([f"i{i}" for i in number])
    images = pd.DataFrame(
        {"image_id": ids, "identity": number // 3, "template_id": ids, "media_id": ids, "crossfit": 0}
    )
    a = generator.integers(count, size=4200)
    genuine = np.arange(4200) < 200
    b = np.where(genuine, a // 3 * 3 + (a + 1) % 3,
                 (a + 3 * generator.integers(1, count // 3, size=4200)) % count)
    pairs = pd.DataFrame({"a": ids[a], "b": ids[b], "genuine": genuine.astype(int), "fold": -1})
    return FaceSet("B", np.broadcast_to(np.uint8(0), (count, 112, 112, 3)), images, pairs)


def test_evaluation_of_a_binary_face_set_gives_the_same_tables(tmp_path, monkeypatch):
    faces, generator = benchmark_of(300), np.random.default_rng(1)
    scores = pd.DataFrame(
        {
            "benchmark": "B",
            "image_id": faces.images["image_id"],
            "method": "m",
            "score": generator.random(300),
        }
    )
    embeddings = {("R", "B"): generator.standard_normal((300, 16)).astype(np.float32)}
    chosen = {"fmr": 1e-2, "resamples": 20, "draws": 3}
    expected = evaluate({"B": faces}, embeddings, scores, chosen)
    monkeypatch.setattr("fiqa_core.base.faces.write_pairs", lambda pairs,
                        folder: write_pairs(pairs, folder, 10))
    faces.save(tmp_path / "B")
    loaded = load_face_set(tmp_path / "B")
    assert (tmp_path / "B" / "pairs.npz").is_file()
    for name, table in evaluate({"B": loaded}, embeddings, scores, chosen).items():
        pd.testing.assert_frame_equal(table, expected[name])


def test_a_figure_of_many_pairs_shows_all_genuine_ones():
    pairs = pd.DataFrame({"genuine": [0, 1, 0, 0, 1, 0, 0, 0], "number": range(8)})
    assert thinned(pairs, 6).equals(pairs)
    assert thinned(pairs, 3)["number"].tolist() == [0, 1, 3, 4, 7]
