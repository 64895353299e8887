"""The pages of the report: one style, readable on a telephone, without scripts and without requests."""
import html
from io import BytesIO
from pathlib import Path

import pandas as pd
from PIL import Image
from pygments.formatters import HtmlFormatter

THUMBNAIL = (360, 240)
STYLE = """
:root { --ink: #1a1a1a; --line: #ddd; --link: #0b5cad }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 0 auto; padding: 1rem;
       color: var(--ink) }
h1 { font-size: 1.6rem; margin: .5rem 0 } h2 { margin: 2.5rem 0 .5rem } h3 { margin: 1.5rem 0 .5rem }
a { color: var(--link) } nav { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: .4rem 0 }
img { max-width: 100%; height: auto } p, li { max-width: 46rem; overflow-wrap: anywhere }
.note { background: #fff6d6; padding: .6rem 1rem; border-left: 4px solid #d9a400; max-width: none }
.looks { display: grid; gap: 1.5rem 2rem;
         grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)) }
figure { margin: 0 } figcaption, small { color: #555; font-size: .9rem; line-height: 1.35 }
.looks h3 { margin: 0 0 .3rem }
.wide { overflow-x: auto; margin: .5rem 0 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem }
td, th { padding: .2rem .7rem; text-align: right; white-space: nowrap } th { border-bottom: 2px solid #888 }
tbody tr:nth-child(even) > * { background: #f4f4f4 }
td:first-child, th:first-child { text-align: left; position: sticky; left: 0; background: #fff }
details { margin: .6rem 0 } summary { cursor: pointer; padding: .25rem 0; font-weight: 600 }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(44%, 15rem), 1fr)); gap: 1rem }
.card { display: block; border: 1px solid var(--line); border-radius: 6px; overflow: hidden;
        text-decoration: none; color: inherit }
.card img { display: block; width: 100%; aspect-ratio: 3 / 2; object-fit: contain; background: #fff;
            border-bottom: 1px solid var(--line) }
.card b, .card span { display: block; padding: .35rem .6rem 0; line-height: 1.3; font-size: .92rem }
.card span { padding-bottom: .5rem; color: #555 }
.chips a { display: inline-block; padding: .1rem .6rem; margin: .15rem; border: 1px solid var(--line);
           border-radius: 1rem; text-decoration: none; font-size: .9rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f6f6; padding: .5rem .8rem; font-size: .85rem;
      line-height: 1.4 }
.anchor-link { display: none }
code { background: #f0f0f0; overflow-wrap: anywhere } pre code { background: none }
@media (max-width: 30rem) { body { padding: .6rem } h1 { font-size: 1.3rem }
                            td, th { padding: .2rem .45rem } }
"""


def page(title: str, body: str, style: str = "") -> str:
    """One whole page."""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title><style>{STYLE}{style}</style>
{body}
</html>
"""


def notebook_page(notebook, title: str) -> str:
    """An executed notebook as a page: text, code, tables and figures, none of JupyterLab's own style."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    body, _ = exporter.from_notebook_node(notebook)
    body = body.replace("<table", '<div class="wide"><table').replace("</table>", "</table></div>")
    back = '<nav><a href="index.html">&larr; the report</a></nav>'
    return page(title, back + body, HtmlFormatter().get_style_defs(".highlight"))


def table_html(table: pd.DataFrame) -> str:
    """A table that scrolls by itself where it is wider than the screen; its index is the first column."""
    return f'<div class="wide">{table.reset_index().to_html(index=False, border=0, na_rep="")}</div>'


def folded(heading: str, body: str, is_open: bool = False) -> str:
    """What one may open."""
    return f"<details{' open' if is_open else ''}><summary>{html.escape(heading)}</summary>{body}</details>"


def picture(heading: str, name: str, alt: str, caption: str, link: str = "") -> str:
    """A figure of the first page, linked to the notebook that says more."""
    image = f'<img src="{name}" alt="{html.escape(alt, quote=True)}">'
    shown = f'<a href="{link}">{image}</a>' if link else image
    return (f"<figure><h3>{html.escape(heading)}</h3>{shown}<figcaption>{html.escape(caption)}</figcaption>"
            "</figure>")


def card(link: str, heading: str, section: str, image: str = "", alt: str = "") -> str:
    """A linked artefact with its thumbnail."""
    shown = f'<img loading="lazy" src="{image}" alt="{html.escape(alt, quote=True)}">' if image else ""
    return (f'<a class="card" href="{link}">{shown}<b>{html.escape(heading)}</b>'
            f"<span>{html.escape(section)}</span></a>")


def thumbnail(source: Path) -> bytes:
    """A figure as a small WebP of at most THUMBNAIL pixels; of a tall one the upper part."""
    with Image.open(source) as opened:
        image = opened.convert("RGB")
    height = round(image.width * THUMBNAIL[1] / THUMBNAIL[0])
    image = image.crop((0, 0, image.width, min(image.height, height)))
    image.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
    return as_webp(image, 72)


def photograph(png: bytes) -> bytes:
    """A figure that holds faces as a WebP, a tenth of its PNG."""
    with Image.open(BytesIO(png)) as opened:
        return as_webp(opened.convert("RGB"), 80)


def as_webp(image: Image.Image, quality: int) -> bytes:
    file = BytesIO()
    image.save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()
