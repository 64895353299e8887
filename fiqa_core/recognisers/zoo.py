"""Which recognisers there are by name: how each is built and what its network wants to see."""
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.recognisers.dlib_resnet import DlibResNet, from_dlib
from fiqa_core.recognisers.iresnet import DEPTHS, AdaFaceIR, CurricularFaceIR, IResNet, from_mxnet
from fiqa_core.recognisers.mobilefacenet import (MobileFaceNet, MobileFaceNetCurricularFace,
                                                 MobileFaceNetFoamliu, MobileFaceNetInsightFace,
                                                 MobileFaceNetUnit)
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.swin import Swin
from fiqa_core.recognisers.vit import ViT


@dataclass(frozen=True)
class Entry:
    """One architecture with the preprocessing of its released weights (fields as in Recogniser)."""

    build: Callable[[], nn.Module]
    name: str
    embedding_size: int = 512
    colour: str = "rgb"
    mean: float | tuple = 0.5
    std: float | tuple = 0.5
    size: tuple = (112, 112)
    columns: tuple | None = None
    output: int = 0
    norm: int | None = None


magface = partial(IResNet, eps=2e-5, momentum=0.9, train_scale=True, drop_channels=True, dropout=0.4)
# (x - 127.5) / 128 for pixels in 0..255
MOBILE = {"embedding_size": 128, "mean": 0.5, "std": 128 / 255}
IMAGENET = {"embedding_size": 128, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
# The papers of the IR networks count one layer more than those of the IResNets.
IR_DEPTHS = {18: DEPTHS[18], 34: DEPTHS[34], 50: DEPTHS[50], 101: DEPTHS[100]}
VITS = {"t": (256, 12), "s": (512, 12), "b": (512, 24), "l": (768, 24)}

CATALOGUE = {
    **{f"iresnet{depth}": Entry(partial(IResNet, blocks), f"IResNet-{depth}")
       for depth, blocks in DEPTHS.items()},
    **{f"elasticface_iresnet{depth}": Entry(partial(IResNet, DEPTHS[depth]), "ElasticFace")
       for depth in (50, 100)},
    **{f"magface_iresnet{depth}": Entry(partial(magface, blocks), "MagFace", colour="bgr", mean=0.0, std=1.0)
       for depth, blocks in DEPTHS.items()},
    # insightface's LResNet100E-IR of MXNet, the recogniser of SER-FIQ
    "serfiq_r100": Entry(partial(IResNet, DEPTHS[100], eps=2e-5, dropout=0.4), "LResNet100E-IR", std=128 / 255),
    **{f"curricularface_ir{depth}": Entry(partial(CurricularFaceIR, IR_DEPTHS[depth]), "CurricularFace")
       for depth in (50, 101)},
    **{f"adaface_ir{depth}": Entry(partial(AdaFaceIR, blocks), "AdaFace", colour="bgr", norm=1)
       for depth, blocks in IR_DEPTHS.items()},
    **{f"transface_vit_{size}": Entry(partial(ViT, *sizes, gate=True), "TransFace")
       for size, sizes in VITS.items()},
    **{f"insightface_vit_{size}": Entry(partial(ViT, *sizes), f"ViT-{size.upper()}")
       for size, sizes in VITS.items()},
    "swinface_backbone": Entry(Swin, "SwinFace", output=2),
    "mobilefacenet_xiaoccer": Entry(MobileFaceNet, "MobileFaceNet (CASIA)", columns=(8, 104), size=(112, 96),
                                    **MOBILE),
    "mobilefacenet_insightface_mxnet": Entry(
        partial(MobileFaceNet, (7, 7), last_bias=True, eps=1e-3, last_eps=2e-5), "MobileFaceNet (MXNet)",
        **MOBILE),
    "mobilefacenet_foamliu": Entry(MobileFaceNetFoamliu, "MobileFaceNet (MS1M)", **IMAGENET),
    "mobilefacenet_ediffiqa": Entry(MobileFaceNetUnit, "MobileFaceNet (eDifFIQA)"),
    "mobilefacenet_curricularface": Entry(MobileFaceNetCurricularFace, "MobileFaceNet (CurricularFace)"),
    "insightface_mbf": Entry(MobileFaceNetInsightFace, "MobileFaceNet (InsightFace)"),
    # (x - mean) / 256 for pixels in 0..255
    "dlib_resnet": Entry(DlibResNet, "dlib ResNet-29", 128, std=256 / 255,
                         mean=(122.782 / 255, 117.001 / 255, 104.298 / 255)),
}

TRANSLATORS = (from_mxnet, from_dlib)       # of files without the names of our networks

# Families that training builds in any size: class, its arguments, which outputs are embedding and norm.
CONVOLUTIONAL = ("blocks", "widths", "size", "embedding", "dropout", "stem_stride")
TRANSFORMER = ("width", "heads", "patch", "size", "embedding", "drop_path", "dropout")
FAMILIES = {
    "iresnet": (IResNet, (*CONVOLUTIONAL, "drop_channels", "eps", "train_scale"), 0, None),
    "curricularface": (CurricularFaceIR, CONVOLUTIONAL, 0, None),
    "adaface": (AdaFaceIR, CONVOLUTIONAL, 0, 1),
    "transface": (partial(ViT, gate=True), (*TRANSFORMER, "depth"), 0, None),
    "vit": (ViT, (*TRANSFORMER, "depth"), 0, None),
    "swin": (Swin, (*TRANSFORMER, "depths", "window"), 2, None),
}
PREPARATION = ("colour", "mean", "std")


def entry(name: str) -> Entry:
    """The catalogue's entry; FiqaError with the known names where there is none."""
    if name not in CATALOGUE:
        raise FiqaError(f"unknown recogniser architecture {name!r}", f"known names: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def build_model(name: str) -> nn.Module:
    """The bare network of a catalogue name in evaluation mode, untrained, with the checkpoint's own keys.

    Raises FiqaError for an unknown name. `fiqa_core.loading` knows the other networks too.
    """
    return entry(name).build().eval()


def recogniser_from_catalogue(name: str) -> Recogniser:
    """Untrained recogniser of a catalogue name, with the preprocessing its released weights expect."""
    row = entry(name)
    return Recogniser(row.build(), row.embedding_size, row.name, row.colour, row.mean, row.std, row.size,
                      row.columns, row.output, {"architecture": name}, row.norm)


def recogniser_from_config(config: dict) -> Recogniser:
    """Untrained recogniser of a training configuration: `network` names the family, its arguments follow.

    Keys that belong neither to the network nor to its input (those of training) are left alone.
    Raises FiqaError for an unknown family or arguments that do not build a network.
    """
    if "architecture" in config:
        return recogniser_from_catalogue(config["architecture"])
    family = config.get("network")
    if family not in FAMILIES:
        raise FiqaError(f"unknown network {family!r} in a recogniser's configuration",
                        f"known families: {', '.join(FAMILIES)}")
    build, names, output, norm = FAMILIES[family]
    arguments = {name: config[name] for name in names if name in config}
    size, embedding = config.get("size", 112), config.get("embedding", 512)
    kept = {key: config[key] for key in ("network", "name", *names, *PREPARATION) if key in config}
    return Recogniser(build(**arguments), embedding, config.get("name", ""), config.get("colour", "rgb"),
                      config.get("mean", 0.5), config.get("std", 0.5), (size, size), None, output, kept, norm)
