"""Call something in a child process that is ended when it takes too much memory or time.

One run of many then fails alone and with a reason, where the scheduler would end the whole job.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, Literal

import psutil

from corefuse.core.errors import InputError
from corefuse.core.machine import MachineError, fault_of

SHARE = 0.9  # of a job's memory and time, to be ahead of its scheduler
SNAKEMAKE_MB = 150  # runs in the same job
PERIOD_S = 0.5  # between two looks
JOB_IDS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")  # Slurm, PBS, LSF, SGE
GRACE_S = 5.0  # for srun to end what it has started


class StoppedError(RuntimeError):
    """A child did not finish its work; ``details`` is all that is known, such as a traceback."""

    def __init__(self, reason: str, details: str = "") -> None:
        self.details = details or reason
        super().__init__(reason)


@dataclass(frozen=True)
class Limits:
    """Memory (MB) of this process and all below it; ``end`` (s) as ``time.monotonic`` counts."""

    memory_mb: float = float("inf")
    end: float = float("inf")

    def share(self, runs: int) -> Limits:
        """The limits of the next of so many runs that divide the time evenly."""
        now = time.monotonic()
        return replace(self, end=now + (self.end - now) / runs)


def limits_of_job(resources: Any) -> Limits:
    """Limits below those of a job, from its Snakemake resources ``mem_mb`` and ``runtime``.

    Without a scheduler nobody holds a job to them: then the machine's free memory is the limit.
    """
    if not any(name in os.environ for name in JOB_IDS):
        return Limits(SHARE * psutil.virtual_memory().available / 2**20)
    memory_mb, minutes = (getattr(resources, r, float("inf")) for r in ("mem_mb", "runtime"))
    # a retry may have been given less than it was meant to have
    memory_mb = min(memory_mb, float(os.environ.get("SLURM_MEM_PER_NODE") or "inf"))
    return Limits(SHARE * memory_mb - SNAKEMAKE_MB, time.monotonic() + SHARE * 60 * minutes)


def call(work: Callable[[], object], limits: Limits) -> None:
    """Call ``work`` in a child process and wait for it.

    What a kill of this process leaves running goes on, and holds on to its locks
    (:func:`corefuse.core.files.alone`).

    Raises
    ------
    StoppedError
        The child reached a limit, was killed or raised something.
    InputError, MachineError
        The child raised it.
    """
    context = multiprocessing.get_context("fork")  # what `work` needs is there, unpickled
    ours, its_own = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(work, its_own))
    start = time.monotonic()
    child.start()
    its_own.close()
    try:
        while not ours.poll(PERIOD_S):
            _check(limits, start)
        said = json.loads(ours.recv_bytes())
    except EOFError:
        child.join()
        raise StoppedError(f"killed by {_signal(child.exitcode)}") from None
    except BaseException:  # a limit, or Ctrl-C
        _end(child.pid)
        raise
    finally:
        child.join()
    if "input" in said:
        raise InputError(*said["input"])
    if "machine" in said:
        raise MachineError(*said["machine"])
    if "fault" in said:
        raise StoppedError(said["fault"], said["traceback"])


def _child(work: Callable[[], object], out: Connection) -> None:
    os.setsid()  # Ctrl-C is for the parent, which ends this
    said: dict[str, Any] = {}
    try:
        work()
    except InputError as fault:
        said = {"input": [fault.file, fault.key, fault.problem, fault.fix]}
    except Exception as fault:
        machine = fault_of(fault)
        said = (
            {"machine": [machine.problem, machine.fix]}
            if machine
            else {"fault": f"{type(fault).__name__}: {fault}", "traceback": traceback.format_exc()}
        )
    out.send_bytes(json.dumps(said).encode())


def _check(limits: Limits, start: float) -> None:
    """Raise StoppedError where a limit is passed."""
    now = time.monotonic()
    if now > limits.end:
        raise StoppedError(f"out of time: stopped after {now - start:.0f} s")
    # pages that are shared count in each process here: never less than is taken, and cheap to read
    if _memory_mb("rss") <= limits.memory_mb:
        return
    taken_mb = _memory_mb("pss")
    if taken_mb > limits.memory_mb:
        raise StoppedError(f"out of memory: {taken_mb:.0f} MB of {limits.memory_mb:.0f} MB")


def _memory_mb(kind: Literal["rss", "pss"]) -> float:
    """Of this process and of all below it; what they share counts once in ``pss``.

    Linux walks all pages of a process for its share: under load, looking at 1 GB twice a second
    took as much CPU as the process itself.
    """
    total = 0
    for process in (here := psutil.Process(), *here.children(recursive=True)):
        try:
            info = process.memory_info() if kind == "rss" else process.memory_full_info()
            total += getattr(info, kind)
        except psutil.Error:  # it has ended
            continue
    return total / 2**20


def _end(pid: int | None) -> None:
    """End a child, unless it has ended, and everything below it."""
    try:
        child = psutil.Process(pid)
        all_of_it = [child, *child.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for act in ("terminate", "kill"):
        for process in all_of_it:
            try:
                getattr(process, act)()
            except psutil.NoSuchProcess:
                continue
        _, all_of_it = psutil.wait_procs(all_of_it, timeout=GRACE_S)


def _signal(code: int | None) -> str:
    return signal.Signals(-code).name if code and code < 0 else f"nobody, with exit code {code}"
