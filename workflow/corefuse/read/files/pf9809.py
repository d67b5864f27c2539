"""The 9809 format of the Photon Factory and of SPring-8: angles, counts, a table of blocks above.

``Mode`` numbers the counters: 1 is the beam in front of the sample, 2 behind it, 3 fluorescence.
"""

from __future__ import annotations

import re

import numpy as np

from corefuse.core.spectrum import SpectrumError
from corefuse.read.files.numbers import Notation
from corefuse.read.files.recorded import Facts, Table

_SPACING = re.compile(r"\bD\s*=\s*(\d+\.\d+)")
OF_MODE = {1: "i0", 2: "itrans", 3: "ifluor"}
_PLAIN = Notation()


def is_one(text: str) -> bool:
    """Whether the first line is that of a 9809 file."""
    return bool(re.match(r"\s*9809\b", text[:200]))


def tables(text: str) -> list[Table]:
    """The one scan of a 9809 file: angles asked for and reached (degrees), time, counters.

    Raises
    ------
    SpectrumError
        There is no ``Mode`` line above the numbers, or no row below it.
    """
    lines = text.splitlines()
    above = [i for i, line in enumerate(lines) if line.strip().startswith("Mode")]
    if not above:
        raise SpectrumError("it has no Mode line above its counts", "give the file as it was taken")
    labels = lines[above[-1] - 1].split()
    given = [int(float(cell)) for cell in lines[above[-1]].split()[1:]]
    mode = [0] * (len(labels) - len(given)) + given  # "Mode" itself is in the first column
    first = above[-1] + 2 if lines[above[-1] + 1].strip().startswith("Offset") else above[-1] + 1
    rows = [[_PLAIN.number(cell) for cell in line.split()] for line in lines[first:]]
    rows = [row for row in rows if len(row) == len(mode) and None not in row]
    if len(rows) < 2:
        raise SpectrumError("it has no counts below its Mode line", "give the file as it was taken")
    spacing = _SPACING.search(text)
    offset = lines[first - 1].split()[1:] if first - 1 != above[-1] else []
    told = [o for o in offset if _PLAIN.number(o)]
    notes = (f"offsets {', '.join(told)} of the file are not taken off",) if told else ()
    facts = Facts(d_angstrom=float(spacing[1]) if spacing else None, header=" ".join(labels))
    return [Table(np.array(rows, dtype=float), _names(labels, mode), facts=facts, notes=notes)]


def _names(labels: list[str], mode: list[int]) -> tuple[str, ...]:
    """Names by their mode; a detector's elements are numbered from the second on."""
    names: list[str] = []
    for i, number in enumerate(mode):
        name = OF_MODE.get(number, labels[i] if i < 3 else f"counter{labels[i]}")
        count = sum(n == name or n.startswith(f"{name}_") for n in names)
        names.append(f"{name}_{count + 1}" if count else name)
    return tuple(names)
