"""Run one script of the workflow without Snakemake's scheduler, for a debugger or a notebook.

    python tools/mock_snakemake.py RULE [wildcard=value ...] [--configfile FILE]

Inputs, outputs, parameters and resources are those that the real rule has in a run.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path

import snakemake.api  # noqa: F401 # first, since its modules import one another
from snakemake.dag import DAG
from snakemake.iocontainers import Snakemake
from snakemake.jobs import Job
from snakemake.logging import LoggerManager, logger
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    DeploymentSettings,
    ExecMode,
    ExecutionSettings,
    OutputSettings,
    ResourceSettings,
    StorageSettings,
    WorkflowSettings,
)
from snakemake.workflow import Workflow

ROOT = Path(__file__).resolve().parents[1]


def mock(
    rule: str,
    wildcards: Mapping[str, str] | None = None,
    configfile: str | Path | None = None,
) -> Snakemake:
    """The object ``snakemake`` that the script of a rule sees in a run.

    Parameters
    ----------
    rule
        Name of the rule, such as ``spectra``.
    wildcards
        Values of its wildcards, such as ``{"target": "x_li"}``.
    configfile
        The run's config; ``config/config.yaml`` by default.

    Raises
    ------
    KeyError
        There is no such rule.
    """
    output = OutputSettings()
    workflow = Workflow(
        ConfigSettings(configfiles=[Path(configfile)] if configfile else []),
        ResourceSettings(cores=1),
        WorkflowSettings(exec_mode=ExecMode.SUBPROCESS),
        LoggerManager(logger, output),
        storage_settings=StorageSettings(),
        dag_settings=DAGSettings(),
        execution_settings=ExecutionSettings(),
        deployment_settings=DeploymentSettings(),
        output_settings=output,
        storage_provider_settings={},
    )
    workflow.include(str(ROOT / "Snakefile"))
    known = {found.name: found for found in workflow.rules}
    if rule not in known:
        raise KeyError(f"no rule {rule!r}; there are {', '.join(sorted(known))}")
    job = Job(known[rule], DAG(workflow, rules=[known[rule]]), dict(wildcards or {}))
    script = ROOT / "workflow" / "rules" / (known[rule].script or "")
    return Snakemake(
        job.input,
        job.output,
        job.params,
        job.wildcards,
        job.threads,
        job.resources,
        job.log,
        workflow.config,
        rule,
        None,
        str(script.resolve().parent),
    )


def main() -> None:
    """Run the script of a rule with the job that the command line names."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("rule")
    options.add_argument("wildcards", nargs="*", metavar="wildcard=value")
    options.add_argument("--configfile")
    given = options.parse_args()
    wildcards = dict(pair.split("=", 1) for pair in given.wildcards)
    job = mock(given.rule, wildcards, given.configfile)
    sys.path.insert(0, str(ROOT / "workflow"))
    runpy.run_path(str(ROOT / "scripts" / f"{given.rule}.py"), {"snakemake": job}, "__main__")


if __name__ == "__main__":
    main()
