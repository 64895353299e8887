"""Run a notebook as a stage: papermill in this process, one clear line when a cell fails.

The executed copy goes to `build/notebooks`, where the report finds it. It is no stage output: an
executed notebook holds times and identifiers and is never the same twice.
"""
import json
import logging
import os
import sys
import time
from pathlib import Path

from fiqa_core import project
from fiqa_core.errors import FiqaError
from fiqa_core.progress import clock

# glibc's allocator gives a freed layer's memory back to the system and asks for it again at the next one. Keeping it
# saves DifFIQA a quarter of its time on a CPU. Read once, when a process starts; other systems ignore it.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**32)}


def executed_path(notebook: str, parameters: dict) -> Path:
    """Where the executed copy of a notebook goes: name, then the values of its parameters."""
    suffix = "".join(f"-{value}" for value in parameters.values())
    return project.build() / "notebooks" / f"{notebook}{suffix}.ipynb"


def run_notebook(notebook: str, parameters: dict, patience: int = 60) -> Path:
    """Execute `notebooks/<notebook>.ipynb` with `parameters`, in the folder `notebooks` as JupyterLab does.

    Returns the executed copy. Raises FiqaError naming the failing cell and its error, or the cell whose kernel has
    been idle for `patience` seconds without a reply.
    """
    source = project.root() / "notebooks" / f"{notebook}.ipynb"
    if not source.is_file():
        names = sorted(path.stem for path in source.parent.glob("*.ipynb"))
        raise FiqaError(f"{source} does not exist", f"notebooks here: {', '.join(names)}")
    _check_parameters(source, parameters)
    papermill, kernel_client, Config, DeadKernelError = _import_papermill()
    target = executed_path(notebook, parameters)
    target.parent.mkdir(parents=True, exist_ok=True)
    for name, value in KEEP_MEMORY.items():
        os.environ.setdefault(name, value)
    start = time.monotonic()
    try:
        papermill.execute_notebook(
            str(source), str(target), parameters=parameters, cwd=str(source.parent), kernel_name="python3",
            progress_bar=False, start_timeout=300, stdout_file=sys.stdout, stderr_file=sys.stderr,
            engine_name=kernel_client.ENGINE, patience=patience, iopub_timeout=60,
            config=Config({"KernelManager": {"transport_encryption": "auto",
                                             "client_factory": kernel_client.KernelClient}}))
    except papermill.PapermillExecutionError as error:
        raise FiqaError(f"{notebook}: cell {error.exec_count} failed: {error.ename}: {error.evalue}",
                        f"look at the cell and its output in {target}") from None
    except DeadKernelError:
        raise FiqaError(f"{notebook}: its kernel died without a word",
                        "free memory (the system may have ended it) or lower the batch in params.yaml, "
                        "then run the same command again") from None
    print(f"{notebook} done in {clock(time.monotonic() - start)}, executed copy: {_relative(target)}",
          file=sys.stderr, flush=True)
    return target


def _check_parameters(source: Path, parameters: dict) -> None:
    """Refuse a parameter the notebook does not have: papermill would only warn and ignore it."""
    cells = json.loads(source.read_text())["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    known = [line.split("=")[0].strip() for cell in tagged for line in "".join(cell["source"]).splitlines()
             if "=" in line and not line.startswith("#")]
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise FiqaError(f"{source.name} has no parameter {', '.join(unknown)}",
                        f"its parameters: {', '.join(known) or 'none'}")


def _import_papermill():
    """papermill, our client for it, traitlets' Config and nbclient's error of a dead kernel.

    jsonschema's optional format checker, which they never need, would cost 1.4 s at import.
    """
    sys.modules.setdefault("rfc3987_syntax", None)
    import papermill
    from nbclient.exceptions import DeadKernelError
    from traitlets.config import Config

    from fiqa_core.pipeline import kernel_client
    logging.getLogger("papermill").setLevel(logging.WARNING)
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    return papermill, kernel_client, Config, DeadKernelError


def _relative(path: Path) -> str:
    return str(path.relative_to(project.root()))
