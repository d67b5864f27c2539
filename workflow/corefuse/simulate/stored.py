"""Finished structures and simulations in a folder, taken where they are what would be computed.

``python -m corefuse.simulate.stored config/ni_k.yaml`` puts those of a finished run there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from corefuse import config as cfg
from corefuse import engines
from corefuse.core import files
from corefuse.core.errors import InputError
from corefuse.plan import specs
from corefuse.plan.paths import Paths

LISTED = "stored.json"  # file below the folder -> digest of what decided it


def structure_digest(spec: specs.StructureSpec) -> str:
    """What decides a structure: its request and the revision of the code that makes it."""
    return files.digest([f"structure {specs.REVISION}", spec.to_json()])


def raw_digest(engine: engines.Engine, section: str, inputs: Iterable[str | Path]) -> str:
    """What decides a simulation: engine, its edges and settings (``section``), what it reads."""
    contents = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in inputs]
    return files.digest([f"{engine.name} {engine.revision}", section, *contents])


def take(folder: str | None, name: str, digest: str, target: str | Path) -> bool:
    """Copy ``folder/name`` to ``target`` if it has that digest; whether it has.

    Raises
    ------
    InputError
        As :func:`listed`.
    """
    found = folder is not None and listed(folder).get(name) == digest
    if found:
        _copy(Path(folder) / name, target)
    return found


def listed(folder: str | Path) -> Mapping[str, str]:
    """Stored file -> digest.

    Raises
    ------
    InputError
        The folder holds no list of what is stored.
    """
    try:
        return files.read_json(Path(folder) / LISTED)
    except (OSError, json.JSONDecodeError):
        raise InputError(
            folder,
            "simulation.stored",
            f"there is no {LISTED} in it",
            "correct the path, or null to compute everything",
        ) from None


def store(config: cfg.Config, file: str | Path) -> list[str]:
    """Copy structures and simulations of a finished run into ``simulation.stored``; their names.

    Simulations that failed, and those of engines that work site by site, stay out.

    Raises
    ------
    InputError
        No folder is named, the run is not finished, or was made by other settings or code.
    """
    if not config.simulation.stored:
        raise InputError(file, "simulation.stored", "no folder is named", "name one")
    run, folder = Path(Paths(config.name).root), Path(config.simulation.stored)
    digests: dict[str, str] = {}
    by_engine = config.simulation.engines()
    for structure_id, spec in specs.by_id(config.structures, file).items():
        name = f"structures/{structure_id}.json"
        digests[name] = _checked_structure(run / name, spec)
        for engine in map(engines.get, by_engine):
            raw_name = f"raw/{engine.name}/{structure_id}.nc"
            by_site = engine.works_by_site(config.simulation.settings(engine.name))
            if not by_site and _is_ok(run / raw_name, engine, config.simulation):
                section = config.simulation.request(engine.name)
                read = [run / f"raw/{e}/{structure_id}.nc" for e in engine.reads if e in by_engine]
                inputs = [run / name, *read, *engine.resources]
                digests[raw_name] = raw_digest(engine, section, inputs)
    for name in (*digests, "structures/index.csv"):
        _copy(run / name, folder / name)
    files.write_json(folder / LISTED, digests)
    return list(digests)


def _checked_structure(path: Path, spec: specs.StructureSpec) -> str:
    if not path.exists() or files.read_json(path)["properties"]["spec"] != json.loads(
        spec.to_json()
    ):
        raise InputError(path, "structure", "it is missing or of another config", "finish the run")
    return structure_digest(spec)


def _is_ok(path: Path, engine: engines.Engine, simulation: cfg.Simulation) -> bool:
    made = files.read_netcdf(path).attrs if path.exists() else {}
    wanted = (files.dumps(simulation.settings(engine.name)), engine.revision)
    if (made.get("parameters"), made.get("engine_revision")) != wanted:
        problem = "it is missing, or of other settings or an older engine"
        raise InputError(path, engine.name, problem, "finish the run")
    return made["status"] == "ok"


def _copy(source: Path, target: str | Path) -> None:
    with files.atomic(target) as partial:
        shutil.copyfile(source, partial)


def main(config_file: str) -> int:
    """Store the finished run of a config; 1 where it can't be."""
    try:
        config = cfg.load(yaml.safe_load(Path(config_file).read_text()), config_file)
        names = store(config, config_file)
    except InputError as err:
        print(f"corefuse: {err}", file=sys.stderr)
        return 1
    print(f"{len(names)} files in {config.simulation.stored}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
