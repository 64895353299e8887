"""The explorer as a user has it: JupyterLab in a real browser, with keyboard, files, windows of any width."""
import importlib.util
import json

import pandas as pd
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from fiqa_core.base.images import write_image
from fiqa_core.explore.portrait import portrait
from fiqa_core.explore.saving import folder
from fiqa_core.explore.state import State, from_json
from fiqa_core.rendering.nuisance import CAUSES
from tests.helpers.browser import asked_for, browser_or_skip, chromium, served, until
from tests.helpers.small_explorer import small_explorer

pytestmark = pytest.mark.browser
OWN = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:", "chrome:", "chrome-extension:", "devtools:",
       "about:")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    browser_or_skip()
    place = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIQA_ROOT", str(place))
        small_explorer(place)
    return place


@pytest.fixture(scope="module")
def page(project, tmp_path_factory):
    """JupyterLab with the notebook open and run; the browser."""
    place = tmp_path_factory.mktemp("lab")
    with served(place, project, "jupyter", "lab", "--allow-root", "--IdentityProvider.token=",
                "--ServerApp.root_dir=" + str(project)) as address, chromium(place / "profile") as browser:
        browser.get(f"{address}/lab/tree/notebooks/explorer.ipynb")
        until(lambda: browser.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-Cell"), "the notebook")
        until(lambda: browser.find_elements(By.CSS_SELECTOR,
                                            ".jp-Notebook-ExecutionIndicator[data-status=idle]"), "a kernel")
        until(lambda: menu(browser, "Run", "Run All Cells"), "Run All Cells")
        until(lambda: decision(browser), "the panel")
        yield browser


def menu(browser, *names: str) -> bool:
    """Choose an item of a menu."""
    for name in names:
        found = [item for item in browser.find_elements(By.CSS_SELECTOR,
                                                        ".lm-MenuBar-itemLabel, .lm-Menu-itemLabel")
                 if item.text == name and item.is_displayed()]
        if not found:
            return False
        found[0].click()
    return True


def decision(browser) -> str:
    """What is read aloud: cosine and decision."""
    return browser.execute_script("return document.querySelector('.fx .word')?.textContent ?? ''")


def face(browser) -> str:
    """The picture that is shown."""
    return browser.execute_script("return document.querySelector('.fx img[alt^=\"The face now\"]').src")


def pixels(browser) -> list[int]:
    """The picture that is shown, as red, green, blue, red, ..."""
    return browser.execute_script("""
        const image = document.querySelector('.fx img[alt^="The face now"]'), canvas = document.createElement('canvas');
        canvas.width = canvas.height = 112;
        const pen = canvas.getContext('2d');
        pen.drawImage(image, 0, 0, 112, 112);
        return [...pen.getImageData(0, 0, 112, 112).data].filter((value, i) => i % 4 != 3)""")


def box(browser, name: str):
    """The number box of a name, as a screen reader finds it."""
    return browser.execute_script("return [...document.querySelectorAll('.widget-text, .widget-inline-hbox')].filter("
                                  "row => row.querySelector('label')?.textContent == arguments[0]).map("
                                  "row => row.querySelector('input[type=number]')).find(field => field)",
                                  name)


def press(browser, name: str):
    until(lambda: [button.click() or True for button in browser.find_elements(By.TAG_NAME, "button")
                   if button.text == name],
          f"button {name}")


def tab(browser, name: str):
    until(lambda: [label.click() or True
                   for label in browser.find_elements(By.CSS_SELECTOR, ".widget-tab .lm-TabBar-tab")
                   if label.text == name], f"tab {name}")


def shown(browser) -> str:
    """All text of the panel, shown or not."""
    return browser.execute_script("return document.querySelector('.jp-OutputArea-output .widget-vbox').textContent")


def wheel(browser, element):
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return element


def test_a_key_changes_picture_and_words(page):
    before = face(page), decision(page)
    field = wheel(page, box(page, "mask"))
    field.send_keys(Keys.ARROW_UP * 40)
    until(lambda: face(page) != before[0] and decision(page) != before[1]
          and decision(page).startswith("cosine"), "a new face")


def test_a_burst_of_keys_ends_in_the_last_state(page):
    field = wheel(page, box(page, "yaw, °"))
    field.send_keys(Keys.ARROW_UP * 20)
    state = until(lambda: saved_state(page, lambda state: state["yaw"] == 20.0), "the last state")
    until(lambda: pixels(page) == portrait(state)[0].flatten().tolist(), "its pixels")


def saved_state(browser, wanted) -> State | None:
    """The state that the button Save writes, once it is as wanted."""
    tab(browser, "Save")
    press(browser, "Save pictures, numbers and state")
    files = until(lambda: sorted(folder().glob("*.json")), "a file")
    state = from_json(files[-1].read_text())
    return state if wanted(state) else None


@pytest.fixture(autouse=True)
def root(project, monkeypatch):
    monkeypatch.setenv("FIQA_ROOT", str(project))


def test_the_handle_of_a_slider_takes_arrow_keys_and_has_a_name(page):
    handle = page.find_element(By.CSS_SELECTOR, '.noUi-handle[aria-label="hat"]')
    wheel(page, handle)
    page.execute_script("arguments[0].focus()", handle)
    ActionChains(page).send_keys(Keys.ARROW_RIGHT * 3).perform()
    until(lambda: float(box(page, "hat").get_attribute("value")) > 0, "the box to follow")


def test_every_control_has_a_name(page):
    for name in ("Curve", "Discard", "Set", "Save", "Push"):
        tab(page, name)
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    inside = {node["nodeId"]: node for node in nodes}
    kinds = ("slider", "spinbutton", "button", "combobox", "tab", "image", "textbox")
    found = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes
             if not node.get("ignored") and node["role"]["value"] in kinds and _of_panel(node, inside, page)]
    assert sum(kind == "slider" for kind, _ in found) >= len(CAUSES)
    assert [kind for kind, name in found if not name.strip()] == []


def _of_panel(node: dict, nodes: dict, browser) -> bool:
    """Whether a node belongs to the output of a cell."""
    if "backendDOMNodeId" not in node:
        return False
    found = browser.execute_cdp_cmd("DOM.resolveNode",
                                    {"backendNodeId": node["backendDOMNodeId"]})["object"]["objectId"]
    answer = browser.execute_cdp_cmd("Runtime.callFunctionOn", {
        "objectId": found, "returnByValue": True,
        "functionDeclaration": "function() { return !!(this.closest ? this : this.parentElement)?.closest('.jp-OutputArea') }"})
    return answer["result"].get("value", False)


def test_nothing_is_wider_than_the_window(page):
    measure = ("return [...document.querySelectorAll('.jp-WindowedPanel-outer, .jp-OutputArea-output')]"
               ".every(part => part.scrollWidth <= part.clientWidth + 1)")
    try:
        for width in (1280, 640):                                # the second is 1280 pixels at 200 %
            page.set_window_size(width, 1000)
            for name in ("Push", "Repair", "Discard", "Set"):
                tab(page, name)
                until(lambda: page.execute_script(measure), f"{name} within {width} pixels")
    finally:
        page.set_window_size(1280, 1000)


def test_a_photograph_is_uploaded_and_a_wrong_file_is_one_sentence(page, tmp_path):
    field = page.find_elements(By.CSS_SELECTOR, "input[type=file]")[0]
    write_image(tmp_path / "me.png", portrait(State(seed=77))[0])
    (tmp_path / "wrong.png").write_bytes(b"no picture")
    field.send_keys(str(tmp_path / "me.png"))
    until(lambda: "A photograph: pose, light" in shown(page), "the photograph")
    assert box(page, "yaw, °").get_attribute("disabled") and not box(page, "noise, grey").get_attribute("disabled")
    picture = face(page)
    field.send_keys(str(tmp_path / "wrong.png"))
    until(lambda: "not a complete image" in shown(page), "the sentence")
    assert face(page) == picture
    press(page, "Back to rendered faces")
    until(lambda: not box(page, "yaw, °").get_attribute("disabled"), "rendered faces")


def test_discarding_moves_the_curve_and_its_words(page):
    tab(page, "Discard")
    chosen = [Select(field) for field in page.find_elements(By.TAG_NAME, "select") if field.is_displayed()]
    next(field for field in chosen if "Sharpness" in [option.text for option in field.options]
         ).select_by_visible_text("Sharpness")
    until(lambda: "0 of 600 genuine pairs have left" in shown(page), "the curve")
    field = wheel(page, box(page, "discard"))
    field.send_keys(Keys.ARROW_UP * 10)
    until(lambda: "60 of 600 genuine pairs have left" in shown(page) and "Next to leave" in shown(page),
          "pairs that leave")


def test_what_is_saved_is_what_is_seen(page, project):
    state = saved_state(page, lambda state: True)
    row = pd.read_csv(sorted((project / "explorations").glob("*.csv"))[-1]).iloc[0]
    assert f"cosine {row['similarity']:.3f}" in decision(page)
    assert row["yaw"] == state["yaw"] and json.loads(state.to_json())["flaws"]["mask"] == row["mask"]


def test_no_request_leaves_the_machine(page):
    assert {address for address in asked_for(page) if not address.startswith(OWN)} == set()


@pytest.mark.slow
def test_voila_serves_the_panel_to_a_class(project, tmp_path):
    if importlib.util.find_spec("voila") is None:
        pytest.skip("SKIPPED: voila is not installed (pip install -e '.[teach]')")
    with served(tmp_path, project, "voila",
                str(project / "notebooks" / "explorer.ipynb")) as address, chromium(
            tmp_path / "profile") as browser:
        browser.get(address)
        before = until(lambda: decision(browser), "the panel")
        wheel(browser, box(browser, "mask")).send_keys(Keys.ARROW_UP * 40)
        until(lambda: decision(browser) not in ("", before), "a new decision")
        assert {asked for asked in asked_for(browser) if not asked.startswith(OWN)} <= set()
