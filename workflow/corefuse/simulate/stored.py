"""Finished structures and simulations in a folder, taken where they are what would be computed.

``python -m corefuse.simulate.stored config/ni_k.yaml`` puts those of a finished run there; with
``--finished``, those that an unfinished run has.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from corefuse import config as cfg
from corefuse import engines
from corefuse.core import files
from corefuse.core.errors import InputError
from corefuse.plan import jobs, specs
from corefuse.plan.paths import Paths
from corefuse.simulate import compact, kept
from corefuse.structures import build

LISTED = "stored.json"  # file below the folder -> digest of what decided it, hash of its contents
LFS_POINTER = b"version https://git-lfs"
FAILED = "failed.csv"
FAILED_COLUMNS = ("structure_id", "engine", "reason")


def structure_digest(spec: specs.Spec) -> str:
    """What decides a structure: its request and the revision of the code that makes it."""
    return files.digest([f"structure {specs.REVISION}", spec.to_json()])


def raw_digest(engine: engines.Engine, section: str, inputs: Iterable[str | Path]) -> str:
    """What decides a simulation: engine, its edges and settings (``section``), what it reads."""
    contents = [kept.hash_of(path, 64) for path in inputs]
    return files.digest([f"{engine.name} {engine.revision}", section, *contents])


def found(target: Path, name: str, digest: str, folder: str | None) -> bool:
    """Take a finished result that was kept beside the run, or stored; whether there is one.

    Parameters
    ----------
    target
        Where the result belongs.
    name
        Its path below the stored folder.
    digest
        What decides it.
    folder
        ``simulation.stored``.

    Raises
    ------
    InputError
        As :func:`take`.
    """
    return kept.take(target, digest) or take(folder, name, digest, target)


def take(folder: str | None, name: str, digest: str, target: str | Path) -> bool:
    """Copy ``folder/name`` to ``target`` if it has that digest; whether it has.

    Raises
    ------
    InputError
        As :func:`listed`, or the contents are not those that were stored.
    """
    if folder is None or listed(folder).get(name) != digest:
        return False
    check_contents(folder, [name])
    _copy(Path(folder) / name, target)
    return True


def check_contents(folder: str | Path, names: Iterable[str] | None = None) -> None:
    """Check stored files (all by default) against the hashes of what was stored.

    Raises
    ------
    InputError
        One is missing, half of one, a Git LFS pointer, or has other contents.
    """
    rows = _rows(folder)
    for name in rows if names is None else names:
        path = Path(folder) / name
        sha256 = None if isinstance(rows[name], str) else rows[name]["sha256"]  # an older list
        if not path.is_file():
            problem, fix = "it is listed, but not there", "copy the whole folder"
        elif path.read_bytes().startswith(LFS_POINTER):
            problem, fix = "it is a Git LFS pointer, not the file itself", "run `git lfs pull`"
        elif sha256 is not None and kept.hash_of(path, len(sha256)) != sha256:
            problem, fix = "its contents are not those that were stored", "copy the file again"
        else:
            continue
        fix += ", or set simulation.stored: null"
        raise InputError(path, "simulation.stored", problem, fix)


def listed(folder: str | Path) -> Mapping[str, str]:
    """Stored file -> digest of what decided it.

    Raises
    ------
    InputError
        The folder holds no list of what is stored, or one that can't be read.
    """
    rows = _rows(folder)
    return {name: row if isinstance(row, str) else row["request"] for name, row in rows.items()}


def _rows(folder: str | Path) -> dict[str, Any]:
    """Of the list: file -> ``request`` and ``sha256``, or the request alone (older releases)."""
    try:
        rows = files.read_json(Path(folder) / LISTED)
        if all(isinstance(row, str) or {"request", "sha256"} <= {*row} for row in rows.values()):
            return dict(rows)
        problem = f"its {LISTED} can't be read"
    except (ValueError, AttributeError, TypeError):  # an InputError is a ValueError
        there = (Path(folder) / LISTED).exists()
        problem = f"its {LISTED} can't be read" if there else f"there is no {LISTED} in it"
    raise InputError(
        folder, "simulation.stored", problem, "correct the path, or null to compute everything"
    )


def store(config: cfg.Config, file: str | Path, finished_only: bool = False) -> list[str]:
    """Put structures and simulations of a run into ``simulation.stored``; ids now stored there.

    Simulations are made small (:mod:`corefuse.simulate.compact`). Those that failed stay out and
    are listed in ``failed.csv`` with their reason; those of engines that work site by site stay
    out. ``finished_only`` leaves out what the run has not finished; what the folder has and the
    config asks for stays there either way.

    Raises
    ------
    InputError
        No folder is named, the run is not finished, or was made by other settings or code.
    """
    run, folder = Path(Paths(config.name).root), _folder(config, file)
    plan = specs.by_id(config.structures, file)
    before = finished(config, file) if (folder / LISTED).exists() else {}
    digests: dict[str, str] = {}
    failures = [] if not (folder / FAILED).exists() else _read_csv(folder / FAILED)
    for structure_id, spec in plan.items():
        if finished_only and not _all_there(config, run, structure_id):
            digests |= before.get(structure_id, {})
            continue
        failures = [row for row in failures if row["structure_id"] != structure_id]
        failures += _put(config, run, folder, spec)
        digests |= _digests(config, folder, spec)
    _write_csv(folder / FAILED, failures)
    names = [name for name in digests if name.startswith("structures/")]
    build.write_index(
        folder / "structures/index.csv", (build.labels(build.read(folder / n)) for n in names)
    )
    listing = {
        name: {"request": digest, "sha256": kept.hash_of(folder / name, 64)}
        for name, digest in digests.items()
    }
    files.write_json(folder / LISTED, listing)
    return [Path(name).stem for name in names]


def finished(config: cfg.Config, file: str | Path) -> dict[str, dict[str, str]]:
    """Structure id -> its stored files and their digests, where all are what the config asks for.

    Raises
    ------
    InputError
        No folder is named, or it holds no list.
    """
    folder = _folder(config, file)
    there, out = listed(folder), {}
    for structure_id, spec in specs.by_id(config.structures, file).items():
        wanted = _digests(config, folder, spec)
        if len(wanted) == len(_names(config, structure_id)) and wanted.items() <= there.items():
            out[structure_id] = wanted
    return out


def only_finished(config: cfg.Config, file: str | Path) -> tuple[cfg.Config, list[str]]:
    """The config with one series for each structure that is stored; ids of those that are not.

    Raises
    ------
    InputError
        As :func:`finished`, or none is stored.
    """
    there, series, missing = finished(config, file), [], []
    for one in config.structures.series:
        for spec in specs.of_series(config.structures, one):
            if spec.structure_id not in there:
                missing.append(spec.structure_id)
                continue
            alone = {
                "decorations": 1,
                "decoration": spec.decoration,
                "li_content": [spec.li_content],
                "defects": [spec.defect],
            }
            series.append(one.model_copy(update=alone))
    if not series:
        raise InputError(
            file,
            "simulation.stored_only",
            f"none of its {len(missing)} structures is finished in {config.simulation.stored}",
            "compute some: set stored_only to false",
        )
    structures = config.structures.model_copy(update={"series": series})
    return config.model_copy(update={"structures": structures}), missing


def missing_files(config: cfg.Config, file: str | Path, number: int) -> list[str]:
    """Simulations to make for the next ``number`` structures not stored and not failed."""
    folder, paths = _folder(config, file), Paths(config.name)
    there = finished(config, file) if (folder / LISTED).exists() else {}
    failed = _read_csv(folder / FAILED) if (folder / FAILED).exists() else []
    skipped = {*there, *(row["structure_id"] for row in failed)}
    left = [s for s in specs.by_id(config.structures, file) if s not in skipped]
    return [paths(n) for s in left[:number] for n in _names(config, s) if n.startswith("raw/")]


def _folder(config: cfg.Config, file: str | Path) -> Path:
    if not config.simulation.stored:
        raise InputError(file, "simulation.stored", "no folder is named", "name one")
    return Path(config.simulation.stored)


def _engines(config: cfg.Config) -> list[engines.Engine]:
    """Those that do a structure in one run."""
    found = map(engines.get, config.simulation.engines())
    return [e for e in found if not e.works_by_site(config.simulation.settings(e.name))]


def _names(config: cfg.Config, structure_id: str) -> list[str]:
    """Files of one structure below the folder of a run or of what is stored."""
    raw = [f"raw/{engine.name}/{structure_id}.nc" for engine in _engines(config)]
    return [f"structures/{structure_id}.json", *raw]


def _digests(config: cfg.Config, folder: Path, spec: specs.StructureSpec) -> dict[str, str]:
    """Digests of a structure's files in ``folder``, as far as they and what they read are there."""
    structure, *raw = _names(config, spec.structure_id)
    if not (folder / structure).exists():
        return {}
    out = {structure: structure_digest(spec)}
    for engine, name in zip(_engines(config), raw, strict=True):
        reads, resources = jobs.inputs(engine.name, config.simulation.engines())
        inputs = [
            folder / structure,
            *(folder / f"raw/{other}/{spec.structure_id}.nc" for other in reads),
            *map(Path, resources),
        ]
        if all(path.exists() for path in (folder / name, *inputs)):
            section = config.simulation.request(engine.name)
            out[name] = raw_digest(engine, section, inputs)
    return out


def _all_there(config: cfg.Config, run: Path, structure_id: str) -> bool:
    return all((run / name).exists() for name in _names(config, structure_id))


def _put(
    config: cfg.Config, run: Path, folder: Path, spec: specs.StructureSpec
) -> list[dict[str, str]]:
    """Copy one structure and its simulations; a row for each that failed."""
    structure, *raw = _names(config, spec.structure_id)
    _check_structure(run / structure, spec)
    compact.write_json(run / structure, folder / structure)
    failures = []
    for engine, name in zip(_engines(config), raw, strict=True):
        made = _checked_raw(run / name, engine, config.simulation)
        (folder / name).unlink(missing_ok=True)
        if made.attrs["status"] == "ok":
            compact.write(folder / name, made)
        else:
            reason = str(made.attrs["reason"])
            row = dict(zip(FAILED_COLUMNS, (spec.structure_id, engine.name, reason), strict=True))
            failures.append(row)
    return failures


def _check_structure(path: Path, spec: specs.StructureSpec) -> None:
    if not path.exists() or files.read_json(path)["properties"]["spec"] != json.loads(
        spec.to_json()
    ):
        raise InputError(path, "structure", "it is missing or of another config", "finish the run")


def _checked_raw(path: Path, engine: engines.Engine, simulation: cfg.Simulation) -> xr.Dataset:
    made = files.read_netcdf(path) if path.exists() else xr.Dataset()
    wanted = cfg.deciding(simulation.settings(engine.name)), engine.revision
    asked = cfg.deciding(json.loads(made.attrs.get("parameters", "{}")))
    if (asked, made.attrs.get("engine_revision")) != wanted:
        problem = "it is missing, or of other settings or an older engine"
        raise InputError(path, engine.name, problem, "finish the run")
    return made


def _copy(source: Path, target: str | Path) -> None:
    with files.atomic(target) as partial:
        shutil.copyfile(source, partial)


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with files.atomic(path) as partial, partial.open("w", newline="") as file:
        table = csv.DictWriter(file, FAILED_COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 where what is asked for can't be done."""
    parser = argparse.ArgumentParser(
        prog="python -m corefuse.simulate.stored",
        description="Put a run into the folder that simulation.stored of its config names.",
    )
    parser.add_argument("config", help="config file of the run")
    parser.add_argument(
        "--finished", action="store_true", help="leave out structures that the run has not finished"
    )
    parser.add_argument(
        "--next",
        type=int,
        metavar="N",
        help="store nothing, print the simulations to make for the next N structures not stored",
    )
    asked = parser.parse_args(arguments)
    try:
        config = cfg.read(asked.config)
        if asked.next is not None:
            print(" ".join(missing_files(config, asked.config, asked.next)))
            return 0
        names = store(config, asked.config, asked.finished)
    except InputError as err:
        print(f"corefuse: {err}", file=sys.stderr)
        return 1
    planned = len(specs.by_id(config.structures, asked.config))
    print(f"{len(names)} of {planned} structures are in {config.simulation.stored}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
