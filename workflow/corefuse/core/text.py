"""Text of a config that becomes a name, a path, a command or a headline: what each may hold."""

from __future__ import annotations

import re
import shlex
from typing import Annotated

from pydantic import AfterValidator, Field

LONGEST_PART = 200  # bytes: file systems take 255, and names get prefixes and suffixes
_PERIODIC = re.compile(r"(.+?)\1{19}")


def not_periodic(name: str) -> str:
    """Refuse what Snakemake takes for a loop of its rules: one part repeated 20 times."""
    if found := _PERIODIC.search(name):
        raise ValueError(f"{found[1]!r} is in it 20 times in a row|choose another name|")
    return name


def one_line(text: str) -> str:
    """Refuse line breaks and control characters, which a terminal or a report would obey."""
    if bad := next((c for c in text if not c.isprintable()), None):
        raise ValueError(f"the character {bad!r} is in it|use one line of plain text|")
    return text


def is_path(path: str) -> str:
    """Refuse paths that no file system takes."""
    one_line(path)
    if len(path.encode(errors="replace")) > 4000:
        raise ValueError(f"a path of {len(path)} characters|give a shorter one|")
    longest = max(path.split("/"), key=len)
    if len(longest.encode(errors="replace")) > LONGEST_PART:
        raise ValueError(f"a name of {len(longest)} characters|shorten it to {LONGEST_PART}|")
    return path


def is_command(text: str) -> str:
    """Refuse what no shell can take apart, and nothing at all."""
    try:
        words = shlex.split(one_line(text))
    except ValueError as fault:
        raise ValueError(f"{text[:40]!r}: {fault}|close the quote|") from None
    if not words or not words[0]:
        raise ValueError("it names no program|give its name or path|")
    return text


Line = Annotated[str, AfterValidator(one_line)]
FilePath = Annotated[str, Field(min_length=1), AfterValidator(is_path)]
CommandLine = Annotated[str, AfterValidator(is_command)]
