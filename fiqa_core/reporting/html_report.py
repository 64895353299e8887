"""The last stage: `results/summary.json` (metrics) and the report, whose first page is for looking.

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
from fiqa_core.base.files import replacing, write_text
from fiqa_core.base.progress import progress
from fiqa_core.base.project import settings
from fiqa_core.base.yaml_files import read_yaml
from fiqa_core.reporting.beside import load_measured, origin
from fiqa_core.reporting.html_pages import (card, folded, notebook_page, page, photograph, picture,
                                            table_html, thumbnail)
from fiqa_core.reporting.names import order_methods
from fiqa_core.reporting.protocols import on_flaws, protocol_cells
from fiqa_core.reporting.run_overview import MAIN, Run, load_run, spearman_cells

# name of a figure of the first page -> heading, caption, notebook that says more
LOOKS = {
    "curves": ("How fast do errors go?", "Comparisons whose worse face has the lowest quality are dropped "
               "first. Mean over benchmarks and recognisers; grey: all other methods.", "11_faceqan_edc"),
    "print": ("Published against measured", "eDifFIQA's printed mean pAUC against ours, with 95 % intervals "
              "over resampled people. 1 is random; each axis has its own scale.", "30_ediffiqa_pauc"),
    "faces": ("What each method calls worst and best", "Evenly spaced in each method's own ranking of the "
              "benchmark; none is picked by hand.", "23_diffiqa_visual"),
    "runtime": ("What a score costs", "One image at a time, on this machine; published times are other "
                "machines'.", "32_ediffiqa_runtime"),
    "protocols": ("The same rule, other training pictures", "Portraits are free of the benchmarks' blur, low "
                  "resolution and occlusion; flaws are not.", "20_diffiqa_pauc"),
}
PAPERS = {"FaceQAN": "FaceQAN (ICPR 2022)", "DifFIQA": "DifFIQA (IJCB 2023)",
          "eDifFIQA": "eDifFIQA (TBIOM 2024)"}
CHALLENGES, BEYOND, STAGES = "Open challenges", "Not in the papers", "The pipeline, stage by stage"
README_PICTURE = "overview.png"


def build_report() -> Path:
    """Write results/<suite>/summary.json and report/<suite>; returns the page to open.

    The folder holds the pages, thumbnails, the first page's figures and README's picture (`overview.png`).
    """
    run = load_run()
    means, pauc = load_measured("evaluation/means"), load_measured("evaluation/pauc")
    write_text(json.dumps(summary(means, pauc), indent=2) + "\n", project.results() / "summary.json")
    folder = project.report()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = executed_names()
    titles, thumbnails = convert_notebooks(names, folder), write_thumbnails(names, folder)
    shutil.copy(project.root() / "params.yaml", folder / "params.yaml")
    write_bytes(run.picture(), folder / README_PICTURE)
    body = [head(), looks(run, folder, titles), said(run), tables(run, means, pauc),
            artefacts(names, titles, thumbnails), stages(titles)]
    write_text(page(f"FIQA Workbook: suite {settings('suite')}", "\n".join(body)), folder / "index.html")
    return folder / "index.html"


def write_bytes(content: bytes, path: Path) -> None:
    with replacing(path) as part:
        part.write_bytes(content)


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


def convert_notebooks(names: list[str], folder: Path) -> dict[str, str]:
    """Executed notebooks as pages in `folder`; returns name -> title.

    One that was taken from DVC's cache, not executed here, has no executed copy and no page.
    """
    sources = [project.build() / "notebooks" / f"{name}.ipynb" for name in names]
    titles = {}
    for source in progress([path for path in sources if path.is_file()], "report", unit="notebooks"):
        notebook = nbformat.read(source, as_version=4)
        titles[source.stem] = heading(notebook, source.stem)
        write_text(notebook_page(notebook, titles[source.stem]), folder / f"{source.stem}.html")
    return titles


def heading(notebook, stem: str) -> str:
    """First heading of a notebook."""
    return next((line.lstrip("# ") for cell in notebook.cells if cell.cell_type == "markdown"
                 for line in cell.source.splitlines() if line.startswith("#")), stem)


def write_thumbnails(names: list[str], folder: Path) -> dict[str, str]:
    """A thumbnail of the first figure that each notebook wrote as an artefact; returns name -> alt text."""
    found = {}
    for name in names:
        figures = sorted((project.results() / "artefacts" / name).glob(f"{name}_*.png"))
        if figures:
            write_bytes(thumbnail(figures[0]), folder / f"{name}.webp")
            text = figures[0].with_suffix(".txt")
            found[name] = text.read_text().strip() if text.is_file() else figures[0].stem
    return found


def head() -> str:
    """What this is, and the way to the parts of the page."""
    suite = html.escape(settings("suite"))
    return f"""<h1>FIQA Workbook: suite {suite}</h1>
<p class="note">{html.escape(settings("about"))} {html.escape(origin())}</p>
<nav><a href="#said">what it shows</a><a href="#tables">tables</a><a href="#artefacts">every artefact</a>
<a href="#stages">the pipeline</a><a href="params.yaml">parameters and seeds</a></nav>"""


def looks(run: Run, folder: Path, titles: dict[str, str]) -> str:
    """The figures of the first page."""
    shown = []
    for name, figure in run.figures().items():
        file, content = f"first_{name}.png", figure.drawn(140)
        if name == "faces":
            file, content = f"first_{name}.webp", photograph(content)
        write_bytes(content, folder / file)
        title, caption, notebook = LOOKS[name]
        link = f"{notebook}.html" if notebook in titles else ""
        shown.append(picture(title, file, figure.get_label(), caption, link))
    return f'<div class="looks">{"".join(shown)}</div>'


def said(run: Run) -> str:
    """What the run shows and what it cannot, in sentences made from its numbers."""
    points = "".join(f"<li><b>{html.escape(question)}</b> {html.escape(text)}</li>"
                     for question, text in run.sentences().items())
    return f"""<h2 id="said">What this run shows, and what it cannot</h2><ul>{points}</ul>
<p><small>Computed from this run's tables: preset {MAIN["preset"]}, discard up to {MAIN["discard_limit"]}, FMR
1e-3. Intervals resample people (2.5 to 97.5 %); "clear" means that an interval does not hold the value
compared with. The protocol (benchmarks, presets, limits, training sets) is that of
<a href="params.yaml">params.yaml</a>, fixed before the run.</small></p>"""


def tables(run: Run, means: pd.DataFrame, pauc: pd.DataFrame) -> str:
    """The main tables: the first open, the others folded."""
    parts = [folded("Mean pAUC over benchmarks and recognisers", table_html(means_table(means, run.beside)),
                    True),
             folded(f"pAUC({MAIN['discard_limit']}) on each benchmark, mean over recognisers",
                    table_html(benchmarks_table(pauc))),
             folded("FNMR without discard at FMR 1e-3, recognisers on benchmarks",
                    table_html(recognisers_table(pauc)))]
    if len(run.ranks):
        parts.append(folded("Spearman of the printed and the measured order, with intervals",
                            table_html(spearman_cells(run.ranks))))
    if len(run.protocols):
        parts.insert(1, folded("What learns, trained on portraits and on flaws",
                               table_html(protocol_cells(run.protocols)), True))
    if len(run.seeds):
        parts.append(folded("The spread over seeds", table_html(seed_cells(run.seeds))))
    return ('<h2 id="tables">Tables</h2><p><small>1 is no better than discarding at random, smaller is '
            'better. Presets are defined in <code>fiqa_core/evaluation/edc.py</code>. '
            f'{html.escape(origin())}</small></p>{"".join(parts)}')


def artefacts(names: list[str], titles: dict[str, str], thumbnails: dict[str, str]) -> str:
    """Every artefact with its thumbnail, by paper and section."""
    groups: dict[str, list[str]] = {group: [] for group in (*PAPERS.values(), CHALLENGES, BEYOND)}
    for name in names:
        if name in thumbnails:
            question, group, section = place(titles.get(name, name))
            link = f"{name}.html" if name in titles else f"{name}.webp"
            groups[group].append(card(link, question, section, f"{name}.webp", thumbnails[name]))
    shown = "".join(f'<h3>{group}</h3><div class="cards">{"".join(cards)}</div>'
                    for group, cards in groups.items() if cards)
    return ('<h2 id="artefacts">Every artefact, by paper and section</h2><p><small>Figures in full and '
            f'tables as CSV: <code>results/{settings("suite")}/artefacts</code>.</small></p>{shown}')


def place(title: str) -> tuple[str, str, str]:
    """(question, group, section) of an artefact from its heading "Question? (FaceQAN, Table III)".

    >>> place("What does it cost? (FaceQAN, Table III)")
    ('What does it cost?', 'FaceQAN (ICPR 2022)', 'Table III')
    """
    question, _, rest = title.partition("? (")
    rest = rest.removesuffix(")")
    question = f"{question}?" if rest else question
    paper = re.match(rf"({'|'.join(PAPERS)})(?:'s |, | against )", rest)
    if paper:
        return question, PAPERS[paper[1]], rest.removeprefix(f"{paper[1]}, ")
    if rest.startswith("open challenge: "):
        return question, CHALLENGES, rest.removeprefix("open challenge: ")
    return question, BEYOND, rest


def stages(titles: dict[str, str]) -> str:
    """The executed notebooks of the pipeline's stages: one fold a notebook, its runs in it."""
    runs: dict[str, list[str]] = {}
    for name in titles:
        if name < "1":
            runs.setdefault(name.partition("-")[0], []).append(name)
    parts = []
    for stem, names in runs.items():
        links = "".join(f'<a href="{name}.html">{html.escape(name.partition("-")[2] or "open")}</a>'
                        for name in names)
        parts.append(folded(f"{stem[:2]} {titles[names[0]]}", f'<p class="chips">{links}</p>'))
    return f'<h2 id="stages">{STAGES}</h2>{"".join(parts)}' if parts else ""


def main_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the preset and limit that the page sorts by."""
    return table[(table.preset == MAIN["preset"]) & (table.discard_limit == MAIN["discard_limit"])]


def means_table(means: pd.DataFrame, beside: pd.DataFrame) -> pd.DataFrame:
    """Mean pAUC with its interval for each preset and limit, best first; eDifFIQA's printed mean before them.

    What learns has been trained on portraits: the protocol by default.
    """
    rows = means[(means.recogniser == "all") & ~on_flaws(means)].copy()
    rows["cell"] = [f"{r.pauc:.3f} [{r.low:.3f}, {r.high:.3f}]" for r in rows.itertuples()]
    table = rows.pivot(index="method", columns=["preset", "discard_limit"], values="cell")
    table = table.reindex(main_rows(rows).sort_values("pauc").method).sort_index(axis=1)
    first = tuple(MAIN.values())
    table = table[[first, *table.columns.drop([first])]]
    table.columns = [f"{preset}, discard {limit}" for preset, limit in table.columns]
    printed = beside.set_index("method")["published"].map("{:.3f}".format).reindex(table.index)
    table.insert(0, "published, 0.3", printed)
    return table


def benchmarks_table(pauc: pd.DataFrame) -> pd.DataFrame:
    rows = main_rows(pauc)
    table = rows.pivot_table(index="method", columns="benchmark", values="pauc", aggfunc="mean").round(3)
    table = table.loc[order_methods(table.index), sorted(table.columns, key=str.lower)]
    return table.rename_axis(columns=None)


def seed_cells(seeds: pd.DataFrame) -> pd.DataFrame:
    """Mean pAUC of each seed, methods down, and their range."""
    table = seeds.pivot(index="method", columns="seed", values="pauc").loc[order_methods(seeds["method"])]
    table.columns = [f"seed {seed}" for seed in table.columns]
    return table.assign(range=table.max(axis=1) - table.min(axis=1)).round(3)


def recognisers_table(pauc: pd.DataFrame) -> pd.DataFrame:
    rows = main_rows(pauc)
    table = rows.pivot_table(index="recogniser", columns="benchmark", values="fnmr0", aggfunc="first")
    return table[sorted(table.columns, key=str.lower)].round(4).rename_axis(columns=None)
