"""Templates pooled by hand, and pairs of them."""
import dataclasses

import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.evaluation import comparisons
from fiqa_core.evaluation.comparisons import (benchmark_pairs, pair_quality, pair_similarity, pool,
                                              template_quality)
from tests.base.test_faces import categorical
from tests.helpers.small_project import face_set

TEMPLATE = np.array([0, 1, 0, 0, 1])
MEDIA = np.array([7, 7, 7, 9, 8])          # template 0: a clip of two frames and a still; 1: two stills


def unit(vector):
    return np.asarray(vector) / np.linalg.norm(vector)


def test_frames_of_a_clip_count_once():
    embeddings = np.random.default_rng(0).standard_normal((5, 4))
    faces = np.array([unit(e) for e in embeddings])
    want = [unit((faces[0] + faces[2]) / 2 + faces[3]), unit(faces[1] + faces[4])]
    assert np.allclose(pool(embeddings, TEMPLATE, MEDIA), want, atol=1e-6)


@pytest.mark.parametrize("most", [1, 7, 10**6])
@pytest.mark.parametrize("fused", [False, True])
def test_blocks_of_templates_pool_to_the_same_bits(monkeypatch, most, fused):
    generator = np.random.default_rng(0)
    template = generator.permutation(np.append(np.arange(40), generator.integers(40, size=160)))
    media, keep = generator.integers(60, size=200), generator.random(200) < 0.8
    keep[np.unique(template, return_index=True)[1]] = True
    vectors = generator.standard_normal((200, 16)).astype(np.float32)
    quality = generator.standard_normal(200) if fused else None
    whole = pool(vectors[keep], template[keep], media[keep], quality[keep] if fused else None)
    monkeypatch.setattr(comparisons, "POOLED", most)
    blocked = pool(vectors, template, media, quality, keep=keep)
    assert blocked.dtype == np.float32 and np.array_equal(blocked, whole)
    by_hand = [pooled_by_hand(vectors, quality, np.flatnonzero(keep & (template == t)), media)
               for t in range(40)]
    assert np.allclose(blocked, by_hand, atol=1e-6)


def pooled_by_hand(vectors, quality, rows, media):
    """One template: unit vectors, weighted mean per medium, sum, unit length."""
    plain = quality is None or (quality[rows] <= 0).all()
    weight = np.ones(len(vectors)) if plain else np.maximum(quality, 0)
    means = [np.mean([weight[row] * unit(vectors[row]) for row in rows[media[rows] == medium]], axis=0)
             for medium in np.unique(media[rows])]
    return unit(np.sum(means, axis=0))


def test_fusion_weighs_by_quality():
    faces = np.array([unit(e) for e in np.random.default_rng(1).standard_normal((5, 4))])
    quality = np.array([.2, 0, .8, .5, -3])
    want = unit((.2 * faces[0] + .8 * faces[2]) / 2 + .5 * faces[3])
    fused = pool(faces, TEMPLATE, MEDIA, quality)
    assert np.allclose(fused[0], want, atol=1e-6)
    assert np.allclose(fused[1], unit(faces[1] + faces[4]), atol=1e-6)       # no weight left: the plain mean
    assert np.allclose(pool(faces, TEMPLATE, MEDIA, np.full(5, .3)), pool(faces, TEMPLATE, MEDIA), atol=1e-6)


def test_stills_pool_to_themselves():
    embeddings = np.random.default_rng(2).standard_normal((6, 3)).astype(np.float32)
    pooled = pool(embeddings, np.arange(6), np.zeros(6, dtype=int))
    assert np.allclose(pooled, [unit(e) for e in embeddings], atol=1e-6) and pooled.dtype == np.float32


def test_template_quality_by_hand():
    quality = np.array([.2, .5, .4, .9, .7])
    assert template_quality(quality, TEMPLATE, MEDIA).tolist() == [.2, .5]
    assert template_quality(quality, TEMPLATE, MEDIA, "max").tolist() == [.9, .7]
    assert np.allclose(template_quality(quality, TEMPLATE, MEDIA, "mean"), [(.3 + .9) / 2, .6])


@pytest.mark.parametrize("how", ["min", "mean", "max"])
def test_unscored_and_failed_images(how):
    partly = template_quality([np.nan, .5, .4, .9, .7], TEMPLATE, MEDIA, how)
    assert np.isnan(partly).tolist() == [True, False]
    inf = -np.inf
    lost = template_quality([inf, inf, .4, .4, inf], TEMPLATE, MEDIA, how)
    assert np.allclose(lost, [.4, inf])


def test_pairs_do_not_depend_on_the_chunk():
    generator = np.random.default_rng(3)
    vectors = pool(generator.standard_normal((50, 16)), np.arange(50), np.arange(50))
    a, b = generator.integers(50, size=(2, 333))
    whole = pair_similarity(vectors, a, b)
    assert np.array_equal(whole, pair_similarity(vectors, a, b, chunk=7))
    assert np.allclose(whole, [vectors[i] @ vectors[j] for i, j in zip(a, b)], atol=1e-6)
    assert pair_quality(np.array([.1, .5, .3]), np.array([0, 1]), np.array([1, 2])).tolist() == [.1, .3]


def test_bad_input_is_named():
    with pytest.raises(FiqaError, match="5 embeddings"):
        pool(np.ones((5, 2)), TEMPLATE[:4], MEDIA)
    with pytest.raises(FiqaError, match="gaps"):
        pool(np.ones((2, 2)), np.array([0, 2]), np.array([0, 0]))
    with pytest.raises(FiqaError, match="'median'"):
        template_quality(np.ones(5), TEMPLATE, MEDIA, "median")


def test_a_face_set_with_categorical_pairs_is_checked_and_measured_alike():
    faces = face_set(8)
    ids = faces.images["template_id"]
    coded = dataclasses.replace(faces, pairs=categorical(faces.pairs, *ids))
    plain, quick = benchmark_pairs(faces), benchmark_pairs(coded)
    for name in ("a", "b", "identity_a", "identity_b", "genuine", "fold"):
        assert np.array_equal(getattr(plain, name), getattr(quick, name)), name
    for pairs in (faces.pairs, coded.pairs):
        with pytest.raises(FiqaError, match="1 templates in pairs are not in images, face 007 first"):
            FaceSet("LFW", faces.pixels[:7], faces.images[:7], pairs)
