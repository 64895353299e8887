"""The last stage: `results/summary.json` (metrics) and one HTML page that links every executed notebook.

The page shows what the active suite's stages make, by name; what other suites left is not looked at.
"""
import html
import json
import re
import shutil
from pathlib import Path

import nbformat
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.files import write_text
from fiqa_core.base.progress import progress
from fiqa_core.base.project import settings
from fiqa_core.base.yaml_files import read_yaml
from fiqa_core.reporting.beside import load_measured, origin
from fiqa_core.reporting.names import order_methods

MAIN = {"preset": "iso", "discard_limit": 0.3}

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #1a1a1a }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .25rem .8rem; text-align: right }
th { border-bottom: 2px solid #888 } tr:nth-child(even) { background: #f4f4f4 }
td:first-child, th:first-child { text-align: left } img { max-width: 100%; border: 1px solid #ddd }
.note { background: #fff6d6; padding: .6rem 1rem; border-left: 4px solid #d9a400 }
code { background: #f0f0f0 }
"""


def build_report() -> Path:
    """Write results/<suite>/summary.json and report/<suite>; returns the page to open."""
    means, pauc = load_measured("evaluation/means"), load_measured("evaluation/pauc")
    write_text(json.dumps(summary(means, pauc), indent=2) + "\n", project.results() / "summary.json")
    folder = project.report()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = executed_names()
    pages, figures = convert_notebooks(names, folder), copy_figures(names, folder)
    shutil.copy(project.root() / "params.yaml", folder / "params.yaml")
    write_text(index_page(means, pauc, pages, figures), folder / "index.html")
    return folder / "index.html"


def executed_names() -> list[str]:
    """Names of the notebooks that the suite's stages execute, in order: "05_score-faceqan", "11_faceqan_edc".

    Read from the commands of dvc.yaml: one name, or one for each entry of the section that a stage runs over.
    """
    found, suite = [], settings()
    for stage in read_yaml(project.root() / "dvc.yaml")["stages"].values():
        command = re.search(r" run (\S+)(?: \w+=\$)?", stage.get("do", stage)["cmd"])
        if command is None:
            continue
        over = stage.get("foreach") or next(iter(stage.get("matrix", {}).values()), None)
        entries = [""] if over is None else suite.get(over.strip("${}")) or ()
        each = command[1] if over is None or "$" in command[1] else f"{command[1]}-"
        found += [entry if "$" in each else f"{each}{entry}" for entry in entries]
    return sorted(found)


def summary(means: pd.DataFrame, pauc: pd.DataFrame) -> dict:
    """The metrics of `dvc metrics show`: mean pAUC of each method, FNMR without discard of each benchmark."""
    result = {"suite": settings("suite")}
    for preset, limit in (("iso", 0.2), ("iso", 0.3), ("paper", 0.2), ("paper", 0.3)):
        rows = means[(means.recogniser == "all") & (means.preset == preset) & (means.discard_limit == limit)]
        result[f"pauc_{limit}_{preset}"] = {
            row.method: {"mean": round(row.pauc, 4), "low": round(row.low, 4), "high": round(row.high, 4)}
            for row in rows.itertuples()}
    fnmr0 = pauc[pauc.preset == "iso"].groupby("benchmark").fnmr0.mean()
    result["fnmr0_mean_over_recognisers"] = {name: round(value, 4) for name, value in fnmr0.items()}
    return result


def convert_notebooks(names: list[str], folder: Path) -> list[tuple[str, str]]:
    """Executed notebooks as HTML below `folder`; returns (file name, title) in order.

    One that was taken from DVC's cache, not executed here, has no executed copy and no page.
    """
    from nbconvert import HTMLExporter
    exporter = HTMLExporter(mathjax_url="", require_js_url="", exclude_input_prompt=True)
    sources = [project.build() / "notebooks" / f"{name}.ipynb" for name in names]
    pages = []
    for source in progress([path for path in sources if path.is_file()], "report", unit="notebooks"):
        notebook = nbformat.read(source, as_version=4)
        body, _ = exporter.from_notebook_node(notebook)
        write_text(body, folder / f"{source.stem}.html")
        pages.append((f"{source.stem}.html", title(notebook, source.stem)))
    return pages


def title(notebook, stem: str) -> str:
    """First heading of a notebook, with the parameter values that its file name carries."""
    heading = next((line.lstrip("# ") for cell in notebook.cells if cell.cell_type == "markdown"
                    for line in cell.source.splitlines() if line.startswith("#")), stem)
    _, _, values = stem.partition("-")
    return f"{heading} ({values})" if values else heading


def copy_figures(names: list[str], folder: Path) -> list[tuple[str, str]]:
    """Figures that notebooks wrote as artefacts with their alternative texts; returns (file name, text)."""
    figures = []
    for name in names:
        for source in sorted((project.results() / "artefacts" / name).glob(f"{name}_*.png")):
            shutil.copy(source, folder / source.name)
            text = source.with_suffix(".txt")
            figures.append((source.name, text.read_text().strip() if text.is_file() else source.stem))
    return figures


def index_page(means, pauc, pages, figures) -> str:
    """The page: what was run, the main table, FNMR without discard, links, figures."""
    suite = html.escape(settings("suite"))
    links = "\n".join(f'<li><a href="{name}">{html.escape(text)}</a></li>' for name, text in pages)
    pictures = "\n".join(f'<p><img src="{name}" alt="{html.escape(text)}"><br><small>{html.escape(text)} '
                         f'<code>{name}</code></small></p>' for name, text in figures)
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<title>FIQA Workbook: suite {suite}</title>
<style>{STYLE}</style>
<h1>FIQA Workbook: suite {suite}</h1>
<p class="note">{html.escape(settings("about"))}</p>
<p>Parameters and seeds of every number on this page: <a href="params.yaml">params.yaml</a>;
stages: <code>dvc dag</code>. Presets are defined in <code>fiqa_core/evaluation/edc.py</code>.</p>
<h2>Mean pAUC over benchmarks and recognisers</h2>
<p>1 is no better than discarding at random; intervals resample identities (2.5 to 97.5 %). FMR 1e-3.
{html.escape(origin())}</p>
{means_table(means)}
<h2>FNMR without discard at FMR 1e-3, pAUC(0.3), preset iso, mean over recognisers</h2>
<p>{html.escape(origin())}</p>
{benchmarks_table(pauc)}
<h2>Notebooks, executed</h2>
<ul>{links}</ul>
<h2>Figures</h2>
{pictures}
</html>
"""


def main_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the preset and limit that the page sorts by."""
    return table[(table.preset == MAIN["preset"]) & (table.discard_limit == MAIN["discard_limit"])]


def means_table(means: pd.DataFrame) -> str:
    rows = means[means.recogniser == "all"].copy()
    rows["cell"] = [f"{r.pauc:.3f} [{r.low:.3f}, {r.high:.3f}]" for r in rows.itertuples()]
    table = rows.pivot(index="method", columns=["preset", "discard_limit"], values="cell")
    table = table.reindex(main_rows(rows).sort_values("pauc").method)
    table.columns = [f"{preset}, discard {limit}" for preset, limit in table.columns]
    return table.reset_index().to_html(index=False, border=0, na_rep="")


def benchmarks_table(pauc: pd.DataFrame) -> str:
    rows = main_rows(pauc)
    table = rows.pivot_table(index="method", columns="benchmark", values="pauc", aggfunc="mean").round(3)
    table = table.loc[order_methods(table.index), sorted(table.columns, key=str.lower)]
    fnmr0 = rows.groupby("benchmark").fnmr0.mean().round(4).rename("FNMR(0) of the recognisers")
    table = pd.concat([fnmr0.to_frame().T, table]).rename_axis(index="method", columns=None)
    return table.reset_index().to_html(index=False, border=0, na_rep="")
