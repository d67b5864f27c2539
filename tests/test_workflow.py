"""The rules themselves: what is planned, what an edit reruns, what a kill costs, what stops a run.

Real Snakefile, rules, params and inputs; the scripts are stand-ins (see ``toy``).
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from toy import CONFIG, Toy, edited, environment, planned

STAGES = {
    *("structure", "structure_index", "simulate", "calibrate", "spectra", "dataset"),
    *("train", "domain", "simulated", "fusion", "metrics", "infer", "attributions"),
    *("figures_spectra", "figures_scores", "figures_attributions", "figures_inference"),
    *("tables", "resolved_config", "report_html", "all"),
}


NOTHING_TO_READ = {"ni_k.yaml", "own_structures.yaml", "reference.yaml"}
STORED = {"reference.yaml"}  # its structures and simulations come with the project


def together(run, cases):
    """``run`` of every case, two at a time: case -> outcome."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(cases, pool.map(run, cases), strict=True))


# --- every config of the project ------------------------------------------------------------------


@pytest.fixture(scope="module")
def fresh(root, tmp_path_factory):
    """A copy in which nothing has run."""
    return Toy(root, tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="module")
def plans(fresh):
    configs = sorted(p.name for p in (fresh.folder / "config").glob("*.yaml"))
    return together(lambda name: fresh.run("-n", "--configfile", f"config/{name}"), configs)


def test_every_config_plans_every_stage(plans, root):
    assert {"config.yaml", "nmc.yaml", "ni_k.yaml"} <= plans.keys()
    for name, done in plans.items():
        # these hold nothing out, so without measured files they have nothing to read
        unread = {"domain", "infer", "figures_inference"} if name in NOTHING_TO_READ else set()
        stored = {"structure", "simulate"} if name in STORED else set()
        assert set(planned(done)) == STAGES - unread - stored


def test_what_the_samples_file_names_and_is_not_there_is_told(plans):
    assert "[corefuse] si_doped_nmc is left out: there is no data/" in plans["config.yaml"].stdout
    assert plans["ni_k.yaml"].stdout.count("is left out") == 2


def test_the_demo_is_what_runs_without_arguments(fresh, plans):
    done = fresh.run("-n", "--profile", "slurm")
    assert planned(done) == planned(plans["config.yaml"])
    assert "Unknown" not in done.stdout


def test_one_simulation_for_every_structure(plans):
    for name in plans.keys() - STORED:
        jobs = planned(plans[name])
        assert jobs["structure"] >= 6
        assert jobs["simulate"] % jobs["structure"] == 0  # one a structure and engine
        assert jobs["simulate"] > 0


HOLES = edited("simulation.core_hole", {"O K": "half"})


def test_core_holes_go_in_batches_that_know_their_structure_only(fresh):
    """2 formula units hold 4 O; a structure more adds its own batches and changes no other."""
    config = edited("simulation.sites", {"select": "all", "sites_per_job": 3}, HOLES)
    series = [{"grade": "LiNiO2", "li_content": [0.5]}, *config["structures"]["series"]]
    more = edited("structures.series", series, config)
    few, many = (
        fresh.run("-n", "--configfile", fresh.write(name, content))
        for name, content in (("holes", config), ("more_holes", more))
    )
    before, after = planned(few), planned(many)
    assert (before["begin"], before["sites"], before["collect"]) == (4, 8, 4)
    assert (after["begin"], after["sites"], after["collect"]) == (5, 10, 5)
    batches = [set(re.findall(r"output: (\S+/batch-\S+json)", d.stdout)) for d in (few, many)]
    assert batches[0] < batches[1]
    collected = re.findall(r"rule collect:\s+input: (.*)\s+output: (\S+)", many.stdout)
    assert len(collected) == 5
    for given, made in collected:  # so an edited structure is the only one to be put together again
        assert {Path(batch).parent.name for batch in given.split(", ")} == {Path(made).stem}


# --- a run that is killed and started again -------------------------------------------------------


@pytest.fixture(scope="module")
def killed(root, tmp_path_factory):
    """A toy that was killed in its second simulation: with what its journal held then."""
    toy = Toy(root, tmp_path_factory.mktemp("toy"))
    toy.write("toy", CONFIG)
    process = subprocess.Popen(
        toy.command("--configfile", "toy.yaml", "--cores", "1", "--rerun-incomplete"),
        cwd=toy.folder,
        env=environment(TOY_HANG="yes"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 300
        while sum(line.startswith("start simulate ") for line in toy.journal()) < 2:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return toy, toy.journal()


@pytest.fixture(scope="module")
def restarted(killed):
    """What Snakemake said when it was started again, until the end."""
    toy, _ = killed
    toy.run("--configfile", "toy.yaml", "--unlock")
    return toy.run("--configfile", "toy.yaml", "--cores", "2", "--rerun-incomplete")


@pytest.fixture(scope="module")
def finished(killed, restarted):
    """The toy after that."""
    assert restarted.returncode == 0, restarted.stdout
    return killed[0]


def test_a_kill_costs_only_what_was_running(killed, finished):
    before, after = killed[1], finished.journal()
    assert before == after[: len(before)]
    done_before = {line for line in before if line.startswith("end ")}
    assert {line.split()[1] for line in done_before} >= {"structure", "simulate"}
    unfinished = [line for line in before if line.replace("start", "end", 1) not in done_before]
    assert len(unfinished) == 1 and unfinished[0].startswith("start simulate ")
    assert unfinished[0] in after[len(before) :]
    ends = Counter(line for line in after if line.startswith("end "))
    assert set(ends.values()) == {1}
    assert sum(line.startswith("end simulate ") for line in ends) == STRUCTURES


SLOW_RELAX = """
import time
from dataclasses import dataclass
from pathlib import Path

@dataclass
class Record:
    energy_ev_per_atom: float = 0.0
    fmax_ev_per_angstrom: float = 0.0
    steps: int = 0
    relaxed: bool = True

def relax(structure, settings, seed, with_cell):
    with open("journal.txt", "a") as journal:
        journal.write("relax\\n")
    while not Path("go").exists():
        time.sleep(0.05)
    return structure, Record()
"""


def test_a_restart_waits_for_what_a_kill_left_running(root, tmp_path):
    """Snakemake alone is killed: its job goes on, and the restart takes what that one makes."""
    toy = Toy(root, tmp_path)
    shutil.copy(root / "scripts" / "structure.py", tmp_path / "scripts")
    (tmp_path / "workflow" / "corefuse" / "structures" / "relax.py").write_text(SLOW_RELAX)
    target = "results/toy/structures/LiNiO2-2fu-d0-li100-pristine.json"
    lock = tmp_path / "results/toy/structures/.lock-LiNiO2-2fu-d0-li100-pristine.json"
    command = toy.command(
        *(target, "--configfile", toy.write("toy", CONFIG), "--cores", "1"),
        *("--nolock", "--rerun-incomplete"),
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    where = {"cwd": tmp_path, "env": environment(), "start_new_session": True}

    def until(ready):
        end = time.monotonic() + 300
        while not ready():
            assert time.monotonic() < end
            time.sleep(0.05)

    first = subprocess.Popen(command, **where, **quiet)
    second = None
    try:
        until(lambda: "relax" in toy.journal())
        first.send_signal(signal.SIGKILL)
        first.wait()
        second = subprocess.Popen(command, **where, **quiet)
        until(lambda: _open_in(lock) == 2)
        (tmp_path / "go").touch()
        assert second.wait(300) == 0
    finally:
        for process in filter(None, (first, second)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert toy.journal().count("relax") == 1
    _check_a_job_takes_what_is_there(toy, target)


def _check_a_job_takes_what_is_there(toy, target):
    """Whatever makes Snakemake delete the output, and also where an older release made it."""
    made = (toy.folder / target).read_bytes()
    for _ in range(2):
        done = toy.run(
            target, "--configfile", "toy.yaml", "--cores", "1", "--forcerun", "structure"
        )
        assert done.returncode == 0, done.stdout
        assert toy.journal().count("relax") == 1
        assert (toy.folder / target).read_bytes() == made
        shutil.rmtree((toy.folder / target).parent / "kept")


def _open_in(path: Path) -> int:
    """How many processes have a file open."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if link.readlink() == path:
                found.add(link.parts[2])
    return len(found)


def test_a_run_says_how_many_structures_are_left(restarted):
    assert "[corefuse] simulate: 0 of 3 jobs done (1 there already), 3 left" in restarted.stdout


def test_files_of_an_earlier_config_are_no_progress(root, tmp_path):
    """All four simulations lie there, and all of them are to be done again."""
    toy = Toy(root, tmp_path)
    target = "results/toy/calibration.json"
    for cutoff in (300, 310):
        config = edited("simulation.gpaw.plane_wave_cutoff_ev", cutoff)
        command = (target, "--configfile", toy.write("toy", config), "--cores", "2")
        done = toy.run(*command)
        assert done.returncode == 0, done.stdout
        assert f"[corefuse] simulate: 0 of {STRUCTURES} jobs done, {STRUCTURES} left" in done.stdout


def test_the_report_is_one_file_with_every_figure_and_the_config(finished):
    report = (finished.folder / "results" / "toy" / "report.html").read_text()
    for name in ("spectra_by_lithium", "scores", "shap_x_li", "inference_mine", "tables/metrics"):
        assert name in report
    assert "config.yaml" in report


def test_captions_print_engines_structures_widths_and_windows(finished):
    report = (finished.folder / "results" / "toy" / "report.html").read_text()
    for name in ("plane_wave_cutoff_ev", "relaxation", "gaussian_fwhm_ev", "525.0, 549.0"):
        assert name in report


def test_every_job_leaves_a_log_and_a_benchmark(finished):
    folder = finished.folder / "results" / "toy"
    jobs = {" ".join(line.split()[1:]) for line in finished.journal()}
    assert len(list((folder / "benchmarks").rglob("*.tsv"))) == len(jobs) + 2  # config, report_html


def test_the_same_results_give_the_same_report(finished):
    """Its jobs are run again, at other times; by hash seed and clock nothing differs."""
    page = finished.folder / "results" / "toy" / "report.html"
    before = page.read_bytes()
    again = ("--forcerun", "tables", "figures_scores", "report_html")
    done = finished.run("--configfile", "toy.yaml", "--cores", "2", *again)
    assert done.returncode == 0, done.stdout
    assert page.read_bytes() == before


# --- what an edit reruns --------------------------------------------------------------------------

STRUCTURES = len(CONFIG["structures"]["series"])
MORE = {"grade": "NC13", "stoichiometry": {"Ni": 0.25, "Co": 0.75}, "formula_units": 4}
SPECTRUM = {"edge": "O K", "technique": "EELS", "file": "mine.csv"}
REPORT = Counter(["report_html", "all"])
CONFIG_FILE = Counter(["resolved_config"]) + REPORT
FIGURES = Counter(
    f"figures_{what}" for what in ("spectra", "scores", "attributions", "inference", "measured")
) + Counter(["tables"])
MINE = Counter(["read", "figures_inference", "figures_measured", "tables"])
READ = Counter(["infer"]) + MINE + CONFIG_FILE
SCORED = Counter(["metrics", "figures_scores", "figures_attributions", "fusion"]) + READ
TRAINED = Counter({"train": 2, "attributions": 1}) + SCORED
DATASET = Counter(["dataset", "domain", "simulated"]) + TRAINED
SPECTRA = Counter(["calibrate", "spectra", "figures_spectra"]) + DATASET

EDITS = {
    "one series more": (
        edited("structures.series", [MORE, *CONFIG["structures"]["series"]]),
        Counter({"structure": 1, "structure_index": 1, "simulate": 1}) + SPECTRA,
    ),
    "structures.relaxation": (
        edited("structures.relaxation.max_steps", 99),
        Counter({"structure": 4, "structure_index": 1, "simulate": 4}) + SPECTRA,
    ),
    "simulation.gpaw": (
        edited("simulation.gpaw.plane_wave_cutoff_ev", 310),
        Counter({"simulate": 4}) + SPECTRA,
    ),
    "simulation.gpaw.memory_mb": (edited("simulation.gpaw.memory_mb", 9000), CONFIG_FILE),
    "simulation.stored": (edited("simulation.stored", "finished"), CONFIG_FILE),
    "simulation.sites, of no engine here": (edited("simulation.sites.nearest", 7), CONFIG_FILE),
    "simulation.fdmnes, which computes nothing here": (
        edited("simulation.fdmnes.green", True),
        CONFIG_FILE,
    ),
    "simulation.core_hole": (
        edited("simulation.core_hole", {"O K": "half"}),
        Counter({"simulate": 4, "begin": 4, "sites": 4, "collect": 4}) + SPECTRA,
    ),
    "spectra.techniques.EELS": (
        edited("spectra.techniques.EELS.gaussian_fwhm_ev", 0.9),
        SPECTRA,
    ),
    "infer.max_shift_ev": (
        edited("infer.max_shift_ev", 2.5),
        Counter(["simulated"]) + MINE + CONFIG_FILE,
    ),
    "spectra": (edited("spectra.final_state_lorentzian_fwhm_per_ev", 0.2), SPECTRA),
    "dataset": (edited("dataset.views", 9), DATASET),
    "train.trials": (edited("train.trials", 7), TRAINED),
    "train.seed": (edited("train.seed", 7), Counter(["domain"]) + TRAINED),
    "train.subsets": (
        edited("train.subsets", {"each": "each", "all": ["all"]}),
        Counter(["domain"]) + TRAINED,
    ),
    "one target less": (
        edited("train.targets", ["x_li"]),
        Counter({"attributions": 1}) + SCORED,  # one job does all targets
    ),
    "one target more": (
        edited("train.targets", ["x_ni", *CONFIG["train"]["targets"]]),
        Counter({"train": 1, "attributions": 1}) + SCORED,
    ),
    "infer.confidence": (edited("infer.confidence", 0.8), READ),
    "one sample more": (
        edited(
            "infer.samples",
            [{"name": "other", "spectra": [SPECTRUM]}, *CONFIG["infer"]["samples"]],
        ),
        MINE + CONFIG_FILE,
    ),
    "one sample's axis": (
        edited("infer.samples.0.spectra.0.energy_offset_ev", 0.5),
        MINE + CONFIG_FILE,
    ),
    "report": (edited("report.png_dpi", 99), FIGURES + CONFIG_FILE),
}


def retyped(value):
    """Keys the other way round, whole numbers as floats and floats as whole numbers: the same."""
    if isinstance(value, dict):
        return {key: retyped(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [retyped(item) for item in value]
    if isinstance(value, int):
        return float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


@pytest.fixture(scope="module")
def reruns(finished):
    """Edit -> dry run; nothing of it changes the toy."""
    (finished.folder / "finished").mkdir()
    (finished.folder / "finished" / "stored.json").write_text("{}")
    for i, (config, _) in enumerate(EDITS.values()):
        finished.write(f"edit-{i}", config)
    names = {case: f"edit-{i}.yaml" for i, case in enumerate(EDITS)}
    names["retyped"] = finished.write("retyped", retyped(CONFIG))
    file = finished.folder / names["retyped"]
    file.write_text(f"# a comment\n\n{file.read_text()}\n# the end\n")
    names["resolved"] = "results/toy/config.yaml"
    return together(lambda case: finished.run("-n", "--configfile", names[case]), names)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_reruns_exactly_what_depends_on_it(edit, reruns):
    assert planned(reruns[edit]) == EDITS[edit][1]


def test_comments_key_order_and_number_style_rerun_nothing(reruns):
    assert planned(reruns["retyped"]) == Counter()


def test_the_resolved_config_is_the_config_of_the_run(reruns):
    assert planned(reruns["resolved"]) == Counter()


def test_only_the_new_structure_is_built(reruns):
    said = reruns["one series more"].stdout
    built = re.findall(r"^rule structure:\n\s+output: (\S+)", said, re.MULTILINE)
    assert built == ["results/toy/structures/NC13-4fu-d0-li100-pristine.json"]


def test_the_age_of_a_script_and_an_edited_environment_rerun_nothing(finished, reruns):
    """What ``git pull``, a change of branch and an upgrade do to the files of a clone."""
    for folder in ("scripts", "envs", "workflow/rules"):
        for path in (finished.folder / folder).iterdir():
            os.utime(path)
    with (finished.folder / "envs" / "gpaw.yaml").open("a") as environment_file:
        environment_file.write("# edited\n")
    done = finished.run("-n", "--configfile", "toy.yaml")
    assert planned(done) == Counter()


def test_a_copy_with_the_age_of_its_files_lost_reruns_nothing(finished, reruns, tmp_path):
    """As a fresh clone with copied results."""
    copy = Toy.__new__(Toy)
    copy.folder = tmp_path / "copy"
    shutil.copytree(finished.folder, copy.folder, copy_function=shutil.copyfile, symlinks=True)
    assert planned(copy.run("-n", "--configfile", "toy.yaml")) == Counter()


def test_a_parallel_launcher_and_more_memory_rerun_nothing(finished, reruns):
    more = ("simulate:mpi=srun", "simulate:tasks=8", "simulate:mem_mb=9000", "simulate:runtime=999")
    done = finished.run("-n", "--configfile", "toy.yaml", "--set-resources", *more)
    assert planned(done) == Counter()


def test_edited_code_reruns_its_stage_and_edited_comments_nothing(finished, reruns):
    package = finished.folder / "workflow" / "corefuse"
    for module, addition in (("learn/train", "# a comment\n"), ("report/figures", "EXTRA = 1\n")):
        with (package / f"{module}.py").open("a") as file:
            file.write(addition)
    done = finished.run("-n", "--configfile", "toy.yaml")
    assert planned(done) == FIGURES + REPORT - Counter(["tables"])


# --- what stops a run -----------------------------------------------------------------------------

ENERGIES = [500 + i / 4 for i in range(400)]


def spectrum(energies, intensities=None):
    rows = zip(energies, intensities or [1 + (e > 530) for e in energies], strict=True)
    return "energy,intensity\n" + "".join(f"{e},{y}\n" for e, y in rows)


MEASURED = "infer.samples.0.spectra.0"
BAD_SPECTRA = {
    "unreadable": ("just words\nmore words\n", "no two columns of numbers"),
    "two scans": (spectrum([*ENERGIES[:200], 510.0, *ENERGIES[201:]]), "it holds 2 scans"),
    "flat": (  # a row that is not a number far from the edge does not matter
        spectrum(ENERGIES, [float("nan") if e == 540 else 1.0 for e in ENERGIES]),
        "all its intensities are equal",
    ),
    "of another edge": (spectrum([e + 300 for e in ENERGIES]), "but O K needs 525 to 549 eV"),
    "in keV": (spectrum([e / 1000 for e in ENERGIES]), "look like keV"),
}
BAD_CONFIGS = {  # edited key, value, key in the message, part of the problem
    "misspelt key": ("train.trails", 3, "train.trails", "did you mean 'trials'"),
    "unknown element": (
        *("structures.series.0.stoichiometry", {"Fe": 1.0}),
        *("structures.series.0.stoichiometry.Fe", "'Fe' is not valid"),
    ),
    "unknown edge": ("simulation.edges.Xe K", "gpaw", "simulation.edges.Xe K", "'Xe K'"),
    "stoichiometry": ("structures.series.0.grade", "NMC622", "structures.series.0.grade", "Ni 1.2"),
    "lithium": (
        *("structures.series.0.li_content", [1.5]),
        *("structures.series.0.li_content", "between 0 and 1"),
    ),
    "no such file": (f"{MEASURED}.file", "nowhere.csv", "O_K-EELS", "cannot be read"),
}


@pytest.fixture(scope="module")
def stopped(fresh):
    """Bad input -> what Snakemake said."""
    base = CONFIG | {"name": "bad"}
    commands = {}
    for i, (case, (key, value, *_)) in enumerate(BAD_CONFIGS.items()):
        raw = edited(key, value, base)
        commands[case] = ["--configfile", fresh.write(f"bad-{i}", raw)]
    for i, (case, (text, _)) in enumerate(BAD_SPECTRA.items()):
        (fresh.folder / f"spectrum-{i}.csv").write_text(text)
        own = base | {"name": f"bad-spectrum-{i}"}  # side by side, one run would hold the others
        raw = edited(f"{MEASURED}.file", f"spectrum-{i}.csv", own)
        commands[case] = ["--configfile", fresh.write(f"bad-spectrum-{i}", raw)]
    good = fresh.write("good", base)
    commands["on the command line"] = ["--configfile", good, "--config", "train={trials: few}"]
    return together(lambda case: fresh.run("--cores", "1", *commands[case]), commands)


def complaint(done):
    """The one line that a bad input deserves."""
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("corefuse: ")]
    assert len(lines) == 1, done.stdout
    assert ". Fix: " in lines[0]
    return lines[0]


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_bad_config_stops_the_run_with_one_line(case, stopped):
    _, _, key, problem = BAD_CONFIGS[case]
    line = complaint(stopped[case])
    assert ".yaml: " in line or "nowhere.csv: " in line
    assert f"{key}: " in line
    assert problem in line


@pytest.mark.parametrize("case", BAD_SPECTRA)
def test_a_bad_spectrum_stops_the_run_with_one_line(case, stopped):
    line = complaint(stopped[case])
    number = list(BAD_SPECTRA).index(case)
    assert line.startswith(f"corefuse: spectrum-{number}.csv: infer.samples.mine.O_K-EELS: ")
    assert BAD_SPECTRA[case][1] in line


def test_a_bad_value_on_the_command_line_stops_the_run_too(stopped):
    assert "train.trials: 'few' is not valid" in complaint(stopped["on the command line"])


def test_bad_input_starts_nothing(stopped, fresh):
    assert stopped
    assert fresh.journal() == []
    assert not (fresh.folder / "results").exists()


def test_too_few_parents_stop_training_but_not_the_spectra(fresh):
    raw = edited("structures.series", CONFIG["structures"]["series"][:2], CONFIG | {"name": "few"})
    config = fresh.write("few", raw | {"dataset": {}})
    line = complaint(fresh.run("-n", "--configfile", config))
    assert "train.outer_folds: 3 folds need as many different parents, 2 are left" in line
    simulated = planned(fresh.run("-n", "spectra", "--configfile", config))
    assert {"structure", "simulate", "spectra"} <= simulated.keys()


# --- style, and the commands around Snakemake -----------------------------------------------------


def test_make_help_lists_every_command(root):
    command = ["make", "--no-print-directory", "help"]  # quiet inside `make test` too
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    phony = re.search(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert [line.split()[0] for line in done.stdout.splitlines()] == phony
    assert all(len(line.split()) > 2 for line in done.stdout.splitlines())


def test_the_set_up_script_is_sound(root):
    script = root / "envs" / "setup.sh"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", script], check=True)


def test_the_files_around_the_workflow_parse(root):
    catalogue = yaml.safe_load((root / ".snakemake-workflow-catalog.yml").read_text())
    assert catalogue["usage"]
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["license"] == "GPL-3.0-or-later"
    assert "GNU GENERAL PUBLIC LICENSE" in (root / "LICENSE").read_text()
    ci = yaml.safe_load((root / ".github" / "workflows" / "ci.yml").read_text())
    assert {"run": ".ci/run"} in ci["jobs"]["test"]["steps"]
    assert os.access(root / ".ci" / "run", os.X_OK)
