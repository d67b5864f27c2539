"""One structure from its request: built, relaxed, labelled by what it holds, written, indexed."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from corefuse.core.errors import InputError, NotConvergedError
from corefuse.core.files import atomic, read_json, write_json
from corefuse.plan.specs import StructureSpec
from corefuse.structures import defects, layered
from corefuse.structures.layered import LI_LAYER, OXYGEN, TM_LAYER, VACANT

COLUMNS = (
    "structure_id",
    "parent_id",
    "host_id",
    "arrangement",
    "grade",
    "n_atoms",
    "formula_units",
    "x_li",
    "x_ni",
    "x_mn",
    "x_co",
    "v_o_count",
    "v_o_fraction",
    "antisite_count",
    "antisite_fraction",
    "defect_class",
    "seed",
    "energy_ev_per_atom",
    "volume_a3_per_fu",
    "fmax_ev_per_a",
    "relaxed",
    "relax_steps",
    "failed",
)


def build(spec: StructureSpec) -> Structure:
    """The unrelaxed structure.

    Site properties: ``sublattice`` (Li, M, O), ``ideal_site`` (index in the host without any
    vacancy, the same for all structures of a parent) and ``role``. ``properties`` hold the
    request (``spec``), the ``arrangement`` of the metals and the ``defects`` made.

    Raises
    ------
    ValueError
        ``problem|fix``: the defects find no room in the cell, or it has no such decoration.
    """
    seed = spec.seed
    host, metals = decorations(spec, spec.decoration + 1)[spec.decoration]
    full = _full(metals)
    kept = layered.lithium_sites(
        host,
        full,
        spec.n_li,
        spec.li_ordering,
        lambda occupation: _chgnet_energy_ev(_crystal(host, occupation)),
        seed,
        spec.parent_id,
        spec.n_li,
    )
    lithiated = layered.keep_lithium(host, full, kept)
    occupation, edits = defects.insert(host, lithiated, spec.defect, seed, spec.structure_id)
    structure = _crystal(host, occupation)
    roles = defects.roles(host, occupation, edits)
    structure.add_site_property("role", [roles[i] for i in structure.site_properties["ideal_site"]])
    structure.properties = {
        "spec": spec.model_dump(mode="json"),
        "structure_id": spec.structure_id,
        "parent_id": spec.parent_id,
        "host_id": spec.host_id,
        "arrangement": layered.arrangement_id(host, metals),
        "defects": [asdict(edit) | {"frac_coords": list(edit.frac_coords)} for edit in edits],
    }
    return structure


def decorations(spec: StructureSpec, number: int) -> list[tuple[Structure, list[str]]]:
    """The first hosts and metals of a composition, see ``layered.decorations``."""
    return layered.decorations(spec.metals, number, spec.seed, spec.composition_id)


def check_room(spec: StructureSpec, host: Structure, metals: Sequence[str]) -> None:
    """Raise ValueError ``problem|fix`` where the vacancies of a request find no room.

    Costs nothing to speak of unless the request is a tight one, which is then built.
    """
    if not defects.surely_fit(host, _full(metals), spec.defect):
        build(spec)


def make(spec: StructureSpec) -> Structure:
    """The relaxed structure with moments, oxidation states, labels and the whole record.

    Where CHGNet fails it is the unrelaxed one, with the reason in the property ``failed``: engines
    leave it alone, and it is listed among the failed structures.

    Raises
    ------
    ValueError
        The defects find no room in the cell.
    """
    from corefuse.structures import relax  # torch takes seconds to import and only this needs it

    rattle_seed = layered.stream_seed(spec.seed, spec.structure_id, "rattle")
    built = build(spec)
    try:
        structure, record = relax.relax(built, spec.relaxation, rattle_seed)
        structure.properties |= {"relaxation": asdict(record), "failed": ""}
    except Exception as fault:  # one odd cell must not stop hundreds
        structure = built
        structure.properties |= {"relaxation": {}, "failed": f"CHGNet relaxation: {fault!r}"}
    structure.properties["labels"] = labels(structure)
    return structure


def contents(structure: Structure) -> dict[str, Any]:
    """The labels that follow from the atoms alone, counted on a built structure.

    Contents and fractions are per formula unit, one for every metal-layer site: Li on those sites
    counts in ``x_li``, Ni in the Li layer counts in ``x_ni``.
    """
    sublattice = structure.site_properties["sublattice"]
    elements = [site.specie.symbol for site in structure]
    formula_units = sublattice.count(TM_LAYER)
    number = Counter(elements)
    vacancies = 2 * formula_units - sublattice.count(OXYGEN)
    antisites = list(zip(sublattice, elements, strict=True)).count((LI_LAYER, "Ni"))
    found = [name for name, n in (("vacancy", vacancies), ("antisite", antisites)) if n]
    return {
        "n_atoms": len(structure),
        "formula_units": formula_units,
        **{f"x_{m.lower()}": number[m] / formula_units for m in ("Li", "Ni", "Mn", "Co")},
        "v_o_count": vacancies,
        "v_o_fraction": vacancies / formula_units,
        "antisite_count": antisites,
        "antisite_fraction": antisites / formula_units,
        "defect_class": "+".join(found) or "pristine",
    }


def labels(structure: Structure) -> dict[str, Any]:
    """The index row of a structure, counted and measured on the structure itself."""
    record, spec = structure.properties["relaxation"], structure.properties["spec"]
    found = contents(structure)
    row = {
        "structure_id": structure.properties["structure_id"],
        "parent_id": structure.properties["parent_id"],
        "host_id": structure.properties["host_id"],
        "arrangement": structure.properties["arrangement"],
        "grade": spec["grade"],
        **found,
        "seed": spec["seed"],
        "energy_ev_per_atom": record.get("energy_ev_per_atom"),
        "volume_a3_per_fu": structure.volume / found["formula_units"],
        "fmax_ev_per_a": record.get("fmax_ev_per_angstrom"),
        "relaxed": record.get("relaxed", False),
        "relax_steps": record.get("steps", 0),
        "failed": structure.properties["failed"],
    }
    return {column: row[column] for column in COLUMNS}


def write(path: str | Path, structure: Structure) -> None:
    """Write a structure as pymatgen JSON."""
    write_json(path, structure.as_dict())


def read(path: str | Path) -> Structure:
    """Read what :func:`write` wrote, as plain data.

    pymatgen's own reader imports whatever class a file names in a site property; this one cannot.

    Raises
    ------
    InputError
        The file is not a structure of this workflow.
    """
    try:
        data = read_json(path)
        sites = data["sites"]
        return Structure(
            data["lattice"]["matrix"],
            [site["species"][0]["element"] for site in sites],
            [site["abc"] for site in sites],
            site_properties={
                name: [site["properties"][name] for site in sites]
                for name in sites[0]["properties"]
            },
            properties=data["properties"],
        )
    except (KeyError, IndexError, TypeError, ValueError) as fault:
        raise InputError(
            path, "structure", f"not a corefuse structure ({fault!r})", "build it again"
        ) from None


def write_index(path: str | Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write ``index.csv``: one row a structure, exactly the columns of ``COLUMNS``."""
    with atomic(path) as partial, partial.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows([row[column] for column in COLUMNS] for row in rows)


def _full(metals: Sequence[str]) -> list[str]:
    """Elements of a host without a hole: Li layer, metals, oxygen."""
    return [*["Li"] * len(metals), *metals, *["O"] * 2 * len(metals)]


def _crystal(host: Structure, occupation: Sequence[str]) -> Structure:
    kept = [i for i, element in enumerate(occupation) if element != VACANT]
    sublattice = host.site_properties["sublattice"]
    return Structure(
        host.lattice,
        [occupation[i] for i in kept],
        host.frac_coords[kept],
        site_properties={"sublattice": [sublattice[i] for i in kept], "ideal_site": kept},
    )


def _chgnet_energy_ev(structure: Structure) -> float:
    from corefuse.structures import relax  # only the chgnet ordering of Li pays for torch

    try:
        return relax.energy_ev(structure)
    except NotConvergedError:
        return inf
