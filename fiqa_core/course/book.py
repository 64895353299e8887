"""The course as pages: to read on the web, at any width, and to show in class, one step a screen.

A page needs no script to be read and nothing from a network: formulas are MathML, figures are within the page.
"""
import html
import json
import re
from pathlib import Path

from fiqa_core.base import project
from fiqa_core.base.files import write_text
from fiqa_core.course.build import asking, exercise_in, read_notebook, sources, tags
from fiqa_core.course.desk import told
from fiqa_core.course.questions import LETTERS, questions

STYLE = """body{margin:0;font:17px/1.6 system-ui,sans-serif;color:#222}main{max-width:48rem;margin:auto;padding:0 1rem 4rem}
nav{padding:.6rem 1rem;border-bottom:1px solid #ddd}nav a{margin-right:1rem}img{max-width:100%;height:auto}
pre{overflow-x:auto;background:#f6f6f6;padding:.7rem;font-size:14px}section{padding:1rem 0}.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:15px}td,th{padding:.25rem .6rem;border-top:1px solid #ddd;text-align:left}
details{border-left:4px solid #0072B2;padding:.3rem .8rem;margin:.6rem 0}.note{display:none;background:#fff6e0;padding:.5rem 1rem}
.class{font-size:24px}.class main{max-width:64rem}.class section{min-height:96vh;scroll-snap-align:start}
.class.notes .note{display:block}html.snap{scroll-snap-type:y mandatory}code{overflow-wrap:anywhere}"""
SCRIPT = """if(location.search.includes("class")){document.body.classList.add("class");document.documentElement.classList.add("snap");
document.addEventListener("keydown",e=>{const s=[...document.querySelectorAll("section")],
i=s.findIndex(x=>x.getBoundingClientRect().bottom>40);if(e.key=="n")document.body.classList.toggle("notes");
if(e.key=="ArrowRight")s[Math.min(i+1,s.length-1)].scrollIntoView();if(e.key=="ArrowLeft")s[Math.max(i-1,0)].scrollIntoView()})}"""


def write_book(lessons: list[int] | None = None) -> Path:
    """Execute the lessons and write `report/course`; returns its index."""
    folder, chosen = project.root() / "report" / "course", lessons or list(sources())
    pages = {number: read_notebook(path) for number, path in sources().items()}
    titles = {number: title_of(notebook) for number, notebook in pages.items()}
    for number in chosen:
        write_text(page(number, executed(pages[number]), titles), folder / f"{number}.html")
    links = "".join(f'<li value="{number}"><a href="{number}.html">{html.escape(title)}</a> '
                    f'(<a href="{number}.html?class">in class</a>)</li>' for number, title in titles.items())
    text = (f"<h1>Face image quality: a course</h1><ol>{links}</ol><p>In class: arrow keys go from step to "
            f"step, "
            "<kbd>n</kbd> shows the lecturer's notes.</p>")
    write_text(document("Face image quality: a course", text, titles), folder / "index.html")
    return folder / "index.html"


def title_of(notebook: dict) -> str:
    """The first heading, without its number."""
    return re.sub(r"^#\s*(\d\.\s*)?", "", "".join(notebook["cells"][0]["source"]).splitlines()[0])


def executed(notebook: dict) -> dict:
    """The lesson with the outputs of its own cells; exercises stay open, and what follows from them is left out."""
    import nbformat
    from nbclient import NotebookClient
    cells = [cell for cell in notebook["cells"] if not any(tag.startswith(("quiz:", "after:")) for tag in tags(cell))
             or cell["cell_type"] == "markdown"]
    quizzes = [cell for cell in notebook["cells"] if any(tag.startswith("quiz:") for tag in tags(cell))]
    content = nbformat.reads(json.dumps(notebook | {"cells": cells}), as_version=4)
    NotebookClient(content, timeout=300, kernel_name="python3",
                   resources={"metadata": {"path": str(project.root() / "notebooks" / "course")}}).execute()
    return {"cells": list(content["cells"]) + quizzes}


def page(number: int, notebook: dict, titles: dict[int, str]) -> str:
    """One lesson; a section for each step."""
    parts, parents = [], "<section>"
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and re.match(r"#{1,2} ", source) and parts:
            parts.append("</section><section>")
        parts.append(shown_cell(cell, source, number))
    return document(f"{number}. {titles[number]}", parents + "".join(parts) + "</section>", titles)


def shown_cell(cell: dict, source: str, number: int) -> str:
    """A cell of a page."""
    exercise = exercise_in(cell)
    if exercise:
        task, stub = asking(exercise)
        return (markdown("".join(task["source"])) + f"<pre><code>{html.escape(''.join(stub['source']))}</code></pre>"
                f"<details><summary>Solution of "
                f"{exercise.id}</summary><pre><code>{html.escape(told(exercise))}</code></pre>"
                "</details>")
    if cell["cell_type"] == "markdown":
        kind = "note" if "instructor" in tags(cell) else "text"
        return f'<div class="{kind}">{markdown(source)}</div>'
    if any(tag.startswith("quiz:") for tag in tags(cell)):
        return quiz(number)
    pictures = "".join(output(one) for one in cell.get("outputs", []))
    if not pictures:
        return ""
    return f"{pictures}<details><summary>Code</summary><pre><code>{html.escape(source)}</code></pre></details>"


def output(one: dict) -> str:
    """An output of a cell: a figure with its alt text, a table, or text."""
    data = one.get("data", {})
    if "image/png" in data:
        alt = one.get("metadata", {}).get("image/png", {}).get("alt", "")
        return f'<p><img alt="{html.escape(alt, True)}" src="data:image/png;base64,{"".join(data["image/png"]).strip()}"></p>'
    if "text/markdown" in data:
        return markdown("".join(data["text/markdown"]))
    if "text/html" in data:
        table = re.sub(r"<style.*?</style>", "", "".join(data["text/html"]), flags=re.DOTALL)
        return f'<div class="wide">{table}</div>'
    text = one.get("text") or data.get("text/plain", "")
    return f"<pre>{html.escape(''.join(text))}</pre>" if text and one.get("name") != "stderr" else ""


def quiz(number: int) -> str:
    """Questions with the feedback of each option to open."""
    found = []
    for place, question in enumerate(questions(number), 1):
        options = "".join(f"<details><summary>({letter}) {html.escape(str(option['text']))}</summary>"
                          f"{'✓' if option.get('right') else '✗'} {html.escape(option['feedback'])}</details>"
                          for letter, option in zip(LETTERS, question["options"]))
        found.append(f"<p><strong>Q{place}.</strong> {html.escape(question['question'])}</p>{options}")
    return "".join(found)


def markdown(text: str) -> str:
    """Markdown as HTML, with formulas as MathML."""
    from latex2mathml.converter import convert
    from mistune import create_markdown
    formulas = []

    def keep(match):
        display = "block" if match[0].startswith("$$") else "inline"
        formulas.append(convert(match[1] or match[2], display=display))
        return f"FORMULA{len(formulas) - 1}END"

    text = re.sub(r"\$\$(.+?)\$\$|\$(.+?)\$", keep, text, flags=re.DOTALL)
    result = create_markdown(escape=False, plugins=["table"])(text)
    for place, formula in enumerate(formulas):
        result = result.replace(f"FORMULA{place}END", formula)
    return result.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")


def document(title: str, body: str, titles: dict[int, str]) -> str:
    """A whole page."""
    links = '<a href="index.html">Course</a>' + "".join(f'<a href="{number}.html">{number}</a>' for number in titles)
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            f'content="width=device-width"><title>{html.escape(title)}</title><style>{STYLE}</style></head><body>'
            f"<nav>{links}</nav><main>{body}</main><script>{SCRIPT}</script></body></html>\n")
