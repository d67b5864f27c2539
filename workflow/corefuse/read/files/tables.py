"""A text with numbers in it: its blocks of rows, with what is above them."""

from __future__ import annotations

import io
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from corefuse.core.spectrum import SpectrumError
from corefuse.read.files import headers, numbers
from corefuse.read.files.numbers import Notation
from corefuse.read.files.recorded import Table
from corefuse.read.files.told import shown

COMMENT = "#%!;"
PREAMBLE_ROWS = 5  # fewer rows than this, above a long block, are settings and no data
PREAMBLE_SHARE = 0.2
MANY_LINES = 5000  # of these on, a clean table is left to pandas
MOST_BAD = 0.05  # of all rows; more is no table with a bad row
_NEW_SCAN = re.compile(r"#\s?S\s+\d+")


@dataclass
class _Block:
    """Rows of one width without a header between them; ``bad`` are the lines of those with a cell
    that is no number."""

    header: list[str] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)


def parse(text: str, least: int = 2) -> list[Table]:
    """Every block of numbers in a text with at least ``least`` columns, in order.

    Numbers in front of the data (how many there are, tables of settings) are not data. A row with
    a cell that is no number has NaN there, or is left out if it is empty; both are reported.

    Raises
    ------
    SpectrumError
        There is no table of numbers, or rows are longer than the others.
    """
    lines = text.splitlines()
    notation = numbers.detect(lines)
    tables = _clean(lines, notation, least) if len(lines) > MANY_LINES else None
    return tables or _any(lines, notation, least)


def _any(lines: Sequence[str], notation: Notation, least: int) -> list[Table]:
    width = _width(lines, notation)
    if width < least:
        raise _no_table(lines, notation)
    blocks, left_out = _blocks(lines, notation, width)
    blocks = _without_preamble(blocks)
    rows = sum(len(block.rows) for block in blocks)
    bad = [number for block in blocks for number in block.bad]
    if len(left_out) > max(2, MOST_BAD * rows):
        number, line = left_out[0]
        raise SpectrumError(
            f"line {number} is not a row of numbers ({shown(line)!r}), nor are {len(left_out) - 1} "
            "others",
            "remove them or comment them out with #",
        )
    notes = []
    if left_out:
        what = "; ".join(f"line {number} ({shown(line)!r})" for number, line in left_out[:3])
        notes.append(f"left out: {what}")
    if bad:
        first = f"line {bad[0]} ({shown(lines[bad[0] - 1])!r})"
        notes.append(f"{len(bad)} of {rows} rows have a cell that is no number, {first} first")
    header: list[str] = []
    out = []
    for block in blocks:
        header = block.header or header
        out.append(headers.table(np.array(block.rows), header, notation, tuple(notes)))
    return out


def _width(lines: Sequence[str], notation: Notation) -> int:
    """Number of columns of most rows."""
    widths: Counter[int] = Counter()
    for line in lines[:: max(1, len(lines) // MANY_LINES)]:
        if line.strip()[:1] not in ("", *COMMENT):
            values = notation.values(line.strip())
            if values and None not in values:
                widths[len(values)] += 1
    return max(widths, key=lambda n: (widths[n] * min(n, 2), n), default=0)


def _blocks(
    lines: Sequence[str], notation: Notation, width: int
) -> tuple[list[_Block], list[tuple[int, str]]]:
    """Blocks of rows, and lines among the rows that are none, with their numbers."""
    block = _Block()
    blocks = [block]
    header: list[str] = []  # what may be above the next block
    pending: list[tuple[int, str]] = []  # lines of text since the last row
    left_out: list[tuple[int, str]] = []
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line:
            continue
        if line[0] in COMMENT:
            if _NEW_SCAN.match(line) and block.rows:
                block = _Block()
                blocks.append(block)
                header, pending = [], []
            header.append(line)
            continue
        values = notation.values(line)
        total = sum(values) if None not in values else math.nan
        if block.rows and total == total and len(values) == width and not pending:
            block.rows.append(values)  # most lines of most files
            continue
        if not _is_row(values, width, notation, bool(block.rows)):
            header.append(line)
            pending.append((number, line))
            continue
        if len(values) > width:
            raise SpectrumError(
                f"line {number} has {len(values)} columns, not {width} ({shown(line)!r})",
                "give every row the same columns",
            )
        if pending and 0 < len(block.rows) < PREAMBLE_ROWS:  # settings, and text below them
            header = block.header + header
            block = _Block()
            blocks.append(block)
        elif (
            block.rows
            and any(_is_header(text, notation, width) for _, text in pending)
            and not _goes_on(block.rows, values)
        ):
            block = _Block()
            blocks.append(block)
        elif block.rows:
            left_out += pending
        if not block.rows:
            block.header = header
        header, pending = [], []
        row = [math.nan if v is None else v for v in values] if None in values else values
        block.rows.append(row if len(row) == width else row + [math.nan] * (width - len(row)))
        if total != total:
            block.bad.append(number)
    if block.rows:
        left_out += pending
    return [block for block in blocks if block.rows], left_out


def _is_row(
    values: Sequence[float | None], width: int, notation: Notation, among_rows: bool
) -> bool:
    """Whether cells are a row: as many as the others have, of which the first is a number.

    Where a mark separates the cells the last ones may be missing.
    """
    if not values or values[0] is None or math.isnan(values[0]):
        return len(values) == width and sum(v is not None for v in values) == width > 1
    if len(values) == width:
        return True
    if all(v is not None for v in values):
        shorter = len(values) > 1 and notation.separator is not None and among_rows
        return shorter if len(values) < width else among_rows
    return False


def _is_header(line: str, notation: Notation, width: int) -> bool:
    """Whether a line among the rows names the columns of a new block."""
    cells = notation.cells(line)
    return len(cells) == width and all(notation.number(cell) is None for cell in cells)


def _goes_on(rows: list[list[float]], values: Sequence[float | None]) -> bool:
    """Whether a row continues the ones above it in a column that rises or falls all along."""
    for column, value in enumerate(values):
        above = [row[column] for row in rows[-2 * PREAMBLE_ROWS :]]
        steps = [b - a for a, b in itertools.pairwise(above)]
        up = len(steps) > 1 and all(step > 0 for step in steps)
        down = len(steps) > 1 and all(step < 0 for step in steps)
        if value is not None and ((up and value > above[-1]) or (down and value < above[-1])):
            return True
    return False


def _without_preamble(blocks: list[_Block]) -> list[_Block]:
    """Short blocks above a long one are settings; they belong to its header."""
    longest = max(len(block.rows) for block in blocks)
    few = min(PREAMBLE_ROWS, PREAMBLE_SHARE * longest)
    return [block for block in blocks if len(block.rows) >= few]


def _clean(lines: list[str], notation: Notation, least: int) -> list[Table] | None:
    """A long table without any oddity, read by pandas; None where there is one."""
    start = _first_row(lines, notation)
    if start is None:
        return None
    import pandas as pd

    separator = notation.separator or r"\s+"
    if notation.split_decimals or '"' in lines[start]:
        return None
    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(lines[start:])),
            sep=separator,
            header=None,
            dtype=float,
            decimal=notation.decimal,
            thousands=notation.thousands or None,
            na_filter=False,
            skip_blank_lines=True,
        )
    except (ValueError, pd.errors.ParserError):
        return None
    values = frame.to_numpy()
    if values.shape[1] < least:
        return None
    return [headers.table(values, [h.strip() for h in lines[:start]], notation)]


def _first_row(lines: Sequence[str], notation: Notation) -> int | None:
    """Where a long run of rows of one width begins; None where settings are above it."""
    run = 0
    width = None
    for i, line in enumerate(lines[:MANY_LINES]):
        if line.strip()[:1] in ("", *COMMENT):
            run = 0
            continue
        values = notation.values(line.strip())
        if values and None not in values:
            run = run + 1 if len(values) == width else 1
            width = len(values)
            if run == 2 * PREAMBLE_ROWS:
                return i + 1 - run
        else:
            run = 0
    return None


def _no_table(lines: Sequence[str], notation: Notation) -> SpectrumError:
    first = next(_texts(lines), None)
    if first is None:
        return SpectrumError(
            "it has no two columns of numbers: no line holds any", "give a file with a spectrum"
        )
    number, line = first
    cells = notation.cells(line)
    wrong = next((c for c in cells if notation.number(c) is None), None)
    why = f" ({wrong!r} is no number)" if wrong and len(cells) > 1 else ""
    return SpectrumError(
        f"it has no two columns of numbers: line {number} is {shown(line)!r}{why}",
        "give energy and intensity columns, as .csv, .txt, .dat, .xdi, or another of the formats "
        "in docs/reading.md",
    )


def _texts(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The lines that might be rows, those with digits first."""
    there = [(n, s) for n, s in enumerate(map(str.strip, lines), 1) if s and s[0] not in COMMENT]
    with_digits = [(n, s) for n, s in there if s[0].isdigit() or s[0] in "\"'+-."]
    yield from with_digits or there
