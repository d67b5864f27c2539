"""The multiplet engine on real structures, and later stages on the files of two engines."""

import json
import re
from pathlib import Path

import mn_references
import numpy as np
import pytest
import rawdata as synthetic
from pymatgen.core import Structure
from scipy.ndimage import gaussian_filter1d

from corefuse import config, engines
from corefuse.bench import oracle
from corefuse.core import edge_table, rawdata
from corefuse.core import spectrum as grids
from corefuse.core.errors import InputError
from corefuse.engines.multiplet import engine, ions, ligand_field, solver
from corefuse.plan import jobs
from corefuse.spectra import broadening, calibration, process
from corefuse.spectra.features import feature_energy

EDGES = ("Mn L2,3", "Co L2,3", "Ni L2,3")
SETTINGS = config.Multiplet(charge_transfer=False).model_dump()
L3_SHARE = {"Mn": (0.50, 0.68), "Co": (0.62, 0.85), "Ni": (0.62, 0.80)}


@pytest.fixture(scope="module")
def cell(shared):
    """Ni, Mn and Co sites of NMC622 with an oxygen vacancy, relaxed with CHGNet."""
    path = shared / "reference" / "structures" / "r2scan_NMC622_x1.0_vacancy.json"
    structure = Structure.from_dict(json.loads(path.read_text())["structure"])
    structure.add_site_property("role", ["here"] * len(structure))
    return structure


def simulate(structure, folder, settings=SETTINGS, raw=None, edges=EDGES):
    job = engines.Job("cell", structure, edges, settings, folder / "shared", raw or {})
    return engines.simulate(engine.ENGINE, job, folder / "job")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("multiplet")


@pytest.fixture(scope="module")
def raw(cell, folder):
    return simulate(cell, folder)


def test_every_metal_site_has_one_channel_of_the_contract(raw, cell):
    assert raw.attrs["status"] == "ok", raw.attrs["reason"]
    metals = [i for i, s in enumerate(cell) if s.specie.symbol in ("Mn", "Co", "Ni")]
    assert raw["site"].values.tolist() == metals
    assert raw["intensity"].dims == ("channel", "energy")
    assert raw["dos"].dims == ("channel", "l", "energy")
    assert set(raw["role"].values) == {"here"}
    assert np.diff(raw["energy_ev"]) == pytest.approx(rawdata.STEP_EV)
    assert float(raw["intensity"].min()) > -1e-9
    assert rawdata.holds_all_levels(raw)


def test_sites_beside_the_vacancy_have_five_neighbours(cell):
    metals = [i for i, s in enumerate(cell) if s.specie.symbol in ("Mn", "Co", "Ni")]
    numbers = [len(engine.oxygen_vectors(cell, i, 2.7)) for i in metals]
    assert numbers.count(5) == 3
    assert numbers.count(6) == len(metals) - 3


def test_valences_come_from_the_moments(raw):
    found = list(json.loads(raw.attrs["ions"]).values())
    assert raw.attrs["moments_from"] == "chgnet"
    assert set(found) == {"Mn4+", "Co3+", "Ni2+", "Ni3+"}
    assert found.count("Ni3+") == 1


def test_each_ion_stands_at_its_measured_l3_and_has_its_own_branching(raw):
    table = ions.load()
    for channel in range(raw.sizes["channel"]):
        one = raw.isel(channel=channel)
        ion = table.ions[json.loads(raw.attrs["ions"])[str(int(one["site"]))]]
        assert float(one["core_level_shift_ev"]) == pytest.approx(ion.l3_maximum_ev)
        energy, intensity = one["energy_ev"].values, one["intensity"].values
        l3 = energy < float(one["l2_start_ev"])
        low, high = L3_SHARE[str(one["element"].values)]
        assert low < intensity[l3].sum() / intensity.sum() < high
        centre = (energy[l3] @ intensity[l3]) / intensity[l3].sum()
        assert abs(centre) < 3


def test_the_dos_counts_the_3d_holes(raw):
    holes = raw["dos"].sum("energy").values * rawdata.STEP_EV
    nominal = [10 - ions.load().ions[n].n_d for n in json.loads(raw.attrs["ions"]).values()]
    assert holes[:, 2] == pytest.approx(nominal, rel=1e-3)
    assert not holes[:, :2].any()


def test_a_vacancy_changes_its_neighbour(raw, cell):
    manganese = rawdata.of_edge(raw, "Mn L2,3")
    numbers = [len(engine.oxygen_vectors(cell, int(i), 2.7)) for i in manganese["site"]]
    assert sorted(numbers) == [5, 6]
    five, six = (manganese["intensity"].values[numbers.index(n)] for n in (5, 6))
    kernel = np.exp(-4 * np.log(2) * (np.arange(-40, 41) * rawdata.STEP_EV / 0.6) ** 2)
    five, six = (np.convolve(x, kernel, "same") for x in (five, six))
    assert np.linalg.norm(five - six) > 0.03 * np.linalg.norm(six)


def test_what_was_solved_is_not_solved_again(raw, cell, folder, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("solved again")

    monkeypatch.setattr(engine.multiplet, "solve", refuse)
    job = engines.Job("again", cell, EDGES, SETTINGS, folder / "shared")
    again = engines.simulate(engine.ENGINE, job, tmp_path / "job")
    assert again.attrs["cache_hits"] == again.sizes["channel"]
    assert again["intensity"].values == pytest.approx(raw["intensity"].values)


def test_sites_that_differ_in_direction_only_are_solved_once(tmp_path, monkeypatch):
    """The four Mn of LaMnO3 are turned against each other; one more solution is the L3 of Mn3+."""
    solved = []
    solve = solver.solve
    monkeypatch.setattr(
        engine.multiplet, "solve", lambda *a, **k: solved.append(a) or solve(*a, **k)
    )
    crystal = mn_references.compounds()["LaMnO3"].crystal
    for name, turned in (("as is", crystal), ("turned", crystal.copy())):
        if name == "turned":
            turned.apply_operation(_rotation())
        job = engines.Job(name, turned, ("Mn L2,3",), SETTINGS, tmp_path / "shared")
        raw = engines.simulate(engine.ENGINE, job, tmp_path / name)
        assert raw.sizes["channel"] == 4
        assert len(solved) == 2


def test_another_parameter_is_another_problem(cell, folder, tmp_path):
    changed = SETTINGS | {"ions": {"Co3+": {"ten_dq_crystal_field_ev": 2.5}}}
    job = engines.Job("changed", cell, ("Co L2,3",), changed, folder / "shared")
    assert engines.simulate(engine.ENGINE, job, tmp_path / "job").attrs["cache_hits"] == 0


def gpaw_like(cell, moments, shifts, dos=None):
    made = synthetic.dataset([synthetic.channel("O K", {1.5: 1.0, 12.0: 3.0, 14.0: 3.0})], "cell")
    return rawdata.with_atoms(made, moments, shifts, dos)


def test_gpaw_moments_win_and_its_core_level_shifts_are_left_out(cell, folder, tmp_path):
    symbols = [s.specie.symbol for s in cell]
    moments = [{"Mn": 3.0, "Ni": -1.7, "Co": 0.1}.get(s, 0.0) for s in symbols]
    manganese = [i for i, s in enumerate(symbols) if s == "Mn"]
    shifts = [-20.0] * len(cell)
    shifts[manganese[0]], shifts[manganese[1]] = -30.1, -29.9
    job = engines.Job(
        "cell",
        cell,
        EDGES,
        SETTINGS,
        folder / "shared",
        {"gpaw": gpaw_like(cell, moments, shifts)},
    )
    raw = engines.simulate(engine.ENGINE, job, tmp_path / "job")
    assert raw.attrs["moments_from"] == "gpaw"
    assert set(json.loads(raw.attrs["ions"]).values()) == {"Mn4+", "Co3+", "Ni2+"}
    placed = rawdata.of_edge(raw, "Mn L2,3")["core_level_shift_ev"].values
    assert placed == pytest.approx(ions.load().ions["Mn4+"].l3_maximum_ev)


def test_later_stages_take_a_k_edge_from_gpaw_and_l_edges_from_multiplets(raw, cell, root):
    table = edge_table.load(root / "resources" / "edges.yaml")
    settings = config.Spectra(
        techniques={"XAS": {"gaussian_fwhm_ev": 0.4, "edges": ["O K", *EDGES]}}
    )
    both = {"gpaw": gpaw_like(cell, [0.0] * len(cell), [0.0] * len(cell)), "multiplet": raw}
    known = {
        edge: calibration.calibrate(
            both["gpaw" if edge == "O K" else "multiplet"], edge, settings, table[edge]
        )
        for edge in ("O K", *EDGES)
    }
    assert known["Mn L2,3"].constant_ev == 0.0
    assert "Mn4+ L3 maximum" in known["Mn L2,3"].source
    assert known["O K"].constant_ev != 0.0
    assert calibration.from_json(calibration.to_json(known)) == known
    out = process.process(both, settings, table, known)
    assert out.attrs["status"] == "ok"
    assert out["dos_Mn_L23"].attrs["engine"] == "multiplet"
    assert out["dos_O_K"].attrs["engine"] == "gpaw"
    for edge in EDGES:
        name = f"{edge[:2]}_L23"
        energy, intensity = out[f"energy_{name}"].values, out[f"{name}-XAS"].values
        assert np.isfinite(intensity).all()
        l3_ev = ions.load().ions["Ni2+" if edge[:2] == "Ni" else _ion(edge)].l3_maximum_ev
        assert feature_energy(energy, intensity, "peak") == pytest.approx(l3_ev, abs=1.0)
        assert out[f"dos_{name}"].values[2].max() > 0


def test_moments_of_core_hole_runs_do_where_there_are_no_others(cell, folder, tmp_path):
    moments = [{"Mn": 3.0, "Ni": -1.7}.get(s.specie.symbol, 0.0) for s in cell]
    raw = {
        "gpaw": rawdata.failed("not converged"),
        "gpaw_core_hole": gpaw_like(cell, moments, [0.0] * len(cell)),
    }
    job = engines.Job("cell", cell, EDGES, SETTINGS, folder / "shared", raw)
    found = engines.simulate(engine.ENGINE, job, tmp_path / "job")
    assert found.attrs["moments_from"] == "gpaw"
    assert "Ni3+" not in found.attrs["ions"]


def test_it_waits_for_one_run_of_gpaw_only():
    for running, expected in (
        (["gpaw_core_hole", "gpaw", "multiplet"], ["gpaw"]),
        (["gpaw_core_hole", "multiplet"], ["gpaw_core_hole"]),
        (["multiplet", "feff"], []),
    ):
        assert jobs.inputs("multiplet", running)[0] == expected


def test_doubts_are_told_in_the_file_and_in_the_table_of_the_report(cell, folder, tmp_path):
    """All Ni of the cell without moments: 4+, which leaves it charged."""
    moments = [{"Mn": 3.0}.get(s.specie.symbol, 0.0) for s in cell]
    job = engines.Job(
        *("cell", cell, ("Mn L2,3",), SETTINGS, folder / "shared"),
        {"gpaw": gpaw_like(cell, moments, [0.0] * len(cell))},
    )
    raw = engines.simulate(engine.ENGINE, job, tmp_path / "job")
    (row,) = rawdata.warnings(raw)
    assert (row["structure_id"], row["engine"]) == ("cell", "multiplet")
    assert "charges per metal: doubtful" in row["warning"]
    assert f"WARNING {row['warning']}" in engine.ENGINE.read_log(tmp_path / "job")


def test_numbers_of_the_config_stand_in_the_file(cell, folder, tmp_path):
    changed = SETTINGS | {"ions": {"Mn4+": {"l3_maximum_ev": 650.0}}}
    job = engines.Job("cell", cell, ("Mn L2,3",), changed, folder / "shared")
    raw = engines.simulate(engine.ENGINE, job, tmp_path / "job")
    assert json.loads(raw.attrs["overridden"]) == changed["ions"]
    assert set(raw["core_level_shift_ev"].values) == {650.0}
    for source in raw["energy_source"].values:
        assert source == "Mn4+ L3 maximum 650 eV: simulation.multiplet.ions of the config"


def test_states_under_a_multiplet_edge_are_gpaws(raw, cell, root):
    """Two bands of d states; the stronger one's maximum stands under that of L3."""
    table = edge_table.load(root / "resources" / "edges.yaml")
    settings = config.Spectra(techniques={"XAS": {"gaussian_fwhm_ev": 0.4, "edges": ["Mn L2,3"]}})
    known = {"Mn L2,3": calibration.calibrate(raw, "Mn L2,3", settings, table["Mn L2,3"])}
    bands = synthetic.channel("Mn L2,3", {1.0: 2.0, 4.0: 3.0})
    dos = np.zeros((len(cell), *bands.dos.shape))
    manganese = [i for i, s in enumerate(cell) if s.specie.symbol == "Mn"]
    dos[manganese, 2] = bands.intensity
    shifts = np.full(len(cell), -20.0)
    gpaw = gpaw_like(cell, [0.0] * len(cell), shifts, dos)
    out = process.process({"gpaw": gpaw, "multiplet": raw}, settings, table, known)
    states, edge = out["dos_Mn_L23"], out["Mn_L23-XAS"]
    energy = out["energy_Mn_L23"].values
    top = energy[states.values[2].argmax()]
    assert states.attrs["engine"] == "gpaw"
    assert top == pytest.approx(energy[edge.values.argmax()], abs=0.05)
    assert states.sel(l=2).integrate("energy_Mn_L23") == pytest.approx(5, rel=0.05)
    low = (energy > top - 4) & (energy < top - 2)
    assert energy[low][states.values[2, low].argmax()] == pytest.approx(top - 3, abs=0.15)
    shifts[manganese[0]] -= 1.0
    moved = process.process(
        {"gpaw": gpaw_like(cell, [0.0] * len(cell), shifts, dos), "multiplet": raw},
        settings, table, known,
    )["dos_Mn_L23"]  # fmt: skip
    assert moved.values[2].max() < 0.9 * states.values[2].max()


def _ion(edge):
    return {"Mn": "Mn4+", "Co": "Co3+"}[edge[:2]]


def test_l2_gets_its_extra_width_and_nothing_is_split_twice(raw, root):
    """Co3+: L2 as wide as the settings say, one L3 and one L2, not four lines."""
    table = edge_table.load(root / "resources" / "edges.yaml")
    heights = []
    for extra in (0.0, 1.0):
        settings = config.Spectra(
            techniques={"XAS": {"gaussian_fwhm_ev": 0.2, "edges": ["Co L2,3"]}},
            l2_extra_lorentzian_fwhm_ev=extra,
        )
        known = {"Co L2,3": calibration.calibrate(raw, "Co L2,3", settings, table["Co L2,3"])}
        out = process.process({"multiplet": raw}, settings, table, known)
        energy, intensity = out["energy_Co_L23"].values, out["Co_L23-XAS"].values
        l2 = energy > feature_energy(energy, intensity, "peak") + 7
        heights.append((intensity[~l2].max(), intensity[l2].max()))
        assert intensity[energy > energy[intensity.argmax()] + 21].max() < 0.1 * intensity.max()
    assert heights[0][0] == pytest.approx(heights[1][0], rel=0.05)
    assert heights[1][1] < 0.75 * heights[0][1]


def test_the_width_in_the_raw_spectrum_is_stated_and_not_put_in_twice(raw):
    """L3 of Ni2+: solved at RAW_FWHM_EV and broadened, or solved with its whole core-hole width."""
    assert set(raw["lorentzian_fwhm_ev"].values) == {engine.RAW_FWHM_EV}
    gaussian_fwhm_ev, settings = (
        0.3,
        config.Spectra(techniques={"XAS": {"gaussian_fwhm_ev": 0.3, "edges": ["Ni L2,3"]}}),
    )
    whole_ev = edge_table.lines("Ni L2,3", 0.0)[0].core_hole_fwhm_ev
    energy = np.arange(-25.0, 30.0, rawdata.STEP_EV)
    sharp, expected = (
        solver.solve(oracle.site("Ni2+", False), energy, fwhm_ev / 2).intensity
        for fwhm_ev in (engine.RAW_FWHM_EV, whole_ev)
    )
    l2_start_ev = ions.load().ions["Ni2+"].zeta_2p_ev / 4
    channel = rawdata.Channel(
        *("Ni L2,3", 0, "Ni", "", sharp, np.zeros((3, len(energy))), 0.0, 0.0),
        levels=rawdata.Levels(l2_start_ev, engine.RAW_FWHM_EV, "a model"),
    )
    grid = grids.EnergyGrid(start_ev=-20, stop_ev=20, step_ev=rawdata.STEP_EV)
    found = broadening.broadened(
        rawdata.build([channel], energy), "Ni L2,3", "XAS", settings, grid, 0.0, 0.0
    )[0]
    expected = gaussian_filter1d(
        expected, gaussian_fwhm_ev / broadening.FWHM_PER_SIGMA / rawdata.STEP_EV
    )
    expected = np.interp(grid.energies_ev, energy, expected)
    l3 = grid.energies_ev < l2_start_ev - 3
    assert np.linalg.norm((found - expected)[l3]) < 0.02 * np.linalg.norm(expected[l3])


def test_rotating_and_renumbering_the_crystal_changes_nothing(cell, tmp_path):
    sites = [i for i, s in enumerate(cell) if s.specie.symbol == "Co"][:1]
    turned = cell.copy()
    turned.apply_operation(_rotation())
    before = simulate(cell, tmp_path / "a", edges=("Co L2,3",))
    after = simulate(turned, tmp_path / "b", edges=("Co L2,3",))
    assert sites[0] in before["site"].values
    # as broad as it is ever used: a hundred Lanczos steps leave lines sharper than that unsettled
    kernel = np.exp(-4 * np.log(2) * (np.arange(-20, 21) * rawdata.STEP_EV / 0.3) ** 2)
    pairs = zip(before["intensity"].values, after["intensity"].values, strict=True)
    for one, other in pairs:
        one, other = (np.convolve(x, kernel, "same") for x in (one, other))
        assert np.abs(one - other).max() < 0.01 * one.max()


def _rotation():
    from pymatgen.core import SymmOp

    return SymmOp.from_axis_angle_and_translation([1, 2, 3], 40)


def test_a_metal_without_oxygen_fails_and_says_so(cell, tmp_path):
    raw = simulate(cell, tmp_path, SETTINGS | {"bond_cutoff_angstrom": 1.6})
    assert raw.attrs["status"] == "failed"
    assert "no oxygen within 1.6 angstrom" in raw.attrs["reason"]


def test_a_structure_without_moments_is_refused(cell, tmp_path):
    bare = cell.copy()
    bare.remove_site_property("magmom")
    with pytest.raises(InputError, match="no magnetic moments"):
        simulate(bare, tmp_path)


def test_the_engine_does_metal_l_edges_only():
    assert engine.ENGINE.edges == (*EDGES, "Fe L2,3")
    with pytest.raises(InputError, match="multiplet can't compute O K"):
        engines.check_edges("multiplet", ["O K"], "config.yaml")


def test_the_table_names_a_source_for_everything():
    table = ions.load()
    assert set(table.ions) == set(config.IONS)
    cited = {key for part in (table.cite, table.geometry.cite) for key in part.values()}
    cited |= {key for ion in table.ions.values() for key in ion.cite.values()}
    assert cited == set(table.sources)  # none is missing, none is left over
    for key, text in table.sources.items():
        is_published = re.search(r"\((19|20)\d\d\)|public repository", text)
        assert is_published or text.startswith(("Chosen here", "Counting")), key
    assert table.ions["Ni4+"].f4dd_final_ev == pytest.approx(9.399)  # edrixs has 8.399
    assert all(set(config.ION_PARAMETERS) < set(ions.Ion.model_fields) for _ in table.ions)


def test_mn4_has_the_optical_splitting_of_mn4_in_an_oxide():
    """4A2-4T2 is 10Dq of an octahedral d3 ion; Dq 1926 cm-1 in LaGaO3."""
    table = ions.load()
    ion = table.ions["Mn4+"]
    vectors = ligand_field.octahedron(ion.bond_angstrom)
    holes = config.Multiplet().ligand_holes["Mn4+"]
    problem = ions.problem(ion, table.geometry, vectors, True, holes)
    found = solver.solve(problem, np.zeros(1), 0.1)
    quartets = found.levels_ev[np.abs(found.spin - 1.5) < 0.5]
    assert quartets[4] == pytest.approx(10 * 1926 * 1.23984e-4, abs=0.03)


def test_a_broken_table_says_where(tmp_path):
    for old, new, fault in (
        ("delta_ev: delta_co2", "delta_ev: nowhere", "Co2\\+: delta_ev cites 'nowhere'"),
        ("      delta_ev: delta_co2\n", "", "Co2\\+: delta_ev has no source"),
        ("delta_ev: delta_co2", "delta: lacoo3", "Co2\\+: delta is no number"),
    ):
        path = tmp_path / f"{len(new)}.yaml"
        path.write_text(Path(ions.TABLE).read_text().replace(old, new, 1))
        with pytest.raises(InputError, match=fault):
            ions.load(path)


def test_the_config_refuses_an_ion_or_a_number_it_does_not_know():
    for wrong in ({"Zn2+": {"delta_ev": 1.0}}, {"Mn4+": {"delta": 1.0}}):
        with pytest.raises(ValueError, match="Input should be"):
            config.Multiplet(ions=wrong)
