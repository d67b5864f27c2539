"""What everything costs on this machine (``make bench``): one run, one table, ratios.

A module of this package measures one thing: its ``rows()`` yields :class:`Row` after row, and
``SECTIONS`` in ``__main__.py`` names it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

ROOT = Path(__file__).resolve().parents[3]
GPAW = "GPAW ground state and spectra"
GPAW_16 = f"{GPAW}, 16 atoms"  # the label that stages and other engines compare with
BROKEN = "BROKEN"  # what a cell of a limit that is not kept says
Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """One measured cost.

    Parameters
    ----------
    what, of
        The work, and the atoms, ion or sample it was done on; together the row's ``label``.
    cpu_seconds
        CPU time of the process: a busy machine hardly counts.
    spectra
        Site spectra (or spectra read) that came out of it.
    peak_memory_mb
        Of a process that did nothing else.
    limit_s
        CPU seconds it may take.
    reference
        Label of the row that its ratio is to; empty where there is none.
    note
        What else was found.
    """

    what: str
    of: str
    cpu_seconds: float
    spectra: int | None = None
    peak_memory_mb: float | None = None
    limit_s: float | None = None
    reference: str = ""
    note: str = ""

    @property
    def label(self) -> str:
        """How other rows name this one."""
        return f"{self.what}, {self.of}"


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """All rows as text, a cell empty where nothing is known.

    ``ratio`` is CPU time over that of the row in ``ratio_to``; without that row, as where edrixs
    is not installed, both are empty.
    """
    seconds = {row.label: row.cpu_seconds for row in rows}
    return pd.DataFrame(
        {
            "what": row.what,
            "of": row.of,
            "cpu_s": f"{row.cpu_seconds:{'.2f' if row.cpu_seconds >= 0.1 else '.1g'}}",
            "peak_memory_mb": f"{row.peak_memory_mb:.0f}" if row.peak_memory_mb else "",
            "spectra": str(row.spectra or ""),
            "cpu_s_per_spectrum": f"{row.cpu_seconds / row.spectra:.3g}" if row.spectra else "",
            "limit_s": _limit(row),
            "ratio": f"{row.cpu_seconds / seconds[row.reference]:.3g}"
            if row.reference in seconds
            else "",
            "ratio_to": row.reference if row.reference in seconds else "",
            "note": row.note,
        }
        for row in rows
    )


def printed(table: pd.DataFrame) -> str:
    """The table as text, words to the left and numbers to the right."""
    words = [name for name in ("what", "of", "ratio_to", "note") if table[name].any()]
    widths = {name: table[name].str.len().max() for name in words}
    pad = {name: f"{{:<{width}}}".format for name, width in widths.items()}
    return table.rename(columns={n: n.ljust(w) for n, w in widths.items()}).to_string(
        index=False, formatters={n.ljust(w): pad[n] for n, w in widths.items()}
    )


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """CPU seconds of this process that ``work`` took, and its result."""
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def _limit(row: Row) -> str:
    if row.limit_s is None:
        return ""
    return f"{row.limit_s:g} {'kept' if row.cpu_seconds <= row.limit_s else BROKEN}"
