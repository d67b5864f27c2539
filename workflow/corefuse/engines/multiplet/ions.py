"""The ions of the multiplet engine: one cited table, and the Hamiltonian of a site from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from corefuse.config import IonName, IonParameter, Section
from corefuse.core.errors import InputError
from corefuse.core.places import own
from corefuse.engines.multiplet import ligand_field
from corefuse.engines.multiplet.solver import Ligand, Problem, Slater

CONFIG = "config"  # the source of what the config replaces
TABLE = Path(own("resources/multiplet.yaml"))


class Geometry(Section):
    """How overlaps fall with the bond: e ~ d^-field, V ~ d^-hopping; e_pi / e_sigma."""

    field_exponent: float
    hopping_exponent: float
    ligand_exponent: float
    pi_over_sigma: float = Field(ge=0, lt=0.75)
    cite: dict[str, str]


class Ion(Section):
    """One ion; see ``resources/multiplet.yaml`` for what its numbers mean."""

    n_d: int = Field(ge=3, le=9)
    spins: list[float] = Field(min_length=1)
    f2dd_initial_ev: float
    f4dd_initial_ev: float
    f2dd_final_ev: float
    f4dd_final_ev: float
    f2pd_ev: float
    g1pd_ev: float
    g3pd_ev: float
    zeta_3d_initial_ev: float
    zeta_3d_final_ev: float
    zeta_2p_ev: float
    slater_scale: float
    slater_scale_crystal_field: float
    bond_angstrom: float
    ten_dq_ev: float
    ten_dq_crystal_field_ev: float
    v_eg_ev: float
    v_t2g_ev: float
    ligand_ten_dq_ev: float
    delta_ev: float
    udd_ev: float
    upd_ev: float
    l3_maximum_ev: float
    cite: dict[str, str]


class Table(Section):
    """The whole file: every number cites one of ``sources``."""

    sources: dict[str, str]
    cite: dict[str, str]
    geometry: Geometry
    ions: dict[IonName, Ion]

    @model_validator(mode="after")
    def _every_number_has_a_source(self) -> Table:
        parts = {"geometry": self.geometry.cite} | {
            name: self.cite | ion.cite for name, ion in self.ions.items()
        }
        for name, cited in parts.items():
            numbers = (Geometry if name == "geometry" else Ion).model_fields.keys() - {"cite"}
            for key in sorted(numbers ^ cited.keys()):
                fault = "has no source" if key in numbers else "is no number of it"
                raise ValueError(f"{name}: {key} {fault}|cite a source for every number")
            for key, source in cited.items():
                if source not in self.sources:
                    raise ValueError(f"{name}: {key} cites {source!r}|add it to sources")
        return self

    def source(self, ion: IonName, number: str) -> str:
        """Where a number of an ion comes from, in words."""
        return self.sources[(self.cite | self.ions[ion].cite)[number]]


@lru_cache
def load(path: str | Path = TABLE) -> Table:
    """Read ``multiplet.yaml``.

    Raises
    ------
    InputError
        The first key that is unknown, missing or out of range.
    """
    try:
        return TypeAdapter(Table).validate_python(yaml.safe_load(Path(path).read_text()))
    except ValidationError as err:
        fault = err.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        problem, _, fix = fault["msg"].removeprefix("Value error, ").partition("|")
        raise InputError(path, key, problem, fix or "compare with the other ions") from None


def overridden(table: Table, changes: Mapping[IonName, Mapping[IonParameter, float]]) -> Table:
    """The table with some numbers of some ions replaced; their source is then the config."""
    changed = {
        name: table.ions[name].model_copy(
            update=numbers | {"cite": table.ions[name].cite | dict.fromkeys(numbers, CONFIG)}
        )
        for name, numbers in changes.items()
    }
    sources = table.sources | {CONFIG: "simulation.multiplet.ions of the config"}
    return table.model_copy(update={"sources": sources, "ions": table.ions | changed})


def problem(
    ion: Ion, geometry: Geometry, vectors: np.ndarray, charge_transfer: bool, ligand_holes: int
) -> Problem:
    """The Hamiltonian of an ion whose ligands stand at ``vectors`` (n, 3), angstrom, from it."""
    scale = ion.slater_scale if charge_transfer else ion.slater_scale_crystal_field
    ten_dq = ion.ten_dq_ev if charge_transfer else ion.ten_dq_crystal_field_ev
    core_hole = [scale * g for g in (ion.f2pd_ev, ion.g1pd_ev, ion.g3pd_ev)]

    def field(ten_dq_ev: float, exponent: float) -> np.ndarray:
        return ligand_field.field(
            vectors, ten_dq_ev, ion.bond_angstrom, exponent, geometry.pi_over_sigma
        )

    ligand = None
    if charge_transfer:
        ligand = Ligand(
            hopping=ligand_field.hopping(
                vectors, ion.v_eg_ev, ion.v_t2g_ev, ion.bond_angstrom, geometry.hopping_exponent
            ),
            energies=field(ion.ligand_ten_dq_ev, geometry.ligand_exponent),
            delta_ev=ion.delta_ev,
            udd_ev=ion.udd_ev,
            upd_ev=ion.upd_ev,
            max_holes=ligand_holes,
        )
    return Problem(
        n_d=ion.n_d,
        slater_initial=Slater(scale * ion.f2dd_initial_ev, scale * ion.f4dd_initial_ev, *core_hole),
        slater_final=Slater(scale * ion.f2dd_final_ev, scale * ion.f4dd_final_ev, *core_hole),
        zeta_3d_initial_ev=ion.zeta_3d_initial_ev,
        zeta_3d_final_ev=ion.zeta_3d_final_ev,
        zeta_2p_ev=ion.zeta_2p_ev,
        field=field(ten_dq, geometry.field_exponent),
        ligand=ligand,
    )
