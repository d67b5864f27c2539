"""Bounds of the numbers in a config, each with its reason.

A bound is either what physics or a program allows, or far beyond what anybody needs: it is there so
that a slip of the pen is reported at once, and not by a run of hours or a machine without memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic_core import core_schema


@dataclass(frozen=True)
class Between:
    """A number from ``low`` to ``high``, both included, because of ``reason``."""

    low: float
    high: float
    reason: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return handler(schema) | {"minimum": self.low, "maximum": self.high}

    def _check(self, value: float) -> float:
        if not self.low <= value <= self.high:
            text = f"{value:g}" if abs(value) < 1e300 else "a number like that"
            raise ValueError(
                f"{text} is out of range|use {self.low:.12g} to {self.high:.12g}: {self.reason}|"
            )
        return value


Seed = Annotated[int, Between(0, 2**32 - 1, "NumPy's generators are seeded with 32 bits")]
FormulaUnits = Annotated[
    int, Between(1, 128, "512 atoms are more than plane waves afford for each of many cells")
]
Defects = Annotated[int, Between(0, 256, "the largest cell has 256 oxygen atoms")]
Decorations = Annotated[int, Between(1, 1000, "every arrangement is a parent of its own")]
Steps = Annotated[int, Between(1, 100_000, "what takes more steps than this does not converge")]
SiteCount = Annotated[int, Between(1, 10_000, "no cell has more sites")]
Folds = Annotated[int, Between(2, 100, "every fold is trained on its own")]
Hours = Annotated[float, Between(0.0001, 8760, "a year has 8760 hours")]
Energy = Annotated[float, Between(-1e6, 1e6, "no core level is deeper than 1e6 eV")]
WidthEv = Annotated[float, Between(0, 100, "a broader edge has no shape")]
Radius = Annotated[float, Between(0.5, 30, "30 A around an absorber hold 10,000 atoms")]
Share = Annotated[float, Between(0, 10, "of the intensity: ten times the edge hides it")]
BeamKv = Annotated[float, Between(1, 3000, "microscopes have 20 to 3000 kV")]
Voltage = Annotated[float, Between(-10, 20, "no electrolyte stands more")]
ColumnNumber = Annotated[int, Between(1, 1_000_000, "columns count from 1")]
MemoryMb = Annotated[int, Between(500, 100_000_000, "no node has 100 TB")]
