"""Where downloaded checkpoints live, and how a short name finds them there."""
import os
from pathlib import Path

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError


def weights_folder() -> Path:
    """The folder of official checkpoints: `FIQA_WEIGHTS` if set, else `weights` in the project (git-ignored).

    It need not exist yet. Raises FiqaError outside a project where `FIQA_WEIGHTS` is not set.
    """
    if os.environ.get("FIQA_WEIGHTS"):
        return Path(os.environ["FIQA_WEIGHTS"]).expanduser().resolve()
    return project.root() / "weights"


def find(path: str | Path) -> Path:
    """The file that `path` means: as given from the current folder, else below the weights folder.

    A path that exists in neither place comes back as it was given, for the caller to complain about.
    """
    path = Path(path).expanduser()
    if path.is_absolute() or path.exists():
        return path
    try:
        inside = weights_folder() / path
    except FiqaError:           # outside a project there is no second place to look
        return path
    return inside if inside.exists() else path


def checkpoint_path(path: str | Path) -> Path:
    """The file that `checkpoint:` of a suite means: absolute, from the project, or in the weights folder.

    A `*` in its name stands for the newest file that fits. Where there is no such file it is the place in the
    weights folder where it belongs.
    """
    given = Path(path).expanduser()
    places = [given] if given.is_absolute() else [project.root() / given, weights_folder() / given]
    return next((found for place in places if (found := newest(place))), places[-1])


def newest(place: Path) -> Path | None:
    """The file at `place`; where its name has a `*`, the newest that fits. None where there is none."""
    if "*" not in place.name:
        return place if place.is_file() else None
    return max(place.parent.glob(place.name), key=lambda path: path.stat().st_mtime, default=None)
