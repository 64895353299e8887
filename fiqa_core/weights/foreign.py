"""Names and orders of axes of other frameworks, translated into those of our networks.

Only what is known of released files: LightQNet's and PFE's TensorFlow variables, and insightface's MXNet names
for an IResNet. Files of other networks can be read (`tensors`), but there is no network here that they fill.
"""
import re
from collections.abc import Iterator, Mapping

import torch

# what a TensorFlow graph or checkpoint calls its weights; other constants of a graph are sizes and the like
VARIABLE = re.compile(r".*/(weights|depthwise_weights|biases|beta|gamma|moving_mean|moving_variance)")
# MXNet's name of a layer -> ours; the block of stage s, unit u is layer{s}.{u - 1}
LAYERS = {"conv0": "conv1", "bn0": "bn1", "relu0": "prelu", "bn1": "bn2", "pre_fc1": "fc", "fc1": "features"}
INSIDE_BLOCK = {"relu1": "prelu", "conv1sc": "downsample.0", "sc": "downsample.1"}
LEAVES = {"weight": "weight", "gamma": "weight", "bias": "bias", "beta": "bias",
          "moving_mean": "running_mean", "moving_var": "running_var"}
MXNET = re.compile(rf"(?:arg|aux):(?:stage(\d+)_unit(\d+)_)?(\w+?)_({'|'.join(LEAVES)})")


def translations(content: Mapping) -> Iterator[dict[str, torch.Tensor]]:
    """State dicts that `content` is in other words; none for a file of PyTorch."""
    if any(key.startswith("arg:") for key in content):
        yield iresnet_of_mxnet(content)
    if any(key.startswith("SphereNet/") for key in content):
        from fiqa_core.methods import pfe_official
        yield pfe_official.from_tensorflow(content)
    if any(key.endswith("/BatchNorm/beta") for key in content):
        from fiqa_core.methods.lightqnet import from_tensorflow
        yield from_tensorflow({key: value for key, value in content.items() if VARIABLE.fullmatch(key)})


def iresnet_of_mxnet(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """IResNet's state dict of insightface's LResNet-E-IR parameters.

    The embedding's batch norm has its scale fixed at 1, whatever the file says. Names that belong to no layer
    are kept, for the loader to report. These networks have eps 2e-5 in batch norms and see (x - 127.5) / 128.
    """
    state = {}
    for name, tensor in tensors.items():
        key = _iresnet_key(name)
        state[key] = torch.ones_like(tensor) if key == "features.weight" else tensor
        if key.endswith("running_var"):
            state[key.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
    return state


def _iresnet_key(name: str) -> str:
    found = MXNET.fullmatch(name)
    if found is None:
        return name
    stage, unit, layer, leaf = found.groups()
    if stage is None:
        return f"{LAYERS.get(layer, layer)}.{LEAVES[leaf]}"
    return f"layer{stage}.{int(unit) - 1}.{INSIDE_BLOCK.get(layer, layer)}.{LEAVES[leaf]}"
