"""Section ``local``: models that read the surroundings of single sites."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corefuse.core.section import Section, Unique

LOCAL_TARGET_NAMES = (
    *("oxidation_state", "coordination_number", "mean_bond_angstrom"),
    *("n_li_shell", "n_ni_shell", "n_mn_shell", "n_co_shell", "n_vacancies_shell"),
)


class Local(Section):
    """Local structure: a dataset with one row per site, and how well it can be read."""

    modalities: Annotated[list[str], Unique] = Field(
        [], description="modalities, e.g. Ni_L23-XAS, whose site spectra are read; empty: none"
    )
    targets: Annotated[list[str], Unique] = Field(
        list(LOCAL_TARGET_NAMES), description=f"local quantities: {', '.join(LOCAL_TARGET_NAMES)}"
    )
