"""Errors a user can act on: one line that names the file, the key and the fix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class InputError(ValueError):
    """Bad input, found before anything expensive starts.

    Parameters
    ----------
    file
        The file that holds the fault (a config, a spectrum, a structure).
    key
        Where in the file: a dotted config key, a column, an edge.
    problem
        What is wrong, with the offending value.
    fix
        What to change.
    """

    def __init__(self, file: str | Path, key: str, problem: str, fix: str) -> None:
        self.file = str(file)
        self.key = key
        self.problem = problem
        self.fix = fix
        super().__init__(f"{self.file}: {key}: {problem}. Fix: {fix}")


class NotConvergedError(RuntimeError):
    """A simulation that ended without a usable result.

    Parameters
    ----------
    reason
        Why; the message.
    facts
        What is known of the run all the same, as attributes of its raw file.
    """

    def __init__(self, reason: str, facts: Mapping[str, str | int | float] | None = None) -> None:
        self.facts = dict(facts or {})
        super().__init__(reason)
