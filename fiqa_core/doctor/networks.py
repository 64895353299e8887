"""What one pass of each network costs, counted on shapes alone: nothing is drawn or computed."""
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fiqa_core.kernels.chunks import output_bytes
from fiqa_core.kernels.diffusion import FACE, Diffusion
from fiqa_core.loading import ARCHITECTURES
from fiqa_core.methods.faceqgen import DEFAULTS as FACEQGEN
from fiqa_core.methods.faceqgen import NETWORK, FaceQgen
from fiqa_core.methods.lightqnet import WIDTHS
from fiqa_core.recognisers.zoo import CATALOGUE, FAMILIES, recogniser_from_catalogue, recogniser_from_config

CONVOLUTION, ATTENTION = "convolutions", "attention"
# Input (height, width) of networks that do not take aligned crops as they are.
SIZES = {**{f"lightqnet_{width}": (96, 96) for width in WIDTHS}, "pfe": (112, 96)}
UNET = ("dim", "multipliers", "size", "heads", "head_dim")
# Networks that onnxruntime runs: multiply-adds and parameters in millions, assumed.
# The parameters follow from the size of SFace's file, the multiply-adds are those of a MobileFaceNet.
UNBUILT = {"sface": (230.0, 9.7)}


@dataclass(frozen=True)
class Pass:
    """One image through one network.

    name         what tables call the network
    adds         multiply-adds
    parameters   number of them
    widest       bytes of the largest output of a layer; outputs: of all, which a backward pass needs
    family       CONVOLUTION or ATTENTION: which probe tells its speed
    build        the network and its input, for a probe that runs it; None where it is not built here
    """

    name: str
    adds: float
    parameters: int
    widest: int = 0
    outputs: int = 0
    family: str = CONVOLUTION
    build: object = None


def recogniser_pass(config: dict) -> Pass:
    """The recogniser of an entry of `recognisers`: of a checkpoint's architecture, or of a trained family."""
    architecture = config.get("architecture")
    if architecture in UNBUILT:
        return _unbuilt(architecture)
    if architecture:
        return architecture_pass(architecture)
    return _family_pass(
        hashable({key: config[key] for key in ("network", *FAMILIES[config["network"]][1]) if key in config})
    )


@cache
def architecture_pass(name: str) -> Pass:
    """A network by the name of its architecture."""
    if name in CATALOGUE:
        return counted(name, lambda: recogniser_from_catalogue(name))
    return counted(name, ARCHITECTURES[name], SIZES.get(name, (FACE, FACE)))


def diffusion_pass(config: dict) -> Pass:
    """One evaluation of the U-Net that section `diffusion` describes; the published one for a checkpoint."""
    return _unet_pass(hashable({key: config[key] for key in UNET if key in config}))


def restorer_pass(config: dict) -> Pass:
    """The generator of FaceQgen as a suite describes its training."""
    chosen = {**FACEQGEN, **config}
    size = (chosen["size"],) * 2
    return counted("FaceQgen", lambda: FaceQgen(**{key: chosen[key] for key in NETWORK}).generator, size)


def hashable(config: dict) -> tuple:
    """A mapping of plain values as one that can be remembered."""
    return tuple((key, tuple(value) if isinstance(value, list) else value)
                 for key, value in sorted(config.items()))


@cache
def _family_pass(config: tuple) -> Pass:
    """Recognisers that differ in their training alone cost the same, and are counted once."""
    return counted(dict(config)["network"], lambda: recogniser_from_config(dict(config)))


@cache
def _unet_pass(config: tuple) -> Pass:
    arguments = dict(config)
    return counted("diffusion model", lambda: Diffusion(**arguments).model,
                   (arguments.get("size", FACE),) * 2, time=True)


def counted(name: str, build, size: tuple = (FACE, FACE), time: bool = False) -> Pass:
    """The Pass of `build()` for one image of `size` (height, width); `time`: it also takes a time index.

    build runs on the meta device, where tensors have a shape and no content.
    """
    with torch.device("meta"), torch.no_grad():
        network = build().eval()
        arguments = sample(size, time)
        with FlopCounterMode(display=False) as counter:
            outputs = output_bytes(network, arguments)
    family = ATTENTION if any(isinstance(layer, nn.LayerNorm) for layer in network.modules()) else CONVOLUTION
    return Pass(name, counter.get_total_flops() / 2, sum(p.numel() for p in network.parameters()),
                max(outputs), sum(outputs), family, (build, size, time))


def sample(size: tuple, time: bool, count: int = 1) -> tuple[torch.Tensor, ...]:
    """Arguments of a network: `count` images of `size`, and time indices for a U-Net."""
    images = torch.zeros(count, 3, *size)
    return (images, torch.zeros(count, dtype=torch.long)) if time else (images,)


def _unbuilt(name: str) -> Pass:
    millions, parameters = UNBUILT[name]
    return Pass(name, millions * 1e6, int(parameters * 1e6), widest=112 * 112 * 64 * 4)
