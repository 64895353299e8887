"""Files of the methods that score in one pass: trained here, or published by their authors."""
from functools import partial
from pathlib import Path

from torch import nn

from fiqa_core.errors import FiqaError
from fiqa_core.methods.distilled import CRFIQA, DifFIQAR, Distilled, EDifFIQA
from fiqa_core.methods.lightqnet import WIDTHS, LightQNet
from fiqa_core.methods.one_pass import OnePass
from fiqa_core.recognisers import Recogniser
from fiqa_core.recognisers.catalogue import entry, recogniser_from_catalogue, recogniser_from_config
from fiqa_core.weights.fit import Undrawn, load_strictly
from fiqa_core.weights.formats.pytorch import write_atomically
from fiqa_core.weights.tensors import ONNX, locate, read_tensors, recognise

FORMAT = "fiqa quality 1"
REMEDY = ("run make repro, which trains DifFIQA(R) and eDifFIQA, or give the authors' checkpoint "
          "(python -m fiqa_core weights list)")
KINDS = {"DifFIQA(R)": DifFIQAR, "eDifFIQA": EDifFIQA}
# methods that the pipeline can train: kind, backbone of the published model
PUBLISHED = {"diffiqa_r": ("DifFIQA(R)", "iresnet100"), "ediffiqa_l": ("eDifFIQA", "iresnet100"),
             "ediffiqa_m": ("eDifFIQA", "iresnet50"), "ediffiqa_s": ("eDifFIQA", "iresnet18"),
             "ediffiqa_t": ("eDifFIQA", "mobilefacenet_ediffiqa")}
# methods that come as their authors' file alone: an untrained one of the published size
LOADED = {"crfiqa_s": lambda: CRFIQA(recogniser_from_catalogue("iresnet50")),
          "crfiqa_l": lambda: CRFIQA(recogniser_from_catalogue("iresnet100")),
          **{f"lightqnet_{width}": partial(LightQNet, width) for width in WIDTHS}}
ONE_PASS = (*PUBLISHED, *LOADED)
# architecture -> slug, where lower case does not make one of the other
SLUGS_OF_ARCHITECTURES = {"crfiqa_iresnet50": "crfiqa_s", "crfiqa_iresnet100": "crfiqa_l"}


def kind_of(slug: str) -> str:
    """"DifFIQA(R)" or "eDifFIQA" of a method's slug. Raises FiqaError for other methods."""
    if slug not in PUBLISHED:
        raise FiqaError(f"{slug!r} is no distilled method", f"choose one of: {', '.join(PUBLISHED)}")
    return PUBLISHED[slug][0]


def save_quality(model: Distilled, kind: str, backbone: Recogniser, path: Path) -> None:
    """Write a trained model and the configuration of its backbone, whole or not at all."""
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    write_atomically({"format": FORMAT, "kind": kind, "config": backbone.config, "state": state}, path)


def load_quality(slug: str, path: str | Path) -> OnePass:
    """A trained model, frozen: written by `save_quality`, or the authors' file of that method.

    slug   one of ONE_PASS, or the name of its architecture (ediffiqa_L, crfiqa_iresnet100)
    path   in any format of `fiqa_core.weights`, here or in the weights folder; ONNX for models on recognisers
    Raises FiqaError if the file is missing, unsafe or does not fit; it says which keys are at fault and which
    architecture they would fit.
    """
    path = locate(path, REMEDY)
    slug = SLUGS_OF_ARCHITECTURES.get(slug, slug.lower())
    if recognise(path) is ONNX:
        return _of_onnx(slug, path).requires_grad_(False)
    content = read_tensors(path)
    with Undrawn():
        if content.get("format") == FORMAT:
            model = KINDS[content["kind"]](recogniser_from_config(content["config"]))
            content = content["state"]
        else:
            model = _untrained(slug)
    load_strictly(model, content, f"{path} as {slug}")
    return model.requires_grad_(False).eval()


def load_quality_as_recogniser(slug: str, path: Path) -> Recogniser:
    """The backbone of a trained eDifFIQA as a recogniser: its second role."""
    content, model = read_tensors(locate(path, REMEDY)), load_quality(slug, path)
    recogniser = recogniser_from_config(content["config"])
    recogniser.network.load_state_dict(model.parts()[0].state_dict())
    return recogniser.freeze()


def _untrained(slug: str) -> OnePass:
    """A new model of the published size. Raises FiqaError for a slug that is none."""
    if slug in LOADED:
        return LOADED[slug]()
    if slug not in PUBLISHED:
        raise FiqaError(f"there is no network for {slug!r} here", f"choose one of: {', '.join(ONE_PASS)}")
    kind, backbone = PUBLISHED[slug]
    return KINDS[kind](recogniser_from_catalogue(backbone))


def _of_onnx(slug: str, path: Path) -> Distilled:
    from fiqa_core.weights.onnx_models import OnnxQualityNetwork
    if slug not in PUBLISHED:
        raise FiqaError(f"{path} is an ONNX model, and {slug!r} comes in no such form",
                        f"name what it is: {', '.join(PUBLISHED)}")
    row = entry(PUBLISHED[slug][1])
    preparation = Recogniser(nn.Identity(), row.embedding_size, row.name, row.colour, row.mean, row.std,
                             row.size, row.columns)
    return Distilled(OnnxQualityNetwork(path), preparation)
