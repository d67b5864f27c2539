"""Structures of the user: files of every kind become requests; what no engine can do is refused."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from ase.io import write as ase_write
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.ndimage import gaussian_filter1d

from corefuse import config as cfg
from corefuse.config import OwnStructures, Structures
from corefuse.core import files, rawdata
from corefuse.core.errors import InputError
from corefuse.plan import specs
from corefuse.simulate import stored
from corefuse.structures import build, own, point_defects

# Rock salt MgO type: NiO, a = 4.17 angstrom; MnO, a = 4.44 angstrom (ICSD values, rounded).
NIO = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.17), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
).get_primitive_structure()
FE = Structure(Lattice.cubic(4.3), ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
FE.add_site_property("magmom", [3.7, 0.0])


def section(*entries, **more):
    return Structures(files=[OwnStructures(**e) for e in entries], **more)


def requested(*entries):
    return own.requests(section(*entries), "c.yaml")


def refused(*entries):
    with pytest.raises(InputError) as fault:
        requested(*entries)
    return str(fault.value)


@pytest.fixture
def write(tmp_path):
    """Write NiO in the format of a name; the path."""

    def one(name, structure=NIO):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith(".cif"):
            structure.to(filename=str(path))
        elif name.endswith("pymatgen.json"):
            path.write_text(json.dumps(structure.as_dict()))
        else:
            atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
            ase_write(path, atoms, format="vasp" if "POSCAR" in name else None)
        return path

    return one


@pytest.mark.parametrize(
    "name", ["NiO.cif", "POSCAR", "NiO.extxyz", "NiO.pymatgen.json", "NiO_ase.json", "NiO.vasp"]
)
def test_every_format_gives_the_same_crystal(write, name):
    (spec,) = requested({"file": str(write(name))})
    assert spec.crystal.elements == ["Ni", "O"]
    assert spec.volume_angstrom3 == pytest.approx(NIO.volume, rel=1e-6)
    assert spec.formula_units == 0.5
    assert spec.count("Ni") == 1 and spec.elements == {"Ni", "O"}
    made = build.of_user(spec)
    assert sorted(made.get_distance(0, 1, jimage=[0, 0, 0]) for _ in "1")[0] > 1.9
    assert np.linalg.det(made.lattice.matrix) > 0


def test_frames_of_a_file_are_structures_of_one_group(tmp_path):
    frames = [AseAtomsAdaptor.get_atoms(NIO, msonable=False) for _ in range(3)]
    for i, atoms in enumerate(frames):
        atoms.positions[1] += 0.02 * i
    ase_write(tmp_path / "md.xyz", frames, format="extxyz")
    specs_ = requested({"file": str(tmp_path / "md.xyz")})
    assert [s.structure_id for s in specs_] == ["md-0000", "md-0001", "md-0002"]
    assert len({s.group for s in specs_}) == 1
    assert len({s.crystal.fingerprint() for s in specs_}) == 3


def test_a_folder_a_pattern_and_a_table(write, tmp_path):
    write("in/NiO.cif")
    write("in/FeO.pymatgen.json", FE)
    (tmp_path / "in" / "notes.txt").write_text("not a structure")
    by_folder = requested({"file": str(tmp_path / "in")})
    by_pattern = requested({"file": str(tmp_path / "in" / "*.*[fn]")})
    assert {s.structure_id for s in by_folder} == {"NiO", "FeO.pymatgen"}
    assert {s.structure_id for s in by_pattern} == {"NiO", "FeO.pymatgen"}
    table = tmp_path / "in" / "mine.csv"
    table.write_text(
        "id,file,group,temperature,x_li\nfirst,NiO.cif,a,300,0\nsecond,FeO.pymatgen.json,b,400,\n"
    )
    first, second = requested({"file": str(table)})
    assert first.labels == {"temperature": 300.0, "x_li": 0.0}
    assert (second.structure_id, second.group, second.labels) == (
        "second",
        "b",
        {"temperature": 400},
    )


def test_moments_of_the_file_follow_their_atoms(tmp_path):
    mixed = Structure(
        Lattice.cubic(4.3),
        ["O", "Fe", "O", "Mn"],
        [[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0.5]],
        site_properties={"magmom": [0.1, 4.0, 0.2, -4.5]},
    )
    (tmp_path / "m.json").write_text(json.dumps(mixed.as_dict()))
    (spec,) = requested({"file": str(tmp_path / "m.json")})
    assert spec.crystal.elements == ["Mn", "Fe", "O", "O"]
    assert spec.crystal.moments_mub == [-4.5, 4.0, 0.1, 0.2]
    (by_element,) = requested({"file": str(tmp_path / "m.json"), "moments": {"Mn": 5}})
    assert by_element.crystal.moments_mub == [5, 0, 0, 0]
    (chgnet,) = requested({"file": str(tmp_path / "m.json"), "moments": "chgnet"})
    assert chgnet.crystal.moments_mub is None


def test_where_a_file_lies_decides_nothing(write, tmp_path):
    path = write("NiO.cif")
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.copy(path, tmp_path / "elsewhere" / "NiO.cif")
    (a,), (b,) = requested({"file": str(path)}), requested({"file": str(moved)})
    assert a.to_json() == b.to_json()
    assert specs.from_json(a.to_json()) == a


def test_a_left_handed_cell_is_turned_over(tmp_path):
    left = Structure(-NIO.lattice.matrix, NIO.species, NIO.frac_coords)
    (tmp_path / "l.json").write_text(json.dumps(left.as_dict()))
    (spec,) = requested({"file": str(tmp_path / "l.json")})
    made = build.of_user(spec)
    assert np.linalg.det(made.lattice.matrix) > 0
    assert np.allclose(np.sort(made.distance_matrix), np.sort(left.distance_matrix), atol=1e-6)


def test_what_no_engine_can_do_is_refused(tmp_path, write):
    def put(name, structure):
        (tmp_path / name).write_text(json.dumps(structure.as_dict()))
        return {"file": str(tmp_path / name)}

    cubic = Lattice.cubic(4.2)
    disordered = Structure(cubic, [{"Ni": 0.5, "Mn": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert "occupied in part" in refused(put("a.json", disordered))
    disordered.to(filename=str(tmp_path / "a.cif"))
    assert "occupied in part" in refused({"file": str(tmp_path / "a.cif")})
    near = Structure(cubic, ["Ni", "O"], [[0, 0, 0], [0.1, 0, 0]])
    assert "0.42 angstrom apart" in refused(put("b.json", near))
    lanthanum = Structure(cubic, ["La", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert "no entry for La" in refused(put("c.json", lanthanum))
    assert "no structure file" in refused({"file": str(tmp_path / "nothing.cif")})
    (tmp_path / "bad.cif").write_text("hello")
    assert "bad.cif" in refused({"file": str(tmp_path / "bad.cif")})
    molecule = AseAtomsAdaptor.get_atoms(NIO, msonable=False)
    molecule.pbc = False
    ase_write(tmp_path / "m.extxyz", molecule)
    assert "periodic cell" in refused({"file": str(tmp_path / "m.extxyz")})
    no_moments = {"file": str(write("NiO.cif")), "moments": "file"}
    assert "no magnetic moments" in refused(no_moments)


def test_names_and_groups_are_unique(write, tmp_path):
    path = str(write("NiO.cif"))
    assert "two structures are called NiO" in refused({"file": path}, {"file": path})
    copy = shutil.copy(path, tmp_path / "again.cif")
    assert "one crystal in two groups" in refused({"file": path}, {"file": str(copy)})
    both = requested({"file": path, "group": "g"}, {"file": str(copy), "group": "g"})
    assert len(both) == 2


def test_a_run_needs_series_or_files():
    with pytest.raises(ValueError, match="no structures are asked for"):
        Structures()


def test_stated_moments_need_no_chgnet_and_tell_the_oxidation_states(tmp_path, root):
    (tmp_path / "FeO.json").write_text(json.dumps(FE.as_dict()))
    entry = {"file": str(tmp_path / "FeO.json"), "anions_per_formula_unit": 1}
    (spec,) = requested(entry | {"labels": {"pressure": 3}})
    code = (
        "import sys\nfrom corefuse.plan import specs\nfrom corefuse.structures import build\n"
        "made = build.make(specs.from_json(sys.argv[1]))\n"
        "assert 'torch' not in sys.modules\nbuild.write('made.json', made)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(root / "workflow")}
    command = [sys.executable, "-c", code, spec.to_json()]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    made = build.read(tmp_path / "made.json")
    assert made.site_properties["oxidation_state"] == [2, -2]
    row = build.labels(made)
    assert row["x_fe"] == 1 and row["x_li"] == 0 and row["pressure"] == 3
    assert row["grade"] == "FeO" and row["v_o_fraction"] is None
    build.write_index(tmp_path / "index.csv", [row])
    header, values = (tmp_path / "index.csv").read_text().splitlines()
    assert header.endswith("failed,pressure,x_fe")
    assert values.endswith(",3.0,1.0")


def test_chgnet_gives_moments_and_relaxes_only_what_it_is_asked(write):
    strained = NIO.copy()
    strained.scale_lattice(NIO.volume * 1.06)
    path = str(write("s.pymatgen.json", strained))
    made = {}
    for how in ("none", "ions", "cell"):
        (spec,) = requested({"file": path, "relax": how})
        made[how] = build.make(spec)
        assert made[how].properties["failed"] == ""
        assert made[how].site_properties["magmom"][0] > 1.0
    assert made["none"].volume == pytest.approx(strained.volume)
    assert made["ions"].volume == pytest.approx(strained.volume)
    assert made["cell"].volume < 0.99 * strained.volume


def test_the_workflow_plans_them(write, tmp_path, root):
    config = {
        "name": "own",
        "structures": {"files": [{"file": str(write("NiO.cif"))}]},
        "simulation": {"edges": {"O K": "gpaw"}},
        "spectra": {"techniques": {"XAS": {"gaussian_fwhm_ev": 0.3, "edges": ["O K"]}}},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    target = "results/own/raw/gpaw/NiO.nc"
    command = [sys.executable, "-m", "snakemake", target, "-n", "--nolock", "-d", str(tmp_path)]
    command += ["-s", str(root / "Snakefile"), "--configfile", str(tmp_path / "c.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "rule structure" in done.stdout + done.stderr


def spinel():
    """LiMn2O4, Fd-3m, a = 8.247 angstrom, u = 0.388 in origin choice 1 (room temperature)."""
    return Structure.from_spacegroup(
        "Fd-3m",
        Lattice.cubic(8.247),
        ["Li", "Mn", "O"],
        [[0, 0, 0], [0.625, 0.625, 0.625], [0.388, 0.388, 0.388]],
    ).get_primitive_structure()


def test_defects_are_made_at_every_distinct_site_of_any_crystal(write):
    entry = {
        "file": str(write("LiMn2O4.cif", spinel())),
        "anions_per_formula_unit": 4,
        "moments": {"Mn": 3.4},
        "defects": [
            {"kind": "vacancy", "element": "O"},
            {"kind": "antisite_pair", "element": "Li", "partner": "Mn"},
            {"kind": "substitution", "element": "Mn", "partner": "Mn"},
        ],
    }
    found = {s.structure_id: s for s in requested(entry)}
    pristine = found.pop("LiMn2O4")
    assert set(found) == {"LiMn2O4-vO1", "LiMn2O4-asLiMn1", "LiMn2O4-MnonMn1"}
    assert {s.group for s in found.values()} == {pristine.group}
    assert pristine.count("O") == 8 and found["LiMn2O4-vO1"].count("O") == 7
    rows = {name: build.labels(build.make(spec)) for name, spec in found.items()}
    assert rows["LiMn2O4-vO1"]["v_o_fraction"] == 0.5
    assert rows["LiMn2O4-vO1"]["defect_class"] == "vacancy"
    assert rows["LiMn2O4-asLiMn1"]["antisite_count"] == 1
    assert build.labels(build.make(pristine))["v_o_present"] == 0
    swapped = build.of_user(found["LiMn2O4-asLiMn1"])
    assert swapped.composition == build.of_user(pristine).composition


def test_two_kinds_of_site_of_one_element_are_told_apart():
    layered = Structure.from_spacegroup(
        "C2/m",  # Li2MnO3 (Strobel & Lambert-Andron, J. Solid State Chem. 75, 90 (1988))
        Lattice.from_parameters(4.937, 8.532, 5.030, 90, 109.46, 90),
        ["Mn", "Li", "Li", "Li", "O", "O"],
        [
            *([0, 0.16708, 0], [0, 0.5, 0], [0, 0.6606, 0.5], [0, 0, 0.5]),
            *([0.2189, 0, 0.2273], [0.2540, 0.32119, 0.2233]),
        ],
    )
    assert len(point_defects.distinct_sites(layered, "Li")) == 3
    assert len(point_defects.distinct_sites(layered, "O")) == 2
    assert len(point_defects.distinct_sites(layered, "Mn")) == 1


def test_a_supercell_dilutes_a_defect(write):
    entry = {
        "file": str(write("NiO.cif")),
        "supercell": (2, 2, 2),
        "moments": {"Ni": 1.7},
        "defects": [{"kind": "vacancy", "element": "O"}],
    }
    pristine, vacancy = requested(entry)
    assert pristine.count("Ni") == 8 and vacancy.count("O") == 7
    assert pristine.formula_units == 4 and vacancy.defect_places == 1
    assert vacancy.crystal.moments_mub == [1.7] * 8 + [0.0] * 7
    missing = entry | {"defects": [{"kind": "vacancy", "element": "Co"}]}
    assert "no Co for a vacancy" in refused(missing)


def test_the_stored_families_are_what_their_config_asks_for(root):
    """Whoever runs config/own_structures.yaml waits for no simulation."""
    file = root / "config" / "own_structures.yaml"
    config = cfg.read(file)
    kept = stored.listed(root / config.simulation.stored)
    plan = specs.by_id(config.structures, file)
    assert len(plan) == 6
    for name, spec in plan.items():
        structure = root / config.simulation.stored / "structures" / f"{name}.json"
        assert kept[f"structures/{name}.json"] == stored.structure_digest(spec)
        states = set(build.read(structure).site_properties["oxidation_state"])
        assert {"LiFePO4": 2, "FePO4": 3, "NiO": 2, "MnO": 2, "Li2MnO3": 4, "LiMn2O4": 4}[
            name
        ] in states


def test_iron_phosphate_has_a_pre_edge_that_its_lithium_takes_away(root):
    """O K, EELS: J. Phys.: Condens. Matter 22, 275501 (2010). Empty p states of the oxygens."""
    share = {}
    for name in ("LiFePO4", "FePO4"):
        raw = files.read_netcdf(root / "resources" / "families" / "raw" / "gpaw" / f"{name}.nc")
        channels = rawdata.of_edge(raw, "O K")
        mean = rawdata.site_mean(channels["intensity"].values, channels)
        curve = gaussian_filter1d(mean, 0.5 / rawdata.STEP_EV)
        half = int(np.argmax(curve > 0.5 * curve.max()))
        below = half - round(2.5 / rawdata.STEP_EV)
        share[name] = curve[:below].sum() / curve[: half + round(15 / rawdata.STEP_EV)].sum()
    assert share["FePO4"] > 1.5 * share["LiFePO4"]
