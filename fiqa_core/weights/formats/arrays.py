"""Files of named arrays and nothing else: numpy's archives (`.npz`) and safetensors."""
import zipfile
from pathlib import Path

import numpy as np
import torch

from fiqa_core.weights.formats.cursor import Damaged


def read_npz(path: Path) -> dict[str, torch.Tensor]:
    """Arrays by name. Raises Damaged, also for arrays of Python objects, which take a pickle to restore."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: torch.from_numpy(np.array(archive[name])) for name in archive.files}
    except (OSError, ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise Damaged(str(error)) from None


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by name. Raises Damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise Damaged(str(error)) from None
