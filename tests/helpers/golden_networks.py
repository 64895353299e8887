"""The golden files' deterministic weights, and how far our networks are from the outputs stored for them.

`golden/architectures.npz` holds the outputs of the authors' code ("<architecture>/<output>"), computed with
the weights that `fill` draws; `golden/architectures.json` the number and a digest of each state dict's keys.
"""
import hashlib
import json
import math
import re
import zlib
from pathlib import Path

import numpy as np
import torch

from fiqa_core.kernels import diffusion

FOLDER = Path(__file__).parents[1] / "golden"
MANIFESTS = json.loads((FOLDER / "architectures.json").read_text())
OUTPUTS = np.load(FOLDER / "architectures.npz")
CONSTANT = {"attn_mask", "relative_position_index", *diffusion.tables()}
TOKENS = {"pos_embed", "mask_token", "relative_position_bias_table"}
# Last scale or projection of a residual branch: drawn smaller, which keeps deep networks' values in range.
BRANCH_END = re.compile(
    r"(?:.*\.)?(?:layer\d+\.\d+\.bn3|res_layer\.[45]|conv_[345]\.model\.\d+\.project\.bn"
    r"|blocks\.\d+\.(attn\.proj|mlp\.fc2)|layers\.\d+\.layers\.\d+\.layers\.2\.layers\.1|block2\.norm"
    r"|blocks\.(?!0\.|5\.|12\.)\d+\.conv\.7|features\.(?!0\.|5\.|12\.)\d+\.conv\.3)"
)
# The same outputs as another architecture's, whose golden file is the smaller one or the only one.
ALIASES = {"elasticface_iresnet50": "iresnet50"}


def golden_input(shape) -> torch.Tensor:
    """The images of every golden file: float32, uniform in [-1, 1)."""
    return torch.from_numpy(np.random.default_rng(7).uniform(-1, 1, tuple(shape)).astype(np.float32))


@torch.no_grad()
def fill(state: dict) -> None:
    """Draw every tensor of a state dict, in place, from a generator seeded by the CRC-32 of its key."""
    for key, tensor in state.items():
        prefix, _, leaf = key.rpartition(".")
        if leaf == "num_batches_tracked":
            tensor.zero_()
        elif leaf not in CONSTANT:
            norm = f"{prefix}.running_mean" in state
            values = draw(leaf, prefix, tensor.shape, norm, norm or f"{prefix}.bias" in state,
                          np.random.default_rng(zlib.crc32(key.encode())))
            tensor.copy_(torch.from_numpy(np.asarray(values)))


def draw(leaf, prefix, shape, norm, scale, rng):
    """Values of one tensor; norm: of a batch norm, scale: of any norm (and not the slope of a PReLU)."""
    if leaf in ("running_mean", "bias"):
        return 0.1 * rng.standard_normal(shape)
    if leaf == "running_var":
        return rng.uniform(0.5, 1.5, shape)
    if leaf == "g":
        return 1 + 0.02 * rng.standard_normal(shape)
    if leaf in TOKENS:
        return 0.02 * rng.standard_normal(shape)
    if leaf != "weight":
        raise KeyError(f"no rule for {prefix}.{leaf}")
    ends = BRANCH_END.fullmatch(prefix) and (norm or "res_layer" not in prefix)
    gain = 0.3 if ends else 1.0
    if len(shape) > 1:
        return gain * math.sqrt(2 / math.prod(shape[1:])) * rng.standard_normal(shape)
    return gain * rng.uniform(0.5, 1.5, shape) if scale else rng.uniform(0.1, 0.4, shape)


def checksum(state: dict) -> tuple[int, float, float]:
    """(number of keys, sum, sum of absolute values) of a state dict's floating-point tensors."""
    values = [state[key].double() for key in sorted(state) if state[key].is_floating_point()]
    return len(state), sum(float(v.sum()) for v in values), sum(float(v.abs().sum()) for v in values)


def keys_digest(network) -> str:
    """Digest of the keys, shapes and types of a network's state dict."""
    lines = sorted(f"{key} {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
                   for key, value in network.state_dict().items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def keys_agree(name: str, network) -> bool:
    """Whether a network has the keys, shapes, types and number of parameters of its manifest."""
    manifest = MANIFESTS[name]
    parameters = sum(parameter.numel() for parameter in network.parameters())
    found = len(network.state_dict()), parameters, keys_digest(network)
    return found == (manifest["keys"], manifest["parameters"], manifest["digest"])


def golden(name: str) -> dict[str, np.ndarray]:
    """What is stored for an architecture, by output; empty where nothing is."""
    start = ALIASES.get(name, name) + "/"
    return {key.removeprefix(start): OUTPUTS[key] for key in OUTPUTS.files if key.startswith(start)}


@torch.no_grad()
def deviations(name: str, network, wanted: dict[str, np.ndarray]) -> dict[str, float]:
    """Largest deviation of each output of a filled network, relative to the largest golden value."""
    images = golden_input(wanted["input_shape"]) if "input_shape" in wanted else None
    found = outputs(name, network, images, wanted)
    return {label: float(np.abs(value.numpy() - wanted[label]).max() / np.abs(wanted[label]).max())
            for label, value in found.items()}


def outputs(name: str, network, images, wanted) -> dict[str, torch.Tensor]:
    """A network's outputs under the names of its golden file."""
    if name == "diffiqa_gaussian_diffusion":
        return {table: getattr(network, table) for table in wanted}
    if name == "diffiqa_unet":
        return unet_outputs(network, images, torch.from_numpy(wanted["t"]))
    if name == "ediffiqa_mlp":
        return {"quality": network(images.flatten(1)[:, :512])}
    found = network(images)
    if name == "swinface_full":
        attributes = torch.cat([value for value in found.values()][1:41], dim=1)
        return {"embedding": found["Recognition"], "age": found["Age"], "expression": found["Expression"],
                "attributes": attributes}
    if name == "swinface_backbone":
        local, overall, embedding = found
        return {"embedding": embedding, "local_mean": local.mean((2, 3)), "global_mean": overall.mean((2, 3))}
    if name.startswith("curricularface"):
        return {"embedding": found[0], "conv_out_mean": found[1].unflatten(1, (512, -1)).mean(2)}
    found = found if isinstance(found, tuple) else (found,)
    labels = [label for label in wanted if label not in ("input_shape", "fill_checksum")]
    return dict(zip(labels or range(len(found)), found))


def unet_outputs(network, images, time) -> dict[str, torch.Tensor]:
    """The stored parts of the U-Net's output."""
    found = network(images, time)
    return {"time_embedding": network.time_mlp(time), "output_row0": found[0, :, 0],
            "output_channel_mean": found[0].mean((1, 2))}
