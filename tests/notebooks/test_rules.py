"""Every notebook obeys the rules that let papermill, DVC and a reader trust it."""
import ast
import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return json.loads(request.param.read_text())


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell):
    return "".join(cell["source"])


def test_there_are_notebooks():
    assert len(NOTEBOOKS) > 20


def test_no_outputs_and_a_plain_kernel(notebook):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code_cells(notebook))
    assert notebook["metadata"] == {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def test_one_parameters_cell_of_literals_comes_first(notebook):
    cells = code_cells(notebook)
    tagged = [cell for cell in cells if cell["metadata"].get("tags") == ["parameters"]]
    assert tagged == cells[:1]
    for statement in ast.parse(source(tagged[0])).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)


def test_first_cell_says_what_it_is(notebook):
    first = notebook["cells"][0]
    text = source(first)
    assert first["cell_type"] == "markdown" and text.startswith("# ")
    for word in ("Question", "Inputs", "Outputs", "Time"):
        assert word.lower() in text.lower(), f"the first cell does not name its {word}"


def test_an_artefact_says_what_one_sees_and_ends_with_an_exercise(notebook, request):
    if request.node.callspec.params["notebook"].stem[:2] >= "10":
        assert "**Question.**" in source(notebook["cells"][0])
        assert "**You will see**" in source(notebook["cells"][0])
        assert "**Exercise.**" in source(notebook["cells"][-1])


def test_every_cell_has_an_id_of_its_own(notebook):
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


def test_code_cells_are_short_and_define_nothing(notebook):
    for cell in code_cells(notebook):
        assert len(source(cell).splitlines()) <= 25
        kinds = (ast.FunctionDef, ast.ClassDef)
        assert not any(isinstance(node, kinds) for node in ast.walk(ast.parse(source(cell)))), source(cell)


def test_no_warnings_are_hidden(notebook):
    assert not any("filterwarnings" in source(cell) for cell in code_cells(notebook))
