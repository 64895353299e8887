"""Before the first lesson: is everything here?"""
import platform

import torch

from fiqa_core.course.networks import faces, network, unet
from fiqa_core.course.pack import load_pack


def ready() -> str:
    """What was found, in one line. Raises FiqaError for what is missing."""
    comparisons = len(load_pack()["genuine"])
    count = sum(parameter.numel() for model in (network(), unet()) for parameter in model.parameters())
    return (f"Ready: Python {platform.python_version()}, torch {torch.__version__}, networks of {count:,} "
            f"weights, "
            f"{comparisons:,} comparisons.")


def some_faces(people: int) -> torch.Tensor:
    """People who do not exist."""
    return faces(people, 1)
