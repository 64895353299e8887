"""The order of the package: who imports whom, what the kernels may do, and where each thing is done once."""
import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "fiqa_core"
# Each wing imports only those before it. The package's own face (__init__) names modules as text alone.
ORDER = ("base", "weights", "recognisers", "benchmarks", "kernels", "training", "methods", "registry", "loading", "rendering",
         "evaluation", "reporting", "pipeline", "challenges", "explore", "course", "doctor", "cli", "__main__")
FILES = {path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", "."): path
         for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = {name.removesuffix(".__init__"): path for name, path in FILES.items()}
KERNELS = sorted((PACKAGE / "kernels").glob("*.py"))
MOST = 1200                         # lines of the kernels
THEIRS = {"torch", "numpy", "fiqa_core.base", "fiqa_core.recognisers", "fiqa_core.kernels"}
# The same thing said one level apart.
TWICE = {"__init__.py", "diffusion.py", "evaluate.py", "recogniser.py"}


def imported(tree: ast.AST, module: str, package: bool = False) -> set[str]:
    """Modules of the package that a tree of `module` imports anywhere: statements, relative ones, and by text."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".") if package else module.split(".")[:-1]
            start = ".".join(above[:len(above) + 1 - node.level]) if node.level else ""
            base = ".".join(part for part in (start, node.module) if part)
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
                "import_module", "__import__"):
            found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return {name for name in found if name in MODULES and name not in (module, "fiqa_core")}


def wing(module: str) -> str:
    return module.split(".")[1]


@cache
def imports() -> dict[str, set[str]]:
    """Module of the package -> those of the package that it imports."""
    return {name: imported(ast.parse(path.read_text()), name, path.name == "__init__.py")
            for name, path in MODULES.items() if name != "fiqa_core"}


def upward(modules: dict[str, set[str]]) -> list[str]:
    """The imports of a later wing."""
    return [f"{name} imports {other}" for name, others in modules.items() for other in sorted(others)
            if ORDER.index(wing(other)) > ORDER.index(wing(name))]


def circles(modules: dict[str, set[str]]) -> set[str]:
    """Modules that are left when those that import nothing (left) are taken away, again and again."""
    left = {name: set(others) for name, others in modules.items()}
    while free := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in free}
    return set(left)


def test_imports_never_run_upwards():
    assert upward(imports()) == []


def test_imports_never_run_in_a_circle():
    assert circles(imports()) == set()


@pytest.mark.parametrize("text, wanted", [
    ("from fiqa_core.cli import main", {"fiqa_core.cli"}),
    ("def late():\n    import fiqa_core.loading", {"fiqa_core.loading"}),
    ("from .. import cli", {"fiqa_core.cli"}), ("from . import faces", {"fiqa_core.base", "fiqa_core.base.faces"}),
    ("from importlib import import_module\nimport_module('fiqa_core.registry')", {"fiqa_core.registry"}),
    ("import torch, numpy.random", set())])
def test_no_form_of_import_is_overlooked(text, wanted):
    found = imported(ast.parse(text), "fiqa_core.base.engine")
    assert found == wanted
    assert bool(upward({"fiqa_core.base.engine": found})) == any(wing(name) != "base" for name in wanted)


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == {"a", "b", "c"}


def test_the_kernels_are_the_papers_alone():
    """They import torch, numpy and the two wings that they stand on, open no file and read no settings."""
    assert sum(len(path.read_text().splitlines()) for path in KERNELS) <= MOST
    standard = {"abc", "collections.abc", "contextlib", "copy", "functools", "hashlib", "math"}
    for path in KERNELS:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [
                node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                parts = name.split(".")
                assert {".".join(parts[:2]), parts[0], name} & (THEIRS | standard), f"{path.name} imports {name}"
        named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert not named & {"open", "settings", "Path", "project"}, path.name


def test_a_file_name_occurs_once():
    counts = Counter(path.name for path in FILES.values() if path.name not in TWICE)
    assert [name for name, count in counts.items() if count > 1] == []


def test_no_file_is_longer_than_a_reader_holds():
    assert {name: lines for name, path in FILES.items() if (lines := len(path.read_text().splitlines())) > 400} == {}


# What is done in one place only: what it looks like, and where it may stand.
ONCE = {
    "files are joined to networks": (r"\b(load_strictly|read_tensors)\(", ("weights", "loading", "training.fitting")),
    # `suites` writes it, the report copies it
    "params.yaml is read": (r"/ \"params\.yaml\"", ("base.project", "pipeline.suites", "reporting.html_report")),
    "CSV files are written": (r"\.to_csv\((?!index=|file,)", ("base.files",)),
    "files are replaced": (r"\bos\.(replace|rename)\(", ("base.files",)),
    "files are hashed": (r"file_digest\(|hashlib\.\w+\([^)]*read_bytes", ("base.files",)),
}


@pytest.mark.parametrize("what", ONCE)
def test_each_thing_is_done_in_one_place(what):
    pattern, places = ONCE[what]
    found = [f"{name}: {line.strip()}" for name, path in FILES.items()
             if not name.removeprefix("fiqa_core.").startswith(places)
             for line in path.read_text().splitlines() if re.search(pattern, line)]
    assert found == []
