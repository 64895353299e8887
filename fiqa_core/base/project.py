"""Where things are: the project root, and the folders below it that stages write.

Notebooks run from `notebooks/`, the command line from anywhere; both resolve every path here.
"""
import os
from pathlib import Path

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.yaml_files import read_yaml

SUITES = Path(__file__).resolve().parent.parent / "suites"


def suite_names() -> list[str]:
    """Names of the suites that come with the workbook."""
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


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


def active_suite() -> str:
    """Name of the suite in params.yaml; the default one's where that file is missing or names none."""
    return (settings() if (root() / "params.yaml").is_file() else {}).get("suite", "demo")


def code() -> Path:
    """What each notebook and method computes, as text: the same for every suite."""
    return root() / "build" / "code"


def build() -> Path:
    """Heavy stage outputs of the active suite: packed images, weights, embeddings."""
    return root() / "build" / active_suite()


def results() -> Path:
    """Light stage outputs of the active suite: CSV, JSON and figures, the numbers everything else reads."""
    return root() / "results" / active_suite()


def report() -> Path:
    """The active suite's report, a folder of pages."""
    return root() / "report" / active_suite()


def settings(section: str | None = None) -> dict:
    """The whole of params.yaml, or one section of it ("on_recogniser.faceqan").

    Raises FiqaError if the file is missing or has no such section.
    """
    path = root() / "params.yaml"
    value = read_yaml(path, "restore it with: python -m fiqa_core suite demo")
    for key in section.split(".") if section else ():
        if not isinstance(value, dict) or key not in value:
            raise FiqaError(f"{path} has no section {section}",
                            f"known here: {', '.join(value) if isinstance(value, dict) else 'nothing'}")
        value = value[key]
    return value
