"""What stages leave for later ones, where it is and how it is read: prepared faces, trained networks."""
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from torch import nn

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, load_face_set
from fiqa_core.base.files import read_table
from fiqa_core.base.project import settings
from fiqa_core.loading import load_diffusion, load_recogniser
from fiqa_core.pipeline.stage_files import forget, log_path, partial_path
from fiqa_core.recognisers.recogniser import Recogniser


def benchmark_folder(name: str):
    return project.build() / "benchmarks" / name


def benchmark_names() -> list[str]:
    """Names of the prepared benchmarks, in the order of results/prepare/faces.csv."""
    names = read_table(project.results() / "prepare" / "faces.csv")["name"]
    return [name for name in names if name != "training"]


def load_benchmarks() -> dict[str, FaceSet]:
    """All prepared benchmarks by name; pixels stay on disk."""
    return {name: load_face_set(benchmark_folder(name)) for name in benchmark_names()}


def load_prepared(name: str) -> FaceSet:
    """The prepared training faces ("training") or one benchmark."""
    return load_training() if name == "training" else load_face_set(benchmark_folder(name))


def load_training() -> FaceSet:
    """The prepared training faces. Raises FiqaError where the suite has none."""
    faces = load_face_set(project.build() / "training")
    if len(faces) == 0:
        raise FiqaError("the active suite has no training faces",
                        "name some in params.yaml, faces.training, or give checkpoints for all networks")
    return faces


def load_sets() -> dict[str, FaceSet]:
    """Every prepared set that has faces, "training" first; pixels stay on disk."""
    training = load_face_set(project.build() / "training")
    return {**({"training": training} if len(training) else {}), **load_benchmarks()}


def chosen_faces(faces: FaceSet, mask: np.ndarray) -> FaceSet:
    """The training set of the marked images; the set itself where all are."""
    if mask.all():
        return faces
    return FaceSet(faces.name, np.asarray(faces.pixels[mask]), faces.images[mask].reset_index(drop=True),
                   faces.pairs)


def matching(faces: FaceSet, only: dict, section: str) -> np.ndarray:
    """Mask (N,) of the images whose columns have the values `only` names ({}: all images).

    section   where `only` stands in params.yaml, for the message. Raises FiqaError if there is no such image.
    """
    mask = np.ones(len(faces), dtype=bool)
    for column, value in only.items():
        mask &= (faces.images[column] == value).to_numpy() if column in faces.images else False
    if not mask.any():
        raise FiqaError(f"params.yaml, {section}: no training image has {only}",
                        "name columns and values of build/training/images.csv, or {} to use all images")
    return mask


def subset_mask(faces: FaceSet, subset: bool) -> np.ndarray:
    """Images that a slow method scores: those marked `subset`, or all where the set marks none."""
    if subset and "subset" in faces.images:
        return faces.images["subset"].to_numpy() == 1
    return np.ones(len(faces), dtype=bool)


def crossfit(faces: FaceSet | None, name: str, codes: str | list[str],
             reads: Callable[[int], list[Path]] = lambda model: [],
             **identity) -> Iterator[tuple[int, np.ndarray, Path]]:
    """Each cross-fitted model: its index, the mask (N,) of the images it may see, the path of its partial work.

    Model h never sees images whose `crossfit` is h, those of people it will score; where no part is held out
    there is model 0 alone, and without faces none. Partial work and its log are removed when the model is done.

    reads                   model -> files that its work depends on besides the faces
    name, codes, identity   as for `partial_path`
    """
    parts = [] if faces is None else sorted(set(faces.images["crossfit"]) - {-1}) or [0]
    for model in parts:
        partial = partial_path(f"{name}-{model}", codes, faces, reads(model), **identity)
        yield model, (faces.images["crossfit"] != model).to_numpy(), partial
        forget(partial), forget(log_path(partial))


def compared_recognisers() -> dict[str, str]:
    """Slug -> display name of the recognisers that tables compare (`compare: false` leaves one out)."""
    return {slug: config["name"] for slug, config in settings("recognisers").items() if config.get("compare", True)}


def recogniser_path(slug: str):
    return project.build() / "recognisers" / f"{slug}.pt"


def pipeline_recogniser(slug: str) -> Recogniser:
    """The recogniser that its stage trained or loaded, on the default device."""
    return load_recogniser(slug, recogniser_path(slug)).to(default_device())


def diffusion_path(model: int) -> Path:
    """Where diffusion model `model` is kept; a user's checkpoint serves all parts, and so does the one that ships."""
    number = 0 if {"checkpoint", "shipped"} & {*settings("diffusion")} else model
    return project.build() / "diffusion" / f"{number}.pt"


def pipeline_diffusion(model: int = 0) -> nn.Module:
    """The trained diffusion model with index `model`, on the default device."""
    return load_diffusion(diffusion_path(model)).to(default_device())
