"""Structures of the user: read from files, checked, described as requests.

ASE reads POSCAR, CIF, (extended) XYZ and its own JSON; pymatgen reads CIF with occupancies, and its
JSON is taken as plain data, since its reader imports whatever class a file names.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure

from corefuse.config import OwnStructures, Structures
from corefuse.core.elements import ELEMENTS
from corefuse.core.errors import InputError
from corefuse.core.files import read_json
from corefuse.plan.specs import Crystal, OwnSpec
from corefuse.structures import point_defects

SUFFIXES = (".cif", ".vasp", ".poscar", ".xyz", ".extxyz", ".json")
NAMES = ("POSCAR", "CONTCAR")
TABLE_COLUMNS = ("id", "file", "frame", "group", "formula_units")
CLOSEST_ANGSTROM = 0.7  # H2 has 0.74: nothing in a solid is nearer
LARGEST_FILE_MB = 200
MOST_ATOMS = 400  # a plane-wave ground state of more needs a cluster's whole node


@dataclass(frozen=True)
class Frame:
    """One crystal of a file: ``number`` counts from 0 where a file holds several."""

    file: Path
    number: int
    several: bool
    structure: Structure
    moments: Sequence[float] | None = None


@dataclass(frozen=True)
class Row:
    """What a table or an entry says of one file."""

    file: Path
    name: str = ""
    frame: int | None = None
    group: str | None = None
    formula_units: float | None = None
    labels: Mapping[str, float] = field(default_factory=dict)


def requests(section: Structures, config_file: str | Path) -> list[OwnSpec]:
    """Every structure of ``structures.files``, in the order of the config.

    Raises
    ------
    InputError
        A file is missing or unreadable, has partial occupancies, overlapping atoms or an element
        that corefuse does not know; two entries share an id, or one crystal is in two groups.
    """
    specs = [
        spec
        for i, entry in enumerate(section.files)
        for spec in _of_entry(entry, section, config_file, f"structures.files.{i}")
    ]
    _check_ids(specs, config_file)
    _check_groups(specs, config_file)
    return specs


def _of_entry(
    entry: OwnStructures, section: Structures, config_file: str | Path, key: str
) -> Iterator[OwnSpec]:
    for row in _rows(entry, config_file, key):
        frames = read(row.file)
        for frame in frames:
            if row.frame is not None and frame.number != row.frame:
                continue
            check(frame)
            pristine = _request(entry, section, row, frame)
            yield pristine
            yield from _with_defects(entry, pristine, frame.file)
        if row.frame is not None and row.frame >= len(frames):
            problem = f"it holds {len(frames)} structures, no frame {row.frame}"
            raise InputError(row.file, "frame", problem, f"use 0 to {len(frames) - 1}")


def _rows(entry: OwnStructures, config_file: str | Path, key: str) -> list[Row]:
    """The files of an entry: named, matched by a pattern, in a folder, or listed in a table."""
    path = Path(entry.file)
    if path.suffix == ".csv":
        return _table(path, entry)
    if path.is_dir():
        files = [f for f in sorted(path.iterdir()) if f.suffix in SUFFIXES or f.name in NAMES]
    elif any(sign in entry.file for sign in "*?["):
        files = sorted(Path().glob(entry.file) if not path.is_absolute() else _glob(path))
    else:
        files = [path] if path.is_file() else []
    if not files:
        raise InputError(
            config_file,
            f"{key}.file",
            f"no structure file is at {entry.file!r}",
            f"correct the path; files end in {', '.join(SUFFIXES)} or are called POSCAR",
        )
    return [Row(f, labels=entry.labels, formula_units=entry.formula_units) for f in files]


def _glob(pattern: Path) -> Iterator[Path]:
    return Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))


def _table(path: Path, entry: OwnStructures) -> list[Row]:
    """Rows of ``file, id, frame, group, formula_units, <labels>``; paths count from its folder."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(path, "table", f"it cannot be read ({fault})", "save as UTF-8") from None
    if not rows or "file" not in rows[0]:
        raise InputError(path, "table", "there is no column `file`", "name the files in it")
    return [_table_row(path, number, cells, entry) for number, cells in enumerate(rows, start=2)]


def _table_row(path: Path, number: int, cells: dict[str, str], entry: OwnStructures) -> Row:
    given = {name: text for name, text in cells.items() if name and text not in ("", None)}
    try:
        labels = {n: float(t) for n, t in given.items() if n not in TABLE_COLUMNS}
        frame = int(given["frame"]) if "frame" in given else None
        units = float(given["formula_units"]) if "formula_units" in given else entry.formula_units
        file = path.parent / given["file"]
    except (KeyError, ValueError) as fault:
        raise InputError(path, f"line {number}", f"{fault}", "give a file and numbers") from None
    return Row(
        file,
        given.get("id", ""),
        frame,
        given.get("group"),
        units,
        dict(entry.labels) | labels,
    )


def read(path: Path) -> list[Frame]:
    """All crystals of a file.

    Raises
    ------
    InputError
        The file is missing, too large, or holds no crystal with a cell; a site is occupied in part.
    """
    if not path.is_file():
        raise InputError(path, "file", "there is no such file", "correct the path")
    if path.stat().st_size > LARGEST_FILE_MB * 2**20:
        raise InputError(path, "file", f"it has over {LARGEST_FILE_MB} MB", "split it")
    try:
        if path.suffix == ".cif":
            found = [(s, None) for s in _read_cif(path)]
        elif path.suffix == ".json":
            found = _read_json(path)
        else:
            found = _read_ase(path)
    except InputError:
        raise
    except Exception as fault:  # parsers of two libraries raise what they like
        problem = f"it is no crystal structure ({type(fault).__name__}: {str(fault)[:120]})"
        fix = f"give one of {', '.join(SUFFIXES)} or a POSCAR"
        raise InputError(path, "structure", " ".join(problem.split()), fix) from None
    if not found:
        raise InputError(path, "structure", "it holds no structure", "check the file")
    several = len(found) > 1
    return [Frame(path, i, several, s, m) for i, (s, m) in enumerate(found)]


def _read_cif(path: Path) -> list[Structure]:
    from pymatgen.io.cif import CifParser

    # occupancies are kept as they are: check() reports sums above 1
    found = CifParser(path, occupancy_tolerance=100).parse_structures(primitive=False)
    return list(found)


def _read_json(path: Path) -> list[tuple[Structure, Sequence[float] | None]]:
    content = read_json(path)
    if isinstance(content, dict) and "sites" not in content and "structures" in content:
        content = content["structures"]
    if isinstance(content, dict) and "sites" not in content:
        return _read_ase(path)
    entries = content if isinstance(content, list) else [content]
    return [_plain_structure(entry.get("structure", entry)) for entry in entries]


def _plain_structure(data: Mapping[str, Any]) -> tuple[Structure, Sequence[float] | None]:
    """pymatgen's dictionary as plain data; site property ``magmom`` (Bohr magnetons)."""
    sites = data["sites"]
    species = [{s["element"]: float(s["occu"]) for s in site["species"]} for site in sites]
    found = [site.get("properties", {}).get("magmom") for site in sites]
    moments = None if any(m is None for m in found) else [float(m) for m in found]
    cell = Structure(data["lattice"]["matrix"], species, [site["abc"] for site in sites])
    return cell, moments


def _read_ase(path: Path) -> list[tuple[Structure, Sequence[float] | None]]:
    from ase.io import read as ase_read

    found = []
    for atoms in ase_read(path, index=":"):
        if not atoms.pbc.all() or abs(atoms.cell.volume) < 1e-6:
            problem = "it has no periodic cell in three directions"
            raise InputError(path, "structure", problem, "add the lattice (extended XYZ: Lattice=)")
        moments = _ase_moments(atoms)
        cell = Structure(
            atoms.cell.array, atoms.get_chemical_symbols(), atoms.get_scaled_positions()
        )
        found.append((cell, moments))
    return found


def _ase_moments(atoms: Any) -> list[float] | None:
    for given in (
        atoms.arrays.get("magmoms"),
        atoms.arrays.get("magmom"),
        getattr(atoms.calc, "results", {}).get("magmoms"),
        atoms.get_initial_magnetic_moments() if atoms.has("initial_magmoms") else None,
    ):
        if given is not None and np.ndim(given) == 1:
            return [float(m) for m in given]
    return None


def check(frame: Frame) -> None:
    """Raise InputError for a crystal that no engine can compute, before anything runs."""
    structure, where = frame.structure, f"frame {frame.number}" if frame.several else "structure"
    partial = [s for s in structure if not s.is_ordered]
    if partial:
        raise InputError(
            frame.file,
            where,
            f"{len(partial)} sites are occupied in part, e.g. {partial[0].species_string}",
            "order it, e.g. pymatgen's OrderDisorderedStructureTransformation or a supercell",
        )
    unknown = sorted({s.specie.symbol for s in structure} - set(ELEMENTS))
    if unknown:
        raise InputError(
            frame.file,
            where,
            f"corefuse has no entry for {', '.join(unknown)}",
            "add it to the table of elements (workflow/corefuse/core/elements.py)",
        )
    if len(structure) > MOST_ATOMS:
        raise InputError(
            frame.file, where, f"it has {len(structure)} atoms", f"use cells of up to {MOST_ATOMS}"
        )
    distances = structure.distance_matrix + np.diag(np.full(len(structure), np.inf))
    if distances.min() < CLOSEST_ANGSTROM:
        i, j = np.unravel_index(np.argmin(distances), distances.shape)
        raise InputError(
            frame.file,
            where,
            f"atoms {i} and {j} are {distances[i, j]:.2f} angstrom apart",
            "remove one of them, or correct the lattice",
        )


def _with_defects(entry: OwnStructures, pristine: OwnSpec, file: Path) -> Iterator[OwnSpec]:
    """A request per kind of defect and symmetry-distinct site; all in the group of the pristine."""
    crystal = pristine.crystal
    structure = Structure(crystal.lattice, crystal.elements, crystal.frac_coords)
    for defect in entry.defects:
        try:
            made = list(point_defects.of_kind(structure, defect))
        except ValueError as fault:
            problem, _, fix = str(fault).partition("|")
            raise InputError(file, "defects", problem, fix) from None
        for one in made:
            moments = crystal.moments_mub and [crystal.moments_mub[i] for i in one.kept]
            changed = crystal.model_copy(
                update={
                    "elements": [s.specie.symbol for s in one.structure],
                    "frac_coords": np.round(one.structure.frac_coords, 8).tolist(),
                    "moments_mub": moments,
                }
            )
            more = {"name": f"{pristine.name}-{one.label}", "crystal": changed}
            yield pristine.model_copy(update=more | {"defects": one.record})


def _request(entry: OwnStructures, section: Structures, row: Row, frame: Frame) -> OwnSpec:
    repeated = _repeated(frame, entry.supercell)
    structure = _right_handed(repeated.structure.get_sorted_structure(lambda s: _order(s)))
    order = sorted(range(len(repeated.structure)), key=lambda i: _order(repeated.structure[i]))
    moments = _moments(entry, structure, repeated, order)
    stem = row.name or _safe(row.file.stem if row.file.name not in NAMES else row.file.parent.name)
    several = frame.several and row.frame is None
    name = f"{stem}-{frame.number:04d}" if several else stem
    origin = f"{stem}-{structure.composition.reduced_formula}"
    return OwnSpec(
        name=name,
        group=row.group or entry.group or _safe(origin),
        source=f"{row.file.name}, frame {frame.number}" if frame.several else row.file.name,
        crystal=Crystal(
            lattice=np.round(structure.lattice.matrix, 8).tolist(),
            elements=[s.specie.symbol for s in structure],
            frac_coords=np.round(structure.frac_coords, 8).tolist(),
            moments_mub=moments,
        ),
        relax=entry.relax,
        formula_units=_formula_units(entry, row, structure),
        labels=dict(row.labels),
        seed=section.seed,
        relaxation=section.relaxation,
        defects=[] if entry.defects else None,
    )


def _repeated(frame: Frame, supercell: tuple[int, int, int]) -> Frame:
    """The frame with its cell repeated, its moments with it."""
    if supercell == (1, 1, 1):
        return frame
    structure = frame.structure.copy()
    if frame.moments is not None:
        structure.add_site_property("magmom", list(frame.moments))
    structure.make_supercell(supercell)
    moments = structure.site_properties.get("magmom") if frame.moments is not None else None
    repeated = replace(frame, structure=structure, moments=moments)
    check(repeated)
    return repeated


def _order(site: Any) -> int:
    """Anions last, else by atomic number: absorbers of one element stay together."""
    return site.specie.Z + (1000 if (ELEMENTS[site.specie.symbol].charge or 0) < 0 else 0)


def _right_handed(structure: Structure) -> Structure:
    """The same crystal with a positive cell volume, which CHGNet's stress needs."""
    if np.linalg.det(structure.lattice.matrix) > 0:
        return structure
    return Structure(-structure.lattice.matrix, structure.species, -structure.frac_coords)


def _moments(
    entry: OwnStructures, structure: Structure, frame: Frame, order: Sequence[int]
) -> list[float] | None:
    if isinstance(entry.moments, dict):
        return [entry.moments.get(s.specie.symbol, 0.0) for s in structure]
    if entry.moments == "chgnet":
        return None
    if frame.moments is None:
        if entry.moments == "file":
            raise InputError(
                frame.file,
                "moments",
                "the file has no magnetic moments",
                "set moments: chgnet, or give them by element, e.g. {Fe: 4}",
            )
        return None
    return [frame.moments[i] for i in order]


def _formula_units(entry: OwnStructures, row: Row, structure: Structure) -> float:
    if row.formula_units is not None:
        return row.formula_units * prod(entry.supercell)
    anions = sum((ELEMENTS[s.specie.symbol].charge or 0) < 0 for s in structure)
    return anions / entry.anions_per_formula_unit if anions else 1.0


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_.-") or "structure"


def _check_ids(specs: Sequence[OwnSpec], config_file: str | Path) -> None:
    repeated = [name for name, n in Counter(s.structure_id for s in specs).items() if n > 1]
    if repeated:
        raise InputError(
            config_file,
            "structures.files",
            f"two structures are called {repeated[0]}",
            "rename a file, or give each an id in a table (columns id, file)",
        )


def _check_groups(specs: Sequence[OwnSpec], config_file: str | Path) -> None:
    """The same crystal in two groups would be trained on and tested on."""
    seen: dict[str, OwnSpec] = {}
    for spec in specs:
        first = seen.setdefault(spec.crystal.fingerprint(), spec)
        if first.group != spec.group:
            raise InputError(
                config_file,
                "structures.files",
                f"{first.structure_id} and {spec.structure_id} are one crystal in two groups",
                "give both the same group, or drop one",
            )
