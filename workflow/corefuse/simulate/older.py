"""Results of releases that kept none (:mod:`corefuse.simulate.kept`): kept before a run starts.

An upgrade may change what Snakemake compares; it then deletes every output and starts its job.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from corefuse import config as cfg
from corefuse import engines
from corefuse.core import files
from corefuse.core.edges import EDGES
from corefuse.core.errors import InputError
from corefuse.plan import jobs, specs
from corefuse.simulate import kept, stored

REVISION = 2  # of structures, when results were not kept yet


def keep(outputs: Iterable[tuple[str, Path]], config: cfg.Config, file: str | Path) -> None:
    """Keep outputs that are there, of which nothing is kept, where they are what is asked for.

    ``outputs`` are of the jobs that are to run: the engine, or ``""`` for a structure, and the
    file. What was made by other settings, another revision or from an older structure is left.
    """
    by_id = specs.by_id(config.structures, file)
    for engine, path in outputs:
        if path.exists() and not kept.has_any(path):
            with suppress(InputError, OSError, ValueError, KeyError):
                if engine:
                    _keep_raw(engines.get(engine), path, by_id[path.stem], config.simulation)
                else:
                    _keep_structure(path, by_id[path.stem])


def _keep_structure(path: Path, spec: specs.Spec) -> None:
    made = files.read_json(path)["properties"]["spec"]
    if specs.REVISION == REVISION and made == json.loads(spec.to_json()):
        kept.keep(path, stored.structure_digest(spec))


def _keep_raw(
    engine: engines.Engine, path: Path, spec: specs.Spec, simulation: cfg.Simulation
) -> None:
    """Keep a simulation of these settings, edges and revision that is no older than its inputs."""
    run, edges = path.parents[2], simulation.engines()[engine.name]
    others, resources = jobs.inputs(engine.name, simulation.engines())
    inputs = [
        run / f"structures/{path.stem}.json",
        *(run / f"raw/{other}/{path.stem}.nc" for other in others),
    ]
    raw = files.read_netcdf(path)
    made = cfg.deciding(json.loads(raw.attrs["parameters"])), raw.attrs["engine_revision"]
    same_request = made == (cfg.deciding(simulation.settings(engine.name)), engine.revision)
    same_edges = {*raw["edge"].values} == {e for e in edges if spec.count(EDGES[e].element)}
    newest = max(made_from.stat().st_mtime for made_from in inputs)
    # what a file of the project held when it was read is not known
    if same_request and same_edges and not resources and path.stat().st_mtime >= newest:
        kept.keep(path, stored.raw_digest(engine, simulation.request(engine.name), inputs))
