"""Files of the distilled methods: the weights and what rebuilds them; the published files load as well."""
from pathlib import Path

from fiqa_core.errors import FiqaError
from fiqa_core.methods.distilled import DifFIQAR, Distilled, EDifFIQA
from fiqa_core.recognisers import Recogniser
from fiqa_core.recognisers.catalogue import recogniser_from_catalogue, recogniser_from_config
from fiqa_core.recognisers.checkpoints import load_strictly, read_checkpoint, write_atomically

FORMAT = "fiqa quality 1"
KINDS = {"DifFIQA(R)": DifFIQAR, "eDifFIQA": EDifFIQA}
PUBLISHED = {"diffiqa_r": ("DifFIQA(R)", "iresnet100"), "ediffiqa_l": ("eDifFIQA", "iresnet100"),
             "ediffiqa_m": ("eDifFIQA", "iresnet50"), "ediffiqa_s": ("eDifFIQA", "iresnet18"),
             "ediffiqa_t": ("eDifFIQA", "mobilefacenet_ediffiqa")}


def kind_of(slug: str) -> str:
    """"DifFIQA(R)" or "eDifFIQA" of a method's slug. Raises FiqaError for other methods."""
    if slug not in PUBLISHED:
        raise FiqaError(f"{slug!r} is no distilled method", f"choose one of: {', '.join(PUBLISHED)}")
    return PUBLISHED[slug][0]


def save_quality(model: Distilled, kind: str, backbone: Recogniser, path: Path) -> None:
    """Write a trained model and the configuration of its backbone, whole or not at all."""
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    write_atomically({"format": FORMAT, "kind": kind, "config": backbone.config, "state": state}, path)


def load_quality(slug: str, path: Path) -> Distilled:
    """A trained model, frozen: written by `save_quality`, or the authors' file of that method.

    Raises FiqaError if the file is missing, unsafe or does not fit.
    """
    content = _read(path)
    if content.get("format") == FORMAT:
        model = KINDS[content["kind"]](recogniser_from_config(content["config"]))
        state = content["state"]
    else:
        model = KINDS[kind_of(slug)](recogniser_from_catalogue(PUBLISHED[slug][1]))
        state = content
    load_strictly(model, state, f"{path} as {slug}")
    return model.requires_grad_(False).eval()


def load_quality_as_recogniser(slug: str, path: Path) -> Recogniser:
    """The backbone of a trained eDifFIQA as a recogniser: its second role."""
    content, model = _read(path), load_quality(slug, path)
    recogniser = recogniser_from_config(content["config"])
    recogniser.network.load_state_dict(model.parts()[0].state_dict())
    return recogniser.freeze()


def _read(path: Path) -> dict:
    if not Path(path).is_file():
        raise FiqaError(f"{path} is missing", "run make repro, which trains it, or give the authors' checkpoint")
    return read_checkpoint(path)
