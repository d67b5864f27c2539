"""Li content from Ni K alone, from the stored runs of config/ni_k.yaml: all that follows them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.ndimage import gaussian_filter1d
from scipy.stats import spearmanr

from corefuse import config
from corefuse.config import samples
from corefuse.core import edge_table, files
from corefuse.learn import dataset, domain, train
from corefuse.read import files as spectrum_files
from corefuse.read import infer, reading
from corefuse.read import simulated as sim
from corefuse.spectra import calibration, process

TARGET = "x_li"
ENERGY_EV = np.linspace(8330, 8370, 100)
GRADES = {
    "LiNiO2": {"Li": 1.0, "Ni": 1.0},
    "NMC211": {"Li": 1.0, "Ni": 0.5, "Mn": 0.25, "Co": 0.25},
}
OPERANDO = {"name": "mine", "edge": "Ni K", "technique": "XAS", "file": "operando.csv"}


@pytest.fixture(scope="module")
def run(root):
    """The config, and what was simulated and trained with it."""
    stored = root / "resources" / "ni_k"
    raw = yaml.safe_load((root / "config" / "ni_k.yaml").read_text())
    settings = config.load(raw, "ni_k.yaml")
    table = edge_table.load(root / "resources" / "edges.yaml")
    index = pd.read_csv(stored / "structures" / "index.csv")
    paths = sorted(stored.glob("raw/gpaw/*.nc"))
    known = calibration.calibrate_all(paths, index, settings.spectra, table)
    simulated = {
        p.stem: process.process({"gpaw": files.read_netcdf(p)}, settings.spectra, table, known)
        for p in paths
    }
    modalities, subsets = settings.spectra.modalities(), config.resolve_subsets(settings)
    made = dataset.assemble(simulated, index, settings.dataset, modalities, table).dataset
    trained = train.train_target(made, TARGET, subsets, settings.train)
    domains = domain.fit_domains(made, subsets, settings.train.seed)
    library = infer.Library({TARGET: trained.models}, domains)
    beside = sim.assemble(simulated, index, table, settings.dataset, settings.infer)
    return SimpleNamespace(
        raw=raw, simulated=simulated, trained=trained, library=library, beside=beside
    )


def read(run, **infer_section):
    """The table of all series that this section of the config names."""
    raw = run.raw | {"infer": run.raw["infer"] | {"samples_file": None} | infer_section}
    filled, left_out = samples.put_in(raw, "ni_k.yaml")
    assert not left_out
    settings = config.load(filled, "ni_k.yaml").infer
    found = reading.read(settings.samples, run.beside, run.library, settings.confidence)
    places = [
        {"series": s.series, "sample": s.name, "voltage": s.voltage} for s in settings.samples
    ]
    return infer.series(places, found.answers)


@pytest.fixture(scope="module")
def public(run, root, shared):
    """The 16 measured spectra of the public file, read."""
    data = {"samples_file": str(root / "resources" / "ni_k_nmc.yaml")}
    return read(run, **data, data_folder=str(shared / "experimental"))


def test_all_sixteen_spectra_are_read(public):
    assert public["sample"].nunique() == 16
    assert public.prediction.notna().all()


def test_ni_k_alone_knows_the_li_content_of_unseen_parents(run):
    metrics = run.trained.metrics
    rmse = metrics[metrics.metric == "rmse"].set_index("model")
    assert rmse.ci_high["xgboost"] < rmse.value["baseline"] / 2


@pytest.mark.parametrize("grade", ["NMC622", "NMC721"])
def test_the_predicted_li_content_falls_with_the_voltage(public, grade):
    """Measured spectra: open circuit, 3.0, 4.3 and 4.8 V; more voltage, less Li.

    Pristine and 3.0 V differ by 0.05 in charge and may change places by 0.01.
    """
    of_grade = public[public.series == grade]
    means = of_grade.groupby(of_grade.voltage.fillna(0.0)).prediction.mean()
    assert len(means) == 4
    assert means[[4.3, 4.8]].max() < means[[0.0, 3.0]].min()
    assert (means.diff().dropna() < 0.03).all()
    assert means.iloc[0] - means.iloc[-1] > 0.6


def test_the_changes_of_measured_spectra_are_like_simulated_ones(public):
    """They are read by their difference from the pristine one, so shapes count no more."""
    assert public.in_domain.sum() >= 14


def test_intervals_hold_the_charge_balance_values(public):
    """Li of NMC622 by the charge passed: about 1.0, 0.95, 0.3 and 0.1 to 0.2."""
    of_grade = public[public.series == "NMC622"]
    middle = of_grade.groupby(of_grade.voltage.fillna(0.0))[["low", "high"]].mean()
    for (low, high), truth in zip(middle.to_numpy(), (1.0, 0.95, 0.3, 0.15), strict=True):
        assert low <= truth <= high


# --- a series of somebody else's ------------------------------------------------------------------


def charged(run, parent, contents):
    """Simulated spectra (n,) of Li contents between the cells of a parent, highest point 1."""
    cells = [
        run.simulated[f"{parent}-4fu-d0-li{x:03d}-pristine"]["Ni_K-XAS"] for x in range(0, 101, 25)
    ]
    between = np.array(
        [[np.interp(x, np.linspace(0, 1, 5), e) for e in np.eye(5)] for x in contents]
    )
    mixed = between @ np.array([cell.values for cell in cells])
    energy_ev = cells[0]["energy_Ni_K"].values
    return np.array([np.interp(ENERGY_EV, energy_ev, y) / y.max() for y in mixed])


def recorded(shared):
    """The measured NMC622, its voltages with pristine as 0."""
    file = shared / "experimental" / "ni_k_nmc" / "nmc_exp_xas.json"
    ys = [
        spectrum_files.read(
            file, spectrum_files.Wanted(column=f"intensity.{i}", axis_range=(8330, 8370))
        ).counts
        for i in range(8)
    ]
    return np.array(ys), [0, 4.3, 4.8, 3.0, 4.3, 4.8, 4.8, 3.0]


def raw_absorption(ys, rng):
    """Before normalisation: other thicknesses on a falling background, from far below the edge."""
    energy_ev = np.arange(8230.0, 8500.0, 0.4)
    steps = rng.uniform(0.5, 2.0, (len(ys), 1))
    edges = np.array([np.interp(energy_ev, ENERGY_EV, y) for y in ys])
    return energy_ev, 0.3 + steps * edges - 8e-4 * (energy_ev - 8340)


def glitched(ys, rng):
    """Two points of each spectrum drop out."""
    out = ys.copy()
    for y in out:
        y[rng.integers(5, 95, 2)] *= 0.7
    return ENERGY_EV, out


DISTORTED = {
    "as it is": lambda ys, rng: (ENERGY_EV, ys),
    "falling energies in keV": lambda ys, rng: (ENERGY_EV[::-1] / 1000, ys[:, ::-1]),
    "6 eV too high": lambda ys, rng: (ENERGY_EV + 6, ys),
    "6 eV too low": lambda ys, rng: (ENERGY_EV - 6, ys),
    "not normalised": raw_absorption,
    "worse resolution": lambda ys, rng: (ENERGY_EV, gaussian_filter1d(ys, 2.0, axis=-1)),
    "1.2 eV steps": lambda ys, rng: (ENERGY_EV[::3], ys[:, ::3]),
    "noise": lambda ys, rng: (ENERGY_EV, ys + rng.normal(0, 0.01, ys.shape)),
    "glitches": glitched,
}


@pytest.mark.parametrize("how", DISTORTED)
@pytest.mark.parametrize("what", [*GRADES, "measured"])
def test_the_order_by_li_content_survives(run, tmp_path, monkeypatch, request, what, how):
    """One table with a column a spectrum, the first as made; of the measured ones no grade told.

    These differ by 0.4 eV between 4.3 and 4.8 V, so that a distortion may turn some of them round.
    """
    if what == "measured":
        ys, places = recorded(request.getfixturevalue("shared"))
    else:
        places = np.linspace(0, 1, 9)
        ys = charged(run, what, 1 - places)
    energy, distorted = DISTORTED[how](ys, np.random.default_rng(0))
    monkeypatch.chdir(tmp_path)
    names = ",".join(["energy", *(f"scan{i}" for i in range(len(ys)))])
    table = np.column_stack([energy, *distorted])
    np.savetxt("operando.csv", table, delimiter=",", header=names, comments="")
    told = {"background": "line"} if how == "not normalised" else {}
    told |= {"energy_unit": "keV"} if how.endswith("keV") else {}
    told |= {"composition": GRADES[what]} if what in GRADES else {}
    found = read(run, series=[OPERANDO | told]).sort_values("number")
    assert spearmanr(places, found.prediction).statistic < (-0.7 if what == "measured" else -0.8)
