"""A run that fails is tried again by the next attempt of its job, and set aside by the last.

Attempts are counted in a file beside the result, so it does not matter whether Snakemake retries
the job, with more memory and time, or somebody starts Snakemake again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import xarray as xr

from corefuse import engines
from corefuse.core import files
from corefuse.core.errors import NotConvergedError
from corefuse.core.machine import MachineError, fault_of
from corefuse.plan import out_of_time
from corefuse.simulate import kept
from corefuse.simulate import limits as watch

RETRIED = {"given_up", "time_limit_hours"}  # attributes of failures that another try may mend
ATTEMPTS = 3  # as many as `retries` in slurm/config.yaml give a job


def attempt(
    work: Callable[[], object],
    path: Path,
    request: str,
    limits: watch.Limits,
    tell: Callable[[str], object],
) -> NotConvergedError | None:
    """Do ``work``, which writes ``path``, in a watched child process.

    Parameters
    ----------
    request
        What decides the result; attempts at something else don't count.
    tell
        Gets all that is known of a fault.

    Returns
    -------
    Nothing where it ended well, or why it is given up.

    Raises
    ------
    watch.StoppedError
        It failed and may be tried again.
    InputError, MachineError
        The set-up or the machine is at fault, which counts as no attempt.
    """
    before, start = made(path, request), engines.cpu_seconds()
    if before >= ATTEMPTS:
        why = f"its job was ended in all of {before} attempts; to try again delete {path}"
        tell(why)
        return NotConvergedError(why, {"given_up": before})
    _count(path, request, before + 1)  # stays if the job is killed
    try:
        watch.call(work, limits)
    except watch.StoppedError as fault:
        if not path.parent.is_dir():
            raise MachineError(f"{path.parent} is gone", "mount it again") from fault
        tell(fault.details)
        if before + 1 < ATTEMPTS:
            raise
        spent = round(engines.cpu_seconds() - start, 2)
        return NotConvergedError(
            f"{fault}, in the last of {ATTEMPTS} attempts; to try again delete {path}",
            {"cpu_seconds": spent, "given_up": ATTEMPTS},
        )
    except BaseException as fault:  # the set-up, the machine or Ctrl-C: not this structure
        with suppress(OSError):
            _uncount(path, request, before)
        raise fault_of(fault) or fault from None
    _file(path).unlink()
    return None


def simulate(
    engine: engines.Engine,
    job: engines.Job,
    path: Path,
    request: str,
    limits: watch.Limits,
    log: Path,
    about: Mapping[str, str | int] | None = None,
) -> xr.Dataset:
    """Make a raw file, by :func:`attempt` at :func:`corefuse.engines.simulate`, and read it.

    ``log`` gets what the engine printed, ``about`` are more attributes. Where the job's start or
    the run failed for good, the file says why. Raises what :func:`attempt` does.
    """
    scratch, about = path.with_suffix(".scratch"), about or {}

    def work() -> None:
        raw = engines.simulate(engine, job, scratch)
        log.write_text(engine.read_log(scratch))
        files.write_netcdf(path, raw.assign_attrs(about))

    def tell(fault: str) -> None:
        log.write_text(f"{engine.read_log(scratch)}\n{fault}\n")

    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")  # a job that dies leaves no log of another attempt
    try:
        why = engines.why_not_begun(job.start) or attempt(work, path, request, limits, tell)
    except MachineError:
        shutil.rmtree(scratch, ignore_errors=True)  # it may be what fills the disk
        raise
    if why:
        files.write_netcdf(path, engines.failed(engine, job, why).assign_attrs(about))
    shutil.rmtree(scratch, ignore_errors=True)
    raw = files.read_netcdf(path)
    if limit := raw.attrs.get("time_limit_hours"):
        marker = out_of_time.marker(path.parent, job.structure_id)
        out_of_time.add(marker, float(limit))
    return raw


def keep(path: Path, request: str) -> None:
    """Keep a raw file, unless it failed in a way that another try may mend."""
    if not RETRIED & files.read_netcdf(path).attrs.keys():
        kept.keep(path, request)


def begin(
    engine: engines.Engine,
    job: engines.Job,
    start: Path,
    request: str,
    limits: watch.Limits,
    log: Path,
) -> None:
    """Make a start file by :func:`attempt` at :func:`corefuse.engines.begin`; raises what it does.

    Where it failed for good, the file says why, and so will all sites.
    """
    scratch = start.with_name(f".{start.name}.scratch")

    def work() -> None:
        engines.begin(engine, job, scratch, start)
        log.write_text(engine.read_log(scratch))

    def tell(fault: str) -> None:
        log.write_text(f"{engine.read_log(scratch)}\n{fault}\n")

    if why := attempt(work, start, request, limits, tell):
        engines.set_aside(start, why)
    shutil.rmtree(scratch, ignore_errors=True)


def made(path: Path, request: str) -> int:
    """Attempts at this result so far."""
    counter = _file(path)
    found = files.read_json(counter) if counter.exists() else {}
    return found["attempts"] if found.get("request") == request else 0


def _count(path: Path, request: str, attempts: int) -> None:
    files.write_json(_file(path), {"request": request, "attempts": attempts})


def _uncount(path: Path, request: str, attempts: int) -> None:
    """Go back to fewer attempts, in the place of the file: a full disk has no room for another."""
    if not attempts:
        _file(path).unlink(missing_ok=True)
        return
    with _file(path).open("r+") as counter:
        counter.write(json.dumps({"request": request, "attempts": attempts}, indent=1))


def _file(path: Path) -> Path:
    return path.with_name(f"{path.name}.attempts")
