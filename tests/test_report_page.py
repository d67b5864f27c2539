"""report.html of a run whose free text is hostile, and one of hundreds of spectra, in a browser."""

import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import toy
import xarray as xr

from corefuse.core.targets import TARGET_TABLE
from corefuse.report import escaping

TARGETS = [name for name, entry in TARGET_TABLE.items() if entry.kind == "regression"]

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


SPECTRA, STRUCTURES = 458, 5000
SNAKEFILE = """
import sys
sys.path.insert(0, {workflow!r})
from pathlib import Path
from corefuse.report import escaping
escaping.install()
config["rst_title"], config["name"] = escaping.rst("large"), "large"
report: {workflow!r} + "/report/workflow.rst"
MADE = sorted(p.name for p in Path("made").iterdir())
CAPTION = {workflow!r} + "/report/inference.rst"
def shown(name):
    labels = {{"result": name}}
    return report(f"shown/{{name}}", caption=CAPTION, category=name[:4], labels=labels)
rule all:
    input:
        [shown(name) for name in MADE],
rule show:
    output:
        [shown(name) for name in MADE],
    params:
        confidence=0.9,
        samples={samples!r},
    shell:
        "cp made/* shown/"
"""


def answers(number):
    """What is read in one sample, as the tables hold it."""
    from corefuse.read.infer import COLUMNS

    rows = []
    for target in TARGETS:
        row = dict.fromkeys(COLUMNS, 0.123456)
        row |= {"target": target, "kind": "regression", "verdict": "uncertain", "subset": "all"}
        rows.append(row | {"note": f"sample {number}: " + "the reason of a doubt " * 8})
    return pd.DataFrame(rows)


def make_large(folder):
    """Figures and tables of 458 spectra and 5,000 structures, by the functions of the report."""
    from corefuse.report import figures, tables
    from corefuse.structures.build import COLUMNS

    energy = np.linspace(500, 560, 300)
    rng = np.random.default_rng(0)
    modalities = ["O_K-XAS", "O_K-EELS"]
    data = {m: ("energy_O_K", rng.random(300)) for m in modalities}
    one = xr.Dataset(data, {"energy_O_K": energy})
    names = [f"NMC622-10fu-d{i}-li100-pristine" for i in range(STRUCTURES)]
    index = pd.DataFrame(dict.fromkeys(COLUMNS, 1.2345678), range(STRUCTURES)).assign(
        structure_id=names,
        x_li=rng.random(STRUCTURES),
        host_id=[f"h{i // 2}" for i in range(STRUCTURES)],
        defect_class=["pristine", "vacancy"] * (STRUCTURES // 2),
    )
    spectra = dict.fromkeys(names, one)
    figures.save(
        figures.spectra_by_lithium(spectra, index, modalities), [folder / "lithium.svg"], 150
    )
    figures.save(
        figures.spectra_by_defect(spectra, index, modalities), [folder / "defect.svg"], 150
    )
    truth = rng.random(STRUCTURES)
    predictions = pd.concat(
        pd.DataFrame(
            {"modalities": "all", "target": target, "model": "xgboost", "structure_id": names}
            | {"truth": truth, "prediction": truth + 0.1}
        )
        for target in TARGETS
    )
    figures.save(figures.parity(predictions, "all"), [folder / "parity.svg"], 150)
    for i in range(60):
        card = figures.inference_card(answers(i), f"sample{i}", {})
        figures.save(card, [folder / f"card{i:03d}.svg"], 150)
    runs = pd.DataFrame({f"setting{k}": ["a value of a run"] * 2 * STRUCTURES for k in range(20)})
    for name, table in {
        "structures": index,
        "simulations": runs,
        "inference": pd.concat(answers(i) for i in range(SPECTRA)),
    }.items():
        tables.write(folder / f"{name}.html", table, name)


@pytest.fixture(scope="module")
def large(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    (folder / "made").mkdir()
    make_large(folder / "made")
    samples = json.dumps([{"name": f"s{i}", "file": "a" * 200} for i in range(SPECTRA)])
    samples = samples.replace("{", "(").replace("}", ")")
    text = SNAKEFILE.format(workflow=str(root / "workflow"), samples=samples)
    (folder / "Snakefile").write_text(text)
    for more in ([], ["--report", "report.html"]):
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "1", *more],
            cwd=folder,
            capture_output=True,
            text=True,
            env=toy.environment(),
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    return folder / "report.html"


def test_458_spectra_and_5000_structures_make_a_report_of_20_mb(large):
    """It had 55 MB with 150 spectra: every caption held all samples, every curve was drawn."""
    sizes = {p.name: p.stat().st_size for p in (large.parent / "made").iterdir()}
    assert large.stat().st_size < 20e6, sizes


def test_a_large_report_opens_in_a_browser(large, browser):
    browser.set_page_load_timeout(120)
    browser.get(f"file://{large}")
    shown = browser.execute_script("return document.getElementById('app').innerText")
    assert "large" in shown
    assert browser.execute_script("return Object.keys(results).length") == 66
    longest = "return Math.max(...Object.values(results).map(r => r.caption.length))"
    assert browser.execute_script(longest) < 3000
