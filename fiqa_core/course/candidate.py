"""The process in which one submission runs: `python -m fiqa_core.course.candidate JOB ANSWERS`.

JOB is the grader's own pickle. ANSWERS gets one line of JSON per exercise, written as soon as it is known: what
was returned, as plain numbers, for the grader to judge. Nothing that comes back is executed.
"""
import ast
import base64
import json
import pickle
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import numpy as np
import torch

from fiqa_core.course.exercise import namespace
from fiqa_core.course.judge import Bounded, Failure, TooLate, TooLoud, outputs_of, time_limit

CELLS = 60.0          # seconds for all cells of a notebook, where names are missing without them
KEPT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def main(job: Path, answers: Path) -> None:
    """Run the job: {cells: [text], wanted: {id: (name, stub, cases)}}."""
    torch.set_num_threads(1)
    content = pickle.loads(job.read_bytes())
    wanted = content["wanted"]
    found = answers_in(content["cells"], {name: stub for name, stub, _ in wanted.values()})
    with open(answers, "w", encoding="utf-8") as file:
        for identity, (name, _, cases) in wanted.items():
            outputs = outputs_of(found[name], cases) if name in found else [None]
            file.write(json.dumps([identity, [encode(output) for output in outputs]]) + "\n")
            file.flush()


def answers_in(cells: list[str], stubs: dict[str, str]) -> dict:
    """Name -> answer for the wanted names (those of `stubs`, their untouched code) that `cells` define.

    First only imports, literals, functions and classes are executed; all cells only where names are missing.
    A definition that is still the stub does not count, wherever it stands.
    """
    trees = [tree for tree in map(parsed, cells) if tree]
    untouched = {ast.dump(node) for stub in stubs.values() for node in ast.parse(stub).body}
    plain = [node for tree in trees for node in tree.body if is_plain(node) and ast.dump(node) not in untouched]
    space = run(plain, namespace())
    found = {name: space[name] for name in stubs if name in space}
    if len(found) < len(stubs):
        every = [node for tree in trees for node in tree.body if ast.dump(node) not in untouched]
        space = run(every, namespace())
        found |= {name: space[name] for name in stubs if name in space and name not in found}
    return found


def parsed(cell: str) -> ast.Module | None:
    """The syntax tree of a cell without IPython's own lines; None where it is no Python."""
    lines = ["" if line.lstrip().startswith(("%", "!", "?")) else line for line in cell.splitlines()]
    try:
        return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def is_plain(node: ast.stmt) -> bool:
    """Whether a statement is an import, a definition, or gives a name a literal."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        try:
            ast.literal_eval(node.value)
            return True
        except (ValueError, TypeError, SyntaxError, RecursionError):
            return False
    return isinstance(node, KEPT)


def run(statements: list[ast.stmt], space: dict) -> dict:
    """`space` after the statements, each by itself: an error ends one of them, time the whole."""
    with suppress(TooLate), time_limit(CELLS):
        for node in statements:
            printed = Bounded()
            with suppress(Exception, SystemExit, TooLoud), redirect_stdout(printed), redirect_stderr(printed):
                exec(compile(ast.Module([node], []), "<answer>", "exec"), space)
    return space


def encode(value):
    """A value as JSON: arrays and tensors as bytes, containers by their parts, anything else by its type's name."""
    if isinstance(value, Failure):
        return {"failure": value.text}
    if value is ...:
        return None
    if isinstance(value, (np.ndarray, np.generic, torch.Tensor)):
        array = np.ascontiguousarray(value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value)
        if array.dtype.kind in "biuf":
            return {"array": base64.b64encode(array.tobytes()).decode(), "type": array.dtype.str,
                    "shape": array.shape, "tensor": isinstance(value, torch.Tensor)}
        return encode(array.tolist())
    if isinstance(value, (list, tuple)):
        return {"list": [encode(part) for part in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(part)] for key, part in value.items()]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return {"other": type(value).__name__}


def decode(value):
    """The way back, of what an untrusted process wrote. Raises ValueError, KeyError or TypeError for anything else."""
    if not isinstance(value, dict):
        return value
    if "failure" in value:
        return Failure(str(value["failure"])[:300])
    if "array" in value:
        dtype = np.dtype(value["type"])
        if dtype.kind not in "biuf":
            raise ValueError("no numbers")
        array = np.frombuffer(base64.b64decode(value["array"]), dtype).reshape(value["shape"]).copy()
        return torch.from_numpy(array) if value["tensor"] else array
    if "list" in value:
        return [decode(part) for part in value["list"]]
    if "dict" in value:
        return {decode(key): decode(part) for key, part in value["dict"]}
    return Other(str(value["other"])[:80])


class Other:
    """Stands for a value that is no number, text or container of them."""

    def __init__(self, kind: str):
        self.kind = kind

    def __repr__(self):
        return f"<a {self.kind}>"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
