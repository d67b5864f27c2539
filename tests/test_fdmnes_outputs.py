"""FDMNES's files read back, from made-up ones that everybody has (tests/reference)."""

from dataclasses import replace

import numpy as np
import pytest
from fdmnes_output import Made, write

from corefuse import config
from corefuse.core.errors import NotConvergedError
from corefuse.engines import fdmnes

ENERGY_EV = np.arange(-5, 46, 0.2).round(1)
WHITE_LINE = 3 * np.exp(-((ENERGY_EV - 4) ** 2)) + (ENERGY_EV > 0)
OXYGEN = Made(
    z=8,
    edge_energy_ev=543.1,
    core_energies_ev=(513.25,),
    energy_ev=ENERGY_EV,
    cross_sections_mbarn={"<xanes>": 2 * WHITE_LINE},
    sets=[(8, [7, 9]), (27, [4, 5, 6]), (8, [8, 10])],
)
COBALT = Made(
    z=27,
    edge_energy_ev=778.1,
    core_energies_ev=(772.49, 757.70),
    energy_ev=ENERGY_EV,
    cross_sections_mbarn={"<xanes>_L2": 1.5 * WHITE_LINE, "<xanes>_L3": 3 * WHITE_LINE},
    sets=[(27, [4, 5, 6]), (3, [1, 2, 3]), (8, [7, 8, 9, 10, 11, 12])],
)


def settings(**changes):
    return config.Fdmnes.model_validate(changes).model_dump(mode="json")


def test_a_k_edge_is_that_of_one_atom_and_counts_from_its_edge(tmp_path):
    write(tmp_path, OXYGEN)
    run = fdmnes.read_run(tmp_path, "O K", 6, settings())
    (found,) = run.absorptions
    assert (found.site, found.multiplicity, found.equivalent_atoms) == (6, 1.0, 2)
    assert found.zero_ev == 543.1
    assert found.spectrum.energy_ev - found.zero_ev == pytest.approx(ENERGY_EV, abs=1e-6)
    mbarn = found.spectrum.cross_section_mbarn[0] / found.equivalent_atoms
    assert mbarn == pytest.approx(WHITE_LINE, rel=1e-6)
    assert found.spectrum.core_energy_ev.tolist() == [513.25]
    assert found.fermi_level_ev == -12.5
    assert (run.log.cycles, run.log.version) == (12, "FDMNES program, made-up revision for tests")


def test_l3_comes_before_l2_however_the_file_has_them(tmp_path):
    write(tmp_path, COBALT)
    (found,) = fdmnes.read_run(tmp_path, "Co L2,3", 3, settings()).absorptions
    l3, l2 = found.spectrum.cross_section_mbarn
    assert l3 == pytest.approx(3 * WHITE_LINE, rel=1e-6)
    assert l2 == pytest.approx(l3 / 2, rel=1e-6)
    assert found.spectrum.core_energy_ev.tolist() == [757.70, 772.49]


def test_one_run_of_a_structure_stands_for_its_set_of_atoms(tmp_path):
    write(tmp_path, COBALT)
    (found,) = fdmnes.read_run(tmp_path, "Co L2,3", None, settings()).absorptions
    assert (found.site, found.multiplicity, found.equivalent_atoms) == (3, 3.0, 3)


def test_sets_of_equivalent_atoms_are_counted_from_zero(tmp_path):
    write(tmp_path, OXYGEN)
    log = fdmnes.read_log(tmp_path / "site_bav.txt", scf=True)
    assert log.sets == {1: (8, [6, 8]), 2: (27, [3, 4, 5]), 3: (8, [7, 9])}
    assert log.atoms("O", 7, None) == [7, 9]
    assert log.atoms("O", None, 1) == [6, 8]
    with pytest.raises(NotConvergedError, match="which atoms are equivalent"):
        log.atoms("O", None, None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"converged": False}, "SCF not converged in 12 cycles, energy changes by 0.289 eV"),
        ({"converged": False, "ended": False}, "where it stopped"),
        ({"converged": False, "cycles": 0}, "before its SCF"),
        ({"ended": False}, "stopped early"),
        ({"energy_ev": ENERGY_EV[:150]}, "eV are asked"),
        ({"cross_sections_mbarn": {"<xanes>": WHITE_LINE * np.nan}}, "holds NaN"),
    ],
)
def test_a_run_that_is_not_whole_is_none(tmp_path, change, reason):
    write(tmp_path, replace(OXYGEN, **change))
    with pytest.raises(NotConvergedError, match=reason):
        fdmnes.read_run(tmp_path, "O K", 6, settings())


def test_occupied_states_are_cut_off(tmp_path):
    """FDMNES's raw spectrum has them; half a step of the axis at the cut is kept."""
    axis = np.arange(-2, 10, 0.1)
    cut = fdmnes.unoccupied(ENERGY_EV, WHITE_LINE + 1, 0.5, axis)
    assert not cut[axis < 0.4].any() and cut[axis > 0.6].all()
