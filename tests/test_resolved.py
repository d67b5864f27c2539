"""Raw spectra with an L2 and widths of their own, through calibration and broadening."""

from dataclasses import replace

import numpy as np
import pytest
import rawdata as synthetic
import xarray as xr
from test_fdmnes import COBALT, structure_of

from corefuse.config import Fdmnes, Feff, Spectra
from corefuse.core import edge_table, files, rawdata
from corefuse.core.edge_table import lines
from corefuse.core.edges import EDGES
from corefuse.core.spectrum import EnergyGrid
from corefuse.engines import fdmnes, feff
from corefuse.spectra.broadening import broadened
from corefuse.spectra.calibration import calibrate
from corefuse.spectra.process import process
from corefuse.structures import build

EDGE = "Co L2,3"
GRID = EnergyGrid(start_ev=-15, stop_ev=45, step_ev=0.05)
SETTINGS = Spectra(techniques={"XAS": {"gaussian_fwhm_ev": 0.3, "edges": [EDGE, "O K"]}})
PEAKS = {3.0: 1.0, 6.0: 0.4}
L3, L2 = lines(EDGE, SETTINGS.l2_extra_lorentzian_fwhm_ev)


@pytest.fixture(scope="module")
def table(root):
    return edge_table.load(root / "resources" / "edges.yaml")


def resolved(edge=EDGE, peaks=PEAKS, offset_ev=L2.offset_ev, widths=(0.0, 0.0), final=False):
    """One channel of a code that computes L3 and L2 one by one, with statistical strengths."""
    plain = synthetic.channel(edge, peaks)
    own = rawdata.Resolved(plain.intensity / 3, offset_ev, *widths, final)
    return replace(plain, intensity=2 / 3 * plain.intensity, resolved=own)


def seen(channels, edge=EDGE):
    """What XAS sees of the mean site, on GRID."""
    raw = synthetic.dataset(channels)
    return broadened(raw, edge, "XAS", SETTINGS, GRID, 0.0, 0.0).mean(axis=0)


def test_statistical_levels_without_widths_are_what_one_level_makes():
    assert seen([resolved()]) == pytest.approx(seen([synthetic.channel(EDGE, PEAKS)]), abs=2e-6)


def test_l2_stands_where_the_code_puts_it():
    energy = GRID.energies_ev
    for offset_ev in (L2.offset_ev - 1.5, L2.offset_ev + 2.0):
        spectrum = seen([resolved(peaks={3.0: 1.0}, offset_ev=offset_ev)])
        high = energy > 3 + offset_ev / 2
        assert energy[high][spectrum[high].argmax()] == pytest.approx(3 + offset_ev, abs=0.06)
        assert energy[spectrum.argmax()] == pytest.approx(3, abs=0.06)


def test_each_site_has_its_own_l2():
    near, far = (resolved(peaks={3.0: 1.0}, offset_ev=x) for x in (14.0, 17.0))
    together = seen([near, far])
    assert together == pytest.approx((seen([near]) + seen([far])) / 2, abs=1e-6)


def lorentzian(channel, fwhm_ev):
    """The channel as a code leaves it that puts this width in."""
    axis = synthetic.ENERGY_EV
    line = fwhm_ev / 2 / np.pi / ((axis[:, None] - axis) ** 2 + (fwhm_ev / 2) ** 2)
    matrix = line * rawdata.STEP_EV
    own = replace(channel.resolved, l2_intensity=matrix @ channel.resolved.l2_intensity)
    return replace(channel, intensity=matrix @ channel.intensity, resolved=own)


def test_a_width_that_is_in_is_not_put_in_again():
    half = L3.core_hole_fwhm_ev / 2
    marked = lorentzian(resolved(peaks={3.0: 1.0}, widths=(half, half)), half)
    unmarked = lorentzian(resolved(peaks={3.0: 1.0}), half)
    wanted = seen([resolved(peaks={3.0: 1.0})])
    assert np.abs(seen([marked]) - wanted).max() < 0.04 * wanted.max()
    assert seen([unmarked]).max() < 0.85 * wanted.max()


def test_a_width_above_the_tabulated_one_stays():
    wide = L3.core_hole_fwhm_ev + 1.0
    spectrum = seen([resolved(peaks={0.0: 1.0}, widths=(wide, wide))])
    gaussian_alone = 2 / 3 * np.sqrt(4 * np.log(2) / np.pi) / 0.3
    assert spectrum.max() == pytest.approx(gaussian_alone, rel=0.03)


def test_the_lifetime_of_the_final_states_is_put_in_once():
    late = {25.0: 1.0}
    without, with_it = (seen([resolved("O K", late, final=f)], "O K") for f in (False, True))
    assert with_it.max() > 3 * without.max()


def test_k_and_l_edges_of_one_engine_share_a_file(tmp_path):
    nothing = np.zeros_like(synthetic.ENERGY_EV)
    oxygen = replace(
        synthetic.channel("O K", PEAKS), resolved=rawdata.Resolved(nothing, 0.0, 0.1, 0.1, True)
    )
    files.write_netcdf(tmp_path / "a.nc", synthetic.dataset([oxygen, resolved()]))
    raw = files.read_netcdf(tmp_path / "a.nc")
    cobalt, oxygen = rawdata.of_edge(raw, EDGE), rawdata.of_edge(raw, "O K")
    assert rawdata.resolves_levels(cobalt) and rawdata.resolves_levels(oxygen)
    assert not oxygen["l2_intensity"].any() and cobalt["l2_intensity"].any()
    assert oxygen["final_state_width"].values.tolist() == [True]
    assert cobalt["final_state_width"].values.tolist() == [False]


@pytest.fixture(scope="module")
def raw(shared, tmp_path_factory):
    """What is in ../shared: FDMNES's Co L2,3 of LiCoO2 and FEFF's O K of NMC, as one structure."""
    folder = tmp_path_factory.mktemp("runs")
    command = {"run": ["true"]}
    made = {}
    for name, job, section in (
        (
            "fdmnes",
            {"edges": [EDGE], "site": COBALT},
            Fdmnes(range_ev=[-5, 0.2, 30], command=command),
        ),
        ("feff", {"edge": "O K", "site": 0}, Feff(k_max_per_angstrom=5, command=command)),
    ):
        job |= {"role": "", "moment_mub": 0.0, "settings": section.model_dump()}
        files.write_json(folder / name / "job.json", job)
    reference = shared / "reference"
    source = reference / "fdmnes" / "licoo2_co_l23"
    crystal = structure_of((source / "Co_in.txt").read_text())
    build.write(folder / "fdmnes" / "structure.json", crystal)
    run = folder / "fdmnes" / EDGES[EDGE].id
    run.mkdir()
    for part in ("", "_conv", "_bav"):
        (run / f"site{part}.txt").symlink_to(source / f"LiCoO2_Co{part}.txt")
    (folder / "feff" / "K").symlink_to(reference / "feff10" / "o_k_scf")
    for engine in (fdmnes.ENGINE, feff.ENGINE):
        parsed = engine.parse(folder / engine.name)
        made[engine.name] = parsed.assign_attrs(structure_id="LiCoO2", engine=engine.name)
    return made


def test_real_runs_become_calibrated_spectra(raw, table):
    edges = {EDGE: "fdmnes", "O K": "feff"}
    calibration = {e: calibrate(raw[n], e, SETTINGS, table[e]) for e, n in edges.items()}
    found = process(raw, SETTINGS, table, calibration)
    assert isinstance(found, xr.Dataset) and found.attrs["status"] == "ok"
    oxygen, cobalt = found["O_K-XAS"], found["Co_L23-XAS"]
    energy = cobalt["energy_Co_L23"].values
    assert energy[int(cobalt.argmax())] == pytest.approx(780.7, abs=0.11)
    high = energy > 790
    l2_ev = energy[high][cobalt.values[high].argmax()]
    assert l2_ev - 780.7 == pytest.approx(14.788, abs=0.25)
    assert float(oxygen["energy_O_K"][int(oxygen.argmax())]) == pytest.approx(530.0, abs=0.21)


def test_the_constant_says_how_far_the_absolute_axis_of_feff_is_off(raw, table):
    """FEFF puts the pre-edge of O K near 535.5 eV; the reference says 530."""
    found = calibrate(raw["feff"], "O K", SETTINGS, table["O K"])
    assert found.feature_on_common_axis_ev == pytest.approx(535.5, abs=0.2)
    assert found.constant_ev == pytest.approx(-5.5, abs=0.2)
