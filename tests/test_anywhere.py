"""corefuse outside its clone: another working folder, a module of another workflow, a wheel."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from toy import CONFIG, O_K, Toy, environment, planned

from corefuse.core import places

DEPLOYED = """
configfile: "config/config.yaml"

module corefuse:
    snakefile: "{snakefile}"
    config: config

use rule * from corefuse
"""


@pytest.fixture(scope="module")
def clone(root, tmp_path_factory):
    return Toy(root, tmp_path_factory.mktemp("clone"))


@pytest.fixture
def elsewhere(tmp_path):
    """A folder of a user, with a config and a measured file."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "mine.csv").write_text(O_K)
    return tmp_path


def snakemake(folder, *args):
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *map(str, args)],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_another_working_folder(clone, elsewhere, snakefile, tmp_path_factory):
    from_there = snakemake(elsewhere, "-n", "-s", clone.folder / snakefile)
    started = tmp_path_factory.mktemp("started")
    with_option = snakemake(started, "-n", "-s", clone.folder / snakefile, "-d", elsewhere)
    assert planned(from_there) == planned(with_option) != {}
    assert planned(from_there)["all"] == 1


def test_stored_results_and_sample_lists_of_the_clone_are_found(clone, tmp_path):
    config = clone.folder / "config" / "ni_k.yaml"
    done = snakemake(tmp_path, "-n", "-s", clone.folder / "Snakefile", "--configfile", config)
    assert planned(done)["simulate"] == 60
    assert "NMC622 is left out" in done.stdout  # listed in the clone, its files not here


def test_a_workflow_that_imports_corefuse_runs_to_its_report(clone, elsewhere):
    """As `snakedeploy deploy-workflow` writes it, from a clone."""
    (elsewhere / "workflow").mkdir()
    snakefile = clone.folder / "workflow" / "Snakefile"
    (elsewhere / "workflow" / "Snakefile").write_text(DEPLOYED.format(snakefile=snakefile))
    done = snakemake(elsewhere, "--cores", "2")
    assert done.returncode == 0, done.stdout
    assert (elsewhere / "results" / "toy" / "report.html").stat().st_size > 100_000
    assert planned(snakemake(elsewhere, "-n")) == {}
    assert not (clone.folder / "results").exists()


def test_a_missing_config_is_named(clone, tmp_path):
    done = snakemake(tmp_path, "-n", "-s", clone.folder / "Snakefile")
    assert done.returncode == 1
    assert "config/config.yaml" in done.stdout


# --- an installed package -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(root, tmp_path_factory):
    """Folder of an installation by pip, without dependencies: those are here."""
    folder = tmp_path_factory.mktemp("installed")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"),
            *("--disable-pip-version-check", "--no-index", "--target", str(folder), str(root)),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder


def run_installed(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(PYTHONPATH=str(installed)),
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_an_installed_package_holds_what_it_reads(installed, root, tmp_path):
    code = (
        "import corefuse; from corefuse.core import edge_table, places;"
        "from corefuse.engines.multiplet import ions;"
        "print(corefuse.__file__); print(places.own('resources/edges.yaml'));"
        "print(len(edge_table.load(places.own('resources/edges.yaml'))), ions.TABLE)"
    )
    done = run_installed(installed, tmp_path, sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    package, edges, last = done.stdout.splitlines()
    assert Path(package).is_relative_to(installed) and Path(edges).is_relative_to(installed)
    assert Path(last.split()[1]).is_relative_to(installed)
    assert int(last.split()[0]) == len(yaml.safe_load((root / "resources/edges.yaml").read_text()))


def test_the_command_is_installed(installed, tmp_path):
    command = str(installed / "bin" / "corefuse")
    helped = run_installed(installed, tmp_path, command, "--help")
    assert helped.returncode == 0, helped.stderr
    assert "doctor" in helped.stdout
    wrong = run_installed(installed, tmp_path, command, "doctor", "missing.yaml")
    assert wrong.returncode == 1
    assert "missing.yaml" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1


def test_rules_fetched_from_a_repository_use_the_installed_package(root, installed, tmp_path):
    """As `snakedeploy` leaves it, GitHub played by a folder: its rules are fetched file by file."""
    repository = tmp_path / "github" / "someone" / "corefuse"
    repository.mkdir(parents=True)
    Toy(root, repository)
    for args in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v1"]):
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *args]
        subprocess.run(git, cwd=repository, check=True, capture_output=True)
    user = tmp_path / "user"
    (user / "config").mkdir(parents=True)
    (user / "config" / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (user / "mine.csv").write_text(O_K)
    source = 'github("someone/corefuse", path="workflow/Snakefile", tag="v1")'
    (user / "Snakefile").write_text(DEPLOYED.replace('"{snakefile}"', source))
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n"],
        cwd=user,
        env=environment(
            PYTHONPATH=str(installed),
            XDG_CACHE_HOME=str(tmp_path / "cache"),
            GIT_CONFIG_COUNT="1",
            GIT_CONFIG_KEY_0=f"url.file://{tmp_path}/github/.insteadOf",
            GIT_CONFIG_VALUE_0="https://github.com/",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert planned(done)["report_html"] == 1


# --- places ---------------------------------------------------------------------------------------


def test_own_files_are_relative_in_the_clone_and_absolute_elsewhere(root, tmp_path, monkeypatch):
    monkeypatch.chdir(root)
    assert places.own("resources/edges.yaml") == "resources/edges.yaml"
    monkeypatch.chdir(tmp_path)
    assert places.own("resources/edges.yaml") == str(root / "resources" / "edges.yaml")


def test_a_named_path_is_the_users_before_it_is_corefuses(tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    assert places.found("resources/ni_k") == str(root / "resources" / "ni_k")
    (tmp_path / "resources" / "ni_k").mkdir(parents=True)
    assert places.found("resources/ni_k") == "resources/ni_k"
    assert places.found("nowhere/at_all") == "nowhere/at_all"
