"""Run a notebook as a stage: papermill in this process, one clear line when a cell fails.

The executed copy goes to `build/notebooks`, where the report finds it. It is no stage output: an
executed notebook holds times and identifiers and is never the same twice.

What a notebook computes is written as text, its code cells and the modules of fiqa_core they reach. A stage
that depended on its `.ipynb` would run again whenever someone opened the notebook or fixed a sentence.
Stages depend on these digests instead: prose, outputs, comments and docstrings do not count.
"""
import ast
import hashlib
import json
import logging
import sys
import time
from functools import cache
from pathlib import Path

from fiqa_core import _HOMES
from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import holding
from fiqa_core.base.process import hand_down
from fiqa_core.base.progress import clock
from fiqa_core.registry import home, methods

# What runs whichever methods a suite names.
WHATEVER = ("fiqa_core.pipeline.timing", "fiqa_core.challenges")


def executed_path(notebook: str, parameters: dict) -> Path:
    """Where the executed copy of a notebook goes: name, then the values of its parameters."""
    suffix = "".join(f"-{value}" for value in parameters.values())
    return project.build() / "notebooks" / f"{notebook}{suffix}.ipynb"


def run_notebook(notebook: str, parameters: dict, patience: int = 60) -> Path:
    """Execute `notebooks/<notebook>.ipynb` with `parameters`, in the folder `notebooks` as JupyterLab does.

    Returns the executed copy. Raises FiqaError naming the failing cell and its error, or the cell whose kernel has
    been idle for `patience` seconds without a reply, or where another process executes the same.
    """
    source = project.root() / "notebooks" / f"{notebook}.ipynb"
    if not source.is_file():
        names = sorted(path.stem for path in source.parent.glob("*.ipynb"))
        raise FiqaError(f"{source} does not exist", f"notebooks here: {', '.join(names)}")
    _check_parameters(source, parameters)
    target, start = executed_path(notebook, parameters), time.monotonic()
    with holding(target):
        _execute(source, target, parameters, patience)
    print(f"{notebook} done in {clock(time.monotonic() - start)}, executed copy: {_relative(target)}",
          file=sys.stderr, flush=True)
    return target


def _execute(source: Path, target: Path, parameters: dict, patience: int) -> None:
    papermill, kernel_client, Config, DeadKernelError = _import_papermill()
    hand_down()
    try:
        papermill.execute_notebook(
            str(source), str(target), parameters=parameters, cwd=str(source.parent), kernel_name="python3",
            progress_bar=False, start_timeout=300, stdout_file=sys.stdout, stderr_file=sys.stderr,
            engine_name=kernel_client.ENGINE, patience=patience, iopub_timeout=60,
            config=Config({"KernelManager": {"transport_encryption": "auto",
                                             "client_factory": kernel_client.KernelClient}}))
    except papermill.PapermillExecutionError as error:
        problem, _, remedy = error.evalue.partition("\n  remedy: ")        # where the cell's own error has one
        raise FiqaError(f"{source.stem}: cell {error.exec_count} failed: {error.ename}: {problem}",
                        f"{remedy or 'look at the cell'}; its output is in {target}") from None
    except DeadKernelError:
        raise FiqaError(f"{source.stem}: its kernel died without a word",
                        "free memory (the system may have ended it) or lower the batch in params.yaml, "
                        "then run the same command again") from None


def _check_parameters(source: Path, parameters: dict) -> None:
    """Refuse a parameter the notebook does not have: papermill would only warn and ignore it."""
    known = _parameters(source)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise FiqaError(f"{source.name} has no parameter {', '.join(unknown)}",
                        f"its parameters: {', '.join(known) or 'none'}")


def _parameters(notebook: Path) -> dict:
    """A notebook's parameters with their values."""
    tagged = ["".join(cell["source"]) for cell in _code(notebook) if "parameters" in cell["metadata"].get("tags", [])]
    return {node.targets[0].id: ast.literal_eval(node.value) for source in tagged for node in ast.parse(source).body}


def _code(notebook: Path) -> list[dict]:
    """The code cells of a notebook."""
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]


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


def write_digests() -> list[Path]:
    """Write what every notebook and the report compute to `build/code`; returns the files.

    `<notebook>.txt`, or `<notebook>@<slug>.txt` for every method where its parameter `method` is one of their slugs.
    """
    folder = project.code()
    folder.mkdir(parents=True, exist_ok=True)
    written = {"report": _lines(reachable("import fiqa_core.reporting.html_report"))}
    for notebook in sorted((project.root() / "notebooks").glob("*.ipynb")):
        if _parameters(notebook).get("method") in methods():
            written |= {f"{notebook.stem}@{slug}": digest(notebook, slug) for slug in methods()}
        else:
            written[notebook.stem] = digest(notebook)
    for name, text in written.items():
        (folder / f"{name}.txt").write_text(text)
    return [folder / f"{name}.txt" for name in written]


def digest(notebook: Path, slug: str | None = None) -> str:
    """Code cells with their tags, then one line "module hash" per module of fiqa_core that they reach.

    The registry imports every method and is not followed: a method's modules count in a digest for its `slug`,
    those of all methods where a module of WHATEVER is reached, and elsewhere those that are imported by name.
    """
    cells = _code(notebook)
    sources = ["".join(cell["source"]) for cell in cells]
    tags = [",".join(cell["metadata"].get("tags", [])) for cell in cells]
    code = "\n".join(f"# cell [{tag}]\n{source}" for tag, source in zip(tags, sources))
    modules = reachable(_python(sources))
    slugs = [slug] if slug else methods() if any(name.startswith(WHATEVER) for name in modules) else []
    more = reachable("\n".join(f"import {home(each)}" for each in slugs))
    return f"{code}\n\n# modules\n{_lines(sorted({*modules, *more}))}"


def reachable(source: str) -> list[str]:
    """Sorted names of all modules of fiqa_core that `source` imports, directly or through others."""
    found, waiting = set(), set(_imports(ast.parse(source)))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting |= _imported(name) - found
    return sorted(found)


@cache
def _imported(module: str) -> set[str]:
    return set(_imports(_tree(module)))


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_file(module).read_text())


def _lines(modules: list[str]) -> str:
    return "".join(f"{name} {_hash(name)}\n" for name in modules)


def _python(sources: list[str]) -> str:
    """Cells as one program, without IPython's magic and shell lines."""
    return "\n".join(line for source in sources for line in source.splitlines()
                     if not line.lstrip().startswith(("%", "!")))


def _imports(tree: ast.AST):
    """Modules of fiqa_core named by the import statements of a tree, with their packages."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
            if node.module == "fiqa_core":
                names += [_HOMES[alias.name] for alias in node.names if alias.name in _HOMES]
        for name in names:
            parts = name.split(".")
            if parts[0] == "fiqa_core":
                yield from (".".join(parts[:n]) for n in range(2, len(parts) + 1)
                            if _file(".".join(parts[:n])) is not None)


def _file(module: str) -> Path | None:
    base = Path(__file__).resolve().parent.parent.parent / Path(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _hash(module: str) -> str:
    """Hash of a module's syntax tree without docstrings."""
    tree = _tree(module)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) \
                and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
            body[0].value.value = ""
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]
