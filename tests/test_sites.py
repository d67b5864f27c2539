"""Which sites are computed, and that a batch loses and repeats nothing."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from corefuse import engines, files, plan, rawdata, sites
from corefuse.config import Defect, Relaxation, Simulation, Sites
from corefuse.errors import InputError, NotConvergedError


def licoo2() -> Structure:
    """Primitive R-3m LiCoO2 three times along the layers: 12 atoms, all O equivalent."""
    cell = Structure.from_spacegroup(
        "R-3m",
        Lattice.hexagonal(2.816, 14.05),
        ["Co", "Li", "O"],
        [[0, 0, 0], [0, 0, 0.5], [0, 0, 0.2605]],
    )
    cell.add_site_property("magmom", [0.0] * len(cell))
    return cell


def defective() -> Structure:
    cell = licoo2() * (3, 3, 1)
    cell.remove_sites([next(i for i, s in enumerate(cell) if s.specie.symbol == "O")])
    place = (licoo2() * (3, 3, 1)).frac_coords
    missing = next(i for i, s in enumerate(licoo2() * (3, 3, 1)) if s.specie.symbol == "O")
    cell.properties["defects"] = [{"frac_coords": place[missing].tolist()}]
    return cell


def test_all_oxygen_of_licoo2_is_one_site_with_its_multiplicity():
    picks = sites.select(licoo2(), ("O K", "Co K"), Sites())
    assert [(p.absorber.edge, p.multiplicity) for p in picks] == [("O K", 6.0), ("Co K", 3.0)]


def test_a_moment_makes_an_atom_inequivalent():
    cell = licoo2()
    cell.add_site_property("magmom", [1.0] + [0.0] * (len(cell) - 1))
    assert len(sites.select(cell, ("Co K",), Sites())) > 1


def test_the_nearest_sites_to_a_defect_are_taken_and_the_rest_is_sampled():
    cell = defective()
    settings = Sites(select="near_defects", nearest=5, sample=3)
    picks = sites.select(cell, ("O K",), settings)
    near = [p.absorber.site for p in picks if p.multiplicity == 1.0]
    atoms = [i for i, s in enumerate(cell) if s.specie.symbol == "O"]
    place = cell.properties["defects"][0]["frac_coords"]
    distance = cell.lattice.get_all_distances([place], cell.frac_coords[atoms])[0]
    assert len(picks) == 8
    assert len(near) == 5
    kept = [d for i, d in zip(atoms, distance, strict=True) if i in near]
    assert max(kept) <= sorted(distance)[4] + 1e-3
    assert sites.select(cell, ("O K",), settings) == picks


@given(
    select=st.sampled_from(["all", "inequivalent", "near_defects"]),
    nearest=st.integers(1, 60),
    sample=st.integers(1, 60),
)
def test_multiplicities_add_up_to_the_atoms(select, nearest, sample):
    cell = DEFECTIVE
    settings = Sites(select=select, nearest=nearest, sample=sample)
    for edge, element in (("O K", "O"), ("Li K", "Li"), ("Ni K", "Ni")):
        picks = sites.select(cell, (edge,), settings)
        count = sum(s.specie.symbol == element for s in cell)
        assert sum(p.multiplicity for p in picks) == pytest.approx(count)
        assert len({p.absorber.site for p in picks}) == len(picks)


DEFECTIVE = defective()


@given(
    per_job=st.integers(1, 50),
    select=st.sampled_from(["all", "near_defects"]),
    nearest=st.integers(1, 30),
)
def test_the_planned_batches_hold_every_pick(per_job, select, nearest):
    spec = plan.StructureSpec(
        grade="LiCoO2",
        metals={"Co": 27},
        formula_units=27,
        decoration=0,
        n_li=27,
        li_ordering="ewald",
        defect=Defect(oxygen_vacancies=1),
        seed=1,
        relaxation=Relaxation(),
    )
    settings = Sites(select=select, nearest=nearest, sites_per_job=per_job)
    edges = ("O K", "Co K")
    batches = plan.site_batches(spec, edges, settings)
    picks = sites.select(DEFECTIVE, edges, settings)
    held = [picks[b::batches] for b in range(batches)]
    assert sum(map(len, held)) == len(picks)
    assert max(map(len, held)) <= per_job


@dataclass
class Toy(engines.Engine):
    """An engine whose sites give one line each, and that does at a site what it is told."""

    misbehave: dict[int, list[Exception]] = field(default_factory=dict)
    ran: list[int] = field(default_factory=list)
    name: str = "toy"
    revision: int = 1

    def version(self):
        return "1"

    def check(self, settings, folder):
        return "does as it is told"

    def prepare(self, job, folder):
        files.write_json(folder / "site.json", job.absorber.site)

    def run(self, folder):
        site = files.read_json(folder / "site.json")
        self.ran.append(site)
        (folder / "log.txt").write_text(f"site {site}")
        if self.misbehave.get(site):
            raise self.misbehave[site].pop(0)

    def parse(self, folder):
        site = files.read_json(folder / "site.json")
        line = np.eye(40)[site]
        channel = rawdata.Channel("O K", site, "O", "", line, np.zeros((3, 40)), 0.0, 0.0)
        return rawdata.build([channel], np.arange(40) * rawdata.STEP_EV)

    def read_log(self, folder):
        return (folder / "log.txt").read_text() if (folder / "log.txt").exists() else ""


@pytest.fixture
def run(tmp_path):
    start = tmp_path / "start"
    start.touch()
    job = engines.Job("LiCoO2", licoo2(), ("O K",), {"a": 1}, tmp_path, start=start)
    picks = sites.select(job.structure, job.edges, Sites(select="all"))

    def do(engine, which=picks, job=job):
        said: list[str] = []
        names = sites.run_batch(
            engine, job, which, tmp_path / "sites", tmp_path / "logs", said.append
        )
        runs = [files.read_netcdf(tmp_path / "sites" / n) for n in names]
        return rawdata.collect(runs, job.structure_id, engine.name), said

    do.job, do.folder = job, tmp_path
    return do


def test_a_finished_batch_is_not_computed_again(run):
    engine = Toy()
    first, _ = run(engine)
    second, said = run(engine)
    assert len(engine.ran) == 6
    assert first.equals(second)
    assert all("there already" in line for line in said)


def test_a_batch_that_dies_goes_on_at_the_next_site(run):
    engine = Toy({8: [KeyboardInterrupt()]})
    with pytest.raises(KeyboardInterrupt):
        run(engine)
    before = list(engine.ran)
    raw, _ = run(engine)
    assert sorted(engine.ran[len(before) :]) == sorted({6, 7, 8, 9, 10, 11} - set(before) | {8})
    assert raw.sizes["channel"] == 6


def test_a_site_that_breaks_lets_the_others_finish_and_is_tried_again(run):
    engine = Toy({7: [OSError("disk")]})
    with pytest.raises(RuntimeError, match="O K 7: disk"):
        run(engine)
    assert sorted(engine.ran) == [6, 7, 8, 9, 10, 11]
    raw, _ = run(engine)
    assert raw.sizes["channel"] == 6
    assert engine.ran.count(7) == 2
    assert engine.ran.count(8) == 1


def test_a_site_that_always_breaks_is_set_aside_and_named_with_its_log(run):
    engine = Toy({7: [OSError("disk")] * 9})
    for _ in range(sites.DEATHS):
        with pytest.raises(RuntimeError):
            run(engine)
    raw, _ = run(engine)
    assert raw.sizes["channel"] == 5
    (row,) = rawdata.failed_sites(raw)
    assert (row["structure_id"], row["edge"], row["site"]) == ("LiCoO2", "O K", 7)
    assert "died 2 times" in row["reason"]
    assert "site 7" in Path(row["log"]).read_text()


def test_a_site_that_does_not_converge_is_a_result(run):
    engine = Toy({7: [NotConvergedError("SCF")] * 9})
    raw, _ = run(engine)
    assert raw.attrs["status"] == "ok"
    assert rawdata.failed_sites(raw)[0]["reason"] == "SCF"
    run(engine)
    assert engine.ran.count(7) == 1


def test_an_edge_without_any_site_fails_the_structure(run):
    raw, _ = run(Toy({i: [NotConvergedError("SCF")] for i in range(12)}))
    assert raw.attrs["status"] == "failed"
    assert "O K 6: SCF" in raw.attrs["reason"]
    assert len(rawdata.failed_sites(raw)) == 6


def test_a_structure_without_a_start_fails_at_every_site(run):
    class NoStart(Toy):
        def begin(self, job, folder, start):
            raise NotConvergedError("ground state")

    engine = NoStart()
    engines.begin(engine, run.job, run.folder / "begin", run.job.start)
    raw, _ = run(engine)
    assert raw.attrs["status"] == "failed"
    assert "ground state" in raw.attrs["reason"]
    assert not engine.ran


def test_other_settings_are_another_result(run):
    engine = Toy()
    run(engine)
    other = engines.Job(**vars(run.job) | {"settings": {"a": 2}})
    run(engine, job=other)
    assert len(engine.ran) == 12


def test_a_mean_counts_a_site_as_often_as_it_stands():
    lines = np.array([[1.0, 0.0], [0.0, 1.0]])
    channels = [
        rawdata.Channel("O K", i, "O", "", line, np.zeros((3, 2)), 0.0, 0.0, multiplicity=m)
        for i, (line, m) in enumerate(zip(lines, (3.0, 1.0), strict=True))
    ]
    raw = rawdata.build(channels, np.arange(2.0))
    assert rawdata.site_mean(lines, raw) == pytest.approx([0.75, 0.25])
    whole = np.repeat(lines, [3, 1], axis=0)
    assert rawdata.site_std(lines, raw) == pytest.approx(whole.std(axis=0))


def test_a_structure_without_the_element_has_no_sites_and_is_no_failure(run):
    raw, _ = run(Toy(), which=[])
    assert raw.attrs["status"] == "ok"
    assert rawdata.of_edge(raw, "Ni K").sizes["channel"] == 0


def test_a_fault_of_the_set_up_stops_the_batch_and_counts_against_no_site(run):
    engine = Toy({6: [InputError("config.yaml", "simulation.feff.command", "gone", "fix it")]})
    with pytest.raises(InputError):
        run(engine)
    assert engine.ran == [6]
    raw, _ = run(engine)
    assert rawdata.failed_sites(raw) == []
    assert not list(run.folder.glob("sites/*.deaths"))


class PerEdge(Toy):
    """A toy with a radius for each edge."""

    def settings_for(self, edge, settings):
        return {"radius": settings["radius"][edge]}


def test_a_site_depends_on_the_settings_of_its_own_edge(run):
    engine = PerEdge()
    radii = {"O K": 6.0, "Ni K": 5.0}
    for change, ran in (({}, 6), ({"Ni K": 5.5}, 6), ({"O K": 6.5}, 12)):
        run(engine, job=replace(run.job, settings={"radius": radii | change}))
        assert len(engine.ran) == ran, change


BASE = {"edges": {"O K": "fdmnes", "Ni L2,3": "fdmnes"}, "core_hole": {}}
HOLES = {"edges": {"O K": "gpaw", "Li K": "gpaw"}, "core_hole": {"O K": "half", "Li K": "half"}}


@pytest.mark.parametrize(
    ("engine", "base", "change", "same"),
    [
        ("fdmnes", BASE, {"fdmnes": {"radius_angstrom": {"Ni L2,3": 5}}}, True),
        ("fdmnes", BASE, {"fdmnes": {"radius_angstrom": {"O K": 5}}}, False),
        ("fdmnes", BASE, {"fdmnes": {"excited": ["K", "L2,3"]}}, True),
        ("fdmnes", BASE, {"fdmnes": {"excited": []}}, False),
        ("fdmnes", BASE, {"fdmnes": {"command": "/elsewhere", "time_limit_hours": 1}}, True),
        ("feff", BASE, {"feff": {"command": "/elsewhere", "time_limit_hours": 1}}, True),
        ("feff", BASE, {"feff": {"exchange": 2}}, False),
        ("gpaw_core_hole", HOLES, {"core_hole": {"O K": "half", "Li K": "full"}}, True),
        ("gpaw_core_hole", HOLES, {"core_hole": {"O K": "full", "Li K": "half"}}, False),
    ],
)
def test_what_decides_a_site_of_o_k(engine, base, change, same, tmp_path):
    def digest(raw):
        settings = Simulation.model_validate(raw).settings(engine)
        absorber = engines.Absorber("O K", 6)
        job = engines.Job("a", licoo2(), ("O K",), settings, tmp_path, absorber=absorber)
        return sites.digest(engines.get(engine), job)

    assert (digest(base) == digest(base | change)) == same
