"""A script outside of Snakemake: ``tools/mock_snakemake.py``."""

import json
import subprocess
import sys

import yaml
from toy import CONFIG, Toy, environment


def test_a_script_runs_with_the_job_of_its_rule(root, tmp_path):
    toy = Toy(root, tmp_path)
    config = toy.write("toy", CONFIG)
    done = subprocess.run(
        [sys.executable, "tools/mock_snakemake.py", "resolved_config", "--configfile", config],
        cwd=toy.folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    written = yaml.safe_load((toy.folder / "results/toy/config.yaml").read_text())
    assert written["name"] == "toy"


def test_the_mocked_job_has_inputs_outputs_and_parameters(root, tmp_path):
    toy = Toy(root, tmp_path)
    config = toy.write("toy", CONFIG)
    code = (
        "import json, sys; sys.path.append('tools'); from mock_snakemake import mock;"
        f"job = mock('train', {{'target': 'x_li'}}, {config!r});"
        "print(json.dumps([list(job.input), job.output.metrics, job.params.section]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=toy.folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    read, metrics, section = json.loads(done.stdout.splitlines()[-1])
    assert "results/toy/dataset.nc" in read
    assert metrics == "results/toy/models/x_li/metrics.csv"
    assert json.loads(section)["outer_folds"] == 3


def test_an_unknown_rule_lists_the_known_ones(root):
    done = subprocess.run(
        [sys.executable, "tools/mock_snakemake.py", "trian"],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "no rule 'trian'; there are" in done.stderr
    assert "train" in done.stderr
