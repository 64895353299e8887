"""Files of the methods that score in one pass: trained here, or published by their authors."""
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn

from fiqa_core.errors import FiqaError
from fiqa_core.methods.distilled import CRFIQA, DifFIQAR, Distilled, EDifFIQA
from fiqa_core.methods.faceqgen import FaceQgen
from fiqa_core.methods.faceqnet import FaceQnet
from fiqa_core.methods.faceqnet_official import read_faceqnet
from fiqa_core.methods.froq import FROQ
from fiqa_core.methods.lightqnet import WIDTHS, LightQNet
from fiqa_core.methods.pcnet import PCNet
from fiqa_core.methods.pfe import PFE
from fiqa_core.methods.pfe_official import OfficialPFE
from fiqa_core.methods.sdd_fiqa import SDDFIQA, from_official, official_network
from fiqa_core.recognisers import Recogniser
from fiqa_core.recognisers.catalogue import entry, recogniser_from_catalogue, recogniser_from_config
from fiqa_core.weights.fit import Undrawn, load_strictly
from fiqa_core.weights.formats.pytorch import write_atomically
from fiqa_core.weights.tensors import KERAS, ONNX, locate, read_tensors, recognise

FORMAT = "fiqa quality 1"
REMEDY = ("run make repro, which trains the methods, or give the authors' checkpoint "
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
    write_atomically({"format": FORMAT, "kind": kind, "config": backbone and backbone.config,
                      "options": options, "state": state}, path)


def load_quality(slug: str, path: str | Path) -> nn.Module:
    """A trained model, frozen: written by `save_quality`, or the authors' file of that method.

    slug   one of ONE_PASS, or the name of its architecture (ediffiqa_L, crfiqa_iresnet100)
    path   in any format of `fiqa_core.weights`, here or in the weights folder; ONNX for models on
           recognisers, Keras' for FaceQnet
    Raises FiqaError if the file is missing, unsafe or does not fit; it says which keys are at fault and which
    architecture they would fit.
    """
    path = locate(path, REMEDY)
    slug = SLUGS_OF_ARCHITECTURES.get(slug, slug.lower())
    form = recognise(path)
    if form in READERS:
        return READERS[form](slug, path).requires_grad_(False)
    content = read_tensors(path)
    with Undrawn():
        if content.get("format") == FORMAT:
            model, content = _rebuilt(content), content["state"]
        else:
            model = _untrained(slug, path)
            content = from_official(content) if slug == "sdd_fiqa" else content
    load_strictly(model, content, f"{path} as {slug}")
    return model.requires_grad_(False).eval()


def load_quality_as_recogniser(slug: str, path: Path) -> Recogniser:
    """The backbone of a trained eDifFIQA as a recogniser: its second role."""
    content, model = read_tensors(locate(path, REMEDY)), load_quality(slug, path)
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


def _of_onnx(slug: str, path: Path) -> Distilled:
    from fiqa_core.weights.onnx_models import OnnxQualityNetwork
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


READERS = {ONNX: _of_onnx, KERAS: _of_keras}        # formats that hold more than tensors
