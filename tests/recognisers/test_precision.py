"""Which layers compute how exactly, and that nothing of it stays behind."""
import pytest
import torch
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.kernels.diffiqa import DifFIQA
from fiqa_core.kernels.ediffiqa import EDifFIQA
from fiqa_core.kernels.faceqan import FaceQAN
from fiqa_core.recognisers.precision import PRECISIONS, computing, exact_layers
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.zoo import recogniser_from_catalogue, recogniser_from_config
from tests.helpers.small_networks import diffusion, faces, recogniser


def dtypes(network: nn.Module, run) -> dict[str, torch.dtype]:
    """Type of what each layer with weights returns while `run()` computes."""
    seen, names = {}, {layer: name for name, layer in network.named_modules()}

    def note(layer, inputs, output):
        seen[names[layer]] = output.dtype

    hooks = [layer.register_forward_hook(note) for layer in names if isinstance(layer, (nn.Conv2d, nn.Linear))]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def is_clean() -> bool:
    return not torch.is_autocast_enabled("cpu") and torch.backends.cudnn.allow_tf32 \
        and not torch.backends.cuda.matmul.allow_tf32


def test_stem_and_embedding_stay_in_float32_and_the_rest_does_not():
    network = recogniser()
    seen = dtypes(network, lambda: FaceQAN(network, repeats=1, iterations=2, precision="bf16")(faces(1)))
    exact = {name for name, dtype in seen.items() if dtype == torch.float32}
    assert exact == {"network.conv1", "network.fc"} and len(seen) == 14
    assert is_clean() and not any(layer._forward_hooks for layer in network.modules())


@pytest.mark.parametrize("name, wanted", [
    ("iresnet18", {"conv1", "fc"}), ("mobilefacenet_xiaoccer", {"conv1.conv", "linear1.conv"}),
    ("mobilefacenet_foamliu", {"conv1.0", "conv3"}), ("mobilefacenet_ediffiqa", {"conv1.conv", "linear"}),
    ("adaface_ir18", {"input_layer.0", "output_layer.3"})])
def test_the_exact_layers_of_released_networks(name, wanted):
    with torch.device("meta"):
        network = recogniser_from_catalogue(name).network
    names = {layer: name for name, layer in network.named_modules()}
    assert {names[layer] for layer in exact_layers(network)} == wanted


def test_of_a_transformer_the_patches_and_the_embedding_are_exact():
    network = recogniser_from_config({"network": "vit", "width": 24, "depth": 1, "heads": 2, "patch": 14,
                                      "size": 56, "embedding": 16}).network
    names = {layer: name for name, layer in network.named_modules()}
    assert [names[layer] for layer in exact_layers(network)] == ["patch_embed.proj", "feature.0", "feature.2"]


@pytest.mark.parametrize("build", [
    lambda **options: FaceQAN(recogniser(), repeats=2, iterations=2, **options),
    lambda **options: DifFIQA(diffusion(), recogniser(), repeats=2, **options)])
def test_methods_in_bf16_are_near_those_in_float32(build):
    images = faces(3)
    exact, coarse = build()(images), build(precision="bf16")(images)
    assert coarse.dtype == torch.float32 and not torch.equal(exact, coarse)
    torch.testing.assert_close(coarse, exact, rtol=0, atol=0.05)
    assert torch.equal(build(precision="tf32")(images), exact)            # of a CPU


def test_a_method_in_one_pass_states_its_precision():
    images, method = faces(3), EDifFIQA(recogniser()).requires_grad_(False)
    exact = method.score(images)
    method.precision = "bf16"
    seen = dtypes(method.network, lambda: method.score(images))
    assert seen["base_model.layer1.0.conv1"] == torch.bfloat16 and seen["mlp.l1"] == torch.float32
    torch.testing.assert_close(method.score(images), exact, rtol=0, atol=0.05 * exact.abs().max())


def test_tf32_is_on_only_where_it_is_chosen():
    for precision in PRECISIONS:
        with computing(precision, recogniser()):
            assert torch.backends.cudnn.allow_tf32 == torch.backends.cuda.matmul.allow_tf32 == (precision == "tf32")
            assert torch.is_autocast_enabled("cpu") == (precision == "bf16")
        assert is_clean()


def test_nothing_stays_behind_an_error_within_an_exact_layer():
    network = recogniser()
    network.network.conv1.register_forward_hook(lambda *call: 1 / 0)
    with pytest.raises(ZeroDivisionError), computing("bf16", network):
        network(faces(1))
    assert is_clean() and len(network.network.conv1._forward_hooks) == 1


def test_unknown_precisions_and_networks_that_have_none_are_refused():
    with pytest.raises(FiqaError, match="bfloat16.*\n.*float32, tf32, bf16"):
        FaceQAN(recogniser(), precision="bfloat16")
    with pytest.raises(FiqaError, match="bf16"):
        FaceQAN(Recogniser(nn.Flatten(), 3 * 112 * 112), repeats=1, precision="bf16")(faces(1))
