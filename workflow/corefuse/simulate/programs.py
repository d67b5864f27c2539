"""Programs of the user: found, run under a time limit, and their failures distinguished.

A fault of the set-up (no such program, a licence to accept) concerns every site and is an
InputError that stops the run. A fault of one site (time limit, exit code, half an output) is a
NotConvergedError, the result of that site.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from corefuse.core.errors import InputError, NotConvergedError
from corefuse.core.machine import named_in

OUTPUT = "stdout.log"
RUNTIMES = ("apptainer", "singularity")
POLL_S = 5.0  # between two looks at what a program prints
TAIL_BYTES = 4096
TAIL_LINES = 20  # in which a program says what ended it
MODULE_LIMIT_S = 60.0
NOT_FOUND = 127  # exit code of a shell and of a container runtime
_LICENCE = re.compile(r"licen[cs]e", re.IGNORECASE)
_ASKS = re.compile(
    r"accept|agree|\by(es)?\s*/\s*n(o)?\b|expired|invalid|not found|required|denied", re.IGNORECASE
)
_BARE_EXPONENT = re.compile(r"(?<=\d)([+-]\d{3})$")  # Fortran drops the E of three digits


def empty(folder: Path) -> None:
    """Make an empty folder: what a killed run has left there must not pass for a result."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def run(
    command: Mapping[str, Any],
    folder: Path,
    time_limit_hours: float,
    key: str,
    fix: str = "",
    launcher: Sequence[str] = (),
) -> None:
    """Run the programs of ``command`` one after the other in ``folder``.

    ``command`` is a :class:`corefuse.config.Command` as plain data, ``key`` its place in the config
    and ``fix`` what helps where the program is missing. ``launcher`` (``srun -n 8``) starts each in
    parallel. What they print goes to ``stdout.log``.

    Raises
    ------
    InputError
        A program, module or container is missing, or a licence is asked for.
    MachineError
        A program names a fault of the machine, such as a full disk, before it ends.
    NotConvergedError
        The time limit is reached, or a program ends with an exit code that is not zero.
    """
    log = folder / OUTPUT
    left_s = 3600 * time_limit_hours
    for program in command["run"]:
        locate(command, program, key, fix)
        with log.open("ab") as out:
            words = [*launcher, *command_line(command, program, folder)]
            code, used_s = _run_one(words, folder, out, left_s, log)
        left_s -= used_s
        printed = log.read_text(errors="replace")
        if code != 0:
            refuse_licence(printed, program, key)
        if code is None:
            raise NotConvergedError(
                f"{program} stopped after {time_limit_hours:g} h, the time limit; "
                f"it last printed: {last_lines(printed)}",
                {"time_limit_hours": time_limit_hours},
            )
        if code != 0 and (fault := named_in("\n".join(printed.splitlines()[-TAIL_LINES:]))):
            raise fault
        if code == NOT_FOUND:
            raise InputError("config", key, f"{program} is not found: {last_lines(printed)}", fix)
        if code != 0:
            raise NotConvergedError(f"{program} ended with exit code {code}: {last_lines(printed)}")


def _run_one(
    words: Sequence[str], folder: Path, out: Any, limit_s: float, log: Path
) -> tuple[int | None, float]:
    """Exit code (None: stopped) and seconds; nothing of the program is left running.

    It is stopped when out of time, or when it goes on asking for a licence: its input is empty, and
    some programs ask again for ever.
    """
    start = time.monotonic()
    asked = False
    with subprocess.Popen(
        words, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
    ) as process:
        try:
            while (code := _wait(process, start + limit_s)) is None:
                asks = _asks_for_licence(log)
                if time.monotonic() >= start + limit_s or (asked and asks):
                    break
                asked = asks
        finally:
            _end_group(process.pid)
    return code, time.monotonic() - start


def _wait(process: subprocess.Popen[bytes], end: float) -> int | None:
    """Exit code, or None after ``POLL_S`` or at the ``end`` of the time."""
    try:
        return process.wait(timeout=max(min(POLL_S, end - time.monotonic()), 0.0))
    except subprocess.TimeoutExpired:
        return None


def _asks_for_licence(log: Path) -> bool:
    """Whether the output stops within a line that asks for one."""
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - TAIL_BYTES, 0))
        tail = file.read().decode(errors="replace")
    return _names_licence(tail.rpartition("\n")[2])


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def command_line(command: Mapping[str, Any], program: str, folder: Path) -> list[str]:
    """Words that start one program in ``folder``: plainly, with its module, or in its container."""
    words = shlex.split(program)
    if command["module"]:
        return ["bash", "-lc", 'module load "$0" && exec "$@"', command["module"], *words]
    if command["image"]:
        here = str(folder.resolve())
        runtime = next(filter(None, map(shutil.which, RUNTIMES)), RUNTIMES[0])
        image = command["image"]
        image = image if "://" in image else str(Path(image).expanduser().absolute())
        return [runtime, "exec", "--bind", here, "--pwd", here, image, *words]
    return [_from_start(words[0]), *words[1:]]


def locate(command: Mapping[str, Any], program: str, key: str, fix: str = "") -> str:
    """File that is the program: the binary, or the container image (``""`` for one in a registry).

    Raises
    ------
    InputError
        It is missing.
    """
    name = shlex.split(program)[0]
    if command["image"]:
        if not any(map(shutil.which, RUNTIMES)):
            raise InputError(
                "config", key, f"neither {' nor '.join(RUNTIMES)} is found", "install one of them"
            )
        if "://" in command["image"]:
            return ""
        image = str(Path(command["image"]).expanduser().absolute())
        if not Path(image).is_file():
            raise InputError("config", key, f"no file {image}", "give the path of the image")
        return image
    if command["module"]:
        return _in_module(command["module"], name, key)
    found = shutil.which(_from_start(name))
    if not found:
        raise InputError(
            "config", key, f"no program {name!r}", fix or "put it on PATH or give its path here"
        )
    return found


def _in_module(module: str, name: str, key: str) -> str:
    script = 'module load "$0" && command -v "$1"'
    try:
        done = subprocess.run(
            ["bash", "-lc", script, module, name],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=MODULE_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            "config",
            key,
            f"module {module} is not loaded within {MODULE_LIMIT_S:g} s",
            "load it once by hand to see what it waits for",
        ) from None
    if done.returncode != 0:
        said = last_lines(done.stderr) or f"it holds no program {name!r}"
        raise InputError("config", key, f"module {module}: {said}", "see `module avail`")
    return done.stdout.strip().splitlines()[-1]


def _from_start(name: str) -> str:
    """A path as seen from where the run was started, since programs run elsewhere."""
    return str(Path(name).expanduser().absolute()) if "/" in name else name


def provenance(command: Mapping[str, Any], key: str) -> dict[str, str]:
    """Which binaries ran: file (program in an image), sha256 of the files, module, image.

    The hashes are those of the binaries, in their order, or of the image; an image in a registry
    has none.
    """
    found = [locate(command, program, key) for program in command["run"]]
    hashes = [_sha256(path) for path in dict.fromkeys(found) if path]
    return {
        "binary": " ".join(command["run"] if command["image"] else dict.fromkeys(found)),
        "binary_sha256": " ".join(hashes),
        "binary_module": command["module"] or "",
        "binary_image": command["image"] or "",
    }


@lru_cache
def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_written(folder: Path, name: str, program: str, key: str) -> Path:
    """The file that a program should have written.

    Raises
    ------
    InputError
        It is not there, and the program has asked for its licence.
    NotConvergedError
        It is not there.
    """
    path = folder / name
    if path.is_file():
        return path
    log = folder / OUTPUT
    printed = log.read_text(errors="replace") if log.is_file() else ""
    refuse_licence(printed, program, key)
    raise NotConvergedError(
        f"{program} ended without {name}; it last printed: {last_lines(printed)}"
    )


def refuse_licence(printed: str, program: str, key: str) -> None:
    """Raise InputError where the end of the output asks for, or misses, a licence."""
    tail = "\n".join(printed.splitlines()[-TAIL_LINES:])
    if _names_licence(tail):
        raise InputError(
            "config",
            key,
            f"{program} asks for a licence: {last_lines(tail, 2)}",
            f"start {program} once by hand and accept or install its licence",
        )


def _names_licence(text: str) -> bool:
    return bool(_LICENCE.search(text) and _ASKS.search(text))


def last_lines(text: str, number: int = 3) -> str:
    """The last lines that are not empty, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-number:])


def table(lines: Sequence[str], columns: int, name: str) -> np.ndarray:
    """Rows of numbers (n, columns) as Fortran writes them.

    Raises
    ------
    NotConvergedError
        A row is cut short or no number, or holds NaN.
    """
    rows = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        try:
            row = [fortran_float(word) for word in words]
        except ValueError:
            raise NotConvergedError(f"{name}: row {number} can't be read: {line.strip()}") from None
        if len(row) < columns:
            raise NotConvergedError(f"{name} is cut short in row {number}: {line.strip()}")
        if not np.isfinite(row[:columns]).all():
            raise NotConvergedError(f"{name} holds NaN at {words[0]} eV")
        rows.append(row[:columns])
    if len(rows) < 2:
        raise NotConvergedError(f"{name} is cut short: it holds no spectrum")
    return np.array(rows)


def fortran_float(word: str) -> float:
    """``1.5D+02`` and ``1.5-101`` are numbers too."""
    return float(_BARE_EXPONENT.sub(r"E\1", word.upper().replace("D", "E")))


def last_of_each(energy_ev: np.ndarray) -> np.ndarray:
    """Indices that put energies in order and keep the last row of those that occur twice."""
    _, first_from_behind = np.unique(energy_ev[::-1], return_index=True)
    return len(energy_ev) - 1 - first_from_behind
