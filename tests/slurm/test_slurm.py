"""The workflow on a real Slurm: what a cluster does to thousands of jobs must lose nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import cluster
import pytest
import toy
import yaml

from corefuse.core import files, rawdata

HERE = Path(__file__).parent
UNRELAXED = """
import json
import time
from pathlib import Path

import numpy as np

from corefuse.plan.specs import StructureSpec
from corefuse.structures import build

told = json.loads(Path("behaviour.json").read_text()).get(snakemake.wildcards.structure_id, {})
with Path("journal.txt").open("a") as journal:
    journal.write(f"start {snakemake.wildcards.structure_id} structure\\n")
taken = np.ones(told.get("structure_mb", 0) << 17)
time.sleep(told.get("structure_s", 0))
structure = build.build(StructureSpec.from_json(snakemake.params.section))
structure.add_site_property("magmom", [0.0] * len(structure))
build.write(snakemake.output[0], structure)
"""
FEW = {
    "name": "few",
    "structures": {
        "formula_units": 2,
        "relaxation": {"max_steps": 5, "fmax_ev_per_angstrom": 0.5},
        "series": [
            {"grade": "LiNiO2"},
            {"grade": "LiCoO2"},
            {"grade": "NC11", "stoichiometry": {"Ni": 0.5, "Co": 0.5}},
        ],
    },
    "simulation": {
        "edges": {"O K": "gpaw"},
        "core_hole": {"O K": "half"},
        "sites": {"select": "all", "sites_per_job": 2},
    },
    "spectra": {"techniques": {"EELS": {"gaussian_fwhm_ev": 0.8, "edges": ["O K"]}}},
    "train": {"outer_folds": 3, "inner_folds": 2, "targets": ["x_li"]},
}
REAL_SERIES = [
    {"grade": "LiNiO2"},
    {"grade": "LiCoO2"},
    {"grade": "LiMnO2", "stoichiometry": {"Mn": 1.0}},
]
MEMORY = (
    *("structure:mem_mb=900*attempt", "begin:mem_mb=900*attempt"),
    *("sites:mem_mb=2000*attempt", "collect:mem_mb=900*attempt"),
)
LIMIT_S = 400


@pytest.fixture(scope="module")
def node():
    # munge wants every folder above its socket open to all, which pytest's are not
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    try:
        with cluster.running(folder) as name:
            yield name
    except cluster.NoSlurmError as why:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs Slurm: {why}")
        pytest.skip(f"no Slurm: {why}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Project:
    """A copy of the project and its runs on the cluster."""

    def __init__(self, root: Path, folder: Path, config: dict, toy_engine: bool) -> None:
        self.folder = folder
        self.memory = MEMORY if toy_engine else ("structure:mem_mb=4000",)
        for name in toy.COPIED:
            copy = shutil.copytree if (root / name).is_dir() else shutil.copy
            copy(root / name, folder / name)
        if toy_engine:
            engine = folder / "workflow" / "corefuse" / "engines" / "gpaw_core_hole.py"
            shutil.copy(HERE / "toy_engine.py", engine)
            (folder / "scripts" / "structure.py").write_text(UNRELAXED)
        (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))
        self.results = folder / "results" / config["name"]

    def behave(self, told: dict) -> None:
        (self.folder / "behaviour.json").write_text(json.dumps(told))

    def start(self, *targets: str, jobs: int = 4) -> subprocess.Popen[str]:
        """The profile as it is, with what a cluster without accounting and small jobs need."""
        with (self.folder / "out.txt").open("a") as out:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "snakemake", *targets, "--profile", "slurm"),
                    *("--jobs", str(jobs), "--latency-wait", "10"),
                    *("--slurm-status-command", "squeue"),
                    *("--slurm-init-seconds-before-status-checks", "2"),
                    *("--set-resources", *self.memory),
                ],
                cwd=self.folder,
                env=toy.environment(),
                stdout=out,
                stderr=out,
                text=True,
                start_new_session=True,
            )

    def finish(self, run: subprocess.Popen[str]) -> str:
        """Wait for a run; what it printed."""
        try:
            code = run.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            pytest.fail(f"still running after {LIMIT_S} s\n{self.printed()}")
        assert code == 0, self.printed()
        return self.printed()

    def printed(self) -> str:
        return (self.folder / "out.txt").read_text()[-6000:]

    def journal(self) -> Counter[str]:
        file = self.folder / "journal.txt"
        return Counter(file.read_text().splitlines() if file.exists() else [])

    def kept(self) -> set[str]:
        """Sites whose result is on disk: ``<structure> <site>``."""
        found = self.results.glob("raw/gpaw_core_hole/sites/*/O_K-*.nc")
        return {f"{path.parent.name} {path.name.split('-')[1]}" for path in found}

    def raw(self) -> list[str]:
        names = [f"{s}-2fu-d0-li100-pristine" for s in ("LiNiO2", "LiCoO2", "NC11")]
        return [f"results/few/raw/gpaw_core_hole/{name}.nc" for name in names]


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def until(what: str, ready, project: Project, run: subprocess.Popen[str]) -> None:
    end = time.monotonic() + LIMIT_S
    while not ready():
        assert run.poll() in (None, -signal.SIGKILL), project.printed()
        assert time.monotonic() < end, f"{what} never came\n{project.printed()}"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def troubled(node, root, tmp_path_factory):
    """One run through a drained node, with jobs and sites that need memory, hang or break."""
    project = Project(root, tmp_path_factory.mktemp("troubled"), FEW, toy_engine=True)
    oxygen = {"LiCoO2": "5", "NC11": "6"}
    project.behave(
        {
            "LiNiO2-2fu-d0-li100-pristine": {"structure_mb": 1100, "structure_s": 8},
            "LiCoO2-2fu-d0-li100-pristine": {oxygen["LiCoO2"]: {"memory_mb": 1900}},
            "NC11-2fu-d0-li100-pristine": {oxygen["NC11"]: {"breaks": True}},
        }
    )
    slurm("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    run = project.start(*project.raw())
    until("a waiting job", lambda: "PENDING" in slurm("squeue", "-h", "-o", "%T"), project, run)
    time.sleep(3)
    assert not project.journal()
    assert not list(project.results.glob("structures/*.json"))
    slurm("scontrol", "update", f"nodename={node}", "state=resume")
    project.finish(run)
    return project


def test_jobs_wait_for_a_drained_node_and_run_when_it_is_back(troubled):
    for path in troubled.raw():
        raw = files.read_netcdf(troubled.folder / path)
        assert raw.attrs["status"] == "ok"
        assert raw.attrs["sites"] == 4


def test_a_job_that_slurm_kills_for_memory_is_retried_with_more(troubled):
    name = "LiNiO2-2fu-d0-li100-pristine"
    assert troubled.journal()[f"start {name} structure"] == 2
    assert (troubled.results / f"structures/{name}.json").exists()


def test_a_site_that_takes_the_jobs_memory_is_retried_with_more(troubled):
    name = "LiCoO2-2fu-d0-li100-pristine 5"
    assert troubled.journal()[f"start {name}"] == 2
    assert troubled.journal()[f"end {name}"] == 1
    logs = (troubled.folder / "results" / "slurm-logs").rglob("*.log")
    assert any("out of memory" in log.read_text() for log in logs)
    raw = files.read_netcdf(troubled.folder / troubled.raw()[1])
    assert rawdata.failed_sites(raw) == []


def test_a_site_that_fails_for_good_leaves_the_rest_and_is_named_with_its_log(troubled):
    raw = files.read_netcdf(troubled.folder / troubled.raw()[2])
    (row,) = rawdata.failed_sites(raw)
    assert (row["edge"], row["site"]) == ("O K", 6)
    assert "broken on purpose" in (troubled.folder / row["log"]).read_text()
    assert "what the engine printed" in (troubled.folder / row["log"]).read_text()
    assert "in the last of 3 attempts" in row["reason"]
    assert troubled.journal()["start NC11-2fu-d0-li100-pristine 6"] == 3
    assert raw.sizes["channel"] == 3


def test_no_finished_site_is_computed_twice(troubled):
    ended = {line: n for line, n in troubled.journal().items() if line.startswith("end")}
    assert len(ended) == 11
    assert set(ended.values()) == {1}


def test_a_run_after_that_has_nothing_to_do(troubled):
    assert "Nothing to be done" in troubled.finish(troubled.start("-n", *troubled.raw()))


def test_a_killed_snakemake_recomputes_no_finished_site(node, root, tmp_path):
    project = Project(root, tmp_path, FEW, toy_engine=True)
    slow = {str(site): {"wait_s": 4} for site in range(8)}
    names = [Path(path).stem for path in project.raw()]
    project.behave(dict.fromkeys(names, slow))
    run = project.start(*project.raw(), jobs=2)

    until("the third site", lambda: len(project.kept()) >= 3, project, run)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    slurm("scancel", "--user", "root", "--full")
    until("an empty queue", lambda: not slurm("squeue", "-h", "-t", "R,PD,CG"), project, run)
    before = project.kept()
    assert 3 <= len(before) < 12
    project.finish(project.start("--unlock", *project.raw()))
    project.behave({})
    project.finish(project.start(*project.raw()))
    journal = project.journal()
    assert all(journal[f"start {site}"] == 1 for site in before)
    assert len(project.kept()) == 12


def test_a_batch_is_collected_although_slurm_takes_no_larger_job(node, root, tmp_path):
    """The partition allows less than a second attempt would ask for: it asks for what it may."""
    project = Project(root, tmp_path, FEW, toy_engine=True)
    project.memory = tuple(m for m in MEMORY if not m.startswith("sites"))
    project.behave({"NC11-2fu-d0-li100-pristine": {"6": {"breaks": True}}})
    slurm("scontrol", "update", "partitionname=main", "MaxMemPerNode=2500", "MaxTime=300")
    try:
        refused = subprocess.run(
            ["sbatch", "--test-only", "--mem=4000", "--wrap", "true"], capture_output=True
        )
        assert refused.returncode  # what an attempt without the cap would have met
        project.finish(project.start(project.raw()[2]))
    finally:
        slurm("scontrol", "update", "partitionname=main", f"MaxMemPerNode={cluster.MEMORY_MB}")
        slurm("scontrol", "update", "partitionname=main", "MaxTime=UNLIMITED")
    raw = files.read_netcdf(project.folder / project.raw()[2])
    (row,) = rawdata.failed_sites(raw)
    assert row["site"] == 6 and "in the last of 3 attempts" in row["reason"]
    assert raw.sizes["channel"] == 3
    assert project.journal()["start NC11-2fu-d0-li100-pristine 6"] == 3


def test_the_simulate_stage_runs_with_real_engines(node, root, tmp_path):
    """CHGNet, GPAW with and without a core hole, and multiplets, each in jobs of their own."""
    config = FEW | {
        "name": "real",
        "structures": FEW["structures"] | {"formula_units": 1, "series": REAL_SERIES},
        "simulation": {
            "edges": {"O K": "gpaw", "Li K": "gpaw", "Ni L2,3": "multiplet"},
            "core_hole": {"O K": "half"},
            "sites": {"symmetry_tolerance_angstrom": 0.3},
            "gpaw": {"plane_wave_cutoff_ev": 220, "kpoint_spacing_per_angstrom": 2.0},
            "multiplet": {"charge_transfer": False},
        },
    }
    project = Project(root, tmp_path, config, toy_engine=False)
    name = "LiNiO2-1fu-d0-li100-pristine.nc"
    engines = ("gpaw", "gpaw_core_hole", "multiplet")
    project.finish(project.start(*(f"results/real/raw/{e}/{name}" for e in engines)))
    raw = {e: files.read_netcdf(project.results / "raw" / e / name) for e in engines}
    assert all(r.attrs["status"] == "ok" for r in raw.values())
    assert raw["gpaw_core_hole"].attrs["core_hole"] == "half"
    assert float(raw["gpaw_core_hole"]["multiplicity"].sum()) == 2
    assert raw["multiplet"].attrs["moments_from"] == "gpaw"


def test_the_simulate_stage_of_the_demo(node, root, tmp_path):
    """As config/config.yaml has it, for two of its twenty cells."""
    config = yaml.safe_load((root / "config" / "config.yaml").read_text())
    project = Project(root, tmp_path, config, toy_engine=False)
    cells = ("LiCoO2-4fu-d0-li100-pristine", "NMC211-4fu-d0-li100-pristine")
    made = [f"raw/{engine}/{cell}.nc" for cell in cells for engine in ("gpaw", "multiplet")]
    project.finish(project.start(*(f"results/demo/{name}" for name in made)))
    raw = [files.read_netcdf(project.results / name) for name in made]
    assert all(r.attrs["status"] == "ok" for r in raw)
    edges = {name: set(r["edge"].values) for name, r in zip(made, raw, strict=True)}
    assert edges[made[2]] == {"O K", "Li K"}
    assert edges[made[3]] == {"Mn L2,3", "Co L2,3", "Ni L2,3"}
