"""The report shows what the active suite makes, whatever other suites left in the folders."""
import re
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from fiqa_core.base.project import settings
from fiqa_core.pipeline.suites import load_suite, write_params
from fiqa_core.reporting.figure_style import canvas, finish, save_figure
from fiqa_core.reporting.html_report import build_report, executed_names, place

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project of the suite `faces`, with tables, notebooks and figures that nobody asks for any longer."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    shutil.copytree(ROOT / "fiqa_core" / "inputs" / "published", tmp_path / "data" / "published")
    write_params("faces")
    write_tables(tmp_path / "results" / "faces" / "evaluation", ["Sharpness", "FaceQAN"])
    for name in ("10_faceqan_runtime", "31_ediffiqa_visual", "05_score-faceqan", "05_score-sharpness"):
        write_notebook(tmp_path / "build" / "faces" / "notebooks" / f"{name}.ipynb",
                       f"# What is {name}? (eDifFIQA, ten images)")
    for name in ("10_faceqan_runtime", "31_ediffiqa_visual"):
        save_figure(finish(canvas(size=(6, 9))[0], f"What {name} shows."), name, "faces")
    return tmp_path


def write_tables(folder: Path, methods: list[str]) -> None:
    folder.mkdir(parents=True)
    rows = [(preset, limit, method, 0.75) for preset in ("iso", "paper") for limit in (0.2, 0.3)
            for method in (*methods, "random")]
    table = pd.DataFrame(rows, columns=["preset", "discard_limit", "method", "pauc"])
    table.assign(recogniser="all", low=0.7, high=0.8).to_csv(folder / "means.csv", index=False)
    table.assign(recogniser="SFace", benchmark="Faces", fnmr0=0.1).to_csv(folder / "pauc.csv", index=False)
    np.save(folder / "replicates.npy", np.full((len(table), 5), 0.75, np.float32))
    curves = pd.MultiIndex.from_product(
        [["Faces"], ["SFace"], [*methods, "random"], ["iso", "paper"], [0.0, 0.3]],
        names=["benchmark", "recogniser", "method", "preset", "discard"])
    curves.to_frame(index=False).assign(fnmr=0.1, low=0.1, high=0.1).to_csv(folder / "edc.csv", index=False)
    columns = ["method_a", "method_b", "preset", "discard_limit", "difference", "low", "high"]
    pd.DataFrame([(*methods[:2], "iso", 0.3, 0.0, -0.1, 0.1)], columns=columns).to_csv(
        folder / "differences.csv", index=False)


def write_notebook(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), path)


def test_what_another_suite_left_is_not_in_the_report(folder):
    page = build_report().read_text()
    made = {path.name for path in (folder / "report" / "faces").iterdir()}
    assert made == {"index.html", "params.yaml", "overview.png", "first_curves.png", "first_print.png",
                    "31_ediffiqa_visual.html", "31_ediffiqa_visual.webp", "05_score-sharpness.html"}
    assert "10_faceqan" not in page and "FaceQAN</td>" not in page
    assert "<td>Sharpness</td>" in page and "<td>random</td>" in page
    assert "What 31_ediffiqa_visual shows." in page and 'href="05_score-sharpness.html"' in page
    assert "FaceQAN" not in (folder / "results" / "faces" / "summary.json").read_text()


def test_every_picture_of_the_page_is_there_and_small(folder):
    page = build_report()
    pictures = re.findall(r'<img [^>]*src="([^"]+)" alt="([^"]+)"', page.read_text())
    assert len(pictures) == 3 and all(len(alt) > 5 for _, alt in pictures)
    for name, _ in pictures:
        assert (page.parent / name).stat().st_size < 60_000
    with Image.open(page.parent / "31_ediffiqa_visual.webp") as image:
        assert image.size == (360, 240)


def test_no_page_asks_for_anything(folder):
    """Neither a script nor an address of another machine; the width of a telephone is named."""
    for page in build_report().parent.glob("*.html"):
        text = page.read_text()
        assert "<script" not in text and not re.search(r'(src|href)="(https?:)?//', text), page.name
        assert 'name="viewport"' in text


@pytest.mark.parametrize("title, wanted", [
    ("What does it cost? (FaceQAN, Table III)", ("What does it cost?", "FaceQAN (ICPR 2022)", "Table III")),
    ("Faster? (DifFIQA against DifFIQA(R), run time)",
     ("Faster?", "DifFIQA (IJCB 2023)", "DifFIQA against DifFIQA(R), run time")),
    ("Still? (eDifFIQA's double role)", ("Still?", "eDifFIQA (TBIOM 2024)", "eDifFIQA's double role")),
    ("Which? (open challenge: video quality)", ("Which?", "Open challenges", "video quality")),
    ("Where? (alignment, for inspection)", ("Where?", "Not in the papers", "alignment, for inspection")),
    ("A title without more", ("A title without more", "Not in the papers", ""))])
def test_artefacts_stand_under_their_paper(title, wanted):
    assert place(title) == wanted


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
        path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} - {"00_start_here", "explorer"}
    assert {f"02_recogniser-{slug}" for slug in settings("recognisers")} <= set(names)
    assert {f"07_distil-{slug}" for slug in settings("distilled")} <= set(names)
