"""FEFF: inputs field by field, outputs from ../shared, faults from fake programs.

With `feff` on PATH the runs are real ones too.
"""

import re
import shutil

import numpy as np
import pytest
from programs import ASKS, MISBEHAVIOUR, fake
from pymatgen.core import Lattice, Structure

from corefuse import config, engines
from corefuse.core import rawdata
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.engines import feff

# How the reference runs differ from the defaults.
AS_REFERENCE = {"cluster_radius_angstrom": 5.5, "scf_max_steps": 30, "k_max_per_angstrom": 5}
RUNS = {"o_k_scf": (20, "K"), "o_k_nonscf": (20, "K"), "ni_l3_scf": (14, "L3")}


def settings(**changes):
    return config.Feff(**AS_REFERENCE | changes).model_dump()


def parts(text):
    """Cards {name: numbers and words}, potentials {number: (Z, l, l, stoichiometry)}, atoms."""
    cards, potentials, atoms, section = {}, {}, [], None
    for words in map(str.split, text.splitlines()):
        if words[0] in ("POTENTIALS", "ATOMS"):
            section = words[0]
        elif words[0] == "END":
            break
        elif section == "POTENTIALS":
            potentials[words[0]] = (words[2], *map(float, (words[1], *words[3:])))
        elif section == "ATOMS":
            atoms.append((potentials[words[3]][0], *map(float, (*words[:3], words[5]))))
        else:
            cards[words[0]] = [w if w[0].isalpha() else float(w) for w in words[1:]]
    return cards, potentials, atoms


@pytest.fixture(scope="module")
def reference(shared):
    return shared / "reference" / "feff10"


@pytest.fixture(scope="module")
def nmc(shared):
    """The 40-atom cell of the reference runs."""
    return Structure.from_file(shared / "reference" / "gpaw" / "nmc40.vasp")


@pytest.mark.parametrize("run", RUNS)
def test_the_input_is_that_of_the_reference(run, nmc, reference):
    site, level = RUNS[run]
    changes = {} if run.endswith("_scf") else {"scf_radius_angstrom": None}
    text = feff.input_text(nmc, site, level, settings(**changes))
    cards, potentials, atoms = parts(text)
    wanted_cards, wanted_potentials, wanted_atoms = parts(
        (reference / run / "feff.inp").read_text()
    )
    assert cards == wanted_cards
    assert potentials["0"] == wanted_potentials["0"]
    assert sorted(potentials.values()) == sorted(wanted_potentials.values())
    assert len(atoms) == len(wanted_atoms) == 81
    assert [a[0] for a in atoms[:3]] == [a[0] for a in wanted_atoms[:3]]
    assert closest(atoms, wanted_atoms) < 2e-5  # both files have rounded numbers


def closest(atoms, wanted):
    """Farthest that an atom is from one of its element in the other cluster (angstrom)."""
    worst = 0.0
    for element, *place, _ in atoms:
        same = np.array([w[1:4] for w in wanted if w[0] == element])
        worst = max(worst, np.linalg.norm(same - place, axis=1).min())
    return worst


def test_the_stoichiometry_is_that_of_the_cell_and_neutral(nmc):
    _, potentials, _ = parts(feff.input_text(nmc, 20, "K", settings()))
    counts = {p[0]: p[-1] for number, p in potentials.items() if number != "0"}
    assert counts == {"O": 20, "Li": 10, "Ni": 6, "Mn": 2, "Co": 2}
    charges = {"O": -2, "Li": 1, "Ni": 3, "Mn": 3, "Co": 3}
    assert sum(counts[e] * charges[e] for e in counts) == 0
    assert potentials["0"][-1] == 0.001


def test_an_absorber_alone_in_its_cluster_counts_itself():
    cell = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(8.0), ["Ni", "O"], [[0, 0, 0], [0.25, 0, 0]]
    )
    small = settings(cluster_radius_angstrom=5.5)
    _, potentials, _ = parts(feff.input_text(cell, 0, "L3", small))
    assert [(p[0], p[-1]) for p in potentials.values()] == [("Ni", 1), ("O", 6)]


def test_the_elnes_card_has_beam_and_angles(nmc):
    elnes = {"beam_energy_kev": 200, "collection_mrad": 5.5, "convergence_mrad": 1.2}
    lines = feff.input_text(nmc, 20, "K", settings(elnes=elnes)).splitlines()
    start = lines.index("ELNES 5 0.07 0.1")
    assert lines[start + 1 : start + 5] == ["200 1 0 1", "5.5 1.2", "5 3", "0.0 0.0"]
    assert not any(line.startswith("XANES") for line in lines)


def test_the_cluster_must_hold_what_scatters():
    with pytest.raises(ValueError, match=r"5 A is smaller than the FMS or SCF radius of 5.5 A"):
        config.Feff(cluster_radius_angstrom=5)


# --- outputs ----------------------------------------------------------------------------------


def test_edge_energy_fermi_level_and_width_are_those_of_the_header(reference):
    oxygen = feff.read_level(reference / "o_k_scf", settings())
    nickel = feff.read_level(reference / "ni_l3_scf", settings())
    assert (oxygen.edge_energy_ev, oxygen.fermi_level_ev) == pytest.approx((534.858, -12.34), 1e-5)
    assert (nickel.edge_energy_ev, nickel.fermi_level_ev) == pytest.approx((856.450, -12.97), 1e-5)
    assert (oxygen.core_hole_fwhm_ev, nickel.core_hole_fwhm_ev) == (0.1559, 0.55)
    assert oxygen.version == "FEFF 10.0.0"


def test_the_cross_section_is_in_mbarn(reference):
    """FEFF's unit is mu 50 eV above the edge: there, mu and the header's number are the same."""
    level = feff.read_level(reference / "ni_l3_scf", settings())
    at_50 = np.interp(50, level.energy_ev, level.cross_section_mbarn)
    assert at_50 == pytest.approx(0.75194, rel=0.1)


def test_without_scf_the_pre_edge_is_gone(reference):
    """What the reference runs were made to show: O K needs self-consistent potentials.

    With them a peak of its own, a gap of 3 eV, and the main band 10 eV on; without, none of these.
    """
    depth, main = {}, {}
    for run in ("o_k_scf", "o_k_nonscf"):
        level = feff.read_level(reference / run, settings())
        energy, mbarn = level.energy_ev, level.cross_section_mbarn
        depth[run] = mbarn[(energy > 1.5) & (energy < 5)].min() / mbarn[energy < 3].max()
        main[run] = mbarn[(energy > 8) & (energy < 14)].max()
    assert depth["o_k_scf"] < 0.05 < 0.4 < depth["o_k_nonscf"]
    assert main["o_k_nonscf"] < main["o_k_scf"] / 3


@pytest.mark.parametrize(("run", "iterations"), [("o_k_scf", 25), ("ni_l3_scf", 28)])
def test_convergence_is_read_from_the_log(run, iterations, reference):
    assert feff.read_convergence(reference / run / "log1.dat", 4.0) == iterations


def test_a_run_without_scf_has_no_iterations(reference):
    assert feff.read_convergence(reference / "o_k_nonscf" / "log1.dat", None) == 0
    with pytest.raises(NotConvergedError, match="SCF not converged in 0 iterations"):
        feff.read_convergence(reference / "o_k_nonscf" / "log1.dat", 4.0)


@pytest.mark.parametrize(
    ("words", "iterations"),
    [("Convergence reached", 27), ("Convergence reached in iteration 25", 25)],
)
def test_the_log_of_feff_9_is_read(words, iterations, reference, tmp_path):
    """Its wording may differ; it counts its iterations in the same lines."""
    text = (reference / "o_k_scf" / "log1.dat").read_text()
    text = text.replace("Convergence reached in   25 iterations.", words)
    text = re.sub(r"(SCF ITERATION NUMBER +\d+)", r"\1  OUT OF  30", text)
    text = re.sub(r"New Fermi level: +mu= *(\S+) eV.*", r" mu_new= \1", text)
    (tmp_path / "log1.dat").write_text(text)
    assert feff.read_convergence(tmp_path / "log1.dat", 4.0) == iterations
    (tmp_path / "log1.dat").write_text(text.replace(words, ":WARNING Convergence not reached;"))
    with pytest.raises(NotConvergedError, match=r"SCF not converged in 27 iterations$"):
        feff.read_convergence(tmp_path / "log1.dat", 4.0)


def test_the_spectrum_of_feff_9_is_read(reference, tmp_path):
    """Its header has one # less and another name; the columns are the same."""
    text = (reference / "o_k_scf" / "xmu.dat").read_text()
    older = re.sub(r"^# # ", "# ", text, flags=re.MULTILINE).replace("FEFF 10.0.0", "Feff 9.6.4")
    (tmp_path / "xmu.dat").write_text(older)
    ten, nine = (feff.read_level(f, settings()) for f in (reference / "o_k_scf", tmp_path))
    assert (ten.version, nine.version) == ("FEFF 10.0.0", "Feff 9.6.4")
    assert nine.cross_section_mbarn.tolist() == ten.cross_section_mbarn.tolist()
    assert (nine.edge_energy_ev, nine.fermi_level_ev) == (ten.edge_energy_ev, ten.fermi_level_ev)


def test_scf_without_convergence_says_how_far_it_came(reference, tmp_path):
    text = (reference / "o_k_scf" / "log1.dat").read_text()
    (tmp_path / "log1.dat").write_text(text[: text.index("SCF ITERATION NUMBER 10")])
    with pytest.raises(
        NotConvergedError, match=r"in 11 iterations, charges still change by 0.1129"
    ):
        feff.read_convergence(tmp_path / "log1.dat", 4.0)


# --- runs -------------------------------------------------------------------------------------

COPY = """
text = open('feff.inp').read()
level = text.split()[1]
run = {'K': 'o_k_scf', 'L3': 'ni_l3_scf', 'L2': 'ni_l3_scf'}[level]
for name in ('xmu.dat', 'log1.dat'):
    shutil.copyfile('REFERENCE/' + run + '/' + name, name)
def edit(name, change):
    before = open(name).read()
    open(name, 'w').write(change(before))
if level == 'L2':  # a run that is not among the references: half of L3, 17.3 eV higher
    edit('xmu.dat', lambda t: '\\n'.join(
        '%f %s' % (float(l.split()[0]) + 17.3, ' '.join(l.split()[1:])) if l[:2] == '  ' else
        l.replace('7.5194E-03', '3.7597E-03').replace('5.500E-01', '9.500E-01')
        for l in t.splitlines()))
EDIT
"""


def copy_of(reference, edit=""):
    return COPY.replace("REFERENCE", str(reference)).replace("EDIT", edit)


def job(structure, folder, program, edge="O K", **changes):
    chosen = settings(command=program, **changes)
    absorber = engines.Absorber(edge, {"O K": 20, "Ni L2,3": 14}[edge])
    made = engines.Job("nmc", structure, (edge,), chosen, folder, absorber=absorber)
    feff.ENGINE.begin(made, folder / "begin", folder / "start")
    return made


def simulated(edit, nmc, reference, tmp_path, edge="O K", **changes):
    program = fake(tmp_path / "feff", copy_of(reference, edit))
    made = job(nmc, tmp_path, program, edge, **changes)
    return engines.simulate(feff.ENGINE, made, tmp_path / "run")


@pytest.fixture(scope="module", params=["fake", "real"])
def raw(request, nmc, reference, tmp_path_factory):
    """The O K edge of the cell, from a program that copies it or from FEFF itself."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "fake":
        return simulated("", nmc, reference, folder)
    program = shutil.which("feff") or pytest.skip("no `feff` on PATH: nothing is run")
    return engines.simulate(feff.ENGINE, job(nmc, folder, program), folder / "run")


def test_a_run_follows_the_schema(raw):
    assert (raw.attrs["status"], raw.attrs["reason"]) == ("ok", "")
    assert raw["intensity"].shape == (1, raw.sizes["energy"])
    assert np.diff(raw["energy_ev"]) == pytest.approx(rawdata.STEP_EV)
    assert raw["edge"].values.tolist() == ["O K"] and raw["site"].values.tolist() == [20]
    assert rawdata.resolves_levels(raw) and not rawdata.holds_all_levels(raw)
    assert not raw["l2_intensity"].any() and float(raw["l2_offset_ev"][0]) == 0
    assert np.isfinite(raw["intensity"]).all() and float(raw["intensity"].min()) >= 0


def test_a_run_says_which_binary_it_was(raw):
    assert raw.attrs["binary_version"].startswith("FEFF ")
    assert len(raw.attrs["binary_sha256"]) == 64
    assert raw.attrs["binary"].endswith("feff")


def test_energies_and_convergence_are_those_of_the_run(raw):
    assert float(raw["core_level_shift_ev"][0]) == pytest.approx(534.858, abs=0.5)
    assert float(raw["fermi_level_ev"][0]) == pytest.approx(-12.34, abs=0.5)
    assert raw.attrs["scf_iterations"] == pytest.approx(25, abs=15)
    assert float(raw["core_hole_fwhm_ev"][0]) == pytest.approx(0.156, abs=0.05)
    assert bool(raw["final_state_width"][0])  # Hedin-Lundqvist is lossy


def test_the_pre_edge_is_the_strongest_peak(raw):
    assert float(raw["energy_ev"][int(raw["intensity"][0].argmax())]) == pytest.approx(
        0.67, abs=0.3
    )


def test_a_real_potential_leaves_the_lifetime_to_us(nmc, reference, tmp_path):
    raw = simulated("", nmc, reference, tmp_path, exchange=2)
    assert not raw["final_state_width"][0]


def test_l3_and_l2_are_run_together(nmc, reference, tmp_path):
    raw = simulated("", nmc, reference, tmp_path, "Ni L2,3")
    cards = [(tmp_path / "run" / x / "feff.inp").read_text().split()[1] for x in ("L3", "L2")]
    assert cards == ["L3", "L2"]
    assert raw.sizes["channel"] == 1 and raw["edge"].values.tolist() == ["Ni L2,3"]
    assert float(raw["core_level_shift_ev"][0]) == pytest.approx(856.450, abs=1e-3)
    assert float(raw["l2_offset_ev"][0]) == pytest.approx(17.3, abs=1e-3)
    assert float(raw["intensity"].sum() / raw["l2_intensity"].sum()) == pytest.approx(2, rel=1e-3)
    widths = raw["core_hole_fwhm_ev"].values[0], raw["l2_core_hole_fwhm_ev"].values[0]
    assert widths == (0.55, 0.95)


EELS = """
os.rename('xmu.dat', 'xmu10.dat')
rows = [l.split() for l in open('xmu10.dat') if l[:2] == '  ']
with open('eels.dat', 'w') as out:
    print('#  Energy       total         atomic-bg     fine-struct', file=out)
    for r in rows:
        print('%10.2f %E 0 0' % (float(r[0]), 1e-9 * float(r[3])), file=out)
"""


def test_with_elnes_the_spectrum_is_that_of_the_electrons(nmc, reference, tmp_path):
    """FEFF 10.0.0 leaves `eels.dat` in bohr^2 / eV, and `xmu10.dat` for the rest."""
    elnes = {"beam_energy_kev": 300}
    loss = simulated(EELS, nmc, reference, tmp_path / "eels", elnes=elnes)
    xas = simulated("", nmc, reference, tmp_path / "xas")
    scale = 1e-9 * feff.MBARN_PER_SQUARE_BOHR / 0.45772
    assert loss["intensity"].values == pytest.approx(
        scale * xas["intensity"].values, abs=0.05 * scale
    )
    assert loss["intensity"].attrs["units"] == "Mbarn/eV"
    missing = simulated(
        "os.rename('xmu.dat', 'xmu10.dat')", nmc, reference, tmp_path / "no", elnes=elnes
    )
    assert "ended without eels.dat" in missing.attrs["reason"]


@pytest.fixture
def small():
    """Runs FEFF itself on NiO, small and without SCF: seconds."""
    if not shutil.which("feff"):
        pytest.skip("no `feff` on PATH: nothing is run")
    oxide = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.18), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    radii = {"cluster_radius_angstrom": 4.5, "fms_radius_angstrom": 4.0}

    def simulate(folder, edge="O K", **changes):
        chosen = settings(**{"scf_radius_angstrom": None} | radii | changes)
        absorber = engines.Absorber(edge, {"O K": 4, "Ni L2,3": 0}[edge])
        made = engines.Job("NiO", oxide, (edge,), chosen, folder, absorber=absorber)
        return engines.simulate(feff.ENGINE, made, folder / "run")

    return simulate


def test_small_angles_of_real_elnes_are_xas(small, tmp_path):
    """The dipole limit: momentum transfer is small beside the inverse of the core's radius."""
    elnes = {"beam_energy_kev": 300, "collection_mrad": 5, "convergence_mrad": 1}
    xas = small(tmp_path / "xas")["intensity"].values[0]
    loss = small(tmp_path / "loss", elnes=elnes)["intensity"].values[0]
    xas, loss = xas / xas.sum(), loss / loss.sum()
    assert np.linalg.norm(loss - xas) < 0.03 * np.linalg.norm(xas)


def test_real_l3_and_l2_are_two_edges(small, tmp_path):
    raw = small(tmp_path, "Ni L2,3")
    assert float(raw["l2_offset_ev"][0]) == pytest.approx(17.3, abs=0.5)
    assert 1.8 < float(raw["intensity"].sum() / raw["l2_intensity"].sum()) < 2.4


def test_a_real_scf_that_runs_out_of_steps(small, tmp_path):
    raw = small(tmp_path, scf_radius_angstrom=3.0, scf_max_steps=2)
    assert raw.attrs["reason"].startswith("SCF not converged in ")


FAULTS = {
    "cut after some rows": (
        "edit('xmu.dat', lambda t: '\\n'.join(t.splitlines()[:80]))",
        "xmu.dat is cut short at .* 1/A, 5 are asked",
    ),
    "cut in a row": (
        "edit('xmu.dat', lambda t: t[:t.index('8.9171848953E-01')])",
        "cut short in row",
    ),
    "cut in the header": ("edit('xmu.dat', lambda t: t[:700])", "no spectrum"),
    "an empty file": ("open('xmu.dat', 'w').close()", "no spectrum"),
    "a header without normalisation": (
        "edit('xmu.dat', lambda t: t.replace('used to normalize', ''))",
        "header lacks 'used to normalize mu'",
    ),
    "no spectrum": ("os.remove('xmu.dat')", "feff ended without xmu.dat"),
    "no log": ("os.remove('log1.dat')", "wrote no log1.dat"),
    "NaN": (
        "edit('xmu.dat', lambda t: t.replace('8.9171848953E-01', '             NaN'))",
        "xmu.dat holds NaN at 534.858",
    ),
    "stars": (
        "edit('xmu.dat', lambda t: t.replace('8.9171848953E-01', '****************'))",
        "can't be read",
    ),
    "SCF not converged": (
        "edit('log1.dat', lambda t: t.replace('Convergence reached', 'No'))",
        "SCF not converged in 27 iterations, charges still change by 0.0000",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_run_is_its_result(fault, nmc, reference, tmp_path):
    edit, reason = FAULTS[fault]
    raw = simulated(edit, nmc, reference, tmp_path)
    assert raw.attrs["status"] == "failed"
    assert len(raw.attrs["binary_sha256"]) == 64  # what failed is known, too
    with pytest.raises(NotConvergedError, match=reason):
        raise NotConvergedError(raw.attrs["reason"])


@pytest.mark.parametrize("kind", MISBEHAVIOUR)
def test_a_program_that_misbehaves(kind, nmc, tmp_path):
    body, reason = MISBEHAVIOUR[kind]
    made = job(nmc, tmp_path, fake(tmp_path / "feff", body), time_limit_hours=1 / 3600)
    with pytest.raises(NotConvergedError, match=reason):
        raise NotConvergedError(
            engines.simulate(feff.ENGINE, made, tmp_path / "run").attrs["reason"]
        )


def test_modules_run_one_after_the_other(nmc, reference, tmp_path):
    first = fake(tmp_path / "rdinp", "print('reading'); open('geom.dat', 'w').close()")
    rest = fake(tmp_path / "ff2x", "assert os.path.exists('geom.dat')\n" + copy_of(reference))
    raw = engines.simulate(feff.ENGINE, job(nmc, tmp_path, [first, rest]), tmp_path / "run")
    assert raw.attrs["status"] == "ok"
    assert len(raw.attrs["binary_sha256"].split()) == 2
    assert feff.ENGINE.read_log(tmp_path / "run").strip() == "reading"


def test_a_missing_binary_stops_the_run_with_the_fix(nmc, tmp_path):
    made = job(nmc, tmp_path, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"simulation.feff.command: no program.*install FEFF"):
        engines.simulate(feff.ENGINE, made, tmp_path / "run")


@pytest.mark.parametrize("body", ASKS)
def test_a_licence_prompt_stops_the_run(body, nmc, tmp_path):
    made = job(nmc, tmp_path, fake(tmp_path / "feff", body))
    with pytest.raises(InputError, match="asks for a licence"):
        engines.simulate(feff.ENGINE, made, tmp_path / "run")


def test_what_a_killed_run_has_left_is_no_result(nmc, reference, tmp_path):
    assert simulated("", nmc, reference, tmp_path).attrs["status"] == "ok"
    again = simulated("os.remove('log1.dat')", nmc, reference, tmp_path)
    assert "wrote no log1.dat" in again.attrs["reason"]
