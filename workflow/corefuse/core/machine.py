"""Faults of the machine, such as a full disk: they say nothing of the structure that was computed.

What meets one stops with one line, and no attempt is counted against a structure or a site.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from types import TracebackType

from corefuse.core.errors import InputError, NotConvergedError

FIXES = {
    errno.ENOSPC: "free space on the disk",
    errno.EDQUOT: "free space in your quota",
    errno.EIO: "have the disk or the network file system looked at",
    errno.ESTALE: "mount the network file system again",
    errno.ENOTCONN: "mount the network file system again",
    errno.EROFS: "mount the file system so that it can be written to",
    errno.EACCES: "give yourself the permission",
    errno.ENOMEM: "use a machine with more free memory, or run fewer jobs at once",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "raise the system's limit of open files",
}
LIBRARY = "install or load it (`make setup`, or the module of your cluster)"
LONGEST = 160  # characters of a problem
# How a program, or the text of an exception, names one of them; a missing library has no number.
_NAMED = {os.strerror(number): fix for number, fix in FIXES.items()} | {
    "cannot open shared object file": LIBRARY,
    "No module named": LIBRARY,
    "error while loading shared libraries": LIBRARY,
}


class MachineError(RuntimeError):
    """A fault of the machine: ``problem`` and ``fix``, as of an InputError."""

    def __init__(self, problem: str, fix: str) -> None:
        self.problem = " ".join(problem.split())[:LONGEST]
        self.fix = fix
        super().__init__(f"the machine: {self.problem}. Fix: {fix}; nothing finished is lost")


def fault_of(fault: BaseException) -> MachineError | None:
    """The fault of the machine behind an exception; None where it is another's.

    HDF5 and programs hide the number of the error in the text of theirs.
    """
    if isinstance(fault, InputError | NotConvergedError):
        return None
    for cause in _causes(fault):
        if isinstance(cause, MachineError):
            return cause
        if isinstance(cause, ImportError):
            return MachineError(f"{type(cause).__name__}: {cause}", LIBRARY)
        if isinstance(cause, OSError) and cause.errno in FIXES:
            return MachineError(str(cause), FIXES[cause.errno])
        if isinstance(cause, OSError | RuntimeError) and (found := named_in(str(cause))):
            return found
    return None


def named_in(text: str) -> MachineError | None:
    """The fault of the machine that a program's output names: the last one of its lines that does.

    The words are those of the C library (``strerror``), which compilers' run-time libraries print.
    """
    for line in reversed(text.splitlines()):
        for words, fix in _NAMED.items():
            if re.search(rf"{re.escape(words)}\b", line, re.IGNORECASE):
                return MachineError(line.strip(), fix)
    return None


def _causes(fault: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        yield fault
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)


def tell_in_one_line() -> None:
    """From now on an uncaught InputError or fault of the machine prints its one line alone."""
    otherwise = sys.excepthook

    def hook(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
        said = fault if isinstance(fault, InputError) else fault_of(fault)
        if said is None:
            otherwise(kind, fault, trace)
        else:
            print(f"corefuse: {said}", file=sys.stderr)

    sys.excepthook = hook
