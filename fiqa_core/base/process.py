"""What a process that computes tells the libraries below it. They read it once; no result depends on it.

Where the settings are made: in `python -m fiqa_core` for itself and all that it starts, which are the notebooks'
kernels and the worker processes. A variable that is set already stays as it is.

- glibc's allocator gives a freed layer's memory back to the system and asks for it again at the next one. To keep
  it saves DifFIQA a quarter of its time on a CPU.
- torch asks for pages of 2 MB instead of 4 KB for large tensors, which makes fewer of them to look up.
- Threads that wait for the others sleep instead of spinning: where other programs want the cores too, spinning
  threads keep the one that is waited for from running.
"""
import ctypes
import os

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
ENVIRONMENT = {**KEEP_MEMORY, "THP_MEM_ALLOC_ENABLE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
TRIM_THRESHOLD, MMAP_MAX = -1, -4           # glibc's numbers of these parameters (malloc.h)


def settle() -> None:
    """Make the settings for this process, before it loads torch, and for those that it starts."""
    if not any(name in os.environ for name in KEEP_MEMORY):
        keep_memory()
    hand_down()


def hand_down() -> None:
    """Make the settings for processes that this one starts."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def keep_memory() -> bool:
    """Have this very process do what KEEP_MEMORY says; whether its system could (glibc's can)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    return mallopt is not None and bool(mallopt(TRIM_THRESHOLD, -1) and mallopt(MMAP_MAX, 0))
