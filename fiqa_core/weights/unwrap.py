"""The state dict inside an official file: its wrappers and prefixes taken off, foreign names translated.

Repositories save their networks under different wrappers (`state_dict`, `model`, ...) and prefixes of the
keys (`module.`, `features.module.`, ...), beside loss heads and optimisers. What to take off is not guessed
from the names alone: of all ways to look at a file, the one is taken that fits the network.

Names and orders of axes of other frameworks, translated into those of our networks.

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
        from fiqa_core.methods import pfe
        yield pfe.from_tensorflow(content)
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


WRAPPERS = ("state_dict", "net_state_dict", "model")
PREFIXES = ("module.", "model.", "features.", "base_model.", "backbone.")
MOST_LAYERS = 4                     # of wrappers and prefixes around one another
# The four dicts of SwinFace's file, each a part of the full network; the first alone is the recogniser.
SWINFACE = ("backbone", "fam", "tss", "om")
# Heads of losses and of quality that lie beside a backbone whose keys have a prefix.
HEADS = re.compile(r"(module\.)?((parallel_)?fc\.weight|head\.(kernel|weight|t|batch_mean|batch_std)"
                   r"|mlp\.l[12]\.(weight|bias))")

State = dict[str, torch.Tensor]


def unwrap(content: Mapping, wanted: Mapping[str, torch.Tensor]) -> State:
    """The part of a file that fits a network best: {key: tensor}.

    content   what `read_tensors` returned
    wanted    the network's own state dict, of which only keys and shapes count
    Where a prefix is taken off, keys without it are kept as they are, unless they are those of a known head:
    the loader then reports them. Where nothing fits, the largest state dict comes back.
    """
    best, most = {}, (-1, -1)
    for state in views(content):
        fitting = sum(key in state and state[key].shape == value.shape for key, value in wanted.items())
        if (fitting, len(state)) > most:
            best, most = state, (fitting, len(state))
        if fitting == len(wanted) == len(state):
            break
    return best


def views(content: Mapping, layers: int = MOST_LAYERS) -> Iterator[State]:
    """All ways to look at a file, from the outermost inwards."""
    state = {key: value for key, value in content.items()
             if isinstance(key, str) and isinstance(value, torch.Tensor)}
    yield state
    yield from translations(state)
    yield from _swinface(content)
    if not layers:
        return
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            yield from views(content[wrapper], layers - 1)
    for prefix in PREFIXES:
        if any(key.startswith(prefix) for key in state):
            yield from views(_without(prefix, state), layers - 1)


def _without(prefix: str, state: State) -> State:
    inside = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    beside = {key: value for key, value in state.items()
              if not key.startswith(prefix) and key not in inside and not HEADS.fullmatch(key)}
    return inside | beside


def _swinface(content: Mapping) -> Iterator[State]:
    parts = {part: content.get(f"state_dict_{part}") for part in SWINFACE}
    if isinstance(parts["backbone"], Mapping):
        yield dict(parts["backbone"])
    if all(isinstance(part, Mapping) for part in parts.values()):
        yield {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}
