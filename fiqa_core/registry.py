"""Quality methods by name, and the scoring of many images with progress and resume."""
from inspect import signature
from pathlib import Path

from fiqa_core.base.errors import FiqaError
from fiqa_core.kernels.diffiqa import DifFIQA
from fiqa_core.kernels.faceqan import FaceQAN
from fiqa_core.loading import ONE_PASS, load_diffusion, load_quality
from fiqa_core.methods.grafiqs import GraFIQs
from fiqa_core.methods.magface import MagFace
from fiqa_core.methods.pixels import illumination, sharpness, symmetry
from fiqa_core.methods.prefiqs import PreFIQs
from fiqa_core.methods.ser_fiq import SERFIQ

ON_RECOGNISER = {"faceqan": FaceQAN, "magface": MagFace, "ser_fiq": SERFIQ, "grafiqs": GraFIQs,
                 "prefiqs": PreFIQs}
ON_PIXELS = {"sharpness": sharpness, "illumination": illumination, "symmetry": symmetry}
SLUGS = (*ON_RECOGNISER, "diffiqa", *ONE_PASS, *ON_PIXELS)


def build_method(slug: str, recogniser=None, diffusion_path: Path | None = None, model_path: Path | None = None,
                 device=None, **options):
    """The quality method of a slug: images (B, 3, 112, 112) -> scores (B,).

    slug            one of SLUGS; magface is the length of the embedding of whatever recogniser is given
    recogniser      for those of ON_RECOGNISER and DifFIQA
    diffusion_path  DifFIQA's diffusion model
    model_path      weights of a method that scores in one pass
    options         of the class of FaceQAN, DifFIQA and the others of ON_RECOGNISER
    Raises FiqaError for an unknown slug or option and where a part is missing.
    """
    if slug in ONE_PASS:
        return load_quality(slug, _needed(model_path, slug, "a model file")).to(device)
    if slug in ON_PIXELS:
        return ON_PIXELS[slug]
    if slug in ON_RECOGNISER:
        return _built(ON_RECOGNISER[slug], slug, options, _needed(recogniser, slug, "a recogniser").to(device))
    if slug == "diffiqa":
        diffusion = load_diffusion(_needed(diffusion_path, slug, "a diffusion model")).to(device)
        return _built(DifFIQA, slug, options, diffusion, _needed(recogniser, slug, "a recogniser").to(device))
    raise FiqaError(f"there is no method {slug!r}", f"choose one of: {', '.join(SLUGS)}")


def _built(build, slug: str, options: dict, *parts):
    """A method of its parts and options. Raises FiqaError for an option that its class does not have."""
    known = list(signature(build).parameters)[len(parts):]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise FiqaError(f"{slug} has no option {', '.join(unknown)}", f"it has: {', '.join(known)}")
    return build(*parts, **options)


def _needed(value, slug: str, what: str):
    if value is None:
        raise FiqaError(f"method {slug} needs {what}", "name it; `python -m fiqa_core score --help` lists the options")
    return value
