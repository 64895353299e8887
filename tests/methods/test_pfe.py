"""PFE's TensorFlow checkpoint: names, layouts, sizes, and the network's arithmetic by hand."""
import math
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import to_batch, write_image
from fiqa_core.cli import main
from fiqa_core.loading import architectures, load_quality
from fiqa_core.methods.pfe import OfficialPFE, PFENetwork, from_tensorflow, torch_name
from fiqa_core.pipeline.stage_files import copy_checked
from fiqa_core.recognisers.spherenet import Stage
from fiqa_core.registry import find_method
from fiqa_core.weights.fit import Undrawn
from tests.helpers import weights_writers as writers
from tests.helpers.small_networks import faces

UNITS, WIDTHS, EMBEDDING = (2, 1, 1, 1), (3, 4, 5, 6), 8
FLAT = 7 * 6 * WIDTHS[-1]
small = partial(PFENetwork, UNITS, WIDTHS, EMBEDDING)


def norm(layer, width, *learnt):
    return {f"{layer}/BatchNorm/{leaf}": (width,) for leaf in (*learnt, "moving_mean", "moving_variance")}


def shapes(units=UNITS, widths=WIDTHS, embedding=EMBEDDING) -> dict:
    """Variables of a released checkpoint and their shapes in TensorFlow's order of axes."""
    found, before, flat, module = {}, 3, 7 * 6 * widths[-1], "UncertaintyModule"
    for stage, (count, width) in enumerate(zip(units, widths), start=1):
        for number in range(2 * count + 1):
            layer = f"SphereNet/conv{stage}/Conv" + (f"_{number}" if number else "")
            found |= {f"{layer}/weights": (3, 3, width if number else before, width),
                      f"{layer}/p_re_lu/alpha": (1, 1, width)}
        found[f"SphereNet/conv{stage}/Conv/biases"] = (width,)
        before = width
    return {**found,
            "SphereNet/Bottleneck/weights": (flat, embedding),
            **norm("SphereNet/Bottleneck", embedding, "beta"),
            f"{module}/fc1/weights": (flat, embedding), **norm(f"{module}/fc1", embedding, "gamma", "beta"),
            f"{module}/fc_log_sigma_sq/weights": (embedding, embedding),
            **norm(f"{module}/fc_log_sigma_sq", embedding),
            f"{module}/scale_and_shift/alpha": (), f"{module}/scale_and_shift/gamma": ()}


def variables() -> dict:
    """Drawn values of a small checkpoint; variances are positive."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, shape in shapes().items():
        spread = math.prod(shape[:-1]) ** -0.5 if name.endswith("weights") else 0.3
        found[name] = torch.randn(shape, generator=generator) * spread
        if name.endswith(("moving_variance", "BatchNorm/gamma")):
            found[name] = found[name].abs() + 0.5
    place = "UncertaintyModule/scale_and_shift"
    return found | {f"{place}/alpha": torch.tensor(0.5), f"{place}/gamma": torch.tensor(-3.0)}


def by_hand(values: dict, prepared: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean, variance) of prepared images (B, 3, 112, 96), as the paper's repository computes them."""
    def conv(x, layer, stride=1):
        x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        bias = values.get(f"{layer}/biases")
        x = F.conv2d(x, values[f"{layer}/weights"].permute(3, 2, 0, 1), bias, stride)
        alpha = values[f"{layer}/p_re_lu/alpha"].reshape(1, -1, 1, 1)
        return x.relu() + alpha * (x - x.abs()) / 2

    def norm(x, layer):
        part = {leaf: values.get(f"{layer}/BatchNorm/{leaf}") for leaf in ("gamma", "beta", "moving_mean",
                                                                          "moving_variance")}
        x = (x - part["moving_mean"]) / (part["moving_variance"] + 1e-3).sqrt()
        x = x if part["gamma"] is None else x * part["gamma"]
        return x if part["beta"] is None else x + part["beta"]

    x = prepared
    for stage, count in enumerate(UNITS, start=1):
        x = conv(x, f"SphereNet/conv{stage}/Conv", 2)
        for unit in range(count):
            inside = conv(x, f"SphereNet/conv{stage}/Conv_{2 * unit + 1}")
            x = x + conv(inside, f"SphereNet/conv{stage}/Conv_{2 * unit + 2}")
    assert x.shape[1:] == (WIDTHS[-1], 7, 6)
    flat = x.permute(0, 2, 3, 1).reshape(len(x), -1)
    mean = norm(flat @ values["SphereNet/Bottleneck/weights"], "SphereNet/Bottleneck")
    module = "UncertaintyModule"
    y = norm(flat @ values[f"{module}/fc1/weights"], f"{module}/fc1").relu()
    y = norm(y @ values[f"{module}/fc_log_sigma_sq/weights"], f"{module}/fc_log_sigma_sq")
    a, b = (values[f"{module}/scale_and_shift/{name}"] for name in ("alpha", "gamma"))
    return mean / mean.norm(dim=1, keepdim=True), torch.exp(torch.log(1e-6 + torch.exp(a * y + b)))


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A checkpoint of the true form and small widths, and a package that expects these."""
    monkeypatch.setitem(find_method("pfe").released, "pfe", lambda: OfficialPFE(small()))
    monkeypatch.setitem(architectures(), "pfe", small)
    (tmp_path / "pfe_casia").mkdir()
    writers.tensorflow_checkpoint(tmp_path / "pfe_casia" / "ckpt-3000.index", variables())
    return tmp_path / "pfe_casia" / "ckpt-3000.index"


def test_sizes_are_the_published_ones():
    with torch.device("meta"), Undrawn():
        network = PFENetwork()
        state = from_tensorflow({name: torch.empty(shape) for name, shape in
                                 shapes((3, 8, 16, 3), (64, 128, 256, 512), 512).items()})

    def count(module):
        return sum(value.numel() for value in module.parameters())

    assert count(network.sphere.stages) == 37_176_256 and count(network.sphere) == 48_186_816
    assert count(network.uncertainty) == 11_273_218 and network.sphere.features == 21_504
    assert {key: value.shape for key, value in state.items()} == {
        key: value.shape for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert len(shapes((3, 8, 16, 3))) == 4 * 3 + 2 * 30 * 2 + 4 + 5 + 3 + 2


def test_the_network_is_the_published_one(checkpoint):
    model, values = load_quality("pfe", checkpoint), variables()
    prepared = torch.randn(3, 3, 112, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = model.network(prepared)
    wanted = by_hand(values, prepared)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert (wanted[1][0] / wanted[1][1] - 1).abs().max() > 0.05     # the images do differ
    assert not any(p.requires_grad for p in model.parameters())


def test_the_score_is_the_mean_precision(checkpoint):
    model, images = load_quality("pfe", checkpoint), faces(3)
    mean, variance = by_hand(variables(), model.prepare(images))
    torch.testing.assert_close(model(images), (1 / variance).mean(1), rtol=1e-4, atol=0)
    torch.testing.assert_close(model.score(images)[:, :-1].chunk(2, dim=1), (mean, variance), rtol=1e-4, atol=1e-5)
    assert model(images[:0]).shape == (0,)
    one_by_one = OfficialPFE(model.network, budget=1)
    torch.testing.assert_close(one_by_one(images), model(images), rtol=1e-5, atol=0)
    assert not torch.allclose(model(images.flip(1)), model(images))
    with pytest.raises(FiqaError, match="0, 1"):
        model(images * 255)


def test_the_input_is_rgb_of_the_middle_columns():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    wanted = (pixels[:, :, 8:104].astype(np.float32) - 127.5) / 128
    prepared = OfficialPFE(small()).prepare(to_batch(pixels))
    np.testing.assert_allclose(prepared, wanted.transpose(0, 3, 1, 2), atol=1e-6)


def test_the_border_of_a_halving_convolution_is_behind():
    stage = Stage(1, 1, 0)
    torch.nn.init.ones_(stage.down.weight), torch.nn.init.zeros_(stage.down.bias)
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    sums = [[x[0, 0, :3, :3].sum(), x[0, 0, :3, 2:].sum()], [x[0, 0, 2:, :3].sum(), x[0, 0, 2:, 2:].sum()]]
    torch.testing.assert_close(stage(x)[0, 0], torch.tensor(sums))


@pytest.mark.parametrize("name, key", [
    ("SphereNet/conv1/Conv/weights", "sphere.stages.0.down.weight"),
    ("SphereNet/conv4/Conv/biases", "sphere.stages.3.down.bias"),
    ("SphereNet/conv2/Conv/p_re_lu/alpha", "sphere.stages.1.prelu.weight"),
    ("SphereNet/conv3/Conv_1/weights", "sphere.stages.2.units.0.conv1.weight"),
    ("SphereNet/conv3/Conv_32/p_re_lu/alpha", "sphere.stages.2.units.15.prelu2.weight"),
    ("SphereNet/Bottleneck/BatchNorm/moving_variance", "sphere.bn.running_var"),
    ("UncertaintyModule/fc1/BatchNorm/gamma", "uncertainty.bn1.weight"),
    ("UncertaintyModule/scale_and_shift/alpha", "uncertainty.scale"),
    ("UncertaintyModule/scale_and_shift/gamma", "uncertainty.shift"),
    ("SphereNet/conv1/Deconv/weights", "SphereNet/conv1/Deconv/weights")])
def test_tensorflow_names(name, key):
    assert torch_name(name) == key


def test_what_the_training_left_behind_is_passed_over(tmp_path, checkpoint):
    left = {"global_step": torch.tensor(3000),
            "UncertaintyModule/fc1/weights/Momentum": torch.zeros(FLAT, EMBEDDING)}
    writers.tensorflow_checkpoint(tmp_path / "ckpt-9.index", variables() | left)
    images, model = faces(2), load_quality("pfe", checkpoint)
    assert torch.equal(load_quality("pfe", tmp_path / "ckpt-9")(images), model(images))


DEFECTS = {"missing": (lambda v: v.pop("SphereNet/Bottleneck/BatchNorm/beta"),
                       "1 missing of 46: sphere.bn.bias"),
           "unexpected": (lambda v: v.update({"SphereNet/conv5/Conv/weights": torch.zeros(3, 3, 6, 6)}),
                          "1 unexpected of 47: sphere.stages.4.down.weight"),
           "scale that is none": (lambda v: v.update({"SphereNet/Bottleneck/BatchNorm/gamma": torch.ones(8)}),
                                  "1 unexpected of 47: sphere.bn.weight"),
           "mis-shaped": (lambda v: v.update({"UncertaintyModule/fc1/weights": torch.zeros(9, EMBEDDING)}),
                          r"1 mis-shaped of 46: uncertainty.fc1.weight \(8, 9\) instead of \(8, 252\)")}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_checkpoint_with_a_defect_is_told_which(defect, tmp_path, checkpoint, monkeypatch):
    values = variables()
    damage, complaint = DEFECTS[defect]
    damage(values)
    writers.tensorflow_checkpoint(tmp_path / "ckpt-1.index", values)
    monkeypatch.setattr("fiqa_core.loading.advice", lambda content: "")
    with pytest.raises(FiqaError, match=f"ckpt-1.index as pfe: {complaint}"):
        load_quality("pfe", tmp_path / "ckpt-1.index")


def test_the_pipeline_takes_the_checkpoint_with_its_data(checkpoint, tmp_path):
    copy_checked(str(checkpoint), tmp_path / "quality" / "0.pt", partial(load_quality, "pfe"))
    scores = load_quality("pfe", checkpoint)(faces(2))
    for file in checkpoint.parent.iterdir():
        file.unlink()
    assert torch.equal(load_quality("pfe", tmp_path / "quality" / "0.pt")(faces(2)), scores)


def test_a_folder_is_scored_with_the_checkpoint_by_any_of_its_names(checkpoint, tmp_path):
    image = np.random.default_rng(3).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    write_image(tmp_path / "faces" / "a.png", image)
    score = load_quality("pfe", checkpoint)(to_batch(image[None])).item()
    arguments = ["score", str(tmp_path / "faces"), "--method", "pfe", "--out", str(tmp_path / "scores.csv")]
    for model in (checkpoint, checkpoint.with_suffix("")):
        assert main([*arguments, "--model", str(model)]) == 0
        found = (tmp_path / "scores.csv").read_text().splitlines()[1].split(",")[1]
        assert float(found) == pytest.approx(score, rel=1e-5)


def test_a_data_file_that_is_not_there_is_named(checkpoint):
    checkpoint.with_name("ckpt-3000.data-00000-of-00001").unlink()
    with pytest.raises(FiqaError, match="ckpt-3000.data-00000-of-00001 is not beside it"):
        load_quality("pfe", checkpoint)
