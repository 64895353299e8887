"""Architectures, preprocessing and checkpoints of the recognisers."""
from pathlib import Path

import numpy as np
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import read_image, to_batch
from fiqa_core.loading import load_recogniser, save_recogniser
from fiqa_core.recognisers.iresnet import IResNet
from fiqa_core.recognisers.recogniser import Recogniser, embed, fast_layout, resize
from fiqa_core.recognisers.zoo import (CATALOGUE, build_model, recogniser_from_catalogue,
                                       recogniser_from_config)
from tests.helpers.shared import shared_path

SMALL = {"network": "iresnet", "name": "small", "blocks": [1, 1], "widths": [16, 16], "size": 56,
         "embedding": 16, "stem_stride": 2}


@pytest.mark.parametrize("name, label, file", [
    ("mobilefacenet_foamliu", "emb_foamliu", "mobilefacenet_foamliu_ms1m.pth"),
    ("mobilefacenet_xiaoccer", "emb_xiaoccer", "mobilefacenet_xiaoccer_casia_112x96.pth"),
    ("mobilefacenet_insightface_mxnet", "emb_mxnet", "mobilefacenet_insightface_mxnet.pth")])
def test_trained_weights_give_the_reference_embeddings(name, label, file):
    recogniser = load_recogniser(name, shared_path(f"weights/{file}"))
    golden = np.load(shared_path("faces/reference_golden.npz"))
    pixels = np.stack([read_image(shared_path(f"faces/{path}")) for path in golden["paths"]])
    embeddings = embed(recogniser, pixels, "cpu", batch=20, flip=False)
    wanted = golden[label]
    similarity = torch.cosine_similarity(torch.from_numpy(embeddings), torch.from_numpy(wanted))
    assert embeddings.shape == (20, 128) and similarity.min() > 0.9999


@pytest.mark.parametrize("name, file, width", [
    ("mobilefacenet_foamliu", "mobilefacenet_foamliu_ms1m.pth", 112),
    ("mobilefacenet_xiaoccer", "mobilefacenet_xiaoccer_casia_112x96.pth", 96)])
def test_trained_weights_give_the_golden_embedding_of_random_input(name, file, width):
    recogniser = load_recogniser(name, shared_path(f"weights/{file}"))
    golden = np.load(shared_path("golden/realweights.npz"))
    wanted = golden[f"{name.partition('_')[2]}/golden_input_embedding"]
    images = np.random.default_rng(7).uniform(-1, 1, (2, 3, 112, width)).astype(np.float32)
    with torch.no_grad():
        embedding = recogniser.network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(embedding, wanted, atol=2e-5 * np.abs(wanted).max())


def test_every_entry_says_which_output_is_the_embedding():
    assert [name for name, row in CATALOGUE.items() if row.output] == ["swinface_backbone"]
    assert CATALOGUE["swinface_backbone"].output == 2
    assert {name: row.norm for name, row in CATALOGUE.items() if row.norm is not None} == {
        f"adaface_ir{depth}": 1 for depth in (18, 34, 50, 101)}
    assert {name for name, row in CATALOGUE.items() if row.embedding_size == 128} == {
        "mobilefacenet_xiaoccer", "mobilefacenet_foamliu", "mobilefacenet_insightface_mxnet", "dlib_resnet"}


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(FiqaError, match="iresnet19.*\n.*iresnet18"):
        build_model("iresnet19")


def test_a_stem_that_crashes_the_cpu_kernels_is_refused():
    with pytest.raises(FiqaError, match="stem_stride"):
        recogniser_from_config({**SMALL, "widths": [8, 8], "stem_stride": 1})


def small(**changes):
    torch.manual_seed(0)
    return recogniser_from_config({**SMALL, **changes}).freeze()


def faces(count=2, seed=0):
    return torch.rand(count, 3, 112, 112, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name, expected", [
    *[(name, lambda x: (x - 127.5) / 127.5) for name in CATALOGUE if name.startswith(
        ("iresnet", "elasticface", "curricularface", "transface", "swinface", "insightface"))],
    ("mobilefacenet_ediffiqa", lambda x: (x - 127.5) / 127.5),
    ("mobilefacenet_curricularface", lambda x: (x - 127.5) / 127.5),
    ("mobilefacenet_insightface_mxnet", lambda x: (x - 127.5) / 128),
    *[(name, lambda x: x.flip(1) / 255) for name in CATALOGUE if name.startswith("magface")],
    *[(name, lambda x: (x.flip(1) - 127.5) / 127.5) for name in CATALOGUE if name.startswith("adaface")],
    ("mobilefacenet_xiaoccer", lambda x: (x[..., 8:104] - 127.5) / 128),
    ("mobilefacenet_foamliu", lambda x: (x / 255 - torch.tensor([.485, .456, .406]).view(3, 1, 1))
     / torch.tensor([.229, .224, .225]).view(3, 1, 1))])
def test_preparation_is_the_released_networks(name, expected):
    entry = CATALOGUE[name]
    recogniser = Recogniser(torch.nn.Identity(), entry.embedding_size, entry.name, entry.colour, entry.mean,
                            entry.std, entry.size, entry.columns)
    pixels = (faces() * 255).round()
    torch.testing.assert_close(recogniser(pixels / 255), expected(pixels), atol=2e-6, rtol=0)


def test_resizing_by_whole_ratios_is_the_exact_mean_in_value_and_gradient():
    images = faces().requires_grad_()
    for side in (56, 28):
        weights = torch.rand(2, 3, side, side)
        wanted = torch.nn.functional.avg_pool2d(images, 112 // side)
        torch.testing.assert_close(resize(images, (side, side)), wanted)
        ours, = torch.autograd.grad((resize(images, (side, side)) * weights).sum(), images)
        theirs, = torch.autograd.grad((wanted * weights).sum(), images)
        torch.testing.assert_close(ours, theirs)
    assert resize(images, (64, 64)).shape == (2, 3, 64, 64)


def test_colour_order_matters_and_is_the_recognisers_own():
    images = faces()
    rgb, bgr = small(), small(colour="bgr")
    torch.testing.assert_close(rgb(images), bgr(images.flip(1)))
    assert torch.cosine_similarity(rgb(images), rgb(images.flip(1))).max() < 0.999


@pytest.mark.parametrize("network", [
    SMALL,
    {**SMALL, "network": "curricularface"},
    {**SMALL, "network": "adaface"},
    {"network": "transface", "width": 16, "depth": 1, "heads": 2, "patch": 14, "size": 56, "embedding": 8},
    {"network": "vit", "width": 16, "depth": 1, "heads": 2, "patch": 14, "size": 56, "embedding": 8},
    {"network": "swin", "width": 16, "depths": [2, 1], "heads": [1, 2], "patch": 7, "window": 4, "size": 56,
     "embedding": 8}])
def test_gradients_reach_the_images_and_no_parameter(network):
    recogniser = recogniser_from_config(network).freeze()
    images = faces().requires_grad_()
    embeddings = recogniser(images)
    assert embeddings.shape == (2, recogniser.embedding_size)
    embeddings.sum().backward()
    assert images.grad.abs().sum() > 0 and torch.isfinite(images.grad).all()
    assert all(parameter.grad is None for parameter in recogniser.parameters())


def test_frozen_layers_have_the_gradient_of_torchs_own():
    recogniser = small()
    for module in recogniser.network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean), torch.nn.init.uniform_(module.running_var, 0.5, 2)
    images = faces().requires_grad_()
    ours, = torch.autograd.grad(recogniser(images).square().sum(), images)
    for module in recogniser.network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.forward = torch.nn.BatchNorm2d.forward.__get__(module)
        if isinstance(module, torch.nn.PReLU):
            module.forward = torch.nn.PReLU.forward.__get__(module)
    theirs, = torch.autograd.grad(recogniser(images).square().sum(), images)
    torch.testing.assert_close(ours, theirs, atol=1e-6 * theirs.abs().max().item(), rtol=1e-4)


def test_a_saved_recogniser_comes_back_as_it_was(tmp_path):
    recogniser = small(colour="bgr", mean=0.0, std=1.0)
    save_recogniser(recogniser, tmp_path / "small.pt")
    loaded = load_recogniser("small", tmp_path / "small.pt")
    assert torch.equal(loaded(faces()), recogniser(faces()))
    assert (loaded.name, loaded.embedding_size, loaded.training) == ("small", 16, False)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_a_missing_recogniser_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    with pytest.raises(FiqaError, match="the network nobody is neither built here nor among those that ship"):
        load_recogniser("nobody")


@pytest.mark.parametrize("wrap", [
    lambda state: state,
    lambda state: {"epoch": 68, "net_state_dict": state},
    lambda state: {"state_dict": {**{f"model.{key}": value for key, value in state.items()},
                                  "head.kernel": torch.zeros(4, 4)}},
    lambda state: {"state_dict": {**{f"features.module.{key}": value for key, value in state.items()},
                                  "parallel_fc.weight": torch.zeros(4, 4)}},
    lambda state: {f"module.{key}": value for key, value in state.items()}])
def test_official_wrappers_are_taken_off(tmp_path, wrap):
    network = build_model("mobilefacenet_xiaoccer")
    torch.save(wrap(network.state_dict()), tmp_path / "official.pth")
    loaded = load_recogniser("mobilefacenet_xiaoccer", tmp_path / "official.pth")
    state = network.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in loaded.network.state_dict().items())


def test_a_checkpoint_that_does_not_fit_is_described(tmp_path):
    state = build_model("mobilefacenet_xiaoccer").state_dict()
    state["linear7.conv.weight"] = torch.zeros(512, 1, 7, 7)
    state["extra"] = torch.zeros(1)
    del state["conv1.conv.weight"], state["conv1.bn.bias"]
    torch.save(state, tmp_path / "wrong.pth")
    with pytest.raises(FiqaError) as caught:
        load_recogniser("mobilefacenet_xiaoccer", tmp_path / "wrong.pth")
    message = str(caught.value)
    assert "2 missing of 333: conv1.conv.weight, conv1.bn.bias" in message
    assert "1 unexpected of 332: extra" in message
    assert "1 mis-shaped of 333: linear7.conv.weight (512, 1, 7, 7) instead of (512, 1, 7, 6)" in message


class Hostile:
    def __reduce__(self):
        return Path.touch, (Path("touched"),)


def test_a_hostile_pickle_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Hostile()}, tmp_path / "hostile.pth")
    with pytest.raises(FiqaError, match="could run code"):
        load_recogniser("iresnet18", tmp_path / "hostile.pth")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "damaged.pth").write_bytes(content)
    with pytest.raises(FiqaError, match="damaged.pth"):
        load_recogniser("iresnet18", tmp_path / "damaged.pth")


def test_embeddings_do_not_depend_on_neighbours_or_on_the_last_batch():
    pixels = np.random.default_rng(0).integers(0, 256, (10, 112, 112, 3), dtype=np.uint8)
    recogniser = small()
    whole = embed(recogniser, pixels, "cpu", batch=4)
    assert whole.shape == (10, 16) and whole.dtype == np.float32
    np.testing.assert_array_equal(whole[8:], embed(recogniser, pixels[8:], "cpu", batch=4))
    images = to_batch(pixels)
    plain = recogniser(images) + recogniser(images.flip(-1))
    np.testing.assert_allclose(whole, plain.numpy(), atol=1e-5 * plain.abs().max().item())


def test_adaface_returns_unit_vectors_and_adds_raw_ones():
    """Its evaluation weighs the embeddings of image and mirror image by their norms before the sum."""
    recogniser = small(network="adaface")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
    images = to_batch(pixels)
    unit, norm = recogniser.outputs(images)
    mirrored, other = recogniser.outputs(images.flip(-1))
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(3))
    assert norm.shape == (3, 1) and torch.equal(recogniser(images), unit)
    np.testing.assert_allclose(embed(recogniser, pixels, "cpu"), unit * norm + mirrored * other, atol=1e-5)


def test_catalogue_recognisers_say_what_they_are():
    recogniser = recogniser_from_catalogue("mobilefacenet_xiaoccer")
    assert recogniser.name == "MobileFaceNet (CASIA)"
    assert (recogniser.embedding_size, recogniser.size) == (128, (112, 96))


def test_odd_widths_keep_the_plain_layout():
    narrow, wide = (IResNet(blocks=(1, 1, 1, 1), widths=widths, size=56, stem_stride=2, embedding=16)
                    for widths in ((8, 16, 32, 64), (16, 32, 48, 64)))
    assert fast_layout(narrow) == torch.contiguous_format
    assert fast_layout(wide) == torch.channels_last
