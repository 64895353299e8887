"""A Chromium that no one watches, and JupyterLab or Voila to look at; for tests of the explorer.

Without Chromium or its driver the calling tests are skipped with that reason, or fail with it where
FIQA_BROWSER=required.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service

FLAGS = ("--headless=new", "--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage",
         "--no-first-run",
         "--disable-sync", "--disable-default-apps", "--disable-component-update", "--disable-extensions")
PATIENCE = 240             # seconds after which something will not happen any more, on a machine with other work too


def browser_or_skip() -> tuple[str, str]:
    """Paths of Chromium and its driver."""
    found = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not all(found):
        missing = "SKIPPED: no Chromium and chromedriver (Debian: apt-get install chromium chromium-driver)"
        (pytest.fail if os.environ.get("FIQA_BROWSER") == "required" else pytest.skip)(missing)
    return found


@contextmanager
def chromium(profile: Path, width: int = 1280, height: int = 1000):
    """A browser with an empty profile that tells what it asks the network for."""
    program, driver = browser_or_skip()
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_script_timeout(PATIENCE)
    try:
        yield browser
    finally:
        browser.quit()


@contextmanager
def served(folder: Path, project: Path, *command: str):
    """The address of a Jupyter server that `command` starts, with settings of its own; ended afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER{name}": str(folder / name)
           for name in ("_CONFIG_DIR", "_DATA_DIR", "_RUNTIME_DIR", "LAB_SETTINGS_DIR",
                                                            "LAB_WORKSPACES_DIR")}
    package = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, **own, "FIQA_ROOT": str(project), "OMP_NUM_THREADS": "1",
                   "IPYTHONDIR": str(folder),
                   "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))}
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen([sys.executable, "-m", *command, f"--port={port}", "--no-browser"],
                                  stdout=log,
                                  stderr=subprocess.STDOUT, env=environment, cwd=project)
    try:
        until(lambda: answering(port) or server.poll() is not None)
        assert server.poll() is None, (folder / "server.log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def answering(port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def until(happened, what: str = "it"):
    """The first true answer of `happened()`; elements that vanish between two looks are no answer."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if answer := happened():
                return answer
        except WebDriverException:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {PATIENCE} seconds")


def asked_for(browser) -> set[str]:
    """Addresses that pages asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {message["params"]["request"]["url"] for message in messages
            if message["method"] == "Network.requestWillBeSent"}
