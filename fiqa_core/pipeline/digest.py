"""What a notebook computes, as text: its code cells and the modules of fiqa_core it reaches.

A stage that depended on its `.ipynb` would run again whenever someone opened the notebook or fixed a
sentence. Stages depend on these digests instead: prose, outputs, comments and docstrings do not count.
"""
import ast
import hashlib
import json
from pathlib import Path

from fiqa_core import _HOMES, project


def write_digests() -> list[Path]:
    """Write `build/code/<notebook>.txt` for every notebook and one for the report; returns the files."""
    folder = project.build() / "code"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for notebook in sorted((project.root() / "notebooks").glob("*.ipynb")):
        path = folder / f"{notebook.stem}.txt"
        path.write_text(digest(notebook))
        written.append(path)
    report = folder / "report.txt"
    report.write_text(_lines("from fiqa_core.pipeline import report"))
    return [*written, report]


def digest(notebook: Path) -> str:
    """Code cells with their tags, then one line "module hash" per reachable module of fiqa_core."""
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in cells]
    tags = [",".join(cell["metadata"].get("tags", [])) for cell in cells]
    code = "\n".join(f"# cell [{tag}]\n{source}" for tag, source in zip(tags, sources))
    return f"{code}\n\n# modules\n{_lines(_python(sources))}"


def reachable(source: str) -> list[str]:
    """Sorted names of all modules of fiqa_core that `source` imports, directly or through others."""
    found, waiting = set(), set(_imports(ast.parse(source)))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting |= set(_imports(ast.parse(_file(name).read_text()))) - found
    return sorted(found)


def _lines(source: str) -> str:
    return "".join(f"{name} {_hash(name)}\n" for name in reachable(source))


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


def _hash(module: str) -> str:
    """Hash of a module's syntax tree without docstrings."""
    tree = ast.parse(_file(module).read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) \
                and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
            body[0].value.value = ""
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]
