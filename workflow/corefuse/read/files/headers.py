"""Names of columns and other facts from what is above the numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from corefuse.core.spectrum import SpectrumError
from corefuse.read.files.numbers import Notation
from corefuse.read.files.recorded import Facts, Table
from corefuse.read.files.told import shown, told

LOOK_ABOVE = 12  # lines above the numbers that may name the columns
_MARKS = "#%!; \t"  # of comments
_XDI_COLUMN = re.compile(r"[#%!;]\s*column\.(\d+)\s*:\s*(.*)", re.IGNORECASE)
_LISTED = re.compile(r"\W*(\d+)\)\s*(\S.*)")
_COUNTED = re.compile(r"(?:^|\s)(\d+)_(\S.*?)(?=\s+\d+_|$)")
_SPEC_MARK = re.compile(r"^#[A-Z]\d*\s+|^#\(\d+\)\s*")
_NAMED = re.compile(r"(\w+)\s*=\s*\{([^}]*)\}")  # D1 = {I0} --> its process variable
_UNIT_CELL = re.compile(
    r"\(?\[?(k?ev|a\.?u\.?|arb\.?( units?)?|counts?|cts|s|sec|m?a|na|pa|m?v|deg(rees)?|mm|norm\.?|"
    r"1|-|%|none)?\]?\)?",
    re.IGNORECASE,
)
_UNIT = re.compile(r"(?<![a-z])(k?ev)(?![a-z])", re.IGNORECASE)
_SPACING = re.compile(
    r"(?:\bD\s*=|d[_ ]?spac\w*\s*[:=]?|2d\s*/\s*2\s*=)\s*(\d+\.\d+)", re.IGNORECASE
)
_STEPS = re.compile(r"(\d+(?:\.\d+)?)\s*(?:steps|pulses|counts)\s*/\s*deg", re.IGNORECASE)
_E0 = re.compile(r"\b(?:E0|edge[_ ]energy)\s*[:=]?\s*(\d{2,}(?:\.\d+)?)", re.IGNORECASE)
_ELECTROCHEMISTRY = re.compile(
    r"volt|potential|capacity|\bewe\b|e_?cell|mah|cycle|\btime\b|^current", re.IGNORECASE
)


def unit_of(text: str) -> str | None:
    """``eV`` or ``keV`` where a text names one."""
    found = _UNIT.search(text)
    return {"ev": "eV", "kev": "keV"}[found[1].lower()] if found else None


def is_energy(name: str) -> bool:
    """Whether a name is that of an energy axis, in the languages it is written in."""
    lower = name.strip().lower()
    plain = re.search(r"energ|[ée]nergie|loss|bragg_?e\b", lower) or lower in ("e", "hv")
    return bool(plain) or unit_of(name) is not None


def table(
    values: np.ndarray, header: Sequence[str], notation: Notation, notes: tuple[str, ...] = ()
) -> Table:
    """Rows with the names, units and facts of the lines above them.

    Raises
    ------
    SpectrumError
        The names are those of electrochemistry.
    """
    found, units = names(header, values.shape[1], notation)
    _refuse_electrochemistry(found or _last_cells(header, notation))
    title = next((line.lstrip("#S \t") for line in header if re.match(r"#\s?S\s", line)), "")
    shown_line = next(
        (shown(line) for line in reversed(header) if re.search(r"[A-Za-z]", line)), ""
    )
    return Table(values, found, units, title, _facts(header, shown_line), notes)


def names(
    header: Sequence[str], width: int, notation: Notation
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and units of ``width`` columns; empty where the header does not name them all."""
    declared = {int(m[1]): m[2] for line in header if (m := _XDI_COLUMN.match(line.strip()))}
    if set(declared) == set(range(1, width + 1)):
        words = [declared[i].split("||")[0].split() or [""] for i in range(1, width + 1)]
        return tuple(w[0] for w in words), tuple(" ".join(w[1:]) for w in words)
    for found in (
        _listed(header, width),
        _counted(header, width),
        _below_each_other(header, width),
    ):
        if found:
            return found, ()
    units: tuple[str, ...] = ()
    for line in list(reversed(header))[:LOOK_ABOVE]:
        for cells in _splittings(line, notation):
            if len(cells) != width:
                continue
            if all(_UNIT_CELL.fullmatch(cell) for cell in cells):
                units = units or tuple(cells)
                break
            if sum(bool(re.search(r"[A-Za-zµμ]", cell)) for cell in cells) * 2 >= width:
                meant = dict(m.groups() for line in header if (m := _NAMED.search(line)))
                return tuple(meant.get(cell, cell) for cell in cells), units
    return _wrapped(header, width), units


def _listed(header: Sequence[str], width: int) -> tuple[str, ...]:
    """``1) Mono Energy *``, one a line."""
    listed = {int(m[1]): m[2].strip(" *") for line in header if (m := _LISTED.fullmatch(line))}
    return tuple(listed[i] for i in range(1, width + 1)) if _counts_to(listed, width) else ()


def _counted(header: Sequence[str], width: int) -> tuple[str, ...]:
    """``1_Energy (keV) 2_sec 3_mono``, over one line or several."""
    joined = " ".join(_bare(line) for line in header)
    counted = {int(number): name.strip() for number, name in _COUNTED.findall(joined)}
    return tuple(counted[i] for i in range(1, width + 1)) if _counts_to(counted, width) else ()


def _counts_to(found: dict[int, str], width: int) -> bool:
    return set(found) >= set(range(1, width + 1))


def _below_each_other(header: Sequence[str], width: int) -> tuple[str, ...]:
    """One name a line below ``Data:``."""
    bare = [line.strip() for line in header]
    starts = [i for i, line in enumerate(bare) if line.lower().rstrip() in ("data:", "columns:")]
    below = bare[starts[-1] + 1 :] if starts else []
    return tuple(below) if len(below) == width else ()


def _wrapped(header: Sequence[str], width: int) -> tuple[str, ...]:
    """Names that go on in the next line."""
    for lines in range(2, 5):
        words = " ".join(_bare(line) for line in header[-lines:]).split()
        if len(words) == width and is_energy(words[0]):
            return tuple(words)
    return ()


def _bare(line: str) -> str:
    return _SPEC_MARK.sub("", line).strip(_MARKS + "*")


def _splittings(line: str, notation: Notation) -> Iterator[list[str]]:
    """The ways a line may be divided into names."""
    whole, marked = line.strip(_MARKS), _SPEC_MARK.sub("", line).strip(_MARKS)
    is_spec = line.startswith(("#L ", "#L\t", "#("))
    for bare in dict.fromkeys((marked, whole) if is_spec else (whole, marked)):
        for parts in (
            bare.split("\t"),
            re.split(r"\s{2,}|\t|(?<=\*)\s+", bare),
            bare.split(";"),
            bare.split(","),
            notation.cells(bare),
            bare.split(),
        ):
            yield [part.strip().strip('"').strip(" *") for part in parts]


def _last_cells(header: Sequence[str], notation: Notation) -> tuple[str, ...]:
    return tuple(notation.cells(header[-1].strip(_MARKS))) if header else ()


def _facts(header: Sequence[str], line: str) -> Facts:
    text = "\n".join(header)
    spacing, steps, e0 = (pattern.search(text) for pattern in (_SPACING, _STEPS, _E0))
    e0_ev = float(e0[1]) if e0 else None
    return Facts(
        d_angstrom=float(spacing[1]) if spacing else _of_crystal(text),
        steps_per_degree=float(steps[1]) if steps else None,
        e0_ev=e0_ev if e0_ev and e0_ev > 0 else None,
        header=line,
    )


# Lattice constants (angstrom) at 22.5 C: CODATA for Si; Ge: A. S. Cooper, Acta Cryst. 15, 578
# (1962).
_LATTICE = {"si": 5.431020511, "ge": 5.65754}
_CRYSTAL = re.compile(r"\b(Si|Ge)\s*\(?\s*(\d)\s*(\d)\s*(\d)\s*\)?", re.IGNORECASE)


def _of_crystal(text: str) -> float | None:
    """Spacing (angstrom) of the planes of a named crystal: a / sqrt(h^2 + k^2 + l^2)."""
    found = _CRYSTAL.search(text)
    if not found:
        return None
    h, k, l = (int(found[i]) for i in (2, 3, 4))
    return _LATTICE[found[1].lower()] / float(np.sqrt(h * h + k * k + l * l))


def _refuse_electrochemistry(found: Sequence[str]) -> None:
    about = [name for name in found if _ELECTROCHEMISTRY.search(name)]
    if about and len(about) * 2 >= len(found) and not any(is_energy(name) for name in found):
        raise SpectrumError(
            f"its columns {told(found)} are electrochemistry, not a spectrum",
            "give the file with energies and intensities",
        )
