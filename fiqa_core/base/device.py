"""Which processor runs the kernels. Chosen by the environment, so that it never changes a stage's identity."""
import os

import torch

from fiqa_core.base.errors import FiqaError


def default_device() -> torch.device:
    """`FIQA_DEVICE` if set ("cpu", "cuda", "cuda:1"), else a GPU, else the CPU.

    The GPU is the first, or in a worker process (torchrun sets LOCAL_RANK) the worker's own.

    Raises FiqaError if FIQA_DEVICE names a device that is not there.
    """
    wanted = os.environ.get("FIQA_DEVICE")
    if not wanted and torch.cuda.is_available():
        rank = os.environ.get("LOCAL_RANK")
        own = None if rank is None else int(rank) % torch.cuda.device_count()
        return torch.device("cuda") if own is None else torch.device("cuda", own)
    if not wanted:
        return torch.device("cpu")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise FiqaError(f"FIQA_DEVICE={wanted}, but torch sees no GPU",
                        "unset FIQA_DEVICE, or install the CUDA build of torch (README, 'On a GPU')")
    try:
        return torch.device(wanted)
    except RuntimeError as error:
        raise FiqaError(f"FIQA_DEVICE={wanted} is not a torch device: {error}",
                        "use cpu, cuda or cuda:N") from None
