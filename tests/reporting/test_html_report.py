"""The report shows what the active suite makes, whatever other suites left in the folders."""
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml

from fiqa_core.base.project import settings
from fiqa_core.pipeline.suites import load_suite, write_params
from fiqa_core.reporting.html_report import build_report, executed_names

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project of the suite `faces`, with tables, notebooks and figures that nobody asks for any longer."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    write_params("faces")
    write_tables(tmp_path / "results" / "faces" / "evaluation", ["Sharpness", "FaceQAN"])
    for name in ("10_faceqan_runtime", "31_ediffiqa_visual", "05_score-faceqan", "05_score-sharpness"):
        write_notebook(tmp_path / "build" / "faces" / "notebooks" / f"{name}.ipynb", f"# About {name}")
    for name in ("10_faceqan_runtime", "31_ediffiqa_visual"):
        figure = tmp_path / "results" / "faces" / "artefacts" / name / f"{name}_faces.png"
        figure.parent.mkdir(parents=True)
        figure.write_bytes(b"PNG")
        figure.with_suffix(".txt").write_text(f"What {name} shows.\n")
    return tmp_path


def write_tables(folder: Path, methods: list[str]) -> None:
    folder.mkdir(parents=True)
    rows = [(preset, limit, method, 0.75) for preset in ("iso", "paper") for limit in (0.2, 0.3)
            for method in (*methods, "random")]
    table = pd.DataFrame(rows, columns=["preset", "discard_limit", "method", "pauc"])
    table.assign(recogniser="all", low=0.7, high=0.8).to_csv(folder / "means.csv", index=False)
    table.assign(recogniser="SFace", benchmark="Faces", fnmr0=0.1).to_csv(folder / "pauc.csv", index=False)


def write_notebook(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), path)


def test_what_another_suite_left_is_not_in_the_report(folder):
    page = build_report().read_text()
    made = {path.name for path in (folder / "report" / "faces").iterdir()}
    assert made == {"index.html", "params.yaml", "31_ediffiqa_visual.html", "31_ediffiqa_visual_faces.png",
                    "05_score-sharpness.html"}
    assert "10_faceqan" not in page and "FaceQAN" not in page
    assert "<td>Sharpness</td>" in page and "<td>random</td>" in page
    assert "What 31_ediffiqa_visual shows." in page and "About 05_score-sharpness (sharpness)" in page
    assert "FaceQAN" not in (folder / "results" / "faces" / "summary.json").read_text()


def test_a_report_written_again_holds_nothing_of_the_one_before(folder):
    old = folder / "report" / "faces" / "10_faceqan_runtime.html"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    build_report()
    assert not old.exists()


def test_every_notebook_that_a_stage_executes_is_known_by_name(folder):
    suite = load_suite("demo")
    (folder / "params.yaml").write_text(yaml.safe_dump(suite))
    names = executed_names()
    assert len(set(names)) == len(names)
    assert {name.partition("-")[0] for name in names} == {
        path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} - {"00_start_here"}
    assert {f"02_recogniser-{slug}" for slug in settings("recognisers")} <= set(names)
    assert {f"07_distil-{slug}" for slug in settings("distilled")} <= set(names)
