"""Every network whose published weights the package knows, by name: recognisers, quality networks, diffusion.

The networks are bare: they take prepared images, return what the authors' code returns, and have the keys of
the authors' files. `load_recogniser` and `load_quality` add preparation and weights.
"""
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial

from torch import nn

from fiqa_core.diffusion.model import Diffusion
from fiqa_core.diffusion.unet import UNet
from fiqa_core.errors import FiqaError
from fiqa_core.methods import lightqnet
from fiqa_core.methods.networks import CRFIQANetwork, DifFIQARNetwork, EDifFIQANetwork, QualityMLP
from fiqa_core.methods.pfe_official import PFENetwork
from fiqa_core.recognisers.catalogue import CATALOGUE
from fiqa_core.recognisers.iresnet import DEPTHS, IResNet
from fiqa_core.recognisers.mobilefacenet_evolve import MobileFaceNetUnit
from fiqa_core.recognisers.swinface import SwinFace

EDIFFIQA = {"L": partial(IResNet, DEPTHS[100]), "M": partial(IResNet, DEPTHS[50]),
            "S": partial(IResNet, DEPTHS[18]), "T": MobileFaceNetUnit}


def diffiqa_r() -> DifFIQARNetwork:
    """DifFIQA(R) on the IResNet-100 of CosFace."""
    return DifFIQARNetwork(IResNet(DEPTHS[100]), nn.Linear(512, 1))


def ediffiqa(backbone: Callable[[], nn.Module]) -> EDifFIQANetwork:
    """eDifFIQA on a backbone of 512 features."""
    return EDifFIQANetwork(backbone(), QualityMLP())


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    **{name: row.build for name, row in CATALOGUE.items()},
    "swinface_full": SwinFace,
    **{f"crfiqa_iresnet{depth}": partial(CRFIQANetwork, DEPTHS[depth]) for depth in (50, 100)},
    "diffiqa_r": diffiqa_r,
    **{f"ediffiqa_{size}": partial(ediffiqa, backbone) for size, backbone in EDIFFIQA.items()},
    "ediffiqa_mlp": QualityMLP,
    "diffiqa_unet": UNet,
    "diffiqa_gaussian_diffusion": Diffusion,
    **{f"lightqnet_{width}": partial(lightqnet.LightQNetNetwork, width) for width in lightqnet.WIDTHS},
    "pfe": PFENetwork,
}


def build_model(name: str) -> nn.Module:
    """The untrained network of an architecture, on the CPU and in evaluation mode.

    Raises FiqaError for an unknown name and tells the names most like it.
    """
    if name not in ARCHITECTURES:
        lower = {known.lower(): known for known in ARCHITECTURES}
        near = [lower[match] for match in get_close_matches(name.lower(), lower, n=4)]
        raise FiqaError(f"unknown architecture {name!r}",
                        f"did you mean one of: {', '.join(near or sorted(ARCHITECTURES))}")
    return ARCHITECTURES[name]().eval()
