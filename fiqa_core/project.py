"""Where things are: the project root, and the folders below it that stages write.

Notebooks run from `notebooks/`, the command line from anywhere; both resolve every path here.
"""
import os
from pathlib import Path

from fiqa_core.errors import FiqaError


def root() -> Path:
    """Folder that holds `dvc.yaml`: `FIQA_ROOT` if set, else the nearest parent of the working folder.

    Raises FiqaError if there is none.
    """
    if os.environ.get("FIQA_ROOT"):
        return Path(os.environ["FIQA_ROOT"]).resolve()
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise FiqaError(f"no dvc.yaml in {here} or above it",
                    "run from inside the workbook's folder, or set FIQA_ROOT to it")


def data() -> Path:
    """Versioned inputs (`data.dvc`): published tables, rendered protocols, sample faces."""
    return root() / "data"


def build() -> Path:
    """Heavy stage outputs: packed images, weights, embeddings."""
    return root() / "build"


def results() -> Path:
    """Light stage outputs: CSV, JSON and figures, the numbers everything else reads."""
    return root() / "results"
