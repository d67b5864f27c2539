"""From the counters of a beamline to absorption, by what the columns are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from corefuse.core.spectrum import SpectrumError
from corefuse.read.files import columns, detectors, expression
from corefuse.read.files.recorded import Quantity, Table, Wanted
from corefuse.read.files.told import told

# Names of columns that are a spectrum already, best first; the XAS Data Interchange 1.0 dictionary
# included. The others are counts that an i0 column would divide.
READY = (
    *("norm", "flat", "normtrans", "normfluor", "mu", "xmu", "mu_e", "mutrans", "mufluor", "mu01"),
    *("normalized", "normalised", "absorption", "absorbance", "xas", "xanes"),
)
PLAIN = ("intensity", "counts", "signal")
LOGARITHMS = ("mu", "xmu", "mu_e", "mutrans", "mu01", "absorption", "absorbance")
LARGEST_LOGARITHM = 20.0  # 1e-9 of the beam: mu of fluorescence in counts is larger
# Detection modes of a sample entry -> roles of the columns they are in.
OF_MODE = {
    "TEY": ("tey",),
    "TFY": ("tfy", "corrected", "fluorescence"),
    "PFY": ("pfy", "corrected", "fluorescence"),
    "HERFD": ("pfy", "corrected", "fluorescence"),
}
YIELDS = ("tey", "pfy", "tfy", "corrected", "fluorescence")
LEAST_STEP = 0.05  # of ln(I0/It): with less a yield beside it tells more


@dataclass(frozen=True, eq=False)
class Curve:
    """A spectrum (row,) made of columns: how, and what speaks against it."""

    values: np.ndarray
    formula: str
    quantity: Quantity = "unknown"
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def spectrum(table: Table, energy: np.ndarray, at: int | None, wanted: Wanted) -> Curve:
    """The spectrum of a table: as named or written, ready-made, or from its counters.

    ``energy`` (row,) is in eV, ``at`` the place of its column.

    Raises
    ------
    SpectrumError
        Several columns may be it, or the one that is named is a counter that is none.
    """
    if wanted.column is not None:
        return _as_named(table, at, wanted)
    roles = _roles(table, at)
    found = (
        _ready(table, roles, wanted.mode)
        or _of_counters(table, energy, roles, wanted)
        or _of_channels(table, energy, roles, wanted)
        or _plain(table, roles)
    )
    if found:
        return found
    others = [i for i in range(table.values.shape[1]) if i != at]
    spectra = [i for i in others if not roles or roles[i] in (None, "channel", *YIELDS)]
    if len(spectra) == 1 and len(others) > 1 and not _beam(table, roles):
        others = spectra
    if len(others) == 1:
        return Curve(table.values[:, others[0]], str(table.labels[others[0]]))
    raise _ask(table, others, roles)


def reference(table: Table, at: int | None, wanted: Wanted) -> Curve | None:
    """The foil or standard behind the sample: as named, ready-made, or ln(It / Iref)."""
    if wanted.reference_column is not None:
        values = columns.values_of(table, wanted.reference_column)
        return Curve(values, str(wanted.reference_column))
    roles = _roles(table, at)
    ready = [i for i, r in enumerate(roles) if r == "reference_mu"]
    if len(ready) == 1:
        return Curve(table.values[:, ready[0]], table.names[ready[0]], "absorption")
    if not roles:
        return None
    behind, sample = _one(roles, "reference"), _one(roles, "it")
    if behind is None or sample is None or detectors.is_dead(table.values[:, behind]):
        return None
    made = _logarithm(table, sample, behind)
    return made if np.isfinite(made.values).mean() > 0.5 else None


def _roles(table: Table, at: int | None) -> list[str | None]:
    return [columns.role(n) if i != at else "energy" for i, n in enumerate(table.names)]


def _one(roles: Sequence[str | None], wanted: str) -> int | None:
    places = [i for i, r in enumerate(roles) if r == wanted]
    return places[0] if places else None


def _beam(table: Table, roles: Sequence[str | None]) -> int | None:
    """The column with the beam in front of the sample."""
    return _one(roles, "i0")


def _as_named(table: Table, at: int | None, wanted: Wanted) -> Curve:
    assert wanted.column is not None
    if expression.is_one(wanted.column) and str(wanted.column) not in table.names:
        values = columns.values_of(table, wanted.column)
        is_log = bool(re.match(r"\s*-?\s*(ln|log)\s*\(", str(wanted.column)))
        return Curve(values, str(wanted.column), "absorption" if is_log else "ratio")
    place = columns.place(table, wanted.column)
    roles = _roles(table, at)
    values, called = table.values[:, place], str(table.labels[place])
    mine, beam = (roles[place] if roles else None), _beam(table, roles)
    if mine in ("i0", "it", "reference") and beam is not None:
        sample = _one(roles, "it")
        better = f"ln({_quoted(table, beam)}/{_quoted(table, sample if sample else place)})"
        raise SpectrumError(
            f"its column {called!r} counts the beam, which is no absorption",
            f"set column: {better}",
        )
    if mine in YIELDS and beam is not None and beam != place:
        divided = f"{_quoted(table, place)}/{_quoted(table, beam)}"
        doubt = f"{called} is raw counts beside {table.names[beam]}: set column: {divided}"
        return Curve(values, called, doubts=(doubt,))
    return _checked(Curve(values, called, _quantity(called, values)))


def _quantity(name: str, values: np.ndarray) -> Quantity:
    """Whether a column is a logarithm of counts: by its name, and small enough for one."""
    small = np.nanmax(np.abs(values), initial=0.0) < LARGEST_LOGARITHM
    return "absorption" if small and columns.key(name) in LOGARITHMS else "unknown"


def _ready(table: Table, roles: Sequence[str | None], mode: str | None) -> Curve | None:
    """A column that is called a spectrum."""
    if not roles:
        return None
    called = {i: columns.key(n) for i, n in enumerate(table.names) if roles[i] != "energy"}
    order = READY
    if mode == "transmission":
        order = ("normtrans", "mutrans", *READY)
    elif mode:
        order = ("normfluor", "mufluor", *READY)
    for name in order:
        found = [i for i, key in called.items() if key == name]
        if len(found) == 1:
            own = table.names[found[0]]
            notes = (f"column {own!r}",) if len(called) > 1 else ()
            values = table.values[:, found[0]]
            return _checked(Curve(values, own, _quantity(own, values), notes))
    return None


def _checked(curve: Curve) -> Curve:
    """A ready-made absorption whose exact zeros are logarithms that do not exist."""
    if curve.quantity != "absorption":
        return curve
    values, doubts = detectors.without_zeros(curve.values, curve.formula)
    return replace(curve, values=values, doubts=curve.doubts + doubts)


def _plain(table: Table, roles: Sequence[str | None]) -> Curve | None:
    """A column of counts, where nothing says of what."""
    for name in PLAIN:
        found = [i for i, n in enumerate(table.names) if columns.key(n) == name]
        if len(found) == 1 and roles[found[0]] != "energy":
            return Curve(table.values[:, found[0]], table.names[found[0]])
    return None


def _of_counters(
    table: Table, energy: np.ndarray, roles: Sequence[str | None], wanted: Wanted
) -> Curve | None:
    """Transmission ln(I0/It) or a yield over I0, whichever shows the edge; as ``mode`` says."""
    beam = _beam(table, roles) if roles else None
    if beam is None or not np.nanmedian(np.abs(table.values[:, beam])) > 0:
        return None
    made: list[Curve] = []
    sample = _one(roles, "it")
    transmits = sample is not None and not detectors.is_dead(table.values[:, sample])
    if transmits and wanted.mode in (None, "transmission"):
        transmission = _logarithm(table, beam, sample)
        made += [transmission] if np.isfinite(transmission.values).mean() > 0.5 else []
    of_yields = OF_MODE.get(wanted.mode or "", YIELDS)
    if wanted.mode != "transmission":
        kinds = [kind for kind in of_yields if kind in roles]
        if "corrected" in kinds:  # counts and rates of the same detector are beside them
            kinds = [kind for kind in kinds if kind != "fluorescence"]
        for kind in kinds:
            places = [i for i, r in enumerate(roles) if r == kind]
            for elements in _detectors(table, places, wanted):
                if summed := _yield(table, energy, elements, beam, wanted):
                    made.append(summed)
    counting = [n for n, r in zip(table.names, roles, strict=True) if r in ("it", *YIELDS)]
    if counting and not made and not wanted.mode:
        raise SpectrumError(
            f"beside {table.names[beam]}, {told(counting)} hold no counts: zero or constant",
            "give other columns, or measure again",
        )
    return _chosen(made, energy, table, wanted)


def _edge(table: Table, energy: np.ndarray, wanted: Wanted) -> float | None:
    """Where the edge should be: as asked for, else as the header says if the scan goes there."""
    e0_ev = table.facts.e0_ev
    if wanted.edge_ev is None and e0_ev and np.nanmin(energy) < e0_ev < np.nanmax(energy) + 10:
        return e0_ev
    return wanted.edge_ev


def _detectors(table: Table, places: list[int], wanted: Wanted) -> list[list[int]]:
    """Columns of one detector together: those whose names differ in numbers alone.

    Of several the dead-time corrected ones, and those of the absorber's own line.
    """
    groups: dict[str, list[int]] = {}
    for place in places:
        groups.setdefault(re.sub(r"\d+", "#", columns.key(table.names[place])), []).append(place)
    line = [f"{wanted.element.lower()}_?k[ab]"] if wanted.element else []
    for part in (*line, "corr"):
        kept = {stem: found for stem, found in groups.items() if re.search(part, stem)}
        groups = kept or groups
    return list(groups.values())


def _chosen(made: list[Curve], energy: np.ndarray, table: Table, wanted: Wanted) -> Curve | None:
    """Of several detections the one with the edge; transmission before a yield, if it has a step.

    Raises
    ------
    SpectrumError
        Several yields show it.
    """
    if len(made) < 2:
        return made[0] if made else None
    near = _edge(table, energy, wanted)
    risen = [curve for curve in made if detectors.shows_edge(energy, curve.values, near)]
    yields = [curve for curve in risen if curve.quantity != "absorption"]
    faint = yields and risen[0].quantity == "absorption"
    if faint and not detectors.step(energy, risen[0].values, near) > LEAST_STEP:
        risen = yields
    formulas = [curve.formula for curve in risen or made]
    if len(formulas) == 1 or (risen and risen[0].quantity == "absorption"):
        best = (risen or made)[0]
        others = told(c.formula for c in made if c is not best)
        return replace(best, notes=(*best.notes, f"{best.formula} taken; there is also {others}"))
    raise SpectrumError(
        f"which of {told(formulas)} is the spectrum?",
        f"set mode, or column: {formulas[0]}",
    )


def _logarithm(table: Table, front: int, behind: int) -> Curve:
    """ln(front / behind), NaN where it does not exist."""
    formula = f"ln({_quoted(table, front)}/{_quoted(table, behind)})"
    before, after = table.values[:, front], table.values[:, behind]
    if np.nanmedian(before) < 0 and np.nanmedian(after) < 0:  # inverted amplifiers
        before, after = -before, -after
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where((before > 0) & (after > 0), np.log(before / after), np.nan)
    doubts = detectors.floor(after, str(table.labels[behind]))
    doubts += detectors.ceiling(before, str(table.labels[front]))
    return Curve(values, formula, "absorption", (f"absorption is {formula}",), doubts)


def _yield(
    table: Table,
    energy: np.ndarray,
    places: list[int],
    beam: int,
    wanted: Wanted,
) -> Curve | None:
    """The sum of a detector's elements over I0, dead ones left out, dead time corrected."""
    front, sign = table.values[:, beam], 1.0
    if np.nanmedian(front) < 0:  # all amplifiers of the beamline are inverted
        sign = -1.0
    signed = sign * table.values
    alive = [
        i for i in places if not detectors.is_dead(signed[:, i]) and np.nanmedian(signed[:, i]) > 0
    ]
    if not alive:
        return None
    near = _edge(table, energy, wanted)
    good = detectors.good_elements(energy, signed[:, alive].T, near)
    used = [i for i, is_good in zip(alive, good, strict=True) if is_good]
    idle = [table.names[i] for i in places if i not in used]
    counts = sum(signed[:, i] * _dead_time(table, i) for i in used)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(signed[:, beam] > 0, counts / signed[:, beam], np.nan)
    names = " + ".join(_quoted(table, i) for i in used)
    formula = (
        f"({names})/{_quoted(table, beam)}" if len(used) > 1 else f"{names}/{table.names[beam]}"
    )
    notes = [f"absorption is {formula}"]
    if any(np.any(_dead_time(table, i) != 1) for i in used):
        notes.append("counts times their dead-time factors")
    if idle and len(places) > 1:
        notes.append(f"left out, as they do not see the edge: {told(idle)}")
    doubts = [d for i in used for d in detectors.ceiling(table.values[:, i], table.names[i])]
    return Curve(values, formula, "ratio", tuple(notes), tuple(doubts))


def _dead_time(table: Table, place: int) -> np.ndarray:
    """The factor (row,) that a detector element's counts are to be multiplied by, 1 if none."""
    end = columns.key(table.names[place]).rpartition("_")[2]
    for i, name in enumerate(table.names):
        if columns.role(name) == "dead_time" and columns.key(name).rpartition("_")[2] == end:
            factor = table.values[:, i]
            if "factor" in name.lower() and np.nanmin(factor) >= 1:
                return factor
    return np.ones(len(table.values))


def _of_channels(
    table: Table, energy: np.ndarray, roles: Sequence[str | None], wanted: Wanted
) -> Curve | None:
    """Absorption of numbered channels: at the edge I0 stays, It behind the sample falls.

    Only where the names are those of counters (mcs3, detector4) and one channel alone stays.
    """
    places = [i for i, r in enumerate(roles) if r == "channel"]
    named = all(role is not None for role in roles)
    places = [i for i in places if not detectors.is_dead(table.values[:, i])]
    if len(places) < 2 or not named:
        return None
    counts = table.values[:, places].T / _seconds(table, roles)
    near = detectors.common_edge(energy, counts, wanted.edge_ev)
    moves = detectors.moves(energy, counts, near)
    stays = [p for p, move in zip(places, moves, strict=True) if move == "stays"]
    falls = [p for p, move in zip(places, moves, strict=True) if move == "falls"]
    rises = [p for p, move in zip(places, moves, strict=True) if move == "rises"]
    if not stays:
        return None
    behind = [p for p in falls if p > stays[0]]
    if behind and wanted.mode in (None, "transmission"):
        made = _logarithm(table, stays[0], behind[0])
    elif rises and wanted.mode != "transmission":
        summed = _yield(table, energy, rises[:1], stays[0], wanted)
        if summed is None:
            return None
        made = summed
    else:
        return None
    note = f"the channels have no names: {made.formula} taken by how they change at the edge"
    return replace(made, notes=(note,))


def _seconds(table: Table, roles: Sequence[str | None]) -> np.ndarray:
    """How long each point was counted (row,), 1 where the table does not say."""
    place = _one(roles, "time")
    seconds = table.values[:, place] if place is not None else np.ones(len(table.values))
    return seconds if np.all(seconds > 0) else np.ones(len(table.values))


def _quoted(table: Table, place: int) -> str:
    """A column as it is in an expression."""
    name = table.names[place] if table.names else f"${place + 1}"
    return name if re.fullmatch(r"[A-Za-z_]\w*|\$\d+", name) else f'"{name}"'


def _ask(table: Table, others: list[int], roles: Sequence[str | None]) -> SpectrumError:
    names = [table.labels[i] for i in others]
    seen = f" (above them: {table.facts.header!r})" if table.facts.header and not roles else ""
    yields = [i for i in others if roles and roles[i] in YIELDS]
    beam = _beam(table, roles)
    example = "ln(i0/itrans)"
    if beam is not None and yields:
        example = f"{_quoted(table, yields[0])}/{_quoted(table, beam)}"
    elif not table.names and len(others) > 1:
        example = f"ln(${others[0] + 1}/${others[1] + 1})"
    return SpectrumError(
        f"which of its columns {told(names)} is the spectrum?{seen}",
        f"give column: a name, a number, or an expression such as {example}",
    )
