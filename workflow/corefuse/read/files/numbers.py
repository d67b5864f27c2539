"""How a file writes its numbers: separators, decimal commas, thousands, Fortran's exponents."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from corefuse.core.spectrum import SpectrumError

MOST_LOOKED_AT = 400  # lines, evenly spaced
_BLANKS = str.maketrans("", "", "\u00a0\u202f\u2009'\u2019")  # between thousands
_NO_NUMBER = re.compile(r"#\w[\w/]*[!?]?|\b(?:nan|inf|none|null|overflow|n/a)\b", re.IGNORECASE)
_NUMERIC = re.compile(r"[\s\d.,;:+\-eEdD\"'\u00a0\u202f\u2009\u2019]+")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(?:,\d+)?(?:[eEdD][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
_EXPONENT = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d)")
# What represents a number that does not exist.
MISSING = {"", "-", "--", "---", "nan", "none", "null", "n/a", "na", "inf", "-inf", "overflow"}


@dataclass(frozen=True)
class Notation:
    """``separator`` of the cells (None: blanks), ``decimal`` mark, mark of ``thousands``.

    ``split_decimals`` tells that commas are between columns and within numbers alike.
    """

    separator: str | None = None
    decimal: str = "."
    thousands: str = ""
    split_decimals: bool = False

    def cells(self, line: str) -> list[str]:
        """The cells of a line, empty ones at its end left out."""
        if '"' in line:
            cells = next(csv.reader([line], delimiter=self.separator or " ", skipinitialspace=True))
        else:
            cells = line.split(self.separator)
        cells = [cell.strip() for cell in cells]
        while cells and not cells[-1]:
            cells.pop()
        digits = all(cell.lstrip("+-").isdigit() for cell in cells)
        if self.split_decimals and digits and len(cells) % 2 == 0:
            return [f"{w}.{part}" for w, part in zip(cells[::2], cells[1::2], strict=True)]
        return cells

    def values(self, line: str) -> list[float | None]:
        """The numbers in the cells of a line; NaN and None as of :meth:`number`."""
        if self.decimal == "." and not (self.thousands or self.split_decimals or "_" in line):
            try:  # most lines of most files
                return [float(cell) for cell in line.split(self.separator)]
            except ValueError:
                pass
        return [self.number(cell) for cell in self.cells(line)]

    def number(self, cell: str) -> float | None:
        """The number in a cell; NaN where one is missing, None where it is none."""
        if self.thousands:
            cell = cell.replace(self.thousands, "")
        if self.decimal == ",":
            cell = cell.replace(",", ".")
        try:
            return float(cell) if "_" not in cell else None
        except ValueError:
            pass
        if cell.lower() in MISSING or re.fullmatch(r"#[\w/]+[!?]?", cell):
            return float("nan")
        cell = _EXPONENT.sub("e", cell.translate(_BLANKS).replace(" ", ""))
        try:
            return float(cell) if "_" not in cell else None
        except ValueError:
            return None


def detect(lines: Sequence[str]) -> Notation:
    """The notation of the lines that hold nothing but numbers.

    A comma is a decimal mark, a mark of thousands or a separator by what stands around it in the
    whole file, never cell by cell.

    Raises
    ------
    SpectrumError
        Commas may be both.
    """
    rows = _rows(lines)
    most = len(rows) / 2
    for separator in (";", "\t"):
        if sum(separator in row for row in rows) > most:
            cells = [c.strip().strip('"') for row in rows for c in row.split(separator)]
            return Notation(separator, *_marks([c for c in cells if c]))
    if sum('"' in row and "," in row for row in rows) > most:
        cells = [cell for row in csv.reader(rows, skipinitialspace=True) for cell in row]
        return Notation(",", *_marks([c.strip() for c in cells if c.strip()]))
    if sum("," in row for row in rows) <= most:
        return Notation()
    words = [word for row in rows for word in row.split()]
    together = [len(row.split()) > 1 for row in rows]
    if all(together) and all(_DECIMAL_COMMA.fullmatch(w) for w in words if "," in w):
        return Notation(None, *_marks(words))
    inside = [w for w in words if "," in w.strip(",")]
    if inside and all(together) and all(_THOUSANDS.fullmatch(w.split(".")[0]) for w in inside):
        return Notation(None, ".", ",")
    return Notation(",", split_decimals=_split_decimals(rows))


def _rows(lines: Sequence[str]) -> list[str]:
    every = max(1, len(lines) // MOST_LOOKED_AT)
    looked_at = [
        line.strip() for line in lines[::every] if line.strip()[:1] not in ("", "#", "%", ";")
    ]
    clean = [_NO_NUMBER.sub("", line) for line in looked_at]
    return [line for line in clean if _NUMERIC.fullmatch(line) and any(map(str.isdigit, line))]


def _marks(cells: Sequence[str]) -> tuple[str, str]:
    """Decimal mark and mark of thousands of cells that a comma does not separate."""
    cells = [cell.translate(_BLANKS) for cell in cells]
    commas = [cell for cell in cells if "," in cell]
    points = [cell for cell in cells if "." in cell]
    if not commas:
        return ".", ""
    if any(cell.rfind(".") < cell.rfind(",") for cell in points if "," in cell):
        return ",", "."  # 8.133,00
    if points:
        return ".", ","  # 8,133.00, or 1,234 beside 0.5
    if not all(_THOUSANDS.fullmatch(cell) for cell in commas):
        return ",", ""
    if any(cell.lstrip("+-").startswith("0,") for cell in commas):
        return ",", ""
    if len(commas) < len(cells):
        return ".", ","  # 1,234 beside 999: decimals would be written everywhere
    raise SpectrumError(
        f"the comma in {commas[0]!r} may be a decimal mark or a thousands separator",
        "write it with a decimal point",
    )


def _split_decimals(rows: Sequence[str]) -> bool:
    """8133,001,0,549: an even number of whole numbers, some of them with a zero in front."""
    cells = [[cell.strip() for cell in row.split(",")] for row in rows]
    counts = {len(row) for row in cells}
    digits = all(cell.lstrip("+-").isdigit() for row in cells for cell in row)
    if len(counts) != 1 or not digits or min(counts) % 2 or min(counts) < 4:
        return False
    fractions = [cell for row in cells for cell in row[1::2]]
    wholes = [cell.lstrip("+-") for row in cells for cell in row[::2]]
    zeros = any(len(cell) > 1 and cell.startswith("0") for cell in fractions)
    return zeros and not any(len(cell) > 1 and cell.startswith("0") for cell in wholes)
