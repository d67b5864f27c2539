"""Files that somebody else wrote: what they are is looked at before they are opened."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from corefuse.core.errors import InputError

MOST_JSON_BYTES = 200_000_000
AnySection = TypeVar("AnySection", bound=BaseModel)


def check_regular(path: str | Path, most_bytes: int, key: str) -> None:
    """Raise InputError unless ``path`` is a regular file of at most ``most_bytes``.

    A device or a pipe may never end, so that it is not opened. ``key`` is what was to be read.
    """
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as fault:
        raise _unreadable(path, key, fault) from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
        raise InputError(path, key, f"it is {kind}, not a file", "give the path of a file")
    if status.st_size > most_bytes:
        problem = f"it has {status.st_size / 1e6:.0f} MB, more than {most_bytes / 1e6:.0f}"
        raise InputError(path, key, problem, "give the right file, or a part of it")


def regular_bytes(path: str | Path, most_bytes: int, key: str) -> bytes:
    """Content of a regular file; raises as :func:`check_regular`, and where it cannot be read."""
    check_regular(path, most_bytes, key)
    try:
        return Path(path).read_bytes()
    except OSError as fault:
        raise _unreadable(path, key, fault) from None


def validated(path: str | Path, section: type[AnySection], key: str, fix: str) -> AnySection:
    """A JSON file as typed data; InputError names its first fault, see :func:`regular_bytes`."""
    data = regular_bytes(path, MOST_JSON_BYTES, key)
    try:
        return section.model_validate_json(data, strict=True)
    except ValidationError as err:
        fault = err.errors()[0]
        where = ".".join(map(str, fault["loc"])) or key
        problem = fault["msg"].removeprefix("Value error, ")
        raise InputError(path, where, problem, fix) from None


def _unreadable(path: str | Path, key: str, fault: Exception) -> InputError:
    said = getattr(fault, "strerror", None) or str(fault)
    shown = str(path).replace("\0", "\\0")
    return InputError(shown, key, f"it cannot be read ({said})", "correct the path or the file")
