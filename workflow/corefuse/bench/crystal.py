"""A crystal, from its request to CHGNet's minimum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from corefuse import config
from corefuse.bench import GPAW_16, Row, stages, timed
from corefuse.plan import specs
from corefuse.structures import build

SERIES: dict[int, dict[str, Any]] = {
    4: {"grade": "NMC211", "stoichiometry": {"Ni": 0.5, "Mn": 0.25, "Co": 0.25}},
    10: {"grade": "NMC622"},
}


def rows() -> Iterator[Row]:
    """Build and relax half-delithiated cells with a vacancy, as the demo does; ratios as others."""
    from corefuse.structures import relax

    relaxation = stages.demo_config().structures.relaxation
    for formula_units, series in SERIES.items():
        request = series | {"li_content": [0.5], "defects": [{"oxygen_vacancies": 1}]}
        section = config.Structures.model_validate(
            {"formula_units": formula_units, "series": [request], "relaxation": relaxation}
        )
        spec = specs.plan(section)[0]
        seconds, built = timed(lambda spec=spec: build.build(spec))
        yield Row("build", f"{len(built)} atoms", seconds, reference=GPAW_16)
        relax.energy_ev(built)  # loads CHGNet
        seconds, (_, record) = timed(lambda cell=built: relax.relax(cell, relaxation, 1))
        note = f"{record.steps} steps, largest force {record.fmax_ev_per_angstrom:.2f} eV/A"
        yield Row("relax", f"{len(built)} atoms", seconds, reference=GPAW_16, note=note)
