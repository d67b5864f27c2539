"""Physics of 40-atom cells, from stored results of the GPAW engine (tests/reference/make.py)."""

import numpy as np
import pytest
from pymatgen.core import Structure

from corefuse.core import files, rawdata


@pytest.fixture(scope="module")
def stored(root):
    folder = root / "tests" / "reference"
    return {p.stem: files.read_netcdf(p) for p in folder.glob("*.nc")}


@pytest.fixture(scope="module")
def cells(shared):
    folder = shared / "reference" / "structures"
    return {
        name: files.read_json(folder / f"r2scan_NMC622_x1.0_{name}.json")
        for name in ("pristine", "vacancy", "antisite")
    }


def test_results_carry_their_provenance(stored):
    assert set(stored) == {"pristine", "vacancy", "antisite", "nmc40"}
    for raw in stored.values():
        assert raw.attrs["status"] == "ok"
        assert raw.attrs["engine"] == "gpaw"
        assert raw.attrs["engine_version"]
        assert "plane_wave_cutoff_ev" in raw.attrs["parameters"]


def moments(raw, edge):
    return np.abs(rawdata.of_edge(raw, edge)["moment_mub"].values)


def test_moments_are_those_of_the_known_valences(stored):
    """Li10Ni6Mn2Co2O20 of ../shared/reference/gpaw: Mn 3.0, Co 0, Ni 1.2 (3+) or 1.8 (2+)."""
    raw = stored["nmc40"]
    assert moments(raw, "Mn L2,3") == pytest.approx(3.0, abs=0.1)
    assert moments(raw, "Co L2,3") == pytest.approx(0.0, abs=0.15)
    nickel = moments(raw, "Ni L2,3")
    assert all(abs(m - 1.2) < 0.15 or abs(m - 1.8) < 0.15 for m in nickel), nickel


def test_moments_agree_with_the_stored_run_of_the_same_cell(stored, shared):
    """Independent set-up (350 eV, another k mesh): four Ni3+, two Ni2+."""
    nickel = np.sort(moments(stored["nmc40"], "Ni L2,3"))
    assert nickel[:4] == pytest.approx(1.2, abs=0.15)
    assert nickel[4:] == pytest.approx(1.76, abs=0.15)


def test_nickel_core_levels_go_with_the_valence(stored):
    """Ni3+ is bound deeper than Ni2+: measured Ni L3 edges move up by 1 eV or so a charge."""
    nickel = rawdata.of_edge(stored["pristine"], "Ni L2,3")
    moment, shift = np.abs(nickel["moment_mub"].values), nickel["core_level_shift_ev"].values
    trivalent = moment < 1.3
    assert 0 < trivalent.sum() < len(moment)
    gap = shift[trivalent].min() - shift[~trivalent].max()
    assert 0.5 < gap < 2.5
    assert np.corrcoef(moment, shift)[0, 1] < -0.9


def site_changes(stored, cells, name, edge):
    """Distance to the defect (angstrom) and relative change of every site's spectrum."""
    before, after = (Structure.from_dict(cells[n]["structure"]) for n in ("pristine", name))
    places = defect_places(name, after, cells[name]["meta"])
    reference = rawdata.of_edge(stored["pristine"], edge)
    changed = rawdata.of_edge(stored[name], edge)
    origin = float(reference["core_level_shift_ev"].mean())
    candidates = [int(i) for i in reference["site"].values]
    away, change = [], []
    for channel, site in enumerate(int(i) for i in changed["site"].values):
        here = after[site].frac_coords
        twin = min(
            range(len(candidates)),
            key=lambda c: after.lattice.get_distance_and_image(
                here, before[candidates[c]].frac_coords
            )[0],
        )
        a, b = broadened(reference, twin, origin), broadened(changed, channel, origin)
        away.append(min(after.lattice.get_distance_and_image(here, p)[0] for p in places))
        change.append(np.linalg.norm(b - a) / np.linalg.norm(a))
    return np.array(away), np.array(change)


def defect_places(name, structure, meta):
    """Fractional places of the vacancy, or of the atoms that changed places."""
    if name == "vacancy":
        return [structure.lattice.get_fractional_coords(p) for p in meta["vac_cart_unrelaxed"]]
    wrong = {("Li", "Ni"), ("M", "Li")}
    return [s.frac_coords for s in structure if (s.properties["sub"], s.specie.symbol) in wrong]


def broadened(channels, number, origin_ev):
    """One site with 1 eV Gaussian width (FWHM), on an axis shared by all structures."""
    axis = np.arange(-2.0, 20.0, 0.1)
    centres = (
        channels["energy_ev"].values + float(channels["core_level_shift_ev"][number]) - origin_ev
    )
    kernel = np.exp(-4 * np.log(2) * (axis[:, None] - centres) ** 2)
    return kernel @ channels["intensity"].values[number]


# neighbours end at: the oxygens nearest to the vacancy, the first shell of a vacancy or of the
# atoms that changed places, these atoms themselves
@pytest.mark.parametrize(
    ("name", "edge", "neighbours_end_angstrom"),
    [
        ("vacancy", "O K", 2.75),
        ("vacancy", "Ni L2,3", 2.5),
        ("vacancy", "Li K", 3.0),
        ("antisite", "O K", 2.5),
        ("antisite", "Ni L2,3", 1.0),
        ("antisite", "Li K", 1.0),
    ],
)
def test_a_defect_changes_its_neighbours_more_than_far_sites(
    stored, cells, name, edge, neighbours_end_angstrom
):
    """Medians: the vacancy's electrons also reduce one remote Ni3+, whose edge changes most."""
    away, change = site_changes(stored, cells, name, edge)
    near = change[away < neighbours_end_angstrom]
    far = change[away >= neighbours_end_angstrom]
    assert np.median(near) > 1.2 * np.median(far), (near.round(3), far.round(3))


def test_a_vacancy_reduces_a_remote_nickel_too(stored):
    """Its two electrons: the number of Ni3+ (moment near 1) falls by more than the neighbours'."""
    before, after = (moments(stored[n], "Ni L2,3") for n in ("pristine", "vacancy"))
    assert (after > 1.4).sum() > (before > 1.4).sum()
