"""Which of the training faces a network may learn from."""
import numpy as np

from fiqa_core.benchmarks import FaceSet
from fiqa_core.errors import FiqaError


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


def allowed(faces: FaceSet, model: int) -> np.ndarray:
    """Mask (N,) of the images that cross-fitted model `model` may see: not those of people it will score."""
    return (faces.images["crossfit"] != model).to_numpy()


def chosen_faces(faces: FaceSet, mask: np.ndarray) -> FaceSet:
    """The training set of the marked images; the set itself where all are."""
    if mask.all():
        return faces
    return FaceSet(faces.name, np.asarray(faces.pixels[mask]), faces.images[mask].reset_index(drop=True),
                   faces.pairs)
