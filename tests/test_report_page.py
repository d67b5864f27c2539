"""report.html of a run whose free text is hostile, and one of hundreds of spectra, in a browser."""

import json
import shutil
import time

import pytest
import toy

from corefuse.report import escaping

SCRIPT = "</script><script>document.title='PWNED'</script>"
TITLE = f"{SCRIPT} Li$_{{x}}$NiO$_2$ `a <javascript:alert(1)>`_ **b** |c| {{wildcard}}"
CSV = "energy,{}\n" + "\n".join(f"{500 + i / 4},{1 + (i > 120)}" for i in range(400))


def test_json_ends_no_script_block():
    text = escaping.dumps({"a": SCRIPT, "b": ["<!--", 1, None]})
    assert "<" not in text
    assert json.loads(text) == {"a": SCRIPT, "b": ["<!--", 1, None]}


def test_long_parameters_of_jobs_are_cut():
    """Each result carries those of its job: with 458 samples in them the page had 350 MB."""
    found = json.loads(escaping.dumps({"x": {"params": "p" * 100_000, "caption": "c" * 1000}}))
    assert len(found["x"]["params"]) < 600
    assert len(found["x"]["caption"]) == 1000


@pytest.mark.parametrize(
    "text", [TITLE, ".. include:: /etc/passwd", ".. raw:: html\n\n   <b>x</b>"]
)
def test_a_title_is_shown_as_it_is_typed(text):
    from docutils.core import publish_parts

    body = publish_parts(f"**{escaping.rst(text)}** end", writer="html")["body"]
    shown = body.replace("&lt;", "<").replace("&gt;", ">").replace("&#64;", "@")
    assert " ".join(text.split()) in shown
    assert "<script" not in body
    assert "problematic" not in body


def test_captions_read_no_file_and_pass_no_html(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCUTILSCONFIG", "")
    escaping.install()
    from docutils.core import publish_parts

    secret = tmp_path / "secret.txt"
    secret.write_text("a local file's text")
    quiet = {"report_level": 5}
    for text in (f".. include:: {secret}", ".. raw:: html\n\n   <script>1</script>"):
        body = publish_parts(text, writer="html", settings_overrides=quiet)["body"]
        assert "local file" not in body
        assert "<script>" not in body


@pytest.fixture(scope="module")
def hostile(root, tmp_path_factory):
    """The report of a toy run whose title, columns and files try to be something else."""
    copy = toy.Toy(root, tmp_path_factory.mktemp("hostile"))
    (copy.folder / "mine$x.csv").write_text(CSV.format(SCRIPT))
    spectrum = {"edge": "O K", "technique": "EELS", "file": "mine$x.csv", "column": SCRIPT}
    config = toy.edited("report.title", TITLE)
    config["infer"] = {"samples": [{"name": "mine", "spectra": [spectrum]}]}
    file = copy.write("hostile", config)
    done = copy.run("--cores", "2", "--configfile", file)
    assert done.returncode == 0, done.stdout[-3000:]
    return copy.folder / "results" / "toy" / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver

    program, driver = map(shutil.which, ("chromium", "chromedriver"))
    if not program or not driver:
        pytest.skip("no chromium and chromedriver on PATH, see envs/setup.sh")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    profile = tmp_path_factory.mktemp("chromium")
    for flag in f"--headless --no-sandbox --disable-gpu --user-data-dir={profile}".split():
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


def test_text_of_users_runs_nothing_in_the_report(hostile, browser):
    browser.get(f"file://{hostile}")
    time.sleep(1)
    assert browser.title == "Snakemake Report"
    shown = browser.execute_script("return document.getElementById('app').innerText")
    assert "document.title='PWNED'" in shown  # as text, in the headline
    assert "Li$_{x}$NiO$_2$" in shown
    results = browser.execute_script("return Object.keys(results).length")
    assert results > 10
