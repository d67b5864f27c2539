"""One structure from its request: built, relaxed, labelled by what it holds, written, indexed."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure

from corefuse.core.elements import ELEMENTS
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.core.files import atomic, read_json, write_json
from corefuse.core.machine import fault_of
from corefuse.core.targets import BESIDE_VACANCY_ANGSTROM, TARGET_TABLE, Cell, values
from corefuse.plan.specs import OwnSpec, Spec, StructureSpec
from corefuse.structures import defects, layered, valence
from corefuse.structures.layered import TM_LAYER, VACANT

COLUMNS = (
    "structure_id",
    "parent_id",
    "host_id",
    "arrangement",
    "grade",
    "n_atoms",
    "formula_units",
    *TARGET_TABLE,
    "v_o_count",
    "antisite_count",
    "defect_class",
    "seed",
    "energy_ev_per_atom",
    "volume_a3_per_fu",
    "fmax_ev_per_a",
    "relaxed",
    "relax_steps",
    "failed",
)


MIN_VOLUME_A3 = 1.0  # per atom: diamond, the densest of solids, has 5.7
MOST_SITES = 10_000


def build(spec: StructureSpec) -> Structure:
    """The unrelaxed layered structure.

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


def make(spec: Spec) -> Structure:
    """The relaxed structure with moments, oxidation states, labels and the whole record.

    A structure of the user is relaxed as far as its entry asks.

    Where CHGNet fails it is the unrelaxed one, with the reason in the property ``failed``: engines
    leave it alone, and it is listed among the failed structures.

    Raises
    ------
    ValueError
        The defects find no room in the cell.
    MachineError
        A fault of the machine, which is none of the cell.
    """
    built = of_user(spec) if isinstance(spec, OwnSpec) else build(spec)
    try:
        structure, record = _relaxed(spec, built)
        structure.properties |= {"relaxation": record, "failed": ""}
    except Exception as fault:  # one odd cell must not stop hundreds
        if machine := fault_of(fault):
            raise machine from fault
        structure = built
        structure.properties |= {"relaxation": {}, "failed": f"CHGNet relaxation: {fault!r}"}
    structure.properties["labels"] = labels(structure)
    return structure


def of_user(spec: OwnSpec) -> Structure:
    """The crystal of a request of the user, with the record that :func:`build` gives its own."""
    crystal = spec.crystal
    anion = [(ELEMENTS[e].charge or 0) < 0 for e in crystal.elements]
    return Structure(
        crystal.lattice,
        crystal.elements,
        crystal.frac_coords,
        site_properties={"role": ["anion" if a else "cation" for a in anion]},
        properties={
            "spec": spec.model_dump(mode="json"),
            "structure_id": spec.structure_id,
            "parent_id": spec.parent_id,
            "host_id": spec.host_id,
            "arrangement": spec.group,
            "defects": spec.defects or [],
        },
    )


def _relaxed(spec: Spec, built: Structure) -> tuple[Structure, dict[str, Any]]:
    """The structure with ``magmom`` and ``oxidation_state``, and how its relaxation ended."""
    moments = spec.crystal.moments_mub if isinstance(spec, OwnSpec) else None
    if moments is not None and spec.relax == "none":
        return _with_moments(built, moments), {"relaxed": True, "steps": 0}
    from corefuse.structures import relax  # torch takes seconds to import and only this needs it

    if isinstance(spec, OwnSpec) and spec.relax == "none":
        record = {"energy_ev_per_atom": relax.energy_ev(built) / len(built)}
        found = _with_moments(built, relax.moments_mub(built))
        return found, record | {"relaxed": True, "steps": 0}
    rattle_seed = layered.stream_seed(spec.seed, spec.structure_id, "rattle")
    with_cell = not isinstance(spec, OwnSpec) or spec.relax == "cell"
    structure, done = relax.relax(built, spec.relaxation, rattle_seed, with_cell)
    if moments is not None:
        structure = _with_moments(structure, moments)
    return structure, asdict(done)


def _with_moments(structure: Structure, moments_mub: Sequence[float]) -> Structure:
    elements = [site.specie.symbol for site in structure]
    states = valence.oxidation_states(elements, moments_mub, "gpaw")
    out = structure.copy()
    out.add_site_property("magmom", [float(m) for m in moments_mub])
    out.add_site_property("oxidation_state", states)
    return out


def _contents_of_user(structure: Structure, spec: dict[str, Any]) -> dict[str, Any]:
    """Contents per formula unit of a user's cell; what its entry states replaces what is counted.

    No defect can be counted without the crystal it was made from: those labels are what the entry
    says, else 0 for contents and empty for defects.
    """
    number = Counter(site.specie.symbol for site in structure)
    units = spec["formula_units"]
    counted = {f"x_{e.lower()}": n / units for e, n in number.items() if e != "O"}
    states = structure.site_properties.get("oxidation_state")
    cell = Cell([site.specie.symbol for site in structure], units, oxidation_states=states)
    return {
        "n_atoms": len(structure),
        "formula_units": units,
        **values(cell),
        **counted,
        **_defects_of_user(spec),
        **spec["labels"],
    }


def _defects_of_user(spec: dict[str, Any]) -> dict[str, Any]:
    """Defect labels where this workflow made the defects; unknown where the crystal came so."""
    made, units = spec["defects"], spec["formula_units"]
    if made is None:
        return {"v_o_count": None, "antisite_count": None, "defect_class": ""}
    kinds = Counter(one["kind"] for one in made)
    vacancies, antisites = kinds["oxygen_vacancy"], kinds["antisite_pair"] // 2
    names = {"oxygen_vacancy": "vacancy", "antisite_pair": "antisite"}
    return {
        "v_o_count": vacancies,
        "v_o_fraction": vacancies / units,
        "v_o_present": float(vacancies > 0),
        "antisite_count": antisites,
        "antisite_fraction": antisites / units,
        "antisite_present": float(antisites > 0),
        "defect_class": "+".join(dict.fromkeys(names.get(k, k) for k in kinds)) or "pristine",
    }


def contents(structure: Structure) -> dict[str, Any]:
    """The labels that follow from the atoms of a built layered structure and what was made of it.

    Contents and fractions are per formula unit, one for every metal-layer site: Li on those sites
    counts in ``x_li``, Ni in the Li layer counts in ``x_ni``.
    """
    cell = cell_of(structure)
    found = values(cell)
    counts = {
        name: round(found[f"{name}_fraction"] * cell.formula_units) for name in ("v_o", "antisite")
    }
    named = {"v_o": "vacancy", "antisite": "antisite"}
    return {
        "n_atoms": len(structure),
        "formula_units": cell.formula_units,
        **found,
        **{f"{name}_count": number for name, number in counts.items()},
        "defect_class": "+".join(named[n] for n, c in counts.items() if c) or "pristine",
    }


def cell_of(structure: Structure) -> Cell:
    """What targets are computed from, of a built layered structure."""
    sublattices = structure.site_properties["sublattice"]
    edits = structure.properties.get("defects")
    return Cell(
        elements=[site.specie.symbol for site in structure],
        formula_units=sublattices.count(TM_LAYER),
        sublattices=sublattices,
        beside_vacancy=None if edits is None else _beside_vacancy(structure, edits),
        oxidation_states=structure.site_properties.get("oxidation_state"),
    )


def _beside_vacancy(structure: Structure, edits: Sequence[dict[str, Any]]) -> list[bool]:
    """Whether each atom is within the first oxygen shell of an oxygen that was taken out."""
    vacant = [e["frac_coords"] for e in edits if e["kind"] == "oxygen_vacancy"]
    if not vacant:
        return [False] * len(structure)
    distance = structure.lattice.get_all_distances(structure.frac_coords, vacant)
    return (distance.min(axis=1) <= BESIDE_VACANCY_ANGSTROM).tolist()


def labels(structure: Structure) -> dict[str, Any]:
    """The index row of a structure, counted and measured on the structure itself."""
    record, spec = structure.properties["relaxation"], structure.properties["spec"]
    of_user = "crystal" in spec
    found = _contents_of_user(structure, spec) if of_user else contents(structure)
    row = {
        "structure_id": structure.properties["structure_id"],
        "parent_id": structure.properties["parent_id"],
        "host_id": structure.properties["host_id"],
        "arrangement": structure.properties["arrangement"],
        "grade": structure.composition.reduced_formula if of_user else spec["grade"],
        **found,
        "seed": spec["seed"],
        "energy_ev_per_atom": record.get("energy_ev_per_atom"),
        "volume_a3_per_fu": structure.volume / found["formula_units"],
        "fmax_ev_per_a": record.get("fmax_ev_per_angstrom"),
        "relaxed": record.get("relaxed", False),
        "relax_steps": record.get("steps", 0),
        "failed": structure.properties["failed"],
    }
    return {column: row[column] for column in COLUMNS} | {
        name: value for name, value in found.items() if name not in COLUMNS
    }


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
        _check_numbers(data["lattice"]["matrix"], [site["abc"] for site in sites])
        if not isinstance(data["properties"], dict):
            raise TypeError("its properties are no mapping")
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
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as fault:
        raise InputError(
            path, "structure", f"not a corefuse structure ({fault!r})", "build it again"
        ) from None


def _check_numbers(matrix: Any, places: Any) -> None:
    """Raise ValueError where a cell (3, 3) or coordinates (site, 3) are no crystal's."""
    cell, at = np.asarray(matrix, float), np.asarray(places, float)
    if cell.shape != (3, 3) or at.ndim != 2 or at.shape[1] != 3 or len(at) > MOST_SITES:
        raise ValueError(f"a cell {cell.shape} with coordinates {at.shape}")
    if not (np.isfinite(cell).all() and np.isfinite(at).all()):
        raise ValueError("numbers that are not finite")
    if not MIN_VOLUME_A3 * len(at) < abs(np.linalg.det(cell)) < 1e9:
        raise ValueError(f"a cell of {abs(np.linalg.det(cell)):.3g} cubic angstrom")


def write_index(path: str | Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write ``index.csv``: one row per structure, ``COLUMNS`` and then labels of the user."""
    listed = list(rows)
    more = sorted({name for row in listed for name in row} - set(COLUMNS))
    with atomic(path) as partial, partial.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*COLUMNS, *more])
        table.writerows(
            [*(row[column] for column in COLUMNS), *(row.get(name) for name in more)]
            for row in listed
        )


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
