"""A user's own checkpoint in the place of a network that the pipeline would train."""
import shutil
from collections.abc import Callable
from glob import escape
from pathlib import Path

import pandas as pd

from fiqa_core.loading import load_quality
from fiqa_core.weights.place import checkpoint_path
from fiqa_core.weights.tensors import locate


def take_checkpoint(slug: str, config: dict, target: Path) -> pd.DataFrame:
    """Check the authors' file of a quality method and copy it to `target`.

    config   the method's entry in params.yaml: `checkpoint`, and `model` (which of their models it is) where
             there are several
    Returns an empty training log. Raises FiqaError if the file is missing or does not fit.
    """
    copy_checked(config["checkpoint"], target, lambda path: load_quality(config.get("model", slug), path))
    return pd.DataFrame({"model": pd.Series(dtype=int)})


def copy_checked(checkpoint: str, target: Path, load: Callable[[Path], object]) -> None:
    """Copy a checkpoint to `target` once `load` has read it; the data files of a TensorFlow index come along.

    checkpoint   a path from the project's folder, or the name of a file in the weights folder; of several
                 files that a `*` in it fits the newest
    """
    path = locate(checkpoint_path(checkpoint),
                  f"correct {checkpoint!r} in params.yaml (python -m fiqa_core weights list says where to get it)")
    load(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    if path.suffix == ".index":
        for part in path.parent.glob(f"{escape(path.stem)}.data-*"):
            shutil.copyfile(part, target.with_name(target.stem + part.name.removeprefix(path.stem)))
