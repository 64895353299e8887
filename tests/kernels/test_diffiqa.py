"""DifFIQA against closed forms and a plain transcription; ablations; batching."""
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.kernels.diffiqa import DifFIQA, quality
from tests.helpers import plain_reference
from tests.helpers.small_networks import (InFloat64, LimitedMemory, diffusion, exact_diffusion, faces,
                                          recogniser)

TERMS = ["forward", "backward", "forward_flip", "backward_flip", "flip"]


@pytest.mark.parametrize("timestep, eta", [(5, 1.0), (1, 1.0), (3, 0.5)])
def test_equals_the_plain_transcription(timestep, eta):
    images, network, model = faces(2), InFloat64(recogniser()), exact_diffusion()
    options = dict(timestep=timestep, repeats=2, eta=eta)
    ours = DifFIQA(model, network, **options)(images)
    plain = plain_reference.diffiqa(images, model, network, **options)
    torch.testing.assert_close(ours, plain, atol=1e-6, rtol=0)  # noise is scaled in float32


def test_a_denoiser_that_knows_the_image_restores_it():
    images, network = faces(1), recogniser()
    images = torch.nn.functional.interpolate(images[..., ::4, ::4], scale_factor=4)  # exact at 28 pixels
    model = diffusion()
    target = model.shrink(images)
    model.model.forward = lambda x, time: target.expand_as(x)
    found = DifFIQA(model, network, repeats=2, flip=False).similarities(images)
    torch.testing.assert_close(found["backward"], torch.ones(1, 2), atol=1e-5, rtol=0)


def test_terms_and_ablations():
    images, network, model = faces(2), InFloat64(recogniser()), exact_diffusion()
    found = DifFIQA(model, network, repeats=3).similarities(images)
    assert list(found) == TERMS and all(s.shape == (2, 3) for s in found.values())
    whole = sum(s.mean(1) for s in found.values()) / 5
    torch.testing.assert_close(DifFIQA(model, network, repeats=3)(images), whole, atol=1e-9, rtol=0)
    for off, left in ((dict(forward=False), TERMS[1::2] + TERMS[4:]), (dict(backward=False), TERMS[::2]),
                      (dict(flip=False), TERMS[:2]), (dict(forward=False, backward=False), TERMS[4:])):
        expected = quality({name: found[name] for name in left})
        torch.testing.assert_close(DifFIQA(model, network, repeats=3, **off)(images), expected, atol=1e-9,
                                   rtol=0)
    fewer = quality({name: s[:, :2] for name, s in found.items()})
    torch.testing.assert_close(DifFIQA(model, network, repeats=2)(images), fewer, atol=1e-9, rtol=0)


def test_without_the_backward_process_the_network_is_not_asked():
    model = diffusion()
    model.model.forward = None
    DifFIQA(model, recogniser(), repeats=1, backward=False, budget=2**28)


def test_each_face_is_embedded_once_and_the_idle_step_is_left_out():
    images, network, model = faces(2), LimitedMemory(recogniser(), 10**6), diffusion()
    method = DifFIQA(model, network, repeats=3)
    method(images)  # measures the chunk
    calls, inner = [], model.model.forward
    model.model.forward = lambda x, time: (calls.append(int(time[0])), inner(x, time))[1]
    network.seen.clear()
    method(images)
    assert sum(network.seen) == 2 * 2 + 2 * 2 * 2 * 3  # x, f; x_t, x_hat, f_t, f_hat of 3 repeats
    assert calls == [4, 3, 2, 1, 0] * 2


@pytest.mark.parametrize("exact, limit", [(True, 1e-9), (False, 1e-5)])
def test_score_does_not_depend_on_the_batch_or_its_order(exact, limit):
    images = faces(4)
    network, model = (InFloat64(recogniser()), exact_diffusion()) if exact else (recogniser(), diffusion())
    method = DifFIQA(model, network, repeats=2)
    whole = method(images)
    singles = torch.cat([method(image[None]) for image in images])
    torch.testing.assert_close(whole, singles, atol=limit, rtol=0)
    torch.testing.assert_close(whole.flip(0), method(images.flip(0)), atol=limit, rtol=0)
    small = DifFIQA(model, network, repeats=2, budget=2**20)
    torch.testing.assert_close(small(images), whole, atol=limit, rtol=0)


def test_running_out_of_memory_halves_the_chunk():
    images, network, model = faces(3), InFloat64(recogniser()), exact_diffusion()
    limited = LimitedMemory(network, limit=3)
    torch.testing.assert_close(DifFIQA(model, limited, repeats=4)(images),
                               DifFIQA(model, network, repeats=4)(images), atol=1e-9, rtol=0)


def test_eta_zero_depends_on_the_first_noise_only():
    model = diffusion()
    x = model.shrink(faces(1))
    a, b = (model.reconstruct(x, 5, torch.randn(1, 4, *x.shape[1:]), eta=0.0) for _ in range(2))
    assert torch.equal(a, b)
    c = model.reconstruct(x, 5, torch.randn(1, 4, *x.shape[1:]), eta=1.0)
    assert not torch.equal(a, c)


def test_generator_semantics():
    images, network, model = faces(1), recogniser(), diffusion()

    def score(generator=None):
        return DifFIQA(model, network, timestep=50, repeats=1, generator=generator)(images)

    assert torch.equal(score(), score())
    seeded = [score(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(seeded[0], seeded[1]) and not torch.equal(seeded[0], seeded[2])


def test_bad_parameters_are_refused():
    network, model = recogniser(), diffusion()
    for wrong in (dict(timestep=0), dict(timestep=1000), dict(repeats=0), dict(eta=-1.0), dict(variant="x"),
                  dict(forward=False, backward=False, flip=False)):
        with pytest.raises(FiqaError):
            DifFIQA(model, network, **wrong)
