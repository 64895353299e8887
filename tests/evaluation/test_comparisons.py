"""Templates pooled by hand, and pairs of them."""
import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.comparisons import pair_quality, pair_similarity, pool, template_quality

TEMPLATE = np.array([0, 1, 0, 0, 1])
MEDIA = np.array([7, 7, 7, 9, 8])          # template 0: a clip of two frames and a still; 1: two stills


def unit(vector):
    return np.asarray(vector) / np.linalg.norm(vector)


def test_frames_of_a_clip_count_once():
    embeddings = np.random.default_rng(0).standard_normal((5, 4))
    faces = np.array([unit(e) for e in embeddings])
    want = [unit((faces[0] + faces[2]) / 2 + faces[3]), unit(faces[1] + faces[4])]
    assert np.allclose(pool(embeddings, TEMPLATE, MEDIA), want, atol=1e-6)
    raw = [unit((embeddings[0] + embeddings[2]) / 2 + embeddings[3]), unit(embeddings[1] + embeddings[4])]
    assert np.allclose(pool(embeddings, TEMPLATE, MEDIA, keep_norm=True), raw, atol=1e-6)


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
