"""LightQNet: released widths, TensorFlow's names and borders, preparation, the trained networks' scores."""
import cv2
import numpy as np
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import read_image, to_batch
from fiqa_core.methods.lightqnet import (WIDTHS, ConvNorm, LightQNet, LightQNetNetwork, from_tensorflow,
                                         torch_name)
from tests.helpers.shared import shared_path


def trained(width):
    """The released network; the shared file holds the graph's tensors by their TensorFlow names."""
    path = shared_path(f"weights/lightqnet/lightqnet_{width}.pth")
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    model = LightQNet(width)
    model.load_state_dict(from_tensorflow(tensors))
    return model


@pytest.mark.parametrize("width", WIDTHS)
def test_trained_networks_give_the_golden_scores(width):
    golden = np.load(shared_path("golden/realweights.npz"))[f"lightqnet/{width}/random"]
    images = np.random.default_rng(7).uniform(-1, 1, (2, 96, 96, 3)).astype(np.float32)
    with torch.no_grad():
        found = trained(width).network(torch.from_numpy(images).permute(0, 3, 1, 2))
    np.testing.assert_allclose(found, golden, atol=1e-6)


@pytest.mark.parametrize("width", WIDTHS)
def test_trained_networks_give_the_reference_scores_of_faces(width):
    golden = np.load(shared_path("faces/reference_golden.npz"))
    pixels = np.stack([read_image(shared_path(f"faces/{path}")) for path in golden["paths"]])
    found = trained(width)(to_batch(pixels))
    np.testing.assert_allclose(found, golden[f"lightqnet_{width.removeprefix('dm')}"], atol=1e-6)


@pytest.mark.parametrize("width, parameters", [("dm100", 429_465), ("dm050", 124_449), ("dm025", 43_513)])
def test_sizes_are_the_released_ones(width, parameters):
    network = LightQNetNetwork(width)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert [index for index, block in enumerate(network.blocks) if block.residual] == (
        [2, 4, 5, 7, 9, 10] if width == "dm100" else [2, 4, 5, 6, 7, 9, 10])


@pytest.mark.parametrize("name, key", [
    ("UncertaintyModule/MobilenetV3/Conv/weights", "stem.conv.weight"),
    ("UncertaintyModule/MobilenetV3/Conv_1/BatchNorm/gamma", "last.bn.weight"),
    ("MobilenetV3/expanded_conv/depthwise/depthwise_weights", "blocks.0.depthwise.conv.weight"),
    ("expanded_conv_10/project/BatchNorm/moving_variance", "blocks.10.project.bn.running_var"),
    ("expanded_conv_3/expand/BatchNorm/beta", "blocks.3.expand.bn.bias"),
    ("UncertaintyModule/Bottleneck/weights", "bottleneck.weight"),
    ("UncertaintyModule/Bottleneck/biases", "bottleneck.bias"),
    ("Elsewhere/kernel", "Elsewhere.kernel")])
def test_tensorflow_names(name, key):
    assert torch_name(name) == key


def test_tensorflow_layouts():
    """conv (kh, kw, in, out), depthwise (kh, kw, in, 1), linear (in, 1)."""
    conv, depthwise, linear = torch.rand(3, 3, 2, 5), torch.rand(3, 3, 4, 1), torch.rand(6, 1)
    state = from_tensorflow({
        "Conv/weights": conv, "expanded_conv/depthwise/depthwise_weights": depthwise,
        "Bottleneck/weights": linear, "Conv/BatchNorm/beta": torch.ones(5)})
    assert state["stem.conv.weight"][4, 1, 0, 2] == conv[0, 2, 1, 4]
    assert state["blocks.0.depthwise.conv.weight"][3, 0, 0, 2] == depthwise[0, 2, 3, 0]
    assert torch.equal(state["bottleneck.weight"], linear.T)
    assert from_tensorflow(LightQNetNetwork("dm025").state_dict()) == {}


def test_strided_convolutions_add_their_border_behind():
    layer = ConvNorm(1, 1, 3, 2, activation=False).eval()
    torch.nn.init.ones_(layer.conv.weight)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    found = layer(x)[0, 0] * (1 + 2e-5) ** 0.5
    x = x[0, 0]
    sums = [[x[0:3, 0:3].sum(), x[0:3, 2:].sum()], [x[2:, 0:3].sum(), x[2:, 2:].sum()]]
    torch.testing.assert_close(found, torch.tensor(sums))


@pytest.mark.parametrize("colour", ["bgr", "rgb"])
def test_preparation_is_the_demos(colour):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    prepared = LightQNet("dm025", colour).prepare(to_batch(pixels)) * 128 + 128
    order = slice(None, None, -1) if colour == "bgr" else slice(None)
    wanted = np.stack([cv2.resize(image, (96, 96))[..., order] for image in pixels]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(prepared, wanted)


def test_unknown_width_and_colour_are_refused():
    with pytest.raises(FiqaError, match="dm075.*\n.*dm050"):
        LightQNet("dm075")
    with pytest.raises(FiqaError, match="colour is 'grey'"):
        LightQNet("dm050", colour="grey")
