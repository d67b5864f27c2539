"""The whole workflow on real GPAW: the smallest cells that need every stage, and the report."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from corefuse import config
from corefuse.core import files, rawdata

pytestmark = pytest.mark.e2e

EELS_O_K = "experimental/eels_si_doped_nmc/TM_oxygen_edge.msa"
TINY = {
    "name": "tiny",
    "structures": {
        "formula_units": 1,
        "relaxation": {"fmax_ev_per_angstrom": 0.1, "max_steps": 15},
        "series": [
            {"grade": "LiCoO2", "li_content": [1.0, 0.0]},
            {"grade": "LiNiO2", "li_content": [1.0, 0.0], "defects": [{}]},
            {
                "grade": "NM11",
                "stoichiometry": {"Ni": 0.5, "Mn": 0.5},
                "formula_units": 2,
                "defects": [{}, {"oxygen_vacancies": 1}],
            },
            {
                "grade": "NC11",
                "stoichiometry": {"Ni": 0.5, "Co": 0.5},
                "formula_units": 2,
                "defects": [{}, {"antisite_pairs": 1}],
            },
            {
                "grade": "CM11",
                "stoichiometry": {"Co": 0.5, "Mn": 0.5},
                "formula_units": 2,
                "defects": [{}],
            },
        ],
    },
    "simulation": {
        "edges": dict.fromkeys(("O K", "Li K"), "gpaw")
        | dict.fromkeys(("Mn L2,3", "Co L2,3", "Ni L2,3"), "multiplet"),
        "gpaw": {
            "plane_wave_cutoff_ev": 250,
            "kpoint_spacing_per_angstrom": 1.3,
            "spectrum_max_ev": 30,
        },
    },
    "spectra": {
        "techniques": {
            "XAS": {"gaussian_fwhm_ev": 0.5, "edges": ["O K", "Ni L2,3"]},
            "EELS": {
                "gaussian_fwhm_ev": 1.0,
                "edges": ["O K", "Li K", "Mn L2,3", "Co L2,3", "Ni L2,3"],
            },
        }
    },
    "dataset": {"views": 3, "holdout_parents": ["CM11-2fu-d0"]},
    "train": {
        "targets": ["x_li", "x_ni", "v_o_present"],
        "outer_folds": 2,
        "inner_folds": 2,
        "trials": 2,
        "max_trees": 20,
        "bootstrap": 100,
    },
    "infer": {"confidence": 0.8, "samples": []},
}
HELD_OUT = "CM11-2fu-d0-li100-pristine"
MEASURED = "si_doped_nmc"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "tiny.yaml"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def measured_sample(shared: Path) -> dict:
    spectrum = {
        "edge": "O K",
        "technique": "EELS",
        "file": str(shared / EELS_O_K),
        "energy_scale": 1.029,
        "energy_offset_ev": -5.2,
    }
    return {"name": MEASURED, "spectra": [spectrum]}


@pytest.fixture(scope="module")
def finished(root, shared_if_there, tmp_path_factory):
    """A copy of the project with the tiny run finished in it, with a measured edge if there is."""
    folder = tmp_path_factory.mktemp("run")
    for name in ("Snakefile", "workflow", "scripts", "resources", "envs", "config"):
        source = root / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    samples = [measured_sample(shared_if_there)] if shared_if_there else []
    tiny = TINY | {"infer": TINY["infer"] | {"samples": samples}}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tiny))
    done = run(folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return folder, done


@pytest.fixture(scope="module")
def results(finished):
    return finished[0] / "results" / "tiny"


def test_every_file_of_the_contract_is_there(results):
    index = pd.read_csv(results / "structures" / "index.csv")
    assert len(index) == 9
    for structure in index.structure_id:
        assert (results / "structures" / f"{structure}.json").exists()
        for engine in ("gpaw", "multiplet"):
            assert (results / "raw" / engine / f"{structure}.nc").exists()
        assert (results / "spectra" / f"{structure}.nc").exists()
    subsets = config.resolve_subsets(config.load(TINY, "tiny"))
    assert set(subsets) > {"XAS", "EELS", "all", "O_K-EELS", "Ni_L23-XAS"}
    for target in TINY["train"]["targets"]:
        assert (results / "shap" / f"{target}.csv").exists()
        for subset in subsets:
            assert (results / "models" / target / f"{subset}.ubj").exists()
            assert (results / "models" / target / f"{subset}.json").exists()
    for name in ("dataset.nc", "dataset.csv", "failed.csv", "metrics.csv", "calibration.json"):
        assert (results / name).exists(), name
    assert not list(results.glob("raw/*/*.scratch"))


def test_every_simulation_says_how_it_went(results):
    """A failed run is a result, too, but nearly all of these small cells converge."""
    raws = {path: files.read_netcdf(path).attrs for path in results.glob("raw/*/*.nc")}
    assert len(raws) == 18
    assert sum(attrs["status"] == "ok" for attrs in raws.values()) >= 16
    for path, attrs in raws.items():
        assert attrs["engine"] == path.parent.name
        assert attrs["cpu_seconds"] > 0
        assert attrs["status"] == "ok" or attrs["reason"]


def test_spectra_have_unit_area_and_absent_elements_none(results):
    spectra = files.read_netcdf(results / "spectra" / "LiCoO2-1fu-d0-li000-pristine.nc")
    assert not spectra["Li_K-EELS"].any()
    assert not spectra["Mn_L23-EELS"].any()
    oxygen = spectra["O_K-EELS"]
    window = oxygen.sel(energy_O_K=slice(525, 549))
    assert np.isclose(window.integrate("energy_O_K"), 1, atol=0.01)


def test_metrics_hold_intervals_and_both_baselines(results):
    metrics = pd.read_csv(results / "metrics.csv")
    columns = ["target", "modalities", "model", "metric", "value", "ci_low", "ci_high", "n_groups"]
    splits = [f"{s}{part}" for s in ("grade", "li_range") for part in ("", "_low", "_high")]
    assert list(metrics.columns) == [*columns, "note", *splits]
    assert set(metrics.model) == {"xgboost", "baseline", "jia2026"}
    scored = metrics.dropna(subset=["value", "ci_low", "ci_high"])
    assert (scored.ci_low <= scored.value + 1e-9).all()
    assert (scored.value <= scored.ci_high + 1e-9).all()
    assert (metrics.n_groups == 4).all()


def test_held_out_parents_are_read_and_never_trained_on(results):
    assert "CM11-2fu-d0" not in set(pd.read_csv(results / "dataset.csv").group)
    read = pd.read_csv(results / "inference" / f"{HELD_OUT}.csv")
    assert set(read.target) == set(TINY["train"]["targets"])
    assert (read.subset == "all").all()
    bounded = read.dropna(subset=["low", "high"])
    assert len(bounded)
    assert (bounded.low <= bounded.prediction).all() and (bounded.prediction <= bounded.high).all()


def test_a_measured_edge_is_read_with_the_model_for_it_alone(shared, results, capsys):
    read = pd.read_csv(results / "inference" / f"{MEASURED}.csv")
    assert (read.subset == "O_K-EELS").all()
    comparison = pd.read_html(results / "tables" / "measured.html")[0].set_index("spectrum")
    with capsys.disabled():
        print(f"\nO K, pre-edge to main peak and ratio:\n{comparison.to_string()}")
    measured = comparison.loc["measured"]
    assert measured.distance_ev == pytest.approx(11.75, abs=0.5)
    assert measured.intensity_ratio == pytest.approx(0.62, abs=0.05)


def test_a_second_run_has_nothing_to_do(finished):
    folder, _ = finished
    again = run(folder, "--dry-run")
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout + again.stderr


def test_progress_was_told(finished):
    _, done = finished
    assert "[corefuse] simulate: " in done.stderr
    assert "left" in done.stderr


def of_nickel(results, structure, what):
    """A value of every Ni atom in a GPAW run; the multiplet run knows which they are."""
    sites = rawdata.of_edge(files.read_netcdf(results / f"raw/multiplet/{structure}.nc"), "Ni L2,3")
    return files.read_netcdf(results / f"raw/gpaw/{structure}.nc")[what].values[sites["site"]]


def test_nickel_core_levels_follow_the_oxidation_state(results):
    """Ni in LiNiO2 (3+) gives up more charge than in NMs (2+): its core level lies deeper."""
    trivalent, divalent = "LiNiO2-1fu-d0-li100-pristine", "NM11-2fu-d0-li100-pristine"
    assert of_nickel(results, divalent, "atom_moment_mub").max() > 1.4
    deep, shallow = (
        of_nickel(results, structure, "atom_core_level_shift_ev").mean()
        for structure in (trivalent, divalent)
    )
    assert deep > shallow


def test_multiplets_take_their_ions_from_gpaws_moments(results):
    """LiNi0.5Mn0.5O2 holds Ni2+ and Mn4+."""
    raw = files.read_netcdf(results / "raw/multiplet/NM11-2fu-d0-li100-pristine.nc")
    assert raw.attrs["moments_from"] == "gpaw"
    assert set(json.loads(raw.attrs["ions"]).values()) == {"Ni2+", "Mn4+"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver

    program, driver = map(shutil.which, ("chromium", "chromedriver"))
    if not program or not driver:
        pytest.skip("no chromium and chromedriver on PATH, see envs/setup.sh")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    profile = tmp_path_factory.mktemp("chromium")
    for flag in (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
        f" --disable-background-networking --disable-component-update --user-data-dir={profile}"
        " --window-size=1500,1000"
    ).split():
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


def open_result(browser, category: str, result: str) -> None:
    """Click through the report's menu as a reader does."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    # the menu and the table slide into place: a click before that hits a neighbour
    wait = WebDriverWait(browser, 30, ignored_exceptions=[WebDriverException, IndexError])

    def click(where: str) -> bool:
        browser.find_elements(By.XPATH, where)[-1].click()
        return True

    browser.refresh()
    wait.until(lambda _: click(f"//a[contains(., '{category}')]"), category)
    wait.until(lambda _: click(f"(//tr[contains(., '{result}')]//a)[1]"), result)


def shown(browser, results, category: str, result: str, found):
    """What ``found`` sees of a result; a click that the sliding menu took elsewhere is repeated."""
    from selenium.common.exceptions import TimeoutException
    from selenium.webdriver.support.ui import WebDriverWait

    for attempt in range(5):
        browser.get(f"file://{results}/report.html")
        try:
            open_result(browser, category, result)
            return WebDriverWait(browser, 15).until(found)
        except TimeoutException:
            if attempt == 4:
                raise
    return None


@pytest.mark.parametrize(
    ("category", "result"),
    [
        ("Spectra", "by Li content"),
        ("Spectra", "change by defect"),
        ("Spectra", f"{MEASURED}: O_K-EELS"),
        ("Scores", "error by modality subset"),
        ("Scores", "prediction against truth"),
        ("What decided", "x_li"),
        ("Inference", HELD_OUT),
    ],
)
def test_the_report_shows_its_figures_in_a_browser(request, results, browser, category, result):
    if MEASURED in result:
        request.getfixturevalue("shared")
    from selenium.webdriver.common.by import By

    def drawn(b):
        images = b.find_elements(By.TAG_NAME, "img")
        return [
            i
            for i in images
            if "logo" not in i.get_attribute("src")[:60] and int(i.get_property("naturalWidth")) > 0
        ]

    figure = shown(browser, results, category, result, drawn)[0]
    assert figure.is_displayed()
    assert figure.size["width"] > 150


def test_the_report_shows_its_tables_in_a_browser(results, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    found = lambda b: b.find_elements(By.TAG_NAME, "iframe")  # noqa: E731
    frame = shown(browser, results, "Structures", "simulations", found)[0]
    wait = WebDriverWait(browser, 20)
    assert frame.is_displayed()
    browser.switch_to.frame(frame)
    rows = wait.until(lambda b: b.find_elements(By.TAG_NAME, "tr"))
    assert len(rows) == 19  # the header, nine structures, two engines
    assert "LiCoO2-1fu-d0-li100-pristine" in browser.find_element(By.TAG_NAME, "body").text
    browser.switch_to.default_content()


def test_the_report_asks_nothing_of_the_network(results, browser):
    browser.get(f"file://{results}/report.html")
    loaded = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert [name for name in loaded if name.startswith("http")] == []


def test_captions_print_the_parameters(results):
    page = (results / "report.html").read_text()
    names = ("gaussian_fwhm_ev", "outer_folds", "plane_wave_cutoff_ev", "window", "li_content")
    assert all(name in page for name in names)


def test_a_failed_structure_is_listed_and_the_rest_goes_on(finished, results):
    """Last, because it changes the run: one raw file now says that its SCF did not converge."""
    structure = "NC11-2fu-d0-li100-as1"
    folder, _ = finished
    path = results / "raw" / "gpaw" / f"{structure}.nc"
    kept = files.read_netcdf(path).attrs
    failed = rawdata.failed("SCF not converged in 7 steps")
    files.write_netcdf(path, failed.assign_attrs({**kept, **failed.attrs}))
    done = run(folder)
    assert done.returncode == 0, done.stderr[-6000:]
    listed = pd.read_csv(results / "failed.csv").set_index("structure_id")
    assert "SCF not converged in 7 steps" in listed.loc[structure, "reason"]
    assert structure not in set(pd.read_csv(results / "dataset.csv").structure_id)
    for table in ("failed", "simulations"):
        page = (results / "tables" / f"{table}.html").read_text()
        assert structure in page
        assert "SCF not converged in 7 steps" in page
