"""FaceQnet's Keras file: the network it describes, its input, and what each defect of a file is told."""
import cv2
import h5py
from functools import partial

import numpy as np
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import to_batch
from fiqa_core.loading import load_quality
from fiqa_core.pipeline.stage_files import copy_checked
from fiqa_core.weights.keras_network import KerasNetwork, built
from tests.helpers import weights_writers as writers
from tests.helpers.keras_files import FULL, by_hand, faceqnet
from tests.helpers.small_networks import faces


def write(path, net):
    writers.keras(path, net.held(), net.config())
    return path


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A file of the true form, a loaded model, and the weights in it."""
    net = faceqnet()
    path = write(tmp_path_factory.mktemp("faceqnet") / "FaceQnet_v1.h5", net)
    return path, load_quality("faceqnet", path), net.weights


def test_the_network_of_the_file_is_the_published_one(released):
    _, model, weights = released
    prepared = model.prepare(faces(2))
    with torch.no_grad():
        found = model.network(prepared)
    wanted = by_hand(weights, prepared)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-3)
    assert (wanted[0] - wanted[1]).abs() > 1e-2 and not any(p.requires_grad for p in model.parameters())


def test_the_trunk_has_the_published_number_of_values():
    """The counts of the published recogniser, without and with its last layer."""
    net = faceqnet(FULL, hidden=0, device="meta")
    for statistics, values in ((53_120, 23_561_152), (53_120, 24_610_240)):
        with torch.device("meta"):
            state = KerasNetwork(net.config(), net.held()).state_dict()
        state = {key: value.numel() for key, value in state.items() if value.ndim}
        assert sum(state.values()) == values
        assert sum(count for key, count in state.items() if "running" in key) == statistics
        net.dense("dim_proj", "flatten_1", 2048, 512, "relu")


def test_the_input_is_bgr_of_full_range_at_twice_the_size(released):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    prepared = released[1].prepare(to_batch(pixels))
    wanted = np.stack([cv2.resize(image[..., ::-1], (224, 224)) for image in pixels]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(prepared, wanted)
    assert prepared.dtype == torch.float32 and prepared.max() > 250


def test_scores_are_the_clamped_output(tmp_path):
    net, images = faceqnet(), faces(4)
    write(tmp_path / "a.h5", net)
    raw = by_hand(net.weights, load_quality("faceqnet", tmp_path / "a.h5").prepare(images))[:, 0]
    _, low, high, _ = raw.sort().values                # at 0.25 and 0.75; the others outside 0..1
    last = net.weights["main_output"]
    scale = 0.5 / (high - low)
    last["main_output/kernel:0"] *= scale
    last["main_output/bias:0"] = (last["main_output/bias:0"] - (high + low) / 2) * scale + 0.5
    model = load_quality("faceqnet", write(tmp_path / "b.h5", net))
    scores = model(images)
    wanted = ((raw - (high + low) / 2) * scale + 0.5).clamp(0, 1)
    torch.testing.assert_close(scores, wanted, rtol=0, atol=1e-3)
    assert scores.min() == 0 and scores.max() == 1 and model(images[:0]).shape == (0,)


def test_colours_count(released):
    _, model, _ = released
    images = faces(2)
    network = model.network
    with torch.no_grad():
        assert not torch.allclose(network(model.prepare(images)), network(model.prepare(images.flip(1))))


def test_the_pipeline_takes_the_file_as_it_is(released, tmp_path):
    copy_checked(str(released[0]), tmp_path / "quality" / "0.pt", partial(load_quality, "faceqnet"))
    images = faces(2)
    assert torch.equal(load_quality("faceqnet", tmp_path / "quality" / "0.pt")(images), released[1](images))


# ---- layers beside brute force

@pytest.mark.parametrize("size, window, step", [(7, 3, 2), (8, 3, 2), (9, 2, 3), (5, 4, 1)])
def test_borders_are_those_of_tensorflow(size, window, step):
    """A window begins at step * i - before, where `before` is the smaller half of what is lacking."""
    x = torch.rand(1, 2, size, size, generator=torch.Generator().manual_seed(2)) - 0.8
    count = -(-size // step)
    before = max((count - 1) * step + window - size, 0) // 2
    starts = [(step * i - before, step * j - before) for i in range(count) for j in range(count)]
    windows = [x[0, :, max(top, 0):top + window, max(left, 0):left + window] for top, left in starts]
    options = {"filters": 1, "kernel_size": [window, window], "strides": [step, step], "padding": "same",
               "use_bias": True}
    conv = built({"name": "c", "class_name": "Conv2D", "config": options},
                 {"c/kernel:0": torch.ones(window, window, 2, 1), "c/bias:0": torch.ones(1)})
    wanted = torch.stack([part.sum() for part in windows]).reshape(count, count) + 1
    torch.testing.assert_close(conv(x)[0, 0], wanted)


def test_maps_are_flattened_with_the_channel_fastest():
    x = torch.arange(12.0).reshape(1, 3, 2, 2)
    flatten = built({"name": "f", "class_name": "Flatten", "config": {}}, {})
    assert flatten(x)[0].tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]


def test_a_norm_may_lack_its_scale():
    options = {"axis": [3], "epsilon": 0.5, "center": True, "scale": False}
    weights = {"n/beta:0": torch.tensor([1.0]), "n/moving_mean:0": torch.tensor([2.0]),
               "n/moving_variance:0": torch.tensor([3.5])}
    norm = built({"name": "n", "class_name": "BatchNormalization", "config": options}, weights)
    assert norm(torch.tensor([[[[6.0]]]])).item() == pytest.approx(3)


# ---- files with one defect each

def layer(net, name):
    return next(layer for layer in net.layers if layer["name"] == name)


def relative(net, name, **options):
    layer(net, name)["config"].update(options)


def rename(net):
    weights = net.weights["conv2_1_3x3/bn"]
    swapped = dict(zip(sorted(weights), weights.values()))          # beta before gamma
    net.weights["conv2_1_3x3/bn"] = swapped


DEFECTS = {
    "unknown layer": (lambda net: layer(net, "activation_1").update(class_name="Lambda"),
                      "layer activation_1 is a Lambda, which is not built here; known: InputLayer"),
    "weights missing": (lambda net: net.weights.pop("dense_1"),
                        "layer dense_1 has the weights none; its configuration wants kernel, bias"),
    "weights left": (lambda net: net.weights.update(extra={"extra/kernel:0": torch.zeros(1)}),
                     "it has no layer extra"),
    "other order": (rename, "layer conv2_1_3x3/bn has the weights .*; its configuration wants gamma, beta"),
    "mis-shaped": (lambda net: relative(net, "conv1/7x7_s2", filters=9),
                   r"layer conv1/7x7_s2 has a kernel of shape \(7, 7, 3, 2\), where .* \(7, 7, None, 9\)"),
    "not matching": (lambda net: layer(net, "conv2_1_3x3").update(inbound_nodes=[[["base_input", 0, 0, {}]]]),
                     "its layers do not fit one another"),
    "not flattened": (lambda net: layer(net, "dropout_1").update(inbound_nodes=[[["avg_pool", 0, 0, {}]]]),
                      "were not flattened"),
    "in a circle": (lambda net: layer(net, "activation_1").update(inbound_nodes=[[["avg_pool", 0, 0, {}]]]),
                    "cycle"),
    "from nowhere": (lambda net: layer(net, "avg_pool").update(inbound_nodes=[[["fog", 0, 0, {}]]]),
                     "it has no layer fog"),
    "used twice": (lambda net: layer(net, "avg_pool")["inbound_nodes"].append([["conv5_3_c", 0, 0, {}]]),
                   "layer avg_pool is used 2 times"),
    "strange activation": (lambda net: relative(net, "main_output", activation="swish"), "ends in 'swish'"),
    "strange padding": (lambda net: relative(net, "conv1/7x7_s2", padding="causal"),
                        "has the padding 'causal'"),
    "pooled border": (lambda net: relative(net, "avg_pool", padding="same"), "has the padding 'same'"),
    "weights of none": (lambda net: net.weights.update(avg_pool={"avg_pool/kernel:0": torch.zeros(1)}),
                        "layer avg_pool has the weights avg_pool/kernel:0; its configuration wants none"),
    "channels first": (lambda net: relative(net, "conv1/7x7_s2", data_format="channels_first"),
                       "axes in the order 'channels_first'"),
    "dilated": (lambda net: relative(net, "conv1/7x7_s2", dilation_rate=[2, 2]), "is dilated"),
    "another axis": (lambda net: relative(net, "conv2_1_3x3/bn", axis=1), "normalised along axis 1"),
    "not finite": (lambda net: net.weights["dense_1"]["dense_1/bias:0"].fill_(torch.inf),
                   "1 not finite of .*: dense_1/bias:0"),
    "another input": (lambda net: relative(net, "base_input", batch_input_shape=[None, 160, 160, 3]),
                      r"takes images of shape \(160, 160, 3\), not \(224, 224, 3\)"),
    "no options": (lambda net: layer(net, "avg_pool").pop("config"), "not as Keras 2 writes it: KeyError"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_file_with_a_defect_is_told_which(defect, tmp_path):
    net = faceqnet()
    damage, complaint = DEFECTS[defect]
    damage(net)
    with pytest.raises(FiqaError, match=rf"FaceQnet.h5: .*{complaint}"):
        load_quality("faceqnet", write(tmp_path / "FaceQnet.h5", net))


def test_a_recognition_network_is_no_faceqnet(tmp_path):
    with pytest.raises(FiqaError, match=r"answers an image with a tensor of shape \(7,\), not \(1,\)"):
        load_quality("faceqnet", write(tmp_path / "a.h5", faceqnet(outputs=7)))


def test_weights_alone_are_no_network(tmp_path):
    writers.keras(tmp_path / "weights.h5", faceqnet().held())
    with pytest.raises(FiqaError, match="without the network they belong to.*\n.*whole model"):
        load_quality("faceqnet", tmp_path / "weights.h5")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"class_name": "Sequential", "config": []}', "7"])
def test_a_configuration_that_is_none_is_refused(tmp_path, text):
    path = write(tmp_path / "a.h5", faceqnet())
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = text.encode()
    with pytest.raises(FiqaError, match="a.h5"):
        load_quality("faceqnet", path)


def test_tensors_without_their_network_are_refused(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "FaceQnet.pt")
    with pytest.raises(FiqaError, match="does not say which layers .faceqnet. has.*Keras.*\n.*faceqnet_v1"):
        load_quality("faceqnet", tmp_path / "FaceQnet.pt")


@pytest.mark.parametrize("slug", ["faceqgen", "pfe", "ediffiqa_l"])
def test_no_other_method_takes_the_file(released, slug):
    """The repository of FaceQgen offers FaceQnet's file as its own."""
    with pytest.raises(FiqaError, match=f"is a Keras model, and '{slug}' comes in no such form"):
        load_quality(slug, released[0])
