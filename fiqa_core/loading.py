"""Every network whose published weights the package knows, by name: recognisers, quality networks, diffusion.

The networks are bare: they take prepared images, return what the authors' code returns, and have the keys of
the authors' files. `load_recogniser` and `load_quality` add preparation and weights.

Recognisers in files: the authors' checkpoints, and those that the pipeline writes.

Files of the methods that score in one pass: trained here, or published by their authors.
"""
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, partial
from pathlib import Path

import torch
from torch import nn

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.detectors import load_detector
from fiqa_core.kernels.diffiqa import DifFIQAR, DifFIQARNetwork
from fiqa_core.kernels.diffusion import DIFFUSION_REMEDY, Diffusion
from fiqa_core.kernels.ediffiqa import Distilled, EDifFIQA, EDifFIQANetwork, QualityMLP
from fiqa_core.kernels.unet import UNet
from fiqa_core.methods import lightqnet, pfe
from fiqa_core.methods.cr_fiqa import CRFIQA, CRFIQANetwork
from fiqa_core.methods.faceqgen import FaceQgen
from fiqa_core.methods.faceqnet import FaceQnet, read_faceqnet
from fiqa_core.methods.froq import FROQ
from fiqa_core.methods.lightqnet import WIDTHS, LightQNet
from fiqa_core.methods.pcnet import PCNet
from fiqa_core.methods.pfe import PFE, OfficialPFE, PFENetwork
from fiqa_core.methods.sdd_fiqa import SDDFIQA, from_official, official_network
from fiqa_core.recognisers import iresnet
from fiqa_core.recognisers.iresnet import DEPTHS, IResNet
from fiqa_core.recognisers.mobilefacenet import MobileFaceNetUnit
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.swin import SwinFace
from fiqa_core.recognisers.zoo import CATALOGUE, entry, recogniser_from_catalogue, recogniser_from_config
from fiqa_core.weights import fit
from fiqa_core.weights.catalogue import Model
from fiqa_core.weights.fit import Undrawn, Unfit, faults
from fiqa_core.weights.formats.pytorch import write_atomically
from fiqa_core.weights.onnx_network import OnnxNetwork
from fiqa_core.weights.tensors import KERAS, ONNX, locate, read_tensors, recognise
from fiqa_core.weights.unwrap import needed, unwrap

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


RECOGNISER_FORMAT = "fiqa recogniser 1"


def load_recogniser(name: str, path: str | Path | None = None) -> Recogniser:
    """A trained recogniser, frozen and in evaluation mode.

    name  an architecture of the catalogue, whose official checkpoint `path` then is; or the slug of a
          recogniser that the pipeline trained
    path  checkpoint in any format of `fiqa_core.weights`, here or in the weights folder; an ONNX model has no
          gradients. None means build/recognisers/<name>.pt, written by the pipeline. A file that the
          pipeline wrote is rebuilt from the configuration inside it, whatever `name` is.
    Raises FiqaError if the file is missing, unsafe, or does not fit; it says which keys are at fault and
    which architecture they would fit.
    """
    path = _trained(name) if path is None else locate(path)
    if recognise(path) is ONNX:
        return _recogniser_of_onnx(name, path)
    content = read_tensors(path)
    if content.get("format") == RECOGNISER_FORMAT and "onnx" in content["config"]:
        return _recogniser_of_onnx(content["config"]["onnx"], path, content["state"]["onnx"].numpy().tobytes())
    with Undrawn():
        if content.get("format") == RECOGNISER_FORMAT:
            recogniser, content = recogniser_from_config(content["config"]), content["state"]
        else:
            recogniser = recogniser_from_catalogue(_known(name, path))
    load_strictly(recogniser.network, content, f"{path} as {name}")
    return recogniser.freeze()


def save_recogniser(recogniser: Recogniser, path: Path) -> None:
    """Write weights and the configuration that rebuilds the network to `path`, whole or not at all.

    Of a recogniser in ONNX the model itself is written, which is both.
    """
    if recogniser.config is None:
        raise FiqaError(f"{path}: this recogniser has no configuration to rebuild it from",
                        "build it with load_recogniser or train_recogniser, or pass config= to Recogniser")
    state = {key: value.detach().cpu().contiguous() for key, value in recogniser.network.state_dict().items()}
    if "onnx" in recogniser.config:
        state = {"onnx": torch.frombuffer(bytearray(recogniser.network.content), dtype=torch.uint8)}
    write_atomically({"format": RECOGNISER_FORMAT, "config": recogniser.config, "state": state}, path)


def _trained(name: str) -> Path:
    path = project.build() / "recognisers" / f"{name}.pt"
    if not path.is_file():
        raise FiqaError(f"recogniser {name}: {path} is not there",
                        "run make repro, which trains the recognisers, or give the path of a checkpoint")
    return path


def _known(name: str, path: Path) -> str:
    if name not in CATALOGUE:
        raise FiqaError(f"{path} was not written by this project and {name!r} is no known architecture",
                        f"name the architecture it belongs to: {', '.join(CATALOGUE)}")
    return name


def _recogniser_of_onnx(name: str, path: Path, content: bytes | None = None) -> Recogniser:
    pass
    if name in ONNX_RECOGNISERS:
        arguments = ONNX_RECOGNISERS[name]
    else:
        arguments = {key: value for key, value in vars(entry(_known(name, path))).items() if key != "build"}
    return onnx_recogniser(path, content=content or path.read_bytes(), config={"onnx": name}, **arguments)


QUALITY_FORMAT = "fiqa quality 1"
QUALITY_REMEDY = ("run make repro, which trains the methods, or give the authors' checkpoint "
          "(python -m fiqa_core weights list)")


@dataclass(frozen=True)
class Kind:
    """How a trained method is rebuilt: its class, arguments by name, whether it stands on a recogniser."""

    build: Callable[..., nn.Module]
    options: tuple[str, ...] = ()
    backbone: bool = True


KINDS = {"DifFIQA(R)": Kind(DifFIQAR), "eDifFIQA": Kind(EDifFIQA), "CR-FIQA": Kind(CRFIQA),
         "PCNet": Kind(PCNet),
         "FaceQnet": Kind(FaceQnet, ("hidden", "dropout")), "SDD-FIQA": Kind(SDDFIQA, ("dropout",)),
         "PFE": Kind(PFE, ("hidden", "start")), "FROQ": Kind(FROQ, ("layers",)),
         "LightQNet": Kind(LightQNet, ("width", "colour"), backbone=False),
         "FaceQgen": Kind(FaceQgen, ("size", "widths", "critic", "measure"), backbone=False)}
# distilled methods: kind, backbone of the published model
PUBLISHED = {"diffiqa_r": ("DifFIQA(R)", "iresnet100"), "ediffiqa_l": ("eDifFIQA", "iresnet100"),
             "ediffiqa_m": ("eDifFIQA", "iresnet50"), "ediffiqa_s": ("eDifFIQA", "iresnet18"),
             "ediffiqa_t": ("eDifFIQA", "mobilefacenet_ediffiqa")}
# the other methods that the pipeline can train
BASELINES = {"faceqnet": "FaceQnet", "sdd_fiqa": "SDD-FIQA", "pfe": "PFE", "pcnet": "PCNet",
             "lightqnet": "LightQNet", "cr_fiqa": "CR-FIQA", "faceqgen": "FaceQgen", "froq": "FROQ"}
# methods whose authors' file loads: an untrained one of the published size
LOADED = {"sdd_fiqa": official_network, "pfe": OfficialPFE,
          "crfiqa_s": lambda: CRFIQA(recogniser_from_catalogue("iresnet50")),
          "crfiqa_l": lambda: CRFIQA(recogniser_from_catalogue("iresnet100")),
          **{f"lightqnet_{width}": partial(LightQNet, width) for width in WIDTHS}}
# methods whose authors' file says itself which layers they have: its reader
READ = {"faceqnet": read_faceqnet}
ONE_PASS = (*PUBLISHED, *dict.fromkeys((*BASELINES, *LOADED)))
# architecture -> slug, where lower case does not make one of the other
SLUGS_OF_ARCHITECTURES = {"crfiqa_iresnet50": "crfiqa_s", "crfiqa_iresnet100": "crfiqa_l"}


def kind_of(slug: str) -> str:
    """The kind, a key of KINDS, of a method that the pipeline trains. Raises FiqaError for other methods."""
    if slug in PUBLISHED:
        return PUBLISHED[slug][0]
    if slug not in BASELINES:
        raise FiqaError(f"{slug!r} is no method that is trained here",
                        f"choose one of: {', '.join((*PUBLISHED, *BASELINES))}")
    return BASELINES[slug]


def save_quality(model: nn.Module, kind: str, backbone: Recogniser | None, path: Path) -> None:
    """Write a trained model, its arguments and the configuration of its backbone, whole or not at all.

    backbone   the recogniser whose architecture it has; None for a kind that stands on none
    """
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    options = {name: _plain(getattr(model, name)) for name in KINDS[kind].options}
    write_atomically({"format": QUALITY_FORMAT, "kind": kind, "config": backbone and backbone.config,
                      "options": options, "state": state}, path)


def load_quality(slug: str, path: str | Path) -> nn.Module:
    """A trained model, frozen: written by `save_quality`, or the authors' file of that method.

    slug   one of ONE_PASS, or the name of its architecture (ediffiqa_L, crfiqa_iresnet100)
    path   in any format of `fiqa_core.weights`, here or in the weights folder; ONNX for models on
           recognisers, Keras' for FaceQnet
    Raises FiqaError if the file is missing, unsafe or does not fit; it says which keys are at fault and which
    architecture they would fit.
    """
    path = locate(path, QUALITY_REMEDY)
    slug = SLUGS_OF_ARCHITECTURES.get(slug, slug.lower())
    form = recognise(path)
    if form in READERS:
        return READERS[form](slug, path).requires_grad_(False)
    content = read_tensors(path)
    with Undrawn():
        if content.get("format") == QUALITY_FORMAT:
            model, content = _rebuilt(content), content["state"]
        else:
            model = _untrained(slug, path)
            content = from_official(content) if slug == "sdd_fiqa" else content
    load_strictly(model, content, f"{path} as {slug}")
    return model.requires_grad_(False).eval()


def load_quality_as_recogniser(slug: str, path: Path) -> Recogniser:
    """The backbone of a trained eDifFIQA as a recogniser: its second role."""
    content, model = read_tensors(locate(path, QUALITY_REMEDY)), load_quality(slug, path)
    recogniser = recogniser_from_config(content.get("config") or {"architecture": PUBLISHED[slug][1]})
    recogniser.network.load_state_dict(model.parts()[0].state_dict())
    return recogniser.freeze()


def _plain(value):
    """Sequences as lists, which a checkpoint of plain data may hold."""
    return list(value) if isinstance(value, tuple) else value


def _rebuilt(content: dict) -> nn.Module:
    """The untrained network of a file that `save_quality` wrote."""
    kind = KINDS[content["kind"]]
    backbone = (recogniser_from_config(content["config"]),) if kind.backbone else ()
    return kind.build(*backbone, **content.get("options", {}))


def _untrained(slug: str, path: Path) -> nn.Module:
    """A new model of the published size. Raises FiqaError for a slug that is none."""
    if slug in LOADED:
        return LOADED[slug]()
    if slug in READ:
        raise FiqaError(f"{path} does not say which layers {slug!r} has; its authors' Keras file alone does",
                        f"give that file as it is: python -m fiqa_core weights list {slug}_v1")
    if slug not in PUBLISHED:
        raise FiqaError(f"{path} was not written by this project, and the authors' file of {slug!r} has no network "
                        "here",
                        f"train the method, or give one of: {', '.join((*PUBLISHED, *LOADED, *READ))}")
    kind, backbone = PUBLISHED[slug]
    return KINDS[kind].build(recogniser_from_catalogue(backbone))


def _quality_of_onnx(slug: str, path: Path) -> Distilled:
    from fiqa_core.weights.onnx_network import OnnxQualityNetwork
    if slug not in PUBLISHED:
        raise FiqaError(f"{path} is an ONNX model, and {slug!r} comes in no such form",
                        f"name what it is: {', '.join(PUBLISHED)}")
    row = entry(PUBLISHED[slug][1])
    preparation = Recogniser(nn.Identity(), row.embedding_size, row.name, row.colour, row.mean, row.std,
                             row.size, row.columns)
    return Distilled(OnnxQualityNetwork(path), preparation)


def _of_keras(slug: str, path: Path) -> nn.Module:
    if slug not in READ:
        raise FiqaError(f"{path} is a Keras model, and {slug!r} comes in no such form",
                        f"name what it is: {', '.join(READ)}")
    return READ[slug](path)


READERS = {ONNX: _quality_of_onnx, KERAS: _of_keras}        # formats that hold more than tensors


def save_diffusion(diffusion: Diffusion, path: Path) -> None:
    """Write {"config", "state"}, whole or not at all."""
    state = {key: value.detach().cpu() for key, value in diffusion.state_dict().items()}
    write_atomically({"config": diffusion.config, "state": state}, path)


def load_diffusion(path: str | Path) -> Diffusion:
    """A trained model, in eval mode and frozen: a file of `Diffusion.save`, or the published checkpoint.

    path   here or in the weights folder
    Raises FiqaError for a missing, damaged or unfit file; it says which keys are at fault.
    """
    path = locate(path, DIFFUSION_REMEDY)
    content = read_tensors(path)
    if "config" not in content:
        return load_official(path)
    return _fill(content["config"], content.get("state", {}), path)


def load_official(path: str | Path, **config) -> Diffusion:
    """The published `diff_pretrain.pt`: raw weights `model` (13 tables and `model.*`), not the EMA copy.

    config: arguments of `Diffusion` where the file is not of the published width. Raises FiqaError.
    """
    path = locate(path, DIFFUSION_REMEDY)
    content = read_tensors(path)
    if not isinstance(content.get("model"), dict):
        raise FiqaError(f"{path} is no diffusion checkpoint: it holds no `model`",
                        "give the authors' diff_pretrain.pt or a file that the stage diffusion wrote")
    return _fill(config, content["model"], path)


def _fill(config: dict, state: dict, path: Path) -> Diffusion:
    with Undrawn():
        diffusion = Diffusion(**config)
    load_strictly(diffusion, state, f"{path} as a diffusion model")
    return diffusion.eval().requires_grad_(False)


# Recognisers that exist as ONNX alone. OpenCV feeds its SFace with RGB in 0..255
# (modules/objdetect/src/face_recognize.cpp); the model normalises by itself.
ONNX_RECOGNISERS = {"sface": {"embedding_size": 128, "name": "SFace", "mean": 0.0, "std": 1 / 255}}


def onnx_recogniser(path: str | Path, embedding_size: int, content: bytes | None = None,
                    **preparation) -> Recogniser:
    """A recogniser of an ONNX file, frozen.

    content       see OnnxNetwork
    preparation   further arguments of `Recogniser`
    Raises FiqaError where the model does not run, or its embedding is not of `embedding_size`.
    """
    network = OnnxNetwork(path, content)
    if len(network.session.get_outputs()) == 1:         # exported with the embedding alone
        preparation |= {"output": 0, "norm": None}
    recogniser = Recogniser(network, embedding_size, **preparation)
    found = recogniser(torch.zeros(1, 3, 112, 112)).shape[1]
    if found != embedding_size:
        raise FiqaError(f"{path} gives embeddings of {found} numbers instead of {embedding_size}",
                        "check that the file belongs to this architecture")
    return recogniser.freeze()


# Names of other frameworks, what a file that does not fit here would fit, official files

TRANSLATORS = (iresnet.from_mxnet, pfe.from_tensorflow, lightqnet.from_tensorflow)
CLOSE = 0.5                         # share of fitting keys from which an architecture is worth naming


def load_strictly(network: nn.Module, content: Mapping, what: str) -> None:
    """`fit.load_strictly` with the foreign names that are known here; the error also names the architectures
    that the file would fit instead."""
    try:
        fit.load_strictly(network, content, what, TRANSLATORS)
    except Unfit as error:
        raise FiqaError(error.problem, advice(content)) from None


def advice(content: Mapping) -> str:
    """What to do with an unfit file: load it as one of the architectures it fits, the largest first, or else
    look at the nearest."""
    fitting, shares = {}, {}
    for name in ARCHITECTURES:
        state = unwrap(content, outline(name), TRANSLATORS)
        wanted = needed(outline(name), state)
        same = sum(key in state and state[key].shape == value.shape for key, value in wanted.items())
        shares[name] = same / max(len(wanted), len(state))
        if not faults(state, wanted):
            fitting[name] = len(wanted)
    if fitting:
        names = sorted(fitting, key=fitting.get, reverse=True)
        return f"the file fits: {', '.join(names)}; load it under that name"
    best = max(shares.values())
    if best < CLOSE:
        return "it fits no known architecture; check that it holds the network itself"
    names = [name for name, share in shares.items() if share == best]
    return f"it fits no known architecture; nearest: {', '.join(names)}, with {best:.0%} of the keys"


@cache
def outline(name: str) -> dict[str, torch.Tensor]:
    """Keys and shapes of an architecture, on torch's meta device, so without memory for values."""
    with torch.device("meta"), Undrawn():
        return dict(ARCHITECTURES[name]().state_dict())


def load_published(model: Model, path: Path) -> object:
    """The network of an official file, strictly: every key and shape has to fit. Raises FiqaError otherwise.

    Where the workbook has no such network, the tensors of the file.
    """
    if model.architecture is None:
        return read_tensors(path)
    if model.kind == "recogniser":
        return load_recogniser(model.architecture, path)
    if model.kind == "quality":
        return load_quality(model.architecture, path)
    return load_diffusion(path) if model.kind == "diffusion" else load_detector(path)
