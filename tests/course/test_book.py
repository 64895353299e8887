"""The book's pages stand alone: no request to a network, formulas as MathML, alt text with every figure."""
import re

import pytest

from fiqa_core.course import book, build

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TITLES = {number: book.title_of(build.read_notebook(path)) for number, path in build.sources().items()}


def with_outputs(notebook):
    """As a kernel leaves it, with a figure under every cell."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "display_data", "data": {"image/png": PIXEL},
                                "metadata": {"image/png": {"alt": "What the figure \"shows\""}}}]
    return notebook


@pytest.mark.parametrize("number", TITLES)
def test_a_page_stands_alone(number):
    text = book.page(number, with_outputs(build.read_notebook(build.sources()[number])), TITLES)
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=\"(?!data:)", text)
    assert not re.search(r"(src|href)=\"https?:", text) and "url(" not in text
    images = re.findall(r"<img[^>]*>", text)
    assert images and all(re.search(r'alt="[^"]+"', image) for image in images)
    assert "$" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)
    assert text.count("<section>") == text.count("</section>") >= 4
    assert text.count("<div") == text.count("</div") and text.count("<details>") == text.count("</details>")


def test_formulas_tables_and_answers():
    text = book.markdown("As $\\frac{a}{b}$ and\n\n$$x^2$$\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert text.count("<math") == 2 and 'display="block"' in text and "<td>2</td>" in text
    page = book.page(2, with_outputs(build.read_notebook(build.sources()[2])), TITLES)
    assert "<summary>Solution of 2.2</summary>" in page and "np.unique(quality)" in page and "Q3." in page


def test_an_output_is_a_figure_a_table_or_text():
    assert book.output({"data": {"text/html": "<style>x</style><table></table>"}}) == '<div class="wide"><table></table></div>'
    assert book.output({"name": "stdout", "text": "a < b"}) == "<pre>a &lt; b</pre>"
    assert book.output({"name": "stderr", "text": "warning"}) == ""
