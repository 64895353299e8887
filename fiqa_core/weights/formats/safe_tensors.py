"""Safetensors files: named tensors and nothing else."""
from pathlib import Path

import torch

from fiqa_core.weights.formats.cursor import Damaged


def read(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by name. Raises Damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise Damaged(str(error)) from None
