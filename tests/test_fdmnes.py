"""FDMNES: inputs field by field, outputs from ../shared, faults from fake programs.

With `fdmnes` on PATH the runs are real ones too.
"""

import shutil

import numpy as np
import pytest
import xraydb
from programs import ASKS, MISBEHAVIOUR, fake
from pymatgen.core import Element, Lattice, Structure

from corefuse import config, engines
from corefuse.core import rawdata
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.engines import fdmnes
from corefuse.plan import jobs, specs
from corefuse.simulate import limits

EDGES = {"O": "O K", "Mn": "Mn L2,3", "Co": "Co L2,3", "Ni": "Ni L2,3"}
LICOO2 = specs.plan(config.Structures.model_validate({"series": [{"grade": "LiCoO2"}]}))[0]
COBALT = 3  # the first Co of LiCoO2
OURS = ("site", "Absorber", str(COBALT + 1))  # name and absorber that we write


def fields(text):
    """Keyword -> the numbers and words under it, as FDMNES reads them: order and blanks free."""
    found, keyword = {}, None
    for line in filter(None, map(str.strip, text.splitlines())):
        if line[0].isalpha() and not (keyword in ("filout", "edge") and not found[keyword]):
            keyword = line.lower()
            assert keyword not in found
            found[keyword] = []
        else:
            found[keyword] += line.split()
    return found


def structure_of(text):
    """The structure in an FDMNES input."""
    crystal = fields(text)["crystal"]
    cell = [float(x) for x in crystal[:6]]
    atoms = np.array(crystal[6:], dtype=float).reshape(-1, 4)
    return Structure(
        Lattice.from_parameters(*cell),
        [Element.from_Z(int(z)) for z in atoms[:, 0]],
        atoms[:, 1:],
    )


@pytest.fixture(scope="module")
def reference(shared):
    return shared / "reference" / "fdmnes"


def settings(**changes):
    return config.Fdmnes(**changes).model_dump()


@pytest.mark.parametrize("element", EDGES)
def test_the_input_is_that_of_jia_et_al(element, reference):
    """Same keywords, and every number to 1e-6, from the structure in the file alone."""
    text = (reference / f"{element}_in.txt").read_text()
    structure = structure_of(text)
    assert structure.composition.reduced_formula and len(structure) == 40
    ours = fields(fdmnes.input_text(structure, EDGES[element], settings(), None))
    theirs = fields(text)
    assert ours.keys() == theirs.keys()
    for keyword in theirs.keys() - {"filout"}:  # their name for the output
        mine, wanted = ours[keyword], theirs[keyword]
        if keyword == "edge":
            assert mine == wanted
        else:
            assert [float(x) for x in mine] == pytest.approx([float(x) for x in wanted], abs=1e-6)


def test_one_site_differs_from_all_of_its_element_in_the_absorber_only(reference):
    structure = structure_of((reference / "Ni_in.txt").read_text())
    nickel = [i for i, s in enumerate(structure) if s.specie.symbol == "Ni"]
    every = fields(fdmnes.input_text(structure, "Ni L2,3", settings(), None))
    one = fields(fdmnes.input_text(structure, "Ni L2,3", settings(), nickel[2]))
    assert every.pop("z_absorber") == ["28"]
    assert one.pop("absorber") == [str(nickel[2] + 1)]
    assert one == every


@pytest.mark.parametrize(
    ("change", "gone", "new"),
    [
        ({"pbe": False}, {"pbe"}, set()),
        ({"green": True}, set(), {"green"}),
        ({"scf": False}, {"scfexc"}, set()),
        ({"excited": []}, {"excited", "scfexc"}, {"scf", "nonexc"}),
        ({"convolution": False}, {"convolution"}, set()),
        ({"quadrupole": False}, {"quadrupole"}, set()),
        ({"relativism": False}, {"relativism"}, set()),
        ({"energpho": False}, {"energpho"}, set()),
        ({"memory_save": False}, {"memory_save"}, set()),
    ],
)
def test_every_keyword_comes_from_the_config(change, gone, new, reference):
    structure = structure_of((reference / "O_in.txt").read_text())
    plain, changed = (
        fields(fdmnes.input_text(structure, "O K", settings(**c), 20)).keys() for c in ({}, change)
    )
    assert (plain - changed, changed - plain) == (gone, new)


def test_numbers_come_from_the_config(reference):
    structure = structure_of((reference / "O_in.txt").read_text())
    chosen = settings(range_ev=[-4, 0.1, 10, 0.5, 60], radius_angstrom={"O K": 5})
    found = fields(fdmnes.input_text(structure, "O K", chosen, 20))
    assert found["range"] == ["-4", "0.1", "10", "0.5", "60"]
    assert found["radius"] == ["5"]
    assert chosen["radius_angstrom"]["Ni L2,3"] == 6.5  # what is not named keeps its default


# --- outputs ----------------------------------------------------------------------------------


LICOO2 = {"pbe": False, "green": True, "range_ev": [-5, 0.2, 30], "radius_angstrom": {"Co L2,3": 4}}


def job(structure, folder, program, **changes):
    chosen = settings(**LICOO2, **changes, command=program)
    absorber = engines.Absorber("Co L2,3", COBALT)
    made = engines.Job("LiCoO2", structure, ("Co L2,3",), chosen, folder, absorber=absorber)
    fdmnes.ENGINE.begin(made, folder / "begin", folder / "start")
    return made


def copy_of(folder, edit=""):
    """A program that leaves the reference run behind, edited, if its input is ours."""
    body = f"""
text = open('site_in.txt').read().split()
assert open('fdmfile.txt').read().split() == ['1', 'site_in.txt']
assert text[:2] == ['Filout', 'site'] and 'PBE' not in text
for part in ('', '_conv', '_bav'):
    shutil.copyfile('{folder}/LiCoO2_Co' + part + '.txt', 'site' + part + '.txt')
shutil.copyfile('{folder}/stdout.log', 'printed'); print(open('printed').read())
def edit(name, change):
    before = open(name).read()
    open(name, 'w').write(change(before))
{edit}
"""
    return body


@pytest.fixture(scope="module")
def licoo2(reference):
    return structure_of((reference / "licoo2_co_l23" / "Co_in.txt").read_text())


@pytest.fixture(scope="module", params=["fake", "real"])
def raw(request, reference, licoo2, tmp_path_factory):
    """The Co L2,3 edge of LiCoO2, from a program that copies it or from FDMNES itself."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "real":
        program = shutil.which("fdmnes") or pytest.skip("no `fdmnes` on PATH: nothing is run")
    else:
        program = fake(folder / "bin" / "fdmnes", copy_of(reference / "licoo2_co_l23"))
    return engines.simulate(fdmnes.ENGINE, job(licoo2, folder, program), folder / "run")


def test_a_run_follows_the_schema(raw, tmp_path):
    assert (raw.attrs["status"], raw.attrs["reason"]) == ("ok", "")
    assert raw["intensity"].dims == ("channel", "energy") and raw["intensity"].shape[0] == 1
    assert np.diff(raw["energy_ev"]) == pytest.approx(rawdata.STEP_EV)
    assert raw["edge"].values.tolist() == ["Co L2,3"] and raw["site"].values.tolist() == [COBALT]
    assert rawdata.resolves_levels(raw) and not rawdata.holds_all_levels(raw)
    assert float(raw["core_hole_fwhm_ev"][0]) == 0 and not raw["final_state_width"][0]
    assert np.isfinite(raw["intensity"]).all() and float(raw["intensity"].min()) >= 0


def test_a_run_says_which_binary_it_was(raw):
    assert "FDMNES program, Revision" in raw.attrs["binary_version"]
    assert len(raw.attrs["binary_sha256"]) == 64
    assert raw.attrs["binary"].endswith("fdmnes")


def test_energies_and_convergence_are_those_of_the_run(raw):
    """Figures of the reference's `_bav`; a release of one's own comes near them."""
    assert float(raw["edge_energy_ev"][0]) == pytest.approx(778.1)
    assert raw.attrs["scf_iterations"] == pytest.approx(19, abs=15)
    assert float(raw["fermi_level_ev"][0]) == pytest.approx(-12.083, abs=0.5)
    assert float(raw["core_level_shift_ev"][0]) == pytest.approx(757.70, abs=2)
    assert float(raw["l2_offset_ev"][0]) == pytest.approx(14.788, abs=0.2)


def test_occupied_states_are_cut_off(raw):
    energy = raw["energy_ev"].values
    for level in ("intensity", "l2_intensity"):
        assert not raw[level].values[0, energy < -0.03].any()
        assert raw[level].values[0, energy > 0.03].all()


def test_l3_has_twice_the_strength_of_l2(raw):
    """Statistical branching: the final states are the same without spin-orbit coupling."""
    ratio = float(raw["intensity"].sum() / raw["l2_intensity"].sum())
    assert ratio == pytest.approx(2.0, abs=0.12)


@pytest.fixture(scope="module")
def parsed(reference):
    folder = reference / "licoo2_co_l23"
    return (
        fdmnes.read_spectrum(folder / "LiCoO2_Co.txt", ("L3", "L2")),
        fdmnes.read_convoluted(folder / "LiCoO2_Co_conv.txt"),
    )


def test_the_raw_levels_make_the_convolution_of_fdmnes(parsed, reference):
    """Cut, shift of L2 and units are right: they give `_conv.txt` back.

    Each transition above the cut becomes a Lorentzian as wide as `_bav.txt` says at its energy.
    """
    spectrum, (energy, wanted) = parsed
    log = (reference / "licoo2_co_l23" / "LiCoO2_Co_bav.txt").read_text().splitlines()
    start = next(i for i, line in enumerate(log) if "E - E_edge   Width" in line)
    rows = []
    for line in log[start + 1 :]:
        if len(line.split()) != 3 or "=" in line:
            break
        rows.append([float(x) for x in line.split()])
    widths = np.array(rows)
    axis = np.arange(0, 30, 0.05)
    made = np.zeros_like(energy)
    for mbarn, core_ev in zip(spectrum.cross_section_mbarn, spectrum.core_energy_ev, strict=True):
        above = spectrum.energy_ev - spectrum.edge_energy_ev
        density = fdmnes.unoccupied(above, mbarn, spectrum.cut_ev, axis)
        half = np.interp(axis, widths[:, 0], widths[:, 1]) / 2
        centre = axis + spectrum.edge_energy_ev + core_ev - spectrum.core_energy_ev[0]
        distance = energy[:, None] - centre
        made += (density * half / np.pi / (distance**2 + half**2)).sum(1) * 0.05
    inside = (energy > 776) & (energy < 800)
    error = np.sqrt(np.mean((made - wanted)[inside] ** 2)) / wanted[inside].max()
    assert error < 0.03
    assert energy[np.argmax(made)] == pytest.approx(energy[np.argmax(wanted)], abs=0.21)


def test_of_an_energy_that_stands_there_twice_the_last_row_counts(reference, tmp_path):
    path = tmp_path / "site.txt"
    lines = (reference / "licoo2_co_l23" / "LiCoO2_Co.txt").read_text().splitlines()
    again = lines[20].split()[0] + "  9.0  7.0"
    path.write_text("\n".join([*lines[:25], again, *lines[25:]]) + "\n")
    spectrum = fdmnes.read_spectrum(path, ("L3", "L2"))
    assert len(spectrum.energy_ev) == len(lines) - 2
    assert (np.diff(spectrum.energy_ev) > 0).all()
    assert spectrum.cross_section_mbarn[:, 18].tolist() == [7.0, 9.0]


def test_a_release_that_numbers_its_files_is_read(tmp_path):
    for name in ("site_in.txt", "site_12.txt", "site_12_conv.txt", "site_bav.txt"):
        (tmp_path / name).touch()
    assert fdmnes.spectrum_files(tmp_path) == [(12, tmp_path / "site_12.txt")]


def test_a_spectrum_is_that_of_one_atom(raw, parsed):
    """FDMNES has added up three Co; far above the edge one of them absorbs as tables say.

    Far is 15 to 29 eV here, where the fine structure still counts: within a factor of two.
    """
    assert raw["equivalent_atoms"].values.tolist() == [3]
    energy = raw["energy_ev"].values
    both = raw["intensity"].values[0] + raw["l2_intensity"].values[0]
    mbarn_per_g = 58.933 / 6.02214e23 * 1e18  # of cm^2 / g, an atom
    above, below = xraydb.mu_elam("Co", [805.0, 775.0], kind="photo") * mbarn_per_g
    assert 0.5 < both[(energy > 15) & (energy < 29)].mean() / (above - below) < 2


def test_a_release_that_does_not_say_how_many_atoms_it_adds_up(licoo2, reference, tmp_path):
    """Then the log does."""
    raw = simulated("", licoo2, reference, tmp_path)
    edit = "edit('site.txt', lambda t: t.replace('natomsym_f', 'f0'))"
    older = simulated(edit, licoo2, reference, tmp_path)
    assert older["intensity"].equals(raw["intensity"])
    lost = edit + "\nedit('site_bav.txt', lambda t: t.replace('natomsym', ''))"
    reason = simulated(lost, licoo2, reference, tmp_path).attrs["reason"]
    assert reason == "site_bav.txt does not tell which atoms are equivalent"


def test_sets_of_equivalent_atoms_are_read(reference):
    text = (reference / "licoo2_o_k_interrupted" / "LiCoO2_O_bav.txt").read_text()
    wanted = {1: (8, list(range(6, 12))), 2: (3, [0, 1, 2]), 3: (27, [3, 4, 5])}
    assert fdmnes.sets_of_atoms(text) == wanted


def test_an_unnumbered_spectrum_of_an_element_with_two_sets_is_of_nobody():
    log = fdmnes.Log("v", 0, [], {1: (27, [3]), 2: (27, [4, 5]), 3: (8, [6])})
    assert log.atoms("Co", None, 2) == log.atoms("Co", 5, None) == [4, 5]
    assert log.atoms("O", None, None) == [6]
    for site, number in ((None, None), (6, None), (None, 3)):
        with pytest.raises(NotConvergedError, match="does not tell which atoms"):
            log.atoms("Co", site, number)


# One run for all Co, as if FDMNES had found one of them unlike the other two.
ALL_ABSORBERS = """
assert 'Z_absorber' in text and 'Absorber' not in text
def share(number, atoms):
    head, names, *rows = open('site.txt').read().splitlines()
    words = head.split()
    words[14] = '%d.0' % atoms  # natomsym_f
    rows = [r.split() for r in rows]
    rows = ['%s %s %s' % (e, float(a) * atoms / 3, float(b) * atoms / 3) for e, a, b in rows]
    open('site_%d.txt' % number, 'w').write('\\n'.join([' '.join(words), names, *rows]))
share(1, 1); share(2, 2); os.remove('site.txt')
row = '  {}    0.00000000  0.00000000  0.00000000            E     1\\n'.format
block = '   ipr = {:3}, Z = 27, natomsym = {:5}\\n\\n  igr  posx  posy  posz\\n'.format
sets = block(1, 1) + row(5) + '\\n' + block(2, 2) + row(4) + row(6) + '\\n'
edit('site_bav.txt', lambda t: 'FDMNES program\\n' + sets + t[t.index('   ipr =   3, Z =  8'):])
"""


def of_the_structure(edit, licoo2, reference, tmp_path):
    program = fake(tmp_path / "fdmnes", copy_of(reference / "licoo2_co_l23", edit))
    chosen = settings(**LICOO2, command=program, absorbers="structure")
    made = engines.Job("LiCoO2", licoo2, ("Co L2,3", "Ni L2,3"), chosen, tmp_path)
    return engines.simulate(fdmnes.ENGINE, made, tmp_path / "run")


def test_one_run_does_all_absorbers_with_their_multiplicity(licoo2, reference, tmp_path):
    raw = simulated("", licoo2, reference, tmp_path)
    whole = of_the_structure(ALL_ABSORBERS, licoo2, reference, tmp_path)
    assert whole.attrs["reason"] == ""
    assert whole["site"].values.tolist() == [4, 3]
    assert whole["multiplicity"].values.tolist() == [1, 2]
    assert whole["edge"].values.tolist() == ["Co L2,3"] * 2  # there is no Ni in it
    for channel in range(2):
        assert whole["intensity"].values[channel] == pytest.approx(raw["intensity"].values[0], 1e-5)


def test_one_run_of_equivalent_absorbers_is_one_channel(licoo2, reference, tmp_path):
    whole = of_the_structure("", licoo2, reference, tmp_path)
    assert (whole["site"].values.tolist(), whole["multiplicity"].values.tolist()) == ([3], [3])


@pytest.mark.parametrize(("absorbers", "by_site"), [("site", True), ("structure", False)])
def test_the_settings_say_whether_a_run_does_a_site(absorbers, by_site):
    simulation = config.Simulation.model_validate(
        {"edges": {"O K": "fdmnes", "Ni K": "gpaw"}, "fdmnes": {"absorbers": absorbers}}
    )
    assert jobs.by_site(simulation) == ["fdmnes"] * by_site


@pytest.mark.parametrize(
    ("engine", "limited", "sites", "minutes"),
    [
        ("fdmnes", {}, 1, 2 * 60),
        ("fdmnes", {}, 3, 3 * 2 * 60),
        ("fdmnes", {"absorbers": "structure"}, 3, 2 * 2 * 60),  # two edges
        ("feff", {}, 1, 2 * 2 * 60),  # L3 and L2
    ],
)
def test_a_job_may_take_as_long_as_its_runs(engine, limited, sites, minutes):
    """Else the cluster ends what the settings allow, and the sites count as broken."""
    simulation = config.Simulation.model_validate(
        {
            "edges": {"O K": engine, "Ni L2,3": engine},
            "sites": {"sites_per_job": sites},
            engine: {"time_limit_hours": 2} | limited,
        }
    )
    runs = sites if jobs.by_site(simulation) else 1
    asked = jobs.minutes(engine, LICOO2, simulation, runs)
    assert minutes < limits.SHARE * asked < minutes + 1 + engines.SPARE_MINUTES


@pytest.mark.parametrize(
    ("engine", "smaller", "larger"),
    [
        ("fdmnes", {"radius_angstrom": {"Ni L2,3": 5.0}}, {"radius_angstrom": {"Ni L2,3": 8.0}}),
        ("fdmnes", {"green": True}, {"green": False}),
        ("feff", {}, {"fms_radius_angstrom": 9.0, "cluster_radius_angstrom": 9.0}),
        ("feff", {}, {"angular_momentum_max": 4}),
    ],
)
def test_a_job_asks_for_the_memory_of_its_cluster_of_atoms(engine, smaller, larger):
    """A first attempt of the defaults is not ended below what such runs are known to take."""

    def asked_mb(section):
        simulation = config.Simulation.model_validate(
            {"edges": {"O K": engine, "Ni L2,3": engine}, engine: section}
        )
        return jobs.memory_mb(engine, LICOO2, simulation)

    assert asked_mb(smaller) < asked_mb(larger)
    assert asked_mb(larger | {"memory_mb": 1234}) == 1234
    if engine == "fdmnes":
        assert limits.SHARE * asked_mb({}) - limits.SNAKEMAKE_MB > 2200  # a 2.1 GB run was ended


def test_an_scf_for_each_absorber_must_converge(reference, tmp_path):
    text = (reference / "licoo2_co_l23" / "LiCoO2_Co_bav.txt").read_text()
    second = text[text.index(" Cycle   1,") :].replace("Converged !", "")
    (tmp_path / "bav").write_text(text.replace(fdmnes.FAREWELL, "") + second)
    with pytest.raises(NotConvergedError, match="SCF not converged"):
        fdmnes.read_log(tmp_path / "bav", scf=True)


# --- faults -----------------------------------------------------------------------------------


def simulated(edit, licoo2, reference, tmp_path, **changes):
    program = fake(tmp_path / "fdmnes", copy_of(reference / "licoo2_co_l23", edit))
    return engines.simulate(
        fdmnes.ENGINE, job(licoo2, tmp_path, program, **changes), tmp_path / "run"
    )


FAULTS = {
    "cut after some rows": (
        "edit('site.txt', lambda t: '\\n'.join(t.splitlines()[:60]))",
        r"cut short at 6.4 eV above E_F, 30 eV are asked",
    ),
    "cut in a row": (
        "edit('site.txt', lambda t: t[:t.index('1.1466006E+02')])",
        "cut short in row",
    ),
    "no rows": ("edit('site.txt', lambda t: t.split('Energy')[0])", "cut short"),
    "an empty file": ("open('site.txt', 'w').close()", "cut short"),
    "no spectrum": ("os.remove('site.txt')", "wrote no spectrum"),
    "no convolution": ("os.remove('site_conv.txt')", "wrote no site_conv.txt"),
    "NaN": (
        "edit('site.txt', lambda t: t.replace('1.1466006E+02', '          NaN'))",
        r"site.txt holds NaN at 776.700 eV",
    ),
    "NaN in the convolution": (
        "edit('site_conv.txt', lambda t: t.replace('2.5382122E-01', 'NaN'))",
        r"site_conv.txt holds NaN at 773.300 eV",
    ),
    "stars": (
        "edit('site.txt', lambda t: t.replace('1.1466006E+02', '*************'))",
        r"can't be read",
    ),
    "a K edge in place of L2,3": (
        "edit('site.txt', lambda t: t.replace('<xanes>_L2', '<xanes>').replace('_L3', '_a'))",
        r"not <xanes>_L3 <xanes>_L2",
    ),
    "SCF not converged": (
        "edit('site_bav.txt', lambda t: t.replace('1.098 <', '1.598 >').replace('Converged', ''))",
        r"SCF not converged in 19 cycles, energy changes by 1.598 eV, more than 1.200$",
    ),
    "ended early": (
        "edit('site_bav.txt', lambda t: t.replace('Have a beautiful day !', ''))",
        "FDMNES stopped early",
    ),
    "an error of its own": (
        "open('fdmnes_error.txt', 'w').write('a\\nb\\nc\\n\\n Two atoms are too close\\n')",
        "FDMNES: Two atoms are too close",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_run_is_its_result(fault, licoo2, reference, tmp_path):
    edit, reason = FAULTS[fault]
    raw = simulated(edit, licoo2, reference, tmp_path)
    assert raw.attrs["status"] == "failed"
    assert len(raw.attrs["binary_sha256"]) == 64  # what failed is known, too
    with pytest.raises(NotConvergedError, match=reason):
        raise NotConvergedError(raw.attrs["reason"])


@pytest.mark.parametrize("kind", MISBEHAVIOUR)
def test_a_program_that_misbehaves(kind, licoo2, tmp_path):
    body, reason = MISBEHAVIOUR[kind]
    made = job(licoo2, tmp_path, fake(tmp_path / "fdmnes", body), time_limit_hours=1 / 3600)
    with pytest.raises(NotConvergedError, match=reason):
        raise NotConvergedError(
            engines.simulate(fdmnes.ENGINE, made, tmp_path / "run").attrs["reason"]
        )


def test_a_run_that_was_killed_in_its_scf_says_how_far_it_came(licoo2, reference, tmp_path):
    killed = reference / "licoo2_o_k_interrupted" / "LiCoO2_O_bav.txt"
    edit = f"shutil.copyfile('{killed}', 'site_bav.txt'); os.remove('site.txt'); sys.exit(1)"
    raw = simulated(edit, licoo2, reference, tmp_path)
    assert "ended with exit code 1" in raw.attrs["reason"]
    with pytest.raises(NotConvergedError, match=r"in 7 cycles.* 4015.067 eV.*where it stopped"):
        fdmnes.read_log(killed, scf=True)


def test_a_keyword_it_does_not_know_stops_the_run_with_the_fix(licoo2, reference, tmp_path):
    error = reference / "error_unknown_keyword" / "fdmnes_error.txt"
    with pytest.raises(InputError, match=r"fdmnes.pbe: .*Fix: set pbe: false"):
        simulated(f"shutil.copyfile('{error}', 'fdmnes_error.txt')", licoo2, reference, tmp_path)
    with pytest.raises(InputError, match="does not understand the line 'Memory_sav'"):
        fdmnes.refuse(error.read_text().replace("PBE", "Memory_sav"))


def test_a_missing_binary_stops_the_run_with_the_fix(licoo2, tmp_path):
    made = job(licoo2, tmp_path, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"simulation.fdmnes.command: no program.*install FDMNES"):
        engines.simulate(fdmnes.ENGINE, made, tmp_path / "run")


@pytest.mark.parametrize("body", ASKS)
def test_a_licence_prompt_stops_the_run(body, licoo2, tmp_path):
    made = job(licoo2, tmp_path, fake(tmp_path / "fdmnes", body))
    with pytest.raises(InputError, match="asks for a licence"):
        engines.simulate(fdmnes.ENGINE, made, tmp_path / "run")


def test_what_it_printed_is_the_log(licoo2, reference, tmp_path):
    simulated("", licoo2, reference, tmp_path)
    assert "Threshold: Cobalt L23 edge" in fdmnes.ENGINE.read_log(tmp_path / "run")
    assert fdmnes.ENGINE.read_log(tmp_path / "nowhere") == ""


def test_what_a_killed_run_has_left_is_no_result(licoo2, reference, tmp_path):
    assert simulated("", licoo2, reference, tmp_path).attrs["status"] == "ok"
    again = simulated("os.remove('site.txt')", licoo2, reference, tmp_path)
    assert again.attrs["reason"] == "FDMNES wrote no spectrum"
    (tmp_path / "run" / "fdmnes_error.txt").write_text("of before")
    assert simulated("", licoo2, reference, tmp_path).attrs["status"] == "ok"
