"""Athena projects: gzip of Perl lists (Demeter to 0.9.25) or of JSON (later, and larch).

A group holds ``x`` (energies), ``y`` (absorption as imported), ``i0`` and ``signal`` (counts) and
its parameters, among them ``label``, ``bkg_e0`` and ``bkg_eshift``, which Athena adds to ``x``.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from corefuse.core.spectrum import SpectrumError
from corefuse.read.files.recorded import Facts, Table
from corefuse.read.files.text import MOST_UNPACKED

_STRING = r"'((?:[^'\\]|\\.)*)'"
_ITEM = re.compile(rf"{_STRING}|\[([^\]]*)\]|([^,\s()']+)")
_LIST = re.compile(r"^@(\w+)\s*=\s*\((.*)\)\s*;\s*$", re.MULTILINE)
_GROUP = re.compile(r"^\$old_group\s*=\s*" + _STRING, re.MULTILINE)
MARKS = ("Athena project file", "_____header1")


def is_one(data: bytes) -> bool:
    """Whether bytes, packed or not, begin like an Athena project."""
    start = unpacked(data, 4096) if data.startswith(b"\x1f\x8b") else data[:4096]
    return any(mark.encode() in start for mark in MARKS)


def unpacked(data: bytes, most: int = MOST_UNPACKED) -> bytes:
    """The first ``most`` bytes of what is packed in gzip; empty where it is broken."""
    try:
        return zlib.decompressobj(wbits=31).decompress(data, most)
    except zlib.error:
        return b""


def tables(data: bytes) -> list[Table]:
    """The groups of a project that hold mu(E), each a table of energy, xmu and its counts.

    A group whose reference is another one of the project has that one as ``mu_ref``.

    Raises
    ------
    SpectrumError
        It is no project, or holds no group with data.
    """
    raw = unpacked(data) if data.startswith(b"\x1f\x8b") else data
    text = raw.decode("utf-8", errors="replace")
    groups = dict(_of_json(text) if text.lstrip().startswith("{") else _of_perl(text))
    out = [
        table
        for name, (args, arrays) in groups.items()
        if (table := _table(name, args, arrays, groups)) is not None
    ]
    if not out:
        raise SpectrumError(
            "it is an Athena project without data", "in Athena, File > Export > mu(E)"
        )
    return out


Group = tuple[dict[str, Any], dict[str, np.ndarray]]


def _of_perl(text: str) -> Iterator[tuple[str, Group]]:
    places = [(m[1], m.end()) for m in _GROUP.finditer(text)]
    ends = [start for _, start in places[1:]] + [len(text)]
    for (name, start), end in zip(places, ends, strict=False):
        lists = {m[1]: _items(m[2]) for m in _LIST.finditer(text, start, end)}
        args = lists.pop("args", [])
        pairs = dict(zip(args[::2], args[1::2], strict=False))
        yield name, (pairs, {key: _array(values) for key, values in lists.items()})


def _items(text: str) -> list[str]:
    """The items of a Perl list; what is itself a list counts as one."""
    return [
        (m[1] if m[1] is not None else m[2] if m[2] is not None else m[3]).replace("\\'", "'")
        for m in _ITEM.finditer(text)
    ]


def _of_json(text: str) -> Iterator[tuple[str, Group]]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise SpectrumError(f"its JSON is broken ({err})", "save the project again") from None
    order = data.get("_____order") or list(data)
    for name in order:
        group = data.get(name)
        if isinstance(group, dict) and "x" in group:
            args = group.get("args") or {}
            if isinstance(args, list):
                args = dict(zip(args[::2], args[1::2], strict=False))
            arrays = {k: _array(v) for k, v in group.items() if isinstance(v, list)}
            yield name, (args, arrays)


def _array(values: list[Any]) -> np.ndarray:
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError):
        return np.array([])


def _table(
    name: str, args: dict[str, Any], arrays: dict[str, np.ndarray], groups: dict[str, Group]
) -> Table | None:
    """One group as it is, not shifted; None for chi(k) and empty groups."""
    x, y = arrays.get("x", np.array([])), arrays.get("y", np.array([]))
    kind = str(args.get("datatype") or args.get("recordtype") or "xmu").lower()
    if x.size < 2 or x.size != y.size or "chi" in kind:
        return None
    label = str(args.get("label") or name).strip()
    shift_ev = _number(args.get("bkg_eshift"))
    columns, names = [x, y], ["energy", "norm" if _is_true(args.get("is_nor")) else "xmu"]
    of_group = groups.get(str(args.get("referencegroup") or ""))
    foil = of_group[1] if of_group is not None else {}
    if foil.get("y", x[:0]).size == x.size and np.allclose(foil["x"], x, atol=1e-3):
        columns.append(foil["y"])
        names.append("mu_ref")
    notes = (f"group {label!r}, as measured",)
    if shift_ev:
        notes = (f"group {label!r}; Athena shifts it by {shift_ev:+.3f} eV, which is not done",)
    e0_ev = _number(args.get("bkg_e0")) - shift_ev
    facts = Facts(e0_ev=e0_ev if e0_ev > 0 else None)
    units = ("keV" if _is_true(args.get("is_kev")) else "eV", *[""] * (len(names) - 1))
    return Table(np.column_stack(columns), tuple(names), units, label, facts, notes)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _is_true(value: Any) -> bool:
    return str(value) in ("1", "True", "true")
