"""Which processor runs the kernels, and how much memory they may take there. Chosen by the environment, so that
it never changes a stage's identity."""
import os
from pathlib import Path

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


CGROUP = Path("/sys/fs/cgroup")
GPU_SHARE = 0.5                                 # of the memory that is free
CPU_LEAST, CPU_MOST = 192 * 2**20, 1536 * 2**20


def activation_budget(device: torch.device) -> int:
    """Bytes that the activations of one chunk of samples may take on `device`.

    On a CPU a sixteenth of the memory there is, or half of a core's share, since as many workers may run as there
    are cores; free memory does not count, so that a machine always cuts the same chunks. 16 samples at once are
    worth having: below, torch computes 1x1 convolutions in a slower way. Of MobileFaceNet and IResNet-18 these
    take 1.1 and 1.5 GB; larger chunks were not faster, smaller ones than the least up to a third slower.
    """
    if device.type == "cuda":
        return int(GPU_SHARE * torch.cuda.mem_get_info(device)[0])
    share = memory() // max(16, 2 * (os.cpu_count() or 1))
    return min(max(share, CPU_LEAST), CPU_MOST)


def memory() -> int:
    """Bytes of memory of this machine, or of its control group where that has less."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CGROUP / "memory.max"
    text = limit.read_text().strip() if limit.is_file() else ""
    return min(found, int(text)) if text.isdigit() else found
