"""Training that survives Ctrl-C: the state of a run on disk, written whole or not at all.

A run that continues from its state gives the same result as one that was never interrupted, because all its
randomness follows from (seed, step) and everything else is in the state.
"""
import hashlib
import sys
import time
from pathlib import Path

import numpy as np

from fiqa_core.weights.formats.pytorch import read_checkpoint, write_atomically


class Resume:
    """The state file of one training run.

    path       where it lies; None: the run is not saved
    identity   text that tells runs apart (config, data); a state of another run is not continued
    every      least seconds between two saves
    """

    def __init__(self, path: Path | None, identity: str, every: float = 20.0):
        self.path = None if path is None else Path(path)
        self.identity = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
        self.every = every
        self._saved = time.monotonic()

    def load(self) -> dict | None:
        """The state to continue from, or None to start anew. Raises FiqaError for a damaged file."""
        if self.path is None or not self.path.is_file():
            return None
        state = read_checkpoint(self.path)
        identity = state.get("identity")
        if identity != self.identity:
            print(f"{self.path} is of a run with other data or parameters: training starts anew",
                  file=sys.stderr)
            return None
        return state

    def save(self, state: dict, always: bool = False) -> None:
        """Write the state if a save is due."""
        if self.path is None or not (always or time.monotonic() - self._saved >= self.every):
            return
        write_atomically({**state, "identity": self.identity}, self.path)
        self._saved = time.monotonic()


def fingerprint(pixels: np.ndarray) -> str:
    """Tells training sets apart: shape and a hash of at most 64 evenly spaced images (N, ...)."""
    digest = hashlib.blake2b(digest_size=16)
    for row in np.linspace(0, len(pixels) - 1, min(len(pixels), 64)).astype(int):
        digest.update(np.ascontiguousarray(pixels[row]).tobytes())
    return f"{pixels.shape} {digest.hexdigest()}"


def write_log(path: Path | None, columns: tuple[str, ...], rows: list) -> None:
    """The training curve as CSV, without times, so that equal runs write equal files."""
    if path is None:
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(columns)] + [",".join(f"{value:.6g}" for value in row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
