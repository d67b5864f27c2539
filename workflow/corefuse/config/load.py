"""A parsed config becomes typed sections, or one line that names the file, the key and the fix."""

from __future__ import annotations

import difflib
import json
import re
import reprlib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from corefuse.config.run import Config, model
from corefuse.core import yaml_file
from corefuse.core.errors import InputError, shortened
from corefuse.core.section import Section

AnySection = TypeVar("AnySection", bound=Section)
NOTHING: Mapping[str, Any] = MappingProxyType({})


def load(
    raw: dict[str, Any], file: str | Path, command_line: Mapping[str, Any] = NOTHING
) -> Config:
    """Validate a parsed config.

    Types are strict: ``true`` and ``"17"`` are no numbers. Of what is in ``command_line``, the
    mapping that ``--config`` gave, Snakemake makes text, so that numbers there may be text.

    Raises
    ------
    InputError
        One line with the file, the dotted key and the fix, for the first fault found.
    """
    return _validated(model(), raw, file, [], command_line)


def read(file: str | Path) -> Config:
    """Read and validate a config alone, without its samples file; raises as :func:`load`."""
    return load(yaml_file.read(file), file)


def load_entry(
    section: type[AnySection], raw: Any, file: str | Path, above: Iterable[str]
) -> AnySection:
    """Validate one entry of a list of sections; its key is ``above``. Raises as :func:`load`."""
    return _validated(section, raw, file, list(above), NOTHING)


def _validated(
    section: type[AnySection],
    raw: Any,
    file: str | Path,
    above: list[str],
    command_line: Mapping[str, Any],
) -> AnySection:
    try:
        return section.model_validate_json(_as_json(raw, file), strict=True)
    except ValidationError as err:
        faults = err.errors()
        meant = [
            (f["loc"], number) for f in faults if (number := _number(f, command_line)) is not None
        ]
        if meant:
            return _validated(section, _replaced(raw, meant), file, above, command_line)
        # a misspelt key is also a missing one: the misspelling says more
        worst = min(faults, key=lambda e: e["type"] != "extra_forbidden")
        raise _as_input_error(worst, file, above) from None


def _as_json(raw: Any, file: str | Path) -> str:
    """A parsed config as JSON text, for which pydantic is strict and takes lists for tuples.

    Raises
    ------
    InputError
        It contains itself, is nested too deeply, or holds what JSON has no form for.
    """
    try:
        return json.dumps(raw, default=_as_text)
    except (TypeError, ValueError, RecursionError) as fault:
        problem = f"it is no plain data ({shortened(fault, 60)})"
        raise InputError(file, "config", problem, "use text, numbers, lists and mappings") from None


def _as_text(value: Any) -> str:
    if isinstance(value, date | Path):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def _number(fault: ErrorDetails, command_line: Mapping[str, Any]) -> int | float | None:
    """The number that was meant where pydantic refuses its type, if there is no doubt about it.

    ``4.0`` is an integer; ``1e-3``, which has no point, is text in YAML 1.1; on the command line
    every number is text.
    """
    given, wanted = fault["input"], fault["type"]
    if wanted == "int_type" and isinstance(given, float) and given.is_integer():
        return int(given)
    if wanted not in ("int_type", "float_type") or not isinstance(given, str):
        return None
    if wanted == "float_type" and _EXPONENT.fullmatch(given):
        return float(given)
    if _DECIMAL.fullmatch(given) and _at(command_line, fault["loc"]) == given:
        return float(given) if wanted == "float_type" else int(given) if given.isdigit() else None
    return None


def _at(mapping: Any, place: Iterable[int | str]) -> Any:
    for key in _own(place):
        try:
            mapping = mapping[key]
        except (KeyError, IndexError, TypeError):
            return None
    return mapping


def _own(place: Iterable[int | str]) -> list[int | str]:
    """The keys of a location, without what pydantic adds to it."""
    return [key for key in place if not _OF_PYDANTIC.match(str(key))]


def _replaced(raw: Any, places: Iterable[tuple[tuple[int | str, ...], Any]]) -> Any:
    """A copy of ``raw`` with other values at some places."""
    out = deepcopy(raw)
    for place, value in places:
        *above, last = _own(place)
        part = out
        for key in above:
            part = part[key]
        part[last] = value
    return out


_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]{1,3}")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]*)?")
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
            fix = "keys of an engine belong to simulation.<engine>: simulation.fdmnes.command"
        return InputError(file, key, f"unknown key {where[-1]!r}", fix)
    if error["type"] == "missing":
        return InputError(file, key, "missing key", f"add {where[-1]}: see config/README.md")
    message = error["msg"].removeprefix("Value error, ")
    message = message.replace("an object", "a dictionary").replace("valid array", "valid list")
    # corefuse's own validators raise ``problem|fix|key below``; a pattern of pydantic's, or an
    # engine's own check, may hold a bar too
    if error["type"] != "value_error" or message.count("|") < 2:
        return InputError(file, key, f"{reprlib.repr(error['input'])} is not valid", message)
    problem, fix, below = message.rsplit("|", 2)
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
