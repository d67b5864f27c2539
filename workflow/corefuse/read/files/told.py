"""Lists in messages, cut where they are long."""

from __future__ import annotations

from collections.abc import Iterable

from corefuse.core.spectrum import SpectrumError

MOST_CHARACTERS = 150  # of a list in a message
LONGEST = 60  # characters of a line of a file that is shown


def told(names: Iterable[object]) -> str:
    """The first names of a list that may be long, at least two of them."""
    listed = [str(name) for name in names]
    kept = listed[:2]
    for name in listed[2:]:
        if len(", ".join([*kept, name])) > MOST_CHARACTERS:
            return ", ".join(kept) + f", ... ({len(listed)} in all)"
        kept.append(name)
    return ", ".join(kept)


def shown(line: str) -> str:
    """A line of a file as it is shown in a message."""
    line = " ".join(line.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."


def unreadable(err: OSError) -> SpectrumError:
    """A file that is missing or may not be read."""
    return SpectrumError(
        f"it cannot be read ({err.strerror or type(err).__name__})",
        "correct the path, counted from the run's folder",
    )
