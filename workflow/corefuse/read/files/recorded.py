"""What a reader is asked for, what it finds in a file, and what it hands on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

EV_PER_UNIT = {"eV": 1.0, "keV": 1000.0}
# "absorption" is a logarithm of counts, so its edge step has a scale; the others have none.
Quantity = Literal["absorption", "ratio", "unknown"]


@dataclass(frozen=True)
class Wanted:
    """What a user says about a file; everything may be left to the file.

    ``column``, ``energy_column`` and ``reference_column`` are names, numbers from 1 or expressions
    of them; ``part`` is one of several scans, groups or signals, by its name or number from 1.
    ``covers_ev`` are the energies that the edge needs and ``edge_ev`` the edge, both in eV as the
    file's own axis has them: parts of a file that lie elsewhere are not meant.
    """

    column: str | int | None = None
    energy_column: str | int | None = None
    reference_column: str | int | None = None
    axis_range: tuple[float, float] | None = None
    part: str | int | None = None
    mode: str | None = None
    mono_d_angstrom: float | None = None
    mono_steps_per_degree: float | None = None
    covers_ev: tuple[float, float] | None = None
    edge_ev: float | None = None
    energy_unit: str | None = None
    element: str | None = None  # that absorbs


ANYTHING = Wanted()


@dataclass(frozen=True)
class SpatialAxis:
    """One direction of a spectrum image: pixel i is at offset + scale * i."""

    name: str
    size: int
    scale: float
    offset: float
    unit: str


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a file holds: ``energy`` (n,), rising, and ``counts`` (..., n), one axis a direction.

    ``unit`` is the unit of the energies where the file says it, ``beam_kv`` the beam likewise.
    ``reference`` (n,) is the absorption of a foil or standard behind the sample. ``notes`` say what
    was done, ``doubts`` what makes the numbers unreliable.
    """

    energy: np.ndarray
    counts: np.ndarray
    unit: str | None = None
    axes: tuple[SpatialAxis, ...] = ()
    beam_kv: float | None = None
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    reference: np.ndarray | None = None
    quantity: Quantity = "unknown"
    title: str = ""

    def mean(self) -> np.ndarray:
        """Counts (n,), averaged over the pixels."""
        return self.counts.mean(axis=tuple(range(self.counts.ndim - 1)))

    def noted(self, *notes: str) -> Recorded:
        """The same with more notes."""
        return replace(self, notes=self.notes + notes)


@dataclass(frozen=True)
class Facts:
    """What the header of a table says beside the names of its columns."""

    d_angstrom: float | None = None  # spacing of the monochromator's planes
    steps_per_degree: float | None = None  # of its encoder
    e0_ev: float | None = None
    header: str = ""  # the line above the numbers, to be shown in a question


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of numbers as they are in a file: ``values`` (row, column), missing cells NaN.

    ``names`` are empty where the file has none; ``units`` belong to the columns, empty likewise.
    """

    values: np.ndarray
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    title: str = ""
    facts: Facts = field(default_factory=Facts)
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str | int]:
        """What a user may call the columns: their names, else their numbers from 1."""
        return list(self.names) or list(range(1, self.values.shape[1] + 1))
