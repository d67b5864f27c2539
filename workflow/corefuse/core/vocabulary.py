"""The names that every stage shares: metals, ions, edges, techniques and targets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from corefuse.core import text
from corefuse.core.edges import EDGES, TECHNIQUES
from corefuse.core.elements import ELEMENTS
from corefuse.core.targets import TARGET_TABLE

METALS = tuple(s for s, e in ELEMENTS.items() if e.layered_charges)  # of layered LiMO2
TARGETS = tuple(TARGET_TABLE)

IONS = tuple(f"{s}{v}+" for s, e in ELEMENTS.items() for v in e.ions)
ION_PARAMETERS = (
    *("slater_scale", "slater_scale_crystal_field", "bond_angstrom"),
    *("ten_dq_ev", "ten_dq_crystal_field_ev", "v_eg_ev", "v_t2g_ev", "ligand_ten_dq_ev"),
    *("delta_ev", "udd_ev", "upd_ev", "l3_maximum_ev"),
    *("f2dd_initial_ev", "f4dd_initial_ev", "f2dd_final_ev", "f4dd_final_ev"),
    *("f2pd_ev", "g1pd_ev", "g3pd_ev"),
    *("zeta_3d_initial_ev", "zeta_3d_final_ev", "zeta_2p_ev"),
)

Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80),
    AfterValidator(text.not_periodic),
]
METALS_3D = tuple(s for s, e in ELEMENTS.items() if e.cuts)  # moments tell their valence
Metal = Literal[METALS]  # type: ignore[valid-type]
MetalOf3d = Literal[METALS_3D]  # type: ignore[valid-type]
EdgeName = Literal[tuple(EDGES)]  # type: ignore[valid-type]
Technique = Literal[TECHNIQUES]  # type: ignore[valid-type]
Target = Literal[TARGETS]  # type: ignore[valid-type]
IonName = Literal[IONS]  # type: ignore[valid-type]
IonParameter = Literal[ION_PARAMETERS]  # type: ignore[valid-type]
