"""FEFF 10 itself, from the package feff10-rs, and outputs of it that everybody has.

tests/reference/make_feff.py says how tests/reference/feff was made.
"""

import importlib.util
import os
import re
import sys

import make_feff
import numpy as np
import pytest
from programs import fake

from corefuse import config, engines
from corefuse.core import rawdata
from corefuse.core.errors import NotConvergedError
from corefuse.engines import feff


@pytest.fixture(scope="module")
def reference(root):
    return root / "tests" / "reference" / "feff"


def read(reference, name):
    return feff.read_level(reference / name, make_feff.settings(make_feff.RUNS[name][2]))


@pytest.mark.parametrize("name", make_feff.RUNS)
def test_the_input_of_the_kept_runs_is_what_is_written_today(name, reference):
    element, level, changes = make_feff.RUNS[name]
    crystal = make_feff.nickel_oxide()
    site = next(i for i, atom in enumerate(crystal) if atom.specie.symbol == element)
    written = feff.input_text(crystal, site, level, make_feff.settings(changes))
    assert written == (reference / name / "feff.inp").read_text()


@pytest.mark.parametrize(
    ("name", "edge_ev", "fermi_ev", "width_ev"),
    [("o_k", 534.4087, -0.912, 0.1559), ("ni_l3", None, -1.817, 0.55)],
)
def test_energies_and_widths_are_those_of_the_header(name, edge_ev, fermi_ev, width_ev, reference):
    level = read(reference, name)
    text = (reference / name / "xmu.dat").read_text()
    rows = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
    at_fermi = next(float(row[0]) for row in rows if abs(float(row[2])) < 1e-6)
    assert level.edge_energy_ev == pytest.approx(at_fermi, abs=1e-4)
    assert edge_ev is None or level.edge_energy_ev == pytest.approx(edge_ev, abs=1e-3)
    assert level.fermi_level_ev == pytest.approx(fermi_ev, abs=0.01)
    assert level.core_hole_fwhm_ev == pytest.approx(width_ev, abs=0.01)
    assert level.version == "FEFF 10.0.0"


def test_the_cross_section_is_absolute(reference):
    """FEFF's mu is that of its header's normalisation: in Mbarn, K of oxygen is some 0.5."""
    level = read(reference, "o_k")
    text = (reference / "o_k" / "xmu.dat").read_text()
    scale = float(re.search(r"normalize mu\s+(\S+)", text)[1])
    last = float([line for line in text.splitlines() if line.strip()][-1].split()[3])
    assert level.cross_section_mbarn[-1] == pytest.approx(100 * scale * last, rel=1e-6)
    assert 0.1 < level.cross_section_mbarn[-1] < 2


def test_the_convergence_of_an_scf_is_read(reference):
    assert feff.read_convergence(reference / "o_k_scf" / "log1.dat", 3.0) == 12
    assert feff.read_convergence(reference / "o_k" / "log1.dat", None) == 0
    with pytest.raises(NotConvergedError, match="not converged in 0 iterations"):
        feff.read_convergence(reference / "o_k" / "log1.dat", 3.0)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """One oxygen of NiO through FEFF, as the workflow runs it."""
    if not importlib.util.find_spec("feff10"):
        if os.environ.get("CI"):
            pytest.fail("CI needs feff10-rs")
        pytest.skip("no feff10-rs: `envs/setup.sh test` installs it")
    folder = tmp_path_factory.mktemp("feff")
    program = fake(folder / "feff", "import feff10\nfeff10.run('feff.inp', '.')")
    crystal = make_feff.nickel_oxide()
    site = len(crystal) - 1
    settings = make_feff.settings(make_feff.RUNS["o_k"][2])
    settings |= {"command": config.Command(run=[program]).model_dump(mode="json")}
    absorber = engines.Absorber("O K", site)
    job = engines.Job("nio", crystal, ("O K",), settings, folder, absorber=absorber)
    return engines.simulate(feff.ENGINE, job, folder / "run")


def test_a_real_run_ends_well_and_names_its_binary(raw):
    assert (raw.attrs["status"], raw.attrs["reason"]) == ("ok", "")
    assert raw.attrs["binary_version"] == "FEFF 10.0.0"
    assert sys.executable and len(raw.attrs["binary_sha256"]) == 64
    assert raw["edge"].values.tolist() == ["O K"] and raw.sizes["channel"] == 1


def test_a_real_run_gives_the_spectrum_that_is_kept(raw, reference):
    kept = read(reference, "o_k")
    expected = np.interp(raw["energy_ev"], kept.energy_ev, kept.cross_section_mbarn, left=0.0)
    assert raw["intensity"][0].values == pytest.approx(expected, rel=0.01, abs=0.01)
    assert float(raw["core_level_shift_ev"][0]) == pytest.approx(kept.edge_energy_ev, abs=0.05)


def test_a_real_spectrum_rises_at_the_fermi_level_and_is_broadened_by_its_core_hole(raw):
    energy_ev, intensity = raw["energy_ev"].values, raw["intensity"][0].values
    near = (energy_ev > -1) & (energy_ev < 5)
    assert abs(float(energy_ev[near][np.gradient(intensity[near]).argmax()])) < 0.5
    assert float(raw["core_hole_fwhm_ev"][0]) == pytest.approx(0.156, abs=0.01)
    assert rawdata.resolves_levels(raw) and bool(raw["final_state_width"][0])
