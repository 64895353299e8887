"""The diffusion model: schedule, sampler, U-Net, golden outputs, degradation, training that resumes."""
import math

import numpy as np
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.kernels import diffusion as diffusion_module
from fiqa_core.kernels.diffusion import Diffusion
from fiqa_core.kernels.unet import (Attention, ChannelNorm, LinearAttention, Pointwise, TimeSinusoid, UNet,
                                    WeightStandardisedConv2d)
from fiqa_core.loading import load_diffusion, load_official, save_diffusion
from fiqa_core.training.diffusion import (OPERATIONS, blend, blur, degrade, jpeg, train_diffusion,
                                          training_pair)
from tests.helpers.golden_networks import fill, golden
from tests.helpers.interruption import check_interruption
from tests.helpers.small_networks import diffusion, faces


def test_schedule_equals_the_published_buffers():
    tables, published = diffusion_module.tables(), golden("diffiqa_gaussian_diffusion")
    assert set(tables) == set(published)
    for name, table in tables.items():
        assert np.array_equal(table.numpy(), published[name]), name


def test_sampler_indices():
    assert diffusion_module.ddim_indices(5, skip_idle=False) == [4, 3, 2, 1, 0, 0, -1]
    assert diffusion_module.ddim_indices(5) == [4, 3, 2, 1, 0, -1]
    assert diffusion_module.ddim_indices(1) == [0, -1]
    for t in (2, 7, 20, 100):
        full = diffusion_module.ddim_indices(t, skip_idle=False)
        assert (
            len(full) == t + 2
            and full.count(0) == 2
            and diffusion_module.ddim_indices(t) == list(range(t - 1, -2, -1))
        )


def test_idle_step_returns_its_input():
    x, x0, z = (torch.randn(2, 3, 4, 4).double() for _ in range(3))
    a = torch.tensor(0.97).double()
    torch.testing.assert_close(diffusion_module.ddim_step(x, x0, a, a, 1.0, z), x)


def test_step_with_eta_zero_keeps_the_implied_noise():
    """x = sqrt(a) x0 + sqrt(1-a) e becomes sqrt(a') x0 + sqrt(1-a') e."""
    x0, e, z = (torch.randn(2, 3, 4, 4).double() for _ in range(3))
    a, b = torch.tensor(0.5).double(), torch.tensor(0.9).double()
    x = a.sqrt() * x0 + (1 - a).sqrt() * e
    torch.testing.assert_close(diffusion_module.ddim_step(x, x0, a, b, 0.0, z), b.sqrt() * x0 + (1 - b).sqrt() * e)


def test_step_with_eta_one_is_the_posterior_of_ddpm():
    """Between neighbours, DDIM with eta = 1 has the posterior's mean and variance."""
    tables = {name: table.double() for name, table in diffusion_module.tables().items()}
    x0, x, zero = torch.randn(3, 2, 2).double(), torch.randn(3, 2, 2).double(), torch.zeros(3, 2, 2).double()
    t = 50
    abar = tables["alphas_cumprod"]
    mean = diffusion_module.ddim_step(x, x0, abar[t], abar[t - 1], 1.0, zero)
    expected = tables["posterior_mean_coef1"][t] * x0 + tables["posterior_mean_coef2"][t] * x
    torch.testing.assert_close(mean, expected, atol=1e-4, rtol=0)
    moved = diffusion_module.ddim_step(x, x0, abar[t], abar[t - 1], 1.0, zero + 1)
    torch.testing.assert_close((moved - mean).square().mean(), tables["posterior_variance"][t], rtol=1e-2,
                               atol=0)


def test_perfect_denoiser_returns_the_image():
    target = torch.rand(2, 3, 8, 8) * 2 - 1
    abar = diffusion_module.tables()["alphas_cumprod"]
    x = diffusion_module.add_noise(target, 5, torch.randn_like(target), abar)
    found = diffusion_module.reconstruct(lambda x, time: target, x, 5, abar, torch.randn(2, 4, 3, 8, 8))
    assert torch.equal(found, target)


def test_time_embedding_equals_the_golden_numbers():
    """The time branch alone, with the golden weights; the whole network is in test_architectures."""
    with torch.device("meta"):
        layers = UNet().time_mlp
    layers = layers.to_empty(device="cpu")
    fill({f"time_mlp.{key}": tensor for key, tensor in layers.state_dict().items()})
    published = golden("diffiqa_unet")
    wanted = published["time_embedding"]
    with torch.no_grad():
        found = layers(torch.from_numpy(published["t"]))
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


def test_sinusoid_by_hand():
    found = TimeSinusoid(128)(torch.tensor([4]))[0]
    f1 = math.exp(-math.log(10000) / 63)
    expected = [math.sin(4), math.sin(4 * f1), math.cos(4), math.cos(4 * f1)]
    torch.testing.assert_close(found[[0, 1, 64, 65]], torch.tensor(expected))


def test_weight_standardisation_is_computed_once_in_eval_mode():
    conv = WeightStandardisedConv2d(3, 4, 3, padding=1).eval()
    x = torch.randn(1, 3, 8, 8)
    flat = conv.weight.detach().flatten(1)
    flat = (flat - flat.mean(1, keepdim=True)) / (flat.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    want = torch.nn.functional.conv2d(x, flat.view_as(conv.weight), conv.bias, padding=1)
    torch.testing.assert_close(conv(x), want)
    kept = conv._kept
    conv(x)
    assert conv._kept is kept
    conv.load_state_dict({"weight": torch.randn(4, 3, 3, 3), "bias": torch.zeros(4)})
    assert not torch.allclose(conv(x), want) and conv._kept is not kept
    conv.train()(x).sum().backward()
    assert conv.weight.grad is not None
    before = conv(x)
    with torch.no_grad():
        conv.weight.add_(torch.randn_like(conv.weight))
    assert not torch.allclose(conv.eval()(x), before)


def test_layers_against_loops():
    torch.manual_seed(0)
    x = torch.randn(2, 8, 3, 4)
    pointwise = Pointwise(8, 5)
    torch.testing.assert_close(pointwise(x), torch.nn.functional.conv2d(x, pointwise.weight, pointwise.bias))
    norm = ChannelNorm(8)
    torch.testing.assert_close(norm(x),
        torch.nn.functional.layer_norm(x.permute(0, 2, 3, 1), (8,)).permute(0, 3, 1, 2))
    for kind in (LinearAttention, Attention):
        layer = kind(8, 2, 3)
        q, k, v = torch.nn.functional.conv2d(x, layer.to_qkv.weight).reshape(2, 3, 2, 3, 12).unbind(1)
        if kind is LinearAttention:
            q, k = q.softmax(2) * 3**-0.5, k.softmax(3)
            out = torch.einsum("bhde,bhdn->bhen", torch.einsum("bhdn,bhen->bhde", k, v / 12), q)
        else:
            q, k = (a / a.norm(dim=3, keepdim=True) for a in (q, k))
            out = torch.einsum("bhij,bhdj->bhdi", (10 * torch.einsum("bhdi,bhdj->bhij", q, k)).softmax(3), v)
        torch.testing.assert_close(layer(x), layer.to_out(out.reshape(2, 6, 3, 4)), atol=1e-6, rtol=1e-5)


def test_working_size_is_what_an_averaging_recogniser_sees():
    model = diffusion(size=56)
    images = faces(1)
    small = model.shrink(images)
    assert small.shape == (1, 3, 56, 56)
    large = model.enlarge(small)
    assert large.shape == images.shape
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(large, 2),
                               torch.nn.functional.avg_pool2d(images, 2))


def test_sizes_that_do_not_fit_are_refused():
    for wrong in (dict(dim=12), dict(size=50), dict(size=28),
                  dict(size=112, multipliers=(1, 2, 4, 8, 16, 32))):
        with pytest.raises(FiqaError):
            Diffusion(**{**dict(dim=8), **wrong})


def test_save_load_and_the_official_layout(tmp_path):
    model = diffusion()
    save_diffusion(model, tmp_path / "own.pt")
    config = {key: model.config[key] for key in ("multipliers", "size", "heads", "head_dim")}
    official = {"step": 1, "model": model.state_dict(), "opt": {}, "ema": {}, "scaler": None}
    torch.save(official, tmp_path / "diff_pretrain.pt")
    x, time = torch.randn(1, 3, 28, 28), torch.tensor([3])
    for loaded in (load_diffusion(tmp_path / "own.pt"),
                   load_official(tmp_path / "diff_pretrain.pt", dim=8, **config)):
        assert torch.equal(loaded.model(x, time), model.model(x, time)) and not loaded.training
    del official["model"]["model.init_conv.bias"]
    torch.save(official, tmp_path / "short.pt")
    (tmp_path / "damaged.pt").write_bytes(b"PK\x03\x04 not really")
    torch.save({"state_dict": {}}, tmp_path / "foreign.pt")
    for name, options in (("short", dict(dim=8, **config)), ("damaged", {}), ("foreign", {}), ("absent", {}),
                          ("diff_pretrain", dict(dim=16, **config))):
        with pytest.raises(FiqaError, match=name):
            load_official(tmp_path / f"{name}.pt", **options)


def test_degradation_is_seeded_finite_and_in_range():
    images = faces(24)[..., ::2, ::2].contiguous()
    a, b, c = (degrade(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert a.shape == images.shape and torch.isfinite(a).all() and a.min() >= 0 and a.max() <= 1
    for operation in OPERATIONS:
        found = operation(images, torch.Generator().manual_seed(0))
        assert found.shape == images.shape and torch.isfinite(found).all()
        assert (found - images).abs().mean() < 0.2


def test_blur_keeps_a_flat_image_and_lowers_detail():
    flat = torch.full((3, 3, 56, 56), 0.3)
    torch.testing.assert_close(blur(flat, torch.Generator().manual_seed(0)), flat, atol=1e-5, rtol=0)
    noisy = torch.rand(8, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    assert (blur(noisy, torch.Generator().manual_seed(1)).flatten(1).std(1) < noisy.flatten(1).std(1)).all()


def test_jpeg_resembles_a_real_encoder():
    """Against OpenCV's JPEG of comparable quality: the error has the same size."""
    cv2 = pytest.importorskip("cv2")
    images = faces(4) * 0.8 + 0.2 * torch.rand(4, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    qualities = (
        torch.randint(20, 96, (4, 1, 1, 1, 1, 1), generator=torch.Generator().manual_seed(0))
        .flatten()
        .tolist()
    )
    ours = jpeg(images, generator)
    for image, found, quality in zip(images, ours, qualities):
        pixels = (image.permute(1, 2, 0).flip(2).numpy() * 255).round().astype(np.uint8)
        flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
        coded = cv2.imdecode(cv2.imencode(".jpg", pixels, flags)[1], cv2.IMREAD_COLOR)
        real = torch.from_numpy(coded).flip(2).permute(2, 0, 1) / 255
        assert (found - image).square().mean() == pytest.approx((real - image).square().mean().item(),
                                                                rel=0.1)
        assert (found - real).square().mean() < 0.3 * (real - image).square().mean() + 1e-5


def test_blend_follows_the_sine():
    hq, lq = torch.zeros(3, 1, 1, 1), torch.ones(3, 1, 1, 1)
    found = blend(hq, lq, torch.tensor([0, 50, 99]), 100).flatten()
    torch.testing.assert_close(found, torch.tensor([0, math.sin(math.pi / 4), math.sin(0.99 * math.pi / 2)]))


def test_training_pair_stays_within_the_bound():
    model = diffusion()
    x, t, hq = training_pair(model, faces(32), {"time_bound": 100}, torch.Generator().manual_seed(0))
    assert x.shape == hq.shape == (32, 3, 28, 28) and 0 <= t.min() and t.max() < 100
    early = t < 10
    assert (x - hq)[early].square().mean() < (x - hq)[~early].square().mean()


SMALL = dict(dim=8, multipliers=(1, 2), size=28, heads=2, head_dim=4, steps=8, batch=4, learning_rate=2e-3,
             decay=True, log_every=2)


def pixels(count=12):
    return (faces(count).permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)


def test_interrupted_training_gives_the_same_model(tmp_path, monkeypatch):
    check_interruption(lambda state, log: train_diffusion(pixels(), SMALL, state, log=log), tmp_path, monkeypatch)
    assert (tmp_path / "whole.csv").read_text().splitlines()[0] == "step,loss"


def test_state_of_another_run_is_not_continued(tmp_path, capsys):
    train_diffusion(pixels(), {**SMALL, "steps": 2}, tmp_path / "state.pt")
    other = train_diffusion(pixels(), {**SMALL, "steps": 2, "seed": 1}, tmp_path / "state.pt")
    assert "starts anew" in capsys.readouterr().err
    fresh = train_diffusion(pixels(), {**SMALL, "steps": 2, "seed": 1})
    assert torch.equal(other.model.init_conv.weight, fresh.model.init_conv.weight)


def test_training_lowers_the_loss_and_refuses_nonsense():
    model = train_diffusion(pixels(), {**SMALL, "steps": 30, "batch": 8, "learning_rate": 5e-3})
    x = model.shrink(faces(4, seed=9))
    noisy = model.add_noise(x, 5, torch.randn(x.shape, generator=torch.Generator().manual_seed(0)))
    restored = model.reconstruct(noisy, 5, torch.zeros(4, 4, *x.shape[1:]))
    assert (restored - x).square().mean() < 0.7 * x.square().mean()
    for wrong in (dict(depth=3), dict(dim=9)):
        with pytest.raises(FiqaError):
            train_diffusion(pixels(), {**SMALL, **wrong})
    with pytest.raises(FiqaError):
        train_diffusion(pixels()[:0], SMALL)
