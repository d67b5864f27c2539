"""A parsed config becomes typed sections, or one line that names the file, the key and the fix."""

from __future__ import annotations

import difflib
import re
import reprlib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from corefuse.config.infer import SpectrumSeries
from corefuse.config.run import Config, model
from corefuse.core.errors import InputError
from corefuse.core.section import Section

AnySection = TypeVar("AnySection", bound=Section)


def load(raw: dict[str, Any], file: str | Path) -> Config:
    """Validate a parsed config.

    Raises
    ------
    InputError
        One line with the file, the dotted key and the fix, for the first fault found.
    """
    return _validated(model(), raw, file, [])


def load_series(raw: dict[str, Any], file: str | Path, number: int) -> SpectrumSeries:
    """Validate the entry of that number in ``infer.series``; raises as :func:`load`."""
    return _validated(SpectrumSeries, raw, file, ["infer", "series", str(number)])


def _validated(
    section: type[AnySection], raw: dict[str, Any], file: str | Path, above: list[str]
) -> AnySection:
    try:
        return section.model_validate(raw)
    except ValidationError as err:
        # a misspelt key is also a missing one: the misspelling says more
        worst = min(err.errors(), key=lambda e: e["type"] != "extra_forbidden")
        raise _as_input_error(worst, file, above) from None


# What pydantic adds to a location: [key] of a mapping, validators and branches of a union.
_OF_PYDANTIC = re.compile(r"\[key\]|function-|literal\[|list\[")


def _as_input_error(error: ErrorDetails, file: str | Path, above: list[str]) -> InputError:
    where = above + [str(part) for part in error["loc"] if not _OF_PYDANTIC.match(str(part))]
    key = ".".join(where) or "config"
    if error["type"] == "extra_forbidden":
        known = _keys_at(where[:-1])
        close = difflib.get_close_matches(where[-1], known, n=1)
        fix = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
        if where == ["engines"]:
            fix = "an engine's keys stand in simulation.<engine>: simulation.fdmnes.command"
        return InputError(file, key, f"unknown key {where[-1]!r}", fix)
    if error["type"] == "missing":
        return InputError(file, key, "missing key", f"add {where[-1]}: see config/README.md")
    message = error["msg"].removeprefix("Value error, ")
    parts = message.split("|")
    # corefuse's own validators raise ``problem|fix|key below``; a pattern of pydantic's may hold
    # a bar too
    if error["type"] != "value_error" or len(parts) != 3:
        return InputError(file, key, f"{reprlib.repr(error['input'])} is not valid", message)
    problem, fix, below = parts
    return InputError(file, ".".join(filter(None, [*where, below])), problem, fix)


def _keys_at(path: list[str]) -> list[str]:
    section: Any = model()
    for part in path:
        known = getattr(section, "model_fields", {})
        if part in known:
            section = _inner_model(known[part].annotation)
    return list(getattr(section, "model_fields", {}))


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    args = getattr(annotation, "__args__", ())
    found = [m for m in map(_inner_model, args) if m is not None]
    return found[0] if found else None
