"""The local page, in a real browser: a file goes in, an answer and a samples file come out."""

import os
import shutil
import socket
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest
import yaml

from corefuse import cli
from corefuse.read.simulated import load

# Widgets of Panel live in shadow roots: all elements that a selector finds in any of them.
DEEP = """
function deep(root, selector) {
  let found = Array.from(root.querySelectorAll(selector));
  for (const element of root.querySelectorAll('*'))
    if (element.shadowRoot) found = found.concat(deep(element.shadowRoot, selector));
  return found;
}
return deep(document, arguments[0]);
"""
TEXT = """
function deep(root) {
  let text = '';
  for (const element of root.querySelectorAll('*')) {
    if (element.shadowRoot) text += deep(element.shadowRoot);
    for (const node of element.childNodes)
      if (node.nodeType === 3 && element.tagName !== 'STYLE') text += ' ' + node.textContent;
  }
  return text;
}
return deep(document);
"""


@pytest.fixture(scope="module")
def page(root, ni_k_models, tmp_path_factory):
    """The address of a page that runs as a user starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "corefuse.cli", "app", "--no-browser", "--port", str(port)]
    env = os.environ | {"PYTHONPATH": str(root / "workflow")}
    log = (tmp_path_factory.mktemp("app") / "log").open("w+")
    running = subprocess.Popen(
        [*command, "--models", str(ni_k_models)], env=env, stdout=log, stderr=log
    )
    address = f"http://127.0.0.1:{port}/"
    for _ in range(240):
        try:
            urlopen(address, timeout=30).close()
            break
        except (URLError, OSError):
            assert running.poll() is None, log.seek(0) or log.read()
            time.sleep(1)
    yield address
    running.terminate()
    running.wait(20)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver

    program, driver = map(shutil.which, ("chromium", "chromedriver"))
    if not program or not driver:
        pytest.skip("no chromium and chromedriver on PATH, see envs/setup.sh")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    downloads = tmp_path_factory.mktemp("downloads")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    for flag in (
        "--headless --no-sandbox --disable-gpu --no-first-run --window-size=1500,1400"
        f" --disable-background-networking --user-data-dir={tmp_path_factory.mktemp('chromium')}"
    ).split():
        options.add_argument(flag)
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    opened.downloads = downloads
    yield opened
    opened.quit()


def wait_for(browser, what, seconds=120):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, seconds, 0.5).until(lambda b: what())


def test_a_file_dropped_in_is_read_changed_and_saved(page, browser, ni_k_models, tmp_path, capsys):
    simulated = load(ni_k_models / "simulated.nc")
    grid = simulated.entry("Ni_K-XAS").grid.energies_ev
    names = simulated.index.structure_id.tolist()
    y = simulated.spectra["Ni_K-XAS"][names.index("LiNiO2-4fu-d0-li050-pristine")]
    energy = np.arange(8300.0, 8400.0, 0.3)
    file = tmp_path / "mine.dat"
    np.savetxt(file, np.column_stack([energy, np.interp(energy - 2.0, grid, y)]))

    browser.get(page)
    find = lambda selector: browser.execute_script(DEEP, selector)  # noqa: E731
    said = lambda: browser.execute_script(TEXT)  # noqa: E731
    wait_for(browser, lambda: find("input[type=file]"))
    find("input[type=file]")[0].send_keys(str(file))
    wait_for(browser, lambda: "nothing fixes its energy axis" in said())
    assert "mine" in said() and "uncertain" in said()
    wait_for(browser, lambda: len(find("svg")) >= 2)  # as measured, and beside the nearest

    known = next(e for e in find("input") if e.get_attribute("placeholder") == "Li=1,Ni=0.8")
    known.send_keys("Li=0.5,Ni=1\n")
    wait_for(browser, lambda: "its composition" in said() and "nothing fixes" not in said())

    hosts = browser.execute_script(
        "return performance.getEntriesByType('resource').map(e => new URL(e.name).hostname)"
    )
    assert set(hosts) <= {"127.0.0.1", "localhost", ""}

    buttons = lambda: [e for e in find("a, button") if "save the samples" in e.text]  # noqa: E731
    wait_for(browser, buttons)[0].click()
    saved = browser.downloads / "samples.yaml"
    wait_for(browser, saved.exists)
    entry = yaml.safe_load(saved.read_text())["samples"][0]
    assert entry["composition"] == {"Li": 0.5, "Ni": 1.0}
    (tmp_path / "samples.yaml").write_text(saved.read_text())  # beside the file, as it says
    asked = ["read", str(tmp_path / "samples.yaml"), "--models", str(ni_k_models)]
    assert cli.main([*asked, "--out", str(tmp_path / "out")]) == 0
    assert "mine" in capsys.readouterr().out


def test_a_file_that_cannot_be_read_says_so_on_the_page(page, browser, tmp_path):
    bad = tmp_path / "bad.dat"
    bad.write_text("no numbers here\n")
    browser.get(page)
    find = lambda selector: browser.execute_script(DEEP, selector)  # noqa: E731
    wait_for(browser, lambda: find("input[type=file]"))
    find("input[type=file]")[0].send_keys(str(bad))
    wait_for(browser, lambda: "bad.dat" in browser.execute_script(TEXT))
    assert "Fix:" in browser.execute_script(TEXT)


def test_nobody_else_reaches_the_page(page):
    """It listens on the loopback address alone."""
    port = int(page.split(":")[-1].strip("/"))
    own = socket.gethostbyname(socket.gethostname())
    addresses = {own} - {"127.0.0.1"} or {"127.0.0.2"}
    for address in addresses:
        with socket.socket() as outside:
            outside.settimeout(2)
            assert outside.connect_ex((address, port)) != 0
