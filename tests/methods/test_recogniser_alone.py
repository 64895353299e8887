"""FROQ, GraFIQs and PreFIQs against brute force, closed forms and scipy."""
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.base.images import to_pixels
from fiqa_core.kernels import noise
from fiqa_core.methods import froq
from fiqa_core.methods.froq import FROQ, GREY, choose_layers, pseudo_quality, rank_correlations, train_froq
from fiqa_core.methods.grafiqs import GraFIQs, statistics_mismatch, weight_gradient_magnitude
from fiqa_core.methods.prefiqs import PreFIQs, pruned
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.trunk import observable_layers, watched
from fiqa_core.recognisers.zoo import recogniser_from_config
from tests.helpers.small_networks import faces, recogniser

LAYERS = ["conv1", "layer2.0.prelu", "layer4.0.bn3"]
METHODS = {"FROQ": lambda network: FROQ(network, LAYERS), "GraFIQs": GraFIQs, "PreFIQs": PreFIQs}


def observed_network(seed=0):
    """A small recogniser whose batch norms hold statistics of faces instead of those of initialisation."""
    network = recogniser(seed=seed).train()
    with torch.no_grad():
        for step in range(8):
            network(faces(16, seed=step))
    return network.freeze()


# --- GraFIQs -----------------------------------------------------------------------------------------


def gradient_sum(network, image, weights):
    """Sum of |d L / d w| of one image by autograd at the weights themselves."""
    terms = []

    def note(norm, entered, left):
        mean, variance = entered.mean((0, 2, 3)), entered.var((0, 2, 3), correction=0)
        terms.append(((mean - norm.running_mean) ** 2).mean() + ((variance - norm.running_var) ** 2).mean())

    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    with watched(norms, note):
        network(image[None])
    found = torch.autograd.grad(sum(terms) / len(terms), weights, allow_unused=True)
    return sum(gradient.abs().sum() for gradient in found if gradient is not None)


@pytest.mark.parametrize("group", ["", "layer2"])
def test_grafiqs_equals_autograd_at_the_weights(group):
    network, images = observed_network(), faces(3)
    scores = GraFIQs(network, group)(images)
    weights = [layer.weight.requires_grad_(True) for name, layer in network.network.named_modules()
               if isinstance(layer, nn.Conv2d) and name.startswith(group)]
    wanted = torch.stack([-gradient_sum(network, image, weights) for image in images])
    torch.testing.assert_close(scores, wanted, rtol=1e-4, atol=1e-6)
    assert (scores < 0).all()


@pytest.mark.parametrize("options", [dict(), dict(stride=2, padding=1), dict(groups=4, padding=2, dilation=2),
                                     dict(groups=2, stride=2)])
def test_weight_gradients_of_single_images(options):
    torch.manual_seed(0)
    conv, x = nn.Conv2d(4, 8, 3, **options).double(), torch.randn(3, 4, 9, 11).double()
    out = conv(x)
    loss = (out ** 3).flatten(1).sum(1)
    arrived, = torch.autograd.grad(loss.sum(), out, retain_graph=True)
    found = weight_gradient_magnitude(conv, x, arrived)
    wanted = [torch.autograd.grad(one, conv.weight, retain_graph=True)[0].abs().sum() for one in loss]
    torch.testing.assert_close(found, torch.stack(wanted))


def test_no_mismatch_where_the_statistics_are_the_recorded_ones():
    x, norm = torch.randn(1, 5, 6, 7), nn.BatchNorm2d(5)
    norm.running_mean, norm.running_var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    assert statistics_mismatch(x, norm).item() < 1e-12
    norm.running_mean = norm.running_mean + 2.0
    norm.running_var = norm.running_var + torch.tensor([3.0, 0, 0, 0, 0])
    assert statistics_mismatch(x, norm).item() == pytest.approx(4 + 9 / 5, rel=1e-5)


def test_grafiqs_refuses_recognisers_without_batch_norms_over_maps():
    vit = recogniser_from_config(dict(network="vit", width=8, depth=1, heads=2, patch=14, size=56,
                                      embedding=8))
    with pytest.raises(FiqaError, match="0 batch norms"):
        GraFIQs(vit)
    with pytest.raises(FiqaError, match="0 convolutions in group 'layer'"):
        GraFIQs(recogniser(), "layer")


# --- PreFIQs -----------------------------------------------------------------------------------------


def weights_of(network):
    return [layer.weight for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]


def test_every_layer_loses_its_smallest_weights():
    network = recogniser()
    for before, after in zip(weights_of(network), weights_of(pruned(network, 0.4, "layer"))):
        zero = after == 0
        assert int(zero.sum()) == round(0.4 * before.numel())
        assert before[zero].abs().max() <= before[~zero].abs().min()
        assert torch.equal(after[~zero], before[~zero])


def test_global_pruning_ranks_all_weights_together():
    network = recogniser()
    before = torch.cat([weight.flatten() for weight in weights_of(network)])
    after = torch.cat([weight.flatten() for weight in weights_of(pruned(network, 0.4))])
    limit = before.abs().sort()[0][round(0.4 * len(before)) - 1]
    assert torch.equal(after == 0, before.abs() <= limit)


def test_prefiqs_by_hand():
    """Two weights; the smaller one is pruned, and e = (3x, y) becomes (3x, 0)."""
    linear = nn.Linear(2, 2, bias=False)
    linear.weight.data = torch.tensor([[3.0, 0.0], [0.0, 1.0]])

    class Corner(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = linear

        def forward(self, images):
            return self.linear(images[:, :2, 0, 0])

    images = torch.zeros(2, 3, 112, 112)
    images[:, :2, 0, 0] = torch.tensor([[0.5, 0.0], [0.2, 0.8]])
    angle = np.arctan2(0.8, 0.6)  # of (3 * 0.2, 0.8) to the first axis
    found = PreFIQs(Corner(), sparsity=0.75)(images)
    assert found.tolist() == pytest.approx([0, -2 * np.sin(angle / 2)], abs=1e-6)
    assert PreFIQs(Corner(), sparsity=0)(images).tolist() == [0, 0]


def test_prefiqs_refuses_unfit_parameters():
    for network, options in ((recogniser(), {"sparsity": 1.0}), (recogniser(), {"scope": "channel"}),
                             (nn.Flatten(), {})):
        with pytest.raises(FiqaError):
            PreFIQs(network, **options)


# --- FROQ --------------------------------------------------------------------------------------------


def face_set(count=40):
    """Pictures of growing contrast."""
    strength = torch.linspace(0.1, 1, count)[:, None, None, None]
    names = [f"image{index}" for index in range(count)]
    images = pd.DataFrame({"image_id": names, "identity": names, "template_id": names, "media_id": names,
                           "crossfit": -1})
    return FaceSet("training", to_pixels(0.5 + (faces(count) - 0.5) * strength), images, empty_pairs())


def test_norms_are_those_of_the_layers():
    network, images = observed_network(), faces(2)
    norms = FROQ(network, ["conv1", "features"]).norms(images)
    conv = network.network.conv1(network.prepare(images))
    torch.testing.assert_close(norms[:, 0], conv.flatten(1).norm(dim=1))
    torch.testing.assert_close(norms[:, 1], network(images).norm(dim=1))
    torch.testing.assert_close(FROQ(network, ["features", "conv1"])(images), norms.mean(dim=1))


def test_observable_layers_come_in_order_and_with_one_tensor_per_image():
    network = recogniser()
    found = list(observable_layers(network.network, network.prepare(faces(2))))
    assert found[:3] == ["conv1", "bn1", "prelu"] and found[-1] == "features" and "layer1" not in found
    swin = recogniser_from_config(dict(network="swin", width=16, depths=[1, 1], heads=[1, 2], patch=7,
                                       window=4, size=56, embedding=8)).freeze()
    found = observable_layers(swin.network, swin.prepare(faces(2)))
    windows = [name for name in found if name.endswith("attn.qkv")]
    images = faces(3)
    together = FROQ(swin, windows)(images)
    torch.testing.assert_close(together, torch.cat([FROQ(swin, windows)(image[None]) for image in images]))


def test_labels_equal_a_plain_loop():
    network, images, alphas, draws, cell = observed_network(), faces(2), (0.01, 0.2), 2, 28

    def cosine(a, b):
        return torch.cosine_similarity(network(a[None]), network(b[None])).item()

    wanted = []
    for image, key in zip(images, noise.content_keys(images)):
        occluded, noisy = [], []
        for top in range(0, 112, cell):
            for left in range(0, 112, cell):
                copy = image.clone()
                copy[:, top: top + cell, left: left + cell] = GREY
                occluded.append(cosine(image, copy))
        for draw in range(draws):
            drawn = noise.normal([noise.sample_generator(7, key, draw)], image.shape, image.device)[0]
            noisy += [cosine(image, (1 - alpha) * image + alpha * drawn) for alpha in alphas]
        wanted.append((cosine(image, image.flip(2)) + np.mean(occluded) + np.mean(noisy)) / 3)
    found = pseudo_quality(network, images, alphas, draws, cell, seed=7)
    assert found.tolist() == pytest.approx(wanted, abs=2e-5)
    assert pseudo_quality(network, images[:0]).shape == (0,)
    for wrong in ({"cell": 15}, {"draws": 0}, {"alphas": ()}):
        with pytest.raises(FiqaError):
            pseudo_quality(network, images, **wrong)


def test_labels_of_a_network_that_always_answers_the_same_are_one():
    found = pseudo_quality(lambda images: torch.ones(len(images), 4), faces(2), cell=56)
    assert found.tolist() == pytest.approx([1, 1])


def test_rank_correlations_are_scipys():
    rng = np.random.default_rng(0)
    columns, labels = rng.integers(0, 9, (50, 6)).astype(float), rng.integers(0, 5, 50).astype(float)
    columns[:, 3] = 2.0
    found = rank_correlations(columns, labels)
    for index in (0, 1, 2, 4, 5):
        assert found[index] == pytest.approx(spearmanr(columns[:, index], labels).statistic)
    assert found[3] == -1


def test_layers_are_chosen_greedily():
    rng = np.random.default_rng(1)
    a, b, label = rng.normal(size=(3, 400))
    norms = np.stack((rng.normal(size=400), label + a, -label, label - a + 0.1 * b), axis=1)
    first = int(rank_correlations(norms, label).argmax())
    assert choose_layers(norms, label) == [first, 4 - first]  # the errors of layers 1 and 3 cancel
    assert choose_layers(norms, label, most=1) == [first]
    for wrong in (np.zeros(400), np.full(400, np.nan)):
        with pytest.raises(FiqaError):
            choose_layers(norms, wrong)


def test_greedy_choice_equals_a_plain_search():
    rng = np.random.default_rng(2)
    label = rng.normal(size=60)
    norms = label[:, None] + rng.normal(size=(60, 8)) * rng.uniform(1, 4, 8)
    chosen, best = [], -2.0
    for _ in range(3):
        tried = {j: spearmanr(norms[:, [*chosen, j]].mean(1), label).statistic
                 for j in range(8) if j not in chosen}
        winner = max(tried, key=tried.get)
        if tried[winner] <= best:
            break
        chosen, best = [*chosen, winner], tried[winner]
    assert choose_layers(norms, label, most=3) == chosen


SMALL = dict(images=40, cell=56, draws=1, seed=3)


def test_calibration_finds_layers_that_follow_the_labels(monkeypatch):
    monkeypatch.setattr(froq, "pseudo_quality", lambda network, images, **_: images.flatten(1).std(dim=1))
    network, training = observed_network(), face_set()
    method = train_froq(training, network, SMALL)
    assert 1 <= len(method.layers) <= 10
    contrast = torch.linspace(0.1, 1, 40)
    images = 0.5 + (faces(40, seed=9) - 0.5) * contrast[:, None, None, None]
    assert spearmanr(method(images), contrast).statistic > 0.8


def test_froq_refuses_unfit_input():
    network = recogniser()
    for layers in ([], ["no_such_layer"], ["conv1", "conv1"]):
        with pytest.raises(FiqaError):
            FROQ(network, layers)
    with pytest.raises(FiqaError):
        train_froq(face_set(), network, {"layers": 3})
    with pytest.raises(FiqaError):
        train_froq(face_set(), network, {**SMALL, "images": 1})


def test_a_recogniser_keeps_its_preparation():
    plain = observed_network()
    bgr = Recogniser(plain.network, 32, colour="bgr", size=(56, 56)).freeze()
    images = faces(2)
    for method in METHODS.values():
        torch.testing.assert_close(method(bgr)(images), method(plain)(images.flip(1)))
