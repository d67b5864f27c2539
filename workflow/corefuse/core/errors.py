"""Errors a user can act on: one line that names the file, the key and the fix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

LONGEST = 300  # characters of a message


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

    Notes
    -----
    The message is one line of at most ``LONGEST`` characters. Line breaks and control characters
    are removed, and parts that are too long lose their middle.
    """

    def __init__(self, file: str | Path, key: str, problem: str, fix: str) -> None:
        self.file = shortened(file, 120, keep_end=True)
        self.key = shortened(key, 60)
        left = LONGEST - len(self.file) - len(self.key) - len(": : . Fix: ")
        fix_share = max(left - len(_clean(problem)), left // 2)
        self.fix = shortened(fix, fix_share)
        self.problem = shortened(problem, left - len(self.fix))
        super().__init__(f"{self.file}: {self.key}: {self.problem}. Fix: {self.fix}")


def shortened(text: object, most: int, keep_end: bool = False) -> str:
    """Text on one line without control characters, its middle or end left out beyond ``most``."""
    line = _clean(text)
    if len(line) <= most:
        return line
    tail = most // 2 if keep_end else 0
    return f"{line[: most - tail - 3]}...{line[len(line) - tail :] if tail else ''}"


def named(names: Iterable[object], most: int = 8) -> str:
    """The first names of a list that may be long, and how many there are."""
    listed = [shortened(name, 40) for name in names]
    told = ", ".join(listed[:most])
    return f"{told}, ... ({len(listed)} in all)" if len(listed) > most else told


def _clean(text: object) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


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
