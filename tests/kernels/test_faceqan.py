"""FaceQAN against closed forms and a plain transcription; noise; batching."""
import numpy as np
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.kernels import noise
from fiqa_core.kernels.chunks import Chunks
from fiqa_core.kernels.faceqan import FaceQAN, attack, quality
from tests.helpers import plain_reference
from tests.helpers.small_networks import InFloat64, LimitedMemory, faces, recogniser


@pytest.mark.parametrize("variant", ["reference", "paper"])
def test_equals_the_plain_transcription(variant):
    images, network = faces(3), InFloat64(recogniser())
    ours = FaceQAN(network, repeats=3, iterations=4, variant=variant)(images)
    plain = plain_reference.faceqan(images, network, repeats=3, iterations=4, variant=variant)
    torch.testing.assert_close(ours, plain, atol=1e-9, rtol=0)


def test_step_of_a_linear_recogniser_has_the_known_direction():
    """d/dx (1 - cos(y, Wx)) is W^T applied to the known gradient of the cosine; the step is its sign."""
    W = torch.randn(5, 3 * 4 * 4, generator=torch.Generator().manual_seed(3)).double()
    x = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(4)).double() * 0.5 + 0.25
    y = torch.randn(2, 5, generator=torch.Generator().manual_seed(5)).double()
    seen = []

    def linear(images):
        seen.append(images.detach().clone())
        return images.flatten(1) @ W.T

    found = attack(linear, x.clone(), y, epsilon=0.01, iterations=2)
    e = x.flatten(1) @ W.T
    cos = torch.cosine_similarity(y, e)[:, None]
    unit_y, unit_e = y / y.norm(dim=1, keepdim=True), e / e.norm(dim=1, keepdim=True)
    ascent = -((unit_y - cos * unit_e) / e.norm(dim=1, keepdim=True)) @ W
    torch.testing.assert_close(seen[1], x + 0.01 * ascent.view_as(x).sign())
    torch.testing.assert_close(found[:, 0], cos[:, 0])
    assert (found[:, 1] < found[:, 0]).all()


def test_only_the_observed_steps_need_a_backward_pass():
    count = {"reference": 0, "paper": 0}

    class Counting(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, variant):
            ctx.variant = variant
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            count[ctx.variant] += 1
            return gradient, None

    for variant in count:
        attack(lambda x: Counting.apply(x, variant).flatten(1), torch.rand(2, 3, 4, 4), torch.rand(2, 48),
               1e-3, 5, variant)
    assert count == {"reference": 4, "paper": 5}


def test_epsilon_zero_of_a_symmetric_face_is_perfect():
    images = faces(1)
    images = (images + images.flip(3)) / 2
    score = FaceQAN(recogniser(), epsilon=0.0, repeats=2, iterations=2)(images)
    torch.testing.assert_close(score, torch.ones(1), atol=1e-5, rtol=0)


def test_quality_by_hand():
    s = torch.tensor([[[0.8, 0.6], [1.0, 0.8]]])  # mean 0.8, population std sqrt(0.02)
    expected = 0.9 * (1 - 0.02**0.5)
    assert quality(s, torch.tensor([0.5]), 5).item() == pytest.approx((expected * 0.5) ** 5, rel=1e-5)
    assert quality(s, torch.tensor([-0.5]), 5).item() == pytest.approx(-((expected * 0.5) ** 5), rel=1e-5)
    assert quality(s, None, 1).item() == pytest.approx(expected, rel=1e-5)


def test_ablations_follow_from_one_set_of_similarities():
    images, network = faces(2), recogniser()
    s, symmetry = FaceQAN(network, repeats=4, iterations=3).similarities(images)
    assert s.shape == (2, 4, 3) and symmetry.shape == (2,)
    torch.testing.assert_close(quality(s[:, :2, :2], symmetry),
                               FaceQAN(network, repeats=2, iterations=2)(images))
    torch.testing.assert_close(quality(s, None),
                               FaceQAN(network, repeats=4, iterations=3, symmetry=False)(images))


def test_score_does_not_depend_on_the_batch_or_its_order():
    images, network = faces(5), InFloat64(recogniser())
    whole = FaceQAN(network, repeats=2)(images)
    singles = torch.cat([FaceQAN(network, repeats=2)(image[None]) for image in images])
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(whole, singles, atol=1e-9, rtol=0)
    torch.testing.assert_close(whole[order], FaceQAN(network, repeats=2)(images[order]), atol=1e-9, rtol=0)


def test_chunks_do_not_change_the_score_and_follow_the_budget():
    images, network = faces(4), LimitedMemory(InFloat64(recogniser()), limit=10**6)
    large = FaceQAN(network, repeats=3)(images)
    assert max(network.seen) == 12
    network.seen.clear()
    small = FaceQAN(network, repeats=3, budget=2**21)
    torch.testing.assert_close(small(images), large, atol=1e-9, rtol=0)
    assert max(network.seen) * small.chunks._bytes["attack"] <= 2**21 and max(network.seen) < 12


def test_running_out_of_memory_halves_the_chunk():
    images, network = faces(4), InFloat64(recogniser())
    limited = LimitedMemory(network, limit=5)
    method = FaceQAN(limited, repeats=3)
    torch.testing.assert_close(method(images), FaceQAN(network, repeats=3)(images), atol=1e-9, rtol=0)
    assert limited.seen.count(12) == 1 and max(limited.seen[-3:]) <= 5
    with pytest.raises(FiqaError, match="single sample"):
        FaceQAN(LimitedMemory(network, limit=0), repeats=2)(images)


def test_chunk_run_covers_every_sample_once():
    for size in (1, 3, 7, 100):
        found = Chunks().run(lambda first, last: torch.arange(first, last), 10, size)
        assert found.tolist() == list(range(10))


def test_generator_decides_the_noise_and_none_means_a_fixed_seed():
    images, network = faces(2), recogniser()

    def similarities(generator):
        return FaceQAN(network, epsilon=0.05, repeats=2, generator=generator).similarities(images)[0]

    torch.testing.assert_close(similarities(None), similarities(None), atol=0, rtol=0)
    seeded = [similarities(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(seeded[0], seeded[1]) and not torch.equal(seeded[0], seeded[2])


def test_equal_images_share_noise_and_different_ones_do_not():
    images = faces(2)
    a, b, c = noise.content_keys(torch.cat((images, images[:1])))
    assert a == c and a != b
    drawn = [noise.uniform([noise.sample_generator(1, key, repeat)], (3, 8, 8), "cpu", 1e-3)
             for key, repeat in ((a, 0), (c, 0), (b, 0), (a, 1))]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[3])
    assert max(d.abs().max() for d in drawn) <= 1e-3


def test_no_gradient_reaches_the_weights():
    network = recogniser()
    FaceQAN(network, repeats=2)(faces(1))
    assert all(parameter.grad is None for parameter in network.parameters())


def test_empty_batch_and_bad_input():
    method = FaceQAN(recogniser(), repeats=2)
    assert method(torch.empty(0, 3, 112, 112)).shape == (0,)
    for bad in (torch.zeros(1, 3, 100, 112), torch.zeros(1, 3, 112, 112).double(),
                torch.full((1, 3, 112, 112), 255.0), torch.full((1, 3, 112, 112), float("nan")),
                torch.from_numpy(np.zeros((3, 112, 112), np.float32))):
        with pytest.raises(FiqaError):
            method(bad)
    for wrong in (dict(repeats=0), dict(iterations=0), dict(epsilon=-1.0), dict(exponent=0),
                  dict(variant="best"), dict(budget=0)):
        with pytest.raises(FiqaError):
            FaceQAN(recogniser(), **wrong)
