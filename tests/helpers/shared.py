"""Where tests find the golden files and photographs that are not part of the repository.

`FIQA_SHARED` names the folder; without it `../shared` beside the checkout is tried. A test that needs
a file which is not there is skipped and says which file it missed.
"""
import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("FIQA_SHARED", Path(__file__).resolve().parents[3] / "shared"))


def shared_path(relative: str) -> Path:
    """Path of `relative` in the shared folder; skips the calling test where it does not exist."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"SKIPPED: {relative} is not in the shared folder (set FIQA_SHARED to its place)")
    return path
