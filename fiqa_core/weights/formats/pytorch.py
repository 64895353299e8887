"""PyTorch's files, zip archives since version 1.6 and a chain of pickles before: only plain tensors are read.

`torch.load(weights_only=True)` rebuilds tensors and plain containers and refuses everything else, before any
code of the file could run. What it refuses, `fiqa_core.weights.convert` can rewrite.
"""
import re
from pathlib import Path
from pickle import UnpicklingError

import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import replacing
from fiqa_core.weights.formats.cursor import Damaged

REFUSED = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)|unsupported class (\S+)"
                     r"|(Unsupported operand \d+)")


def read(path: Path, mapped: bool = False) -> dict:
    """The dict in a file, tensors on the CPU.

    mapped   leave the tensors in the file until they are used: for those that are copied at once, and only
             for zip archives
    Raises Damaged, and FiqaError where the file needs more than plain tensors or is no dict.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except UnpicklingError as error:
        raise refusal(path, error) from None
    except Exception as error:      # a damaged pickle ends in whatever its bytes happen to ask for
        raise Damaged(str(error).partition(". ")[0] or type(error).__name__) from None
    if not isinstance(content, dict):
        raise FiqaError(f"{path} holds a {type(content).__name__}, not a dict of tensors",
                        "save model.state_dict()")
    return content


def refusal(path: Path, error: UnpicklingError) -> FiqaError:
    """The error for a pickle that asks for more than tensors, with the one safe way on."""
    asked = REFUSED.search(str(error))
    reason = next(filter(None, asked.groups())) if asked else str(error).strip().splitlines()[-1]
    return FiqaError(f"{path} holds more than plain tensors, and loading it whole could run code: {reason}",
                     f"rewrite it once without running anything: python -m fiqa_core weights convert {path} "
                     f"{Path(path).with_suffix('')}.tensors.pth")


def read_zip(path: Path) -> dict:
    """A zip archive, its tensors left in the file until they are used."""
    return read(path, mapped=True)


def read_checkpoint(path: Path) -> dict:
    """A torch file that this project wrote, such as the state of a training run. Raises FiqaError."""
    try:
        return read(path)
    except Damaged as error:
        raise FiqaError(f"{path} is damaged or cut short: {error}",
                        "delete it and run its stage again") from None


def write_atomically(content: dict, path: Path) -> None:
    """torch.save that leaves either the old file or the complete new one."""
    with replacing(path) as part, open(part, "wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:           # torch's word for a write that failed; the system's stands behind
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None
