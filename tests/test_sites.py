"""Which sites are computed, and that a batch loses and repeats nothing."""

import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from corefuse import engines
from corefuse.config import Defect, Relaxation, Simulation, Sites
from corefuse.core import files, rawdata
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.plan import out_of_time, specs
from corefuse.simulate import limits as watch
from corefuse.simulate import retries, sites

NO_LIMITS = watch.Limits()


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
    spec = specs.StructureSpec(
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
    batches = specs.site_batches(spec, edges, settings)
    picks = sites.select(DEFECTIVE, edges, settings)
    held = [sites.batch(picks, b, settings) for b in range(batches)]
    assert [pick for batch in held for pick in batch] == picks
    sizes = [len(batch) for batch in held]
    assert max(sizes) <= per_job
    assert sum(0 < size < per_job for size in sizes) <= 1  # over all edges, not one for each


@dataclass
class Toy(engines.ProgramEngine):
    """An engine whose sites give one line each, and that does at a site what it is told.

    ``misbehave`` is what each attempt at a site raises, or does where it can be called.
    """

    misbehave: dict[int, list[BaseException | Callable[[], object]]] = field(default_factory=dict)
    journal: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(), "ran"))
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
        earlier = self.ran.count(site)
        with self.journal.open("a") as out:
            out.write(f"{site}\n")
        (folder / "log.txt").write_text(f"site {site}")
        told = self.misbehave.get(site, [])[earlier : earlier + 1]
        if told and callable(told[0]):
            told[0]()
        elif told:
            raise told[0]

    @property
    def ran(self):
        """Sites in the order in which they ran, each in a process of its own."""
        return [int(s) for s in self.journal.read_text().split()] if self.journal.exists() else []

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

    def do(engine, which=picks, job=job, limits=NO_LIMITS):
        said: list[str] = []
        done = sites.run_batch(
            engine, job, which, tmp_path / "sites", tmp_path / "logs", limits, said.append
        )
        runs = [
            files.read_netcdf(tmp_path / "sites" / site["file"]).assign_attrs(
                multiplicity=site["multiplicity"]
            )
            for site in done
        ]
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
    """The job is killed at the third site, whose own process then ends without a result."""
    engine = Toy({8: [lambda: (os.kill(os.getppid(), signal.SIGKILL), os._exit(1))]})
    job = os.fork()
    if job == 0:
        run(engine)
    assert os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]) == -signal.SIGKILL
    assert engine.ran == [6, 7, 8]
    raw, _ = run(engine)
    assert engine.ran == [6, 7, 8, 9, 10, 11, 8]  # what was in the way of the others comes last
    assert raw.sizes["channel"] == 6


@pytest.mark.parametrize(
    ("does", "limits", "reason"),
    [
        (lambda: time.sleep(60), lambda: watch.Limits(end=time.monotonic() + 12), "out of time"),
        (lambda: _fill(800), lambda: watch.Limits(memory_mb=_used_mb() + 300), "out of memory"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), watch.Limits, "killed by SIGKILL"),
    ],
)
def test_a_site_that_hangs_or_eats_memory_fails_alone_and_is_set_aside(run, does, limits, reason):
    engine = Toy({7: [does] * retries.ATTEMPTS})
    for _ in range(retries.ATTEMPTS - 1):
        with pytest.raises(RuntimeError, match=f"O K 7: {reason}"):
            run(engine, limits=limits())
        assert sorted(set(engine.ran)) == [6, 7, 8, 9, 10, 11]
    raw, _ = run(engine, limits=limits())
    assert engine.ran.count(7) == retries.ATTEMPTS
    assert all(engine.ran.count(site) == 1 for site in (6, 8, 9, 10, 11))
    (row,) = rawdata.failed_sites(raw)
    assert reason in row["reason"]
    assert "site 7" in Path(row["log"]).read_text()
    assert raw.attrs["status"] == "ok"


def _fill(megabytes):
    taken = np.ones(megabytes << 17)
    time.sleep(60)
    return taken


def _used_mb():
    return psutil.Process().memory_full_info().pss / 2**20


def test_a_site_that_breaks_lets_the_others_finish_and_is_tried_again(run):
    engine = Toy({7: [OSError("disk")]})
    with pytest.raises(RuntimeError, match="O K 7: OSError: disk"):
        run(engine)
    assert sorted(engine.ran) == [6, 7, 8, 9, 10, 11]
    raw, _ = run(engine)
    assert raw.sizes["channel"] == 6
    assert engine.ran.count(7) == 2
    assert engine.ran.count(8) == 1


def test_a_site_that_always_breaks_is_set_aside_and_named_with_its_log(run):
    engine = Toy({7: [OSError("disk")] * 9})
    for _ in range(retries.ATTEMPTS - 1):
        with pytest.raises(RuntimeError):
            run(engine)
    raw, _ = run(engine)
    assert raw.sizes["channel"] == 5
    (row,) = rawdata.failed_sites(raw)
    assert (row["structure_id"], row["edge"], row["site"]) == ("LiCoO2", "O K", 7)
    assert "OSError: disk, in the last of 3 attempts" in row["reason"]
    assert "site 7" in Path(row["log"]).read_text()


def test_a_site_that_does_not_converge_is_a_result(run):
    engine = Toy({7: [NotConvergedError("SCF")] * 9})
    raw, _ = run(engine)
    assert raw.attrs["status"] == "ok"
    assert rawdata.failed_sites(raw)[0]["reason"] == "SCF"
    run(engine)
    assert engine.ran.count(7) == 1


@pytest.mark.parametrize(("lost", "status"), [(6, "failed"), (4, "failed"), (3, "ok")])
def test_a_structure_counts_while_half_of_an_edges_sites_have_a_result(run, lost, status):
    raw, _ = run(Toy({6 + i: [NotConvergedError("SCF")] for i in range(lost)}))
    assert raw.attrs["status"] == status
    assert len(rawdata.failed_sites(raw)) == lost
    if status == "failed":
        assert f"O K: {(6 - lost) / 6:.0%} of its sites have a result" in raw.attrs["reason"]
        assert "6: SCF" in raw.attrs["reason"]


def test_the_share_of_sites_counts_those_that_a_site_stands_for(run):
    picks = [
        sites.Pick(engines.Absorber("O K", 6), 5.0),
        sites.Pick(engines.Absorber("O K", 7), 1.0),
    ]
    fails = [NotConvergedError("SCF")]
    assert run(Toy({6: fails}), which=picks)[0].attrs["status"] == "failed"
    assert run(Toy({7: fails}, name="other"), which=picks)[0].attrs["status"] == "ok"


def test_a_site_keeps_its_result_when_it_stands_for_other_sites(run):
    engine = Toy()
    run(engine, which=[sites.Pick(engines.Absorber("O K", 6), 6.0)])
    raw, _ = run(engine)
    assert engine.ran.count(6) == 1
    assert rawdata.multiplicities(raw).tolist() == [1.0] * 6


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
    assert not list(run.folder.glob("sites/*.attempts"))


def test_no_ground_state_is_computed_for_sites_that_are_all_there(run):
    """As where an edit of ``sites_per_job`` only puts them into other batches."""
    engine, folder, every = Toy(), run.folder / "sites", Sites(select="all")
    assert not sites.all_done(engine, run.job, every, folder)
    run(engine)
    assert sites.all_done(engine, run.job, every, folder)
    assert not sites.all_done(engine, replace(run.job, settings={"a": 2}), every, folder)
    next(folder.glob("O_K-8-*.nc")).unlink()
    assert not sites.all_done(engine, run.job, every, folder)


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


class Limited(Toy):
    """A toy with a time limit, which decides no result but that of a site that reaches it."""

    def settings_for(self, edge, settings):
        return {}


def test_a_site_that_ran_out_of_time_gets_more_when_the_limit_is_raised(run):
    engine = Limited({8: [NotConvergedError("time limit", {"time_limit_hours": 1.0})]})
    for hours, tries, failed in ((1.0, 1, 1), (1.0, 1, 1), (0.5, 1, 1), (2.0, 2, 0), (3.0, 2, 0)):
        raw, _ = run(engine, job=replace(run.job, settings={"time_limit_hours": hours}))
        assert (engine.ran.count(8), len(rawdata.failed_sites(raw))) == (tries, failed), hours
    assert engine.ran.count(7) == 1
    marker = out_of_time.marker(run.folder / "sites", run.job.structure_id)
    assert out_of_time.to_try_again(marker, {"time_limit_hours": 2.0}) == "1.0"


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
