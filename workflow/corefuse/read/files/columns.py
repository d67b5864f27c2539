"""What the columns of a table are, by the names that beamlines give them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

import numpy as np

from corefuse.core.spectrum import SpectrumError
from corefuse.read.files import expression
from corefuse.read.files.headers import is_energy, unit_of
from corefuse.read.files.recorded import Table, Wanted
from corefuse.read.files.told import told

HC_EV_ANGSTROM = 12398.419843  # CODATA 2018
ONE_AXIS_EV = 0.5  # readings of one monochromator differ by less
SET_AXIS_EV = 5.0  # an energy that was asked for may be missed by so much

# Role of a column -> its names, lower case, every other character than letters and digits an
# underscore. The first that fits counts. `\b` of the patterns is an underscore or an end.
_ROLES: tuple[tuple[str, str], ...] = (
    ("reference_mu", r"x?mu_?ref\w*|ref\w*_x?mu|norm_?ref\w*"),
    ("time", r"\w*(time|second|dwell|preset|clock|epoch|tscaler|scaler_integ|acq)\w*|t|s|sec|dt"),
    (
        "i0",
        r"i_?[0o]|i_?zero|(i0|io)_\w+|\w+_i0|mon|monitor\w*|imon|flux|mesh|au_mesh|i_?mesh|ion_?0|incoming_beam",
    ),
    ("it", r"i_?1|i_?t|it\w{0,2}|i1_\w+|itr\w*|trans\w*|\w+_itrans|i_?trans\w*|it_\w+|ion_?1"),
    ("reference", r"i_?2|i_?r|ir_\w+|i2_\w+|i?ref\w*|ion_?2"),
    ("tey", r"i?_?tey\w*|\w+_tey|drain\w*|i_?sample|sample_current|electron_yield"),
    ("pfy", r"i?_?i?pfy\w*|\w+_pfy"),
    ("tfy", r"i?_?tfy\w*|\w+_tfy"),
    ("dead_time", r"\w*(dt_?factor|dead_?time)\w*"),
    ("rates", r"\w*(icr|ocr|output_?counts|input_?counts|ring|current|ma_fbk)\w*"),
    ("corrected", r"dtc\d+|dtc_\w+|\w+_dtc\d*"),
    (
        "fluorescence",
        r"i_?f\w{0,2}|ifl\w*|iff|fl|fluo\w*|flatot|fla?_?\d+|ff\d*|pips|lytle\w*|roi_?\w*|"
        r"\w*_?(ka|kb|la|lb)\d?(_\w+)?|mca_?\d+|sdd\w*|ge_?\d+|vortex\w*|xmap\w*|ketek\w*|"
        r"canberra\w*|sii\w*|det_?sum|sum_?ff|sca_?\d+(_\d+)?",
    ),
    ("angle", r"\w*(angle|theta|bragg)\w*"),
    ("steps", r"\w*(steps|encoder|pulses)\w*"),
    ("other", r"event\w*|index|point\w*|scan\w*|k|kname|no|n|number|row"),
    ("channel", r"\w*(mcs|chan\w*|ch|counter|detector|det|scaler|ct|cnt)_?\d+(_fbk)?|\d+"),
)
_COMPILED = tuple((role, re.compile(pattern)) for role, pattern in _ROLES)
_READ_BACK = re.compile(r"achiev|read|rbv|fbk|feedback|actual|enc|measured|rb$")
_SET = re.compile(r"request|set|sp$|nominal|target|demand")
_GAIN = re.compile(r"(.*?)[_ ]*[\[(].*?[\])]\s*$|(.*?)\s*/\s*\w+$")


def key(name: str) -> str:
    """A name without its unit, lower case, everything but letters and digits an underscore."""
    match = _GAIN.fullmatch(name.strip())
    if match and re.search(r"[A-Za-z]", bare := match[1] or match[2] or ""):
        name = bare
    return re.sub(r"_c\d+$", "", re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"))


def role(name: str) -> str | None:
    """What a column is by its name alone; ``energy`` included, None if nothing says it."""
    if is_energy(name):
        return "energy"
    called = key(name)
    # Process variables end in what they are: BL1606-ID1:mcs03:fbk.
    return next((r for r, pattern in _COMPILED if pattern.fullmatch(called)), None)


def place(table: Table, wanted: str | int) -> int:
    """Index of a column by its name, in any case, or its number, which counts from 1.

    Raises
    ------
    SpectrumError
        There is none, or several are called so.
    """
    count = table.values.shape[1]
    if isinstance(wanted, int) and 1 <= wanted <= count:
        return wanted - 1
    if isinstance(wanted, str):
        lower = [name.lower() for name in table.names]
        found = [i for i, name in enumerate(lower) if name == wanted.strip().lower()]
        found = found or [i for i, name in enumerate(lower) if key(name) == key(wanted) != ""]
        if len(found) > 1:
            raise SpectrumError(
                f"{len(found)} columns are called {wanted!r}",
                f"give the number of one: {told(i + 1 for i in found)}",
            )
        if found:
            return found[0]
        if wanted.strip().lstrip("$").isdigit():
            return place(table, int(wanted.strip().lstrip("$")))
    raise SpectrumError(
        f"there is no column {wanted!r}",
        f"use one of {told(table.names) or f'the numbers 1 to {count}'}",
    )


def values_of(table: Table, wanted: str | int) -> np.ndarray:
    """A column, or an expression of columns such as ``ln(i0/itrans)``, as (row,)."""
    if not expression.is_one(wanted) or _is_a_name(table, wanted):
        return table.values[:, place(table, wanted)]

    def column(name: str | int) -> np.ndarray:
        return table.values[:, place(table, name)]

    def matching(pattern: str) -> list[np.ndarray]:
        names = [n for n in table.names if fnmatch.fnmatch(n.lower(), pattern.lower())]
        if not names:
            raise SpectrumError(
                f"no column is called like {pattern!r}", f"use some of {told(table.labels)}"
            )
        return [column(name) for name in names]

    return expression.evaluate(str(wanted), column, matching)


def _is_a_name(table: Table, wanted: str | int) -> bool:
    return any(name.lower() == str(wanted).strip().lower() for name in table.names)


def energies(table: Table, wanted: Wanted) -> tuple[np.ndarray, int | None, str | None, list[str]]:
    """Energies (row,), the place of their column, their unit, and notes.

    As named; else the energies left of a chosen column where there are several axes; else the one
    axis, as reached rather than as asked for; else from the monochromator's angle; else the first
    column.

    Raises
    ------
    SpectrumError
        There are several energy axes, or an angle but no spacing.
    """
    if wanted.energy_column is not None:
        if expression.is_one(wanted.energy_column) and not _is_a_name(table, wanted.energy_column):
            return values_of(table, wanted.energy_column), None, None, []
        at = place(table, wanted.energy_column)
        angular = role(table.names[at]) in ("angle", "steps") if table.names else False
        if angular or wanted.mono_d_angstrom or wanted.mono_steps_per_degree:
            return _of_angle(table, at, wanted)
        return table.values[:, at], at, _unit(table, at), []
    roles = [role(name) for name in table.names]
    named = [i for i, r in enumerate(roles) if r == "energy"]
    if not named:
        for angular in ("angle", "steps"):
            places = [i for i, r in enumerate(roles) if r == angular]
            if places:
                return _of_angle(table, places[-1], wanted)
        if wanted.mono_d_angstrom:
            return _of_angle(table, 0, wanted)
        return table.values[:, 0], 0, _unit(table, 0), []
    at, notes = _of_several(table, named, wanted)
    return table.values[:, at], at, _unit(table, at), notes


def _of_several(table: Table, named: Sequence[int], wanted: Wanted) -> tuple[int, list[str]]:
    if len(named) == 1:
        return named[0], []
    plain = [i for i in named if key(table.names[i]) in ("energy", "e")]
    reached = [i for i in named if _READ_BACK.search(key(table.names[i]))]
    free = [i for i in named if not _SET.search(key(table.names[i]))]
    best = (plain if len(plain) == 1 else reached or free or list(named))[0]
    asked = [i for i in named if _SET.search(key(table.names[i]))]
    off = max(_apart_ev(table, best, i) for i in named)
    free_off = max((_apart_ev(table, best, i) for i in named if i not in asked), default=0.0)
    if free_off < ONE_AXIS_EV and off < SET_AXIS_EV:
        others = told(table.names[i] for i in named if i != best)
        return best, [f"energies of {table.names[best]!r}, not {others} (at most {off:.2g} eV off)"]
    if wanted.column is not None and not expression.is_one(wanted.column):
        left = [i for i in named if i < place(table, wanted.column)]
        if left:
            return left[-1], [f"energies of column {left[-1] + 1}, left of {wanted.column}"]
    spectra = [label for i, label in enumerate(table.labels) if i not in named]
    raise SpectrumError(
        f"it has {len(named)} energy columns, up to {off:.3g} eV apart: "
        + told(f"{table.names[i]} ({i + 1})" for i in named),
        f"give column, one of {told(spectra)} (its energies are those left of it), or "
        "energy_column",
    )


def _apart_ev(table: Table, one: int, other: int) -> float:
    per_unit = [1000.0 if _unit(table, i) == "keV" else 1.0 for i in (one, other)]
    away = np.abs(table.values[:, one] * per_unit[0] - table.values[:, other] * per_unit[1])
    return float(np.nanmax(away)) if np.isfinite(away).any() else np.inf


def _unit(table: Table, at: int) -> str | None:
    """The unit of an energy column, by the units row or its name."""
    unit = unit_of(table.units[at]) if table.units else None
    return unit or (unit_of(table.names[at]) if table.names else None)


def _of_angle(
    table: Table, at: int, wanted: Wanted
) -> tuple[np.ndarray, int, str | None, list[str]]:
    """E = hc / (2 d sin theta), theta in degrees or in steps of an encoder."""
    called = table.names[at] if table.names else str(at + 1)
    d_angstrom = wanted.mono_d_angstrom or table.facts.d_angstrom
    degrees = table.values[:, at]
    steps = wanted.mono_steps_per_degree or table.facts.steps_per_degree
    if role(called) == "steps" and not steps:
        raise SpectrumError(
            f"its column {called!r} counts steps of the monochromator, not energies",
            "give mono_steps_per_degree and mono_d_angstrom, or energy_column",
        )
    if not d_angstrom:
        raise SpectrumError(
            f"there is no energy among its columns {told(table.labels)}, but an angle, {called!r}",
            "give mono_d_angstrom, the spacing of the crystal's planes (Si 111: 3.1356), or "
            "energy_column",
        )
    if steps and (role(called) == "steps" or np.nanmax(np.abs(degrees)) > 180):
        degrees = degrees / steps
    with np.errstate(divide="ignore", invalid="ignore"):
        energy_ev = HC_EV_ANGSTROM / (2 * d_angstrom * np.sin(np.radians(degrees)))
    note = f"energies from {called!r} with d = {d_angstrom:.5f} angstrom"
    return np.where(energy_ev > 0, energy_ev, np.nan), at, "eV", [note]
