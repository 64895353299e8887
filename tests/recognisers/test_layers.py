"""Layers of frozen networks against torch's own: folded norms, slopes, and what may not be folded."""
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fiqa_core.recognisers import layers
from fiqa_core.recognisers.iresnet import AdaFaceIR, CurricularFaceIR, IResNet
from fiqa_core.recognisers.layers import BatchNorm2d, PReLU, Sequential, conv_norm
from fiqa_core.recognisers.mobilefacenet import (MobileFaceNet, MobileFaceNetCurricularFace,
                                                 MobileFaceNetFoamliu, MobileFaceNetInsightFace,
                                                 MobileFaceNetUnit)

SMALL = {"blocks": (1, 2), "widths": (16, 32), "size": 56, "embedding": 16}
NARROW = ((2, 16, 2, 2), (2, 32, 2, 2))
# what builds each, its images' side, and how many of its norms stand behind a convolution
NETWORKS = {
    "iresnet": (lambda: IResNet(**SMALL), 56, 9), "curricularface": (lambda: CurricularFaceIR(**SMALL), 56, 5),
    "adaface": (lambda: AdaFaceIR(**SMALL), 56, 8),
    "xiaoccer": (lambda: MobileFaceNet((7, 7), 16, bottlenecks=NARROW, stem=16, wide=32, last_bias=True), 56, 17),
    "foamliu": (MobileFaceNetFoamliu, 112, 51), "insightface": (MobileFaceNetInsightFace, 112, 49),
    "ediffiqa": (MobileFaceNetUnit, 112, 49), "curricularface_mobile": (MobileFaceNetCurricularFace, 112, 49)}


def frozen(network: nn.Module) -> nn.Module:
    """In float64, with norms that change what they see."""
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, -1.5, 1.5)
        nn.init.normal_(norm.bias)
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    return network.double().eval().requires_grad_(False)


def gradient_of(network: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The network's first output, and the gradient of a sum of its numbers by the images."""
    images = images.clone().requires_grad_(True)
    output = network(images)
    output = output[0] if isinstance(output, tuple) else output
    weights = torch.linspace(-1, 1, output[0].numel()).double().view_as(output[0])
    return output.detach(), torch.autograd.grad((weights * output).sum(), images)[0]


def seen_norms(network: nn.Module, images: torch.Tensor, monkeypatch) -> int:
    """How many times a norm over maps is computed by itself."""
    seen, plain = [], F.batch_norm
    with monkeypatch.context() as patch:
        patch.setattr(F, "batch_norm", lambda x, *rest: (seen.append(x.ndim == 4), plain(x, *rest))[1])
        network(images)
    return sum(seen)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_frozen_network_folds_its_norms_and_says_the_same(name, monkeypatch):
    build, side, pairs = NETWORKS[name]
    network, images = frozen(build()), torch.rand(2, 3, side, side).double()
    output, gradient = gradient_of(network, images)
    norms = sum(isinstance(module, BatchNorm2d) for module in network.modules())
    assert norms - seen_norms(network, images, monkeypatch) == pairs
    monkeypatch.setattr(layers, "watched", lambda layer: True)
    assert seen_norms(network, images, monkeypatch) == norms
    plain_output, plain_gradient = gradient_of(network, images)
    torch.testing.assert_close(output, plain_output, rtol=1e-10, atol=1e-10 * plain_output.abs().max())
    torch.testing.assert_close(gradient, plain_gradient, rtol=0, atol=1e-10 * plain_gradient.abs().max())


def pair() -> tuple[nn.Conv2d, BatchNorm2d, torch.Tensor]:
    network = frozen(Sequential(nn.Conv2d(3, 8, 3), BatchNorm2d(8)))
    return *network, torch.rand(2, 3, 9, 9).double()


def test_changed_weights_are_folded_again():
    conv, norm, x = pair()
    before = conv_norm(conv, norm, x)
    for tensor in (conv.weight, conv.bias, norm.weight, norm.bias, norm.running_mean, norm.running_var):
        with torch.no_grad():
            tensor.mul_(1.5)
        after = conv_norm(conv, norm, x)
        torch.testing.assert_close(after, norm(conv(x)))
        assert not torch.allclose(after, before)
        before = after
    conv, norm = conv.float(), norm.float()
    torch.testing.assert_close(conv_norm(conv, norm, x.float()), norm(conv(x.float())))


@pytest.mark.parametrize("layer", [0, 1])
def test_a_watched_layer_is_called(layer):
    conv, norm, x = pair()
    seen = []
    (conv, norm)[layer].register_forward_hook(lambda module, inputs, output: seen.append(output))
    found = conv_norm(conv, norm, x)
    assert torch.equal(seen[0], conv(x) if layer == 0 else found)


def test_what_is_trained_is_not_folded():
    for change in (lambda conv, norm: norm.train(), lambda conv, norm: norm.requires_grad_(True),
                   lambda conv, norm: conv.requires_grad_(True)):
        conv, norm, x = pair()
        change(conv, norm)
        other = deepcopy(norm)
        norm.folded = None                              # what cannot be called
        assert torch.equal(conv_norm(conv, norm, x), other(conv(x)))
        assert torch.equal(norm.running_mean, other.running_mean)


def test_what_stands_in_their_places_is_called():
    conv, norm, x = pair()
    assert torch.equal(conv_norm(conv, nn.Flatten(), x), conv(x).flatten(1))
    assert torch.equal(conv_norm(nn.Identity(), norm, conv(x)), norm(conv(x)))


def test_what_is_kept_is_no_part_of_the_state():
    conv, norm, x = pair()
    keys = {*norm.state_dict()}
    conv_norm(conv, norm, x)
    assert {*norm.state_dict()} == keys == {*nn.BatchNorm2d(8).state_dict()}
    assert sum(p.numel() for p in norm.parameters()) == 16


def test_a_sequence_without_norms_behind_its_convolutions_is_torchs_own():
    parts = [nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.ReLU(), BatchNorm2d(8), nn.Conv2d(8, 4, 1)]
    sequence = frozen(Sequential(*parts))
    x = torch.rand(2, 3, 5, 5).double()
    assert torch.equal(sequence(x), nn.Sequential(*parts)(x))


@pytest.mark.parametrize("trained", [False, True])
def test_slopes_and_their_gradients_are_torchs_own(trained):
    ours, plain = PReLU(8).double(), nn.PReLU(8).double()
    nn.init.uniform_(ours.weight, -1, 1)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 8, 5, 5).double()
    found = []
    for layer in (ours, plain):
        given = x.clone().requires_grad_(True)
        layer.requires_grad_(trained)
        output = layer(given)
        wanted = (given, layer.weight) if trained else (given,)
        found.append([output, *torch.autograd.grad((output ** 3).sum(), wanted)])
    torch.testing.assert_close(*found)
