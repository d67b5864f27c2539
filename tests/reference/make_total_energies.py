"""Total energies of K edges with a full core hole, and the same cells without one.

Run from the project's root, about an hour on one core; what is in SCRATCH is not done again:
    PYTHONPATH=workflow python tests/reference/make_total_energies.py SCRATCH
SCRATCH then holds per cell the raw file without a hole (none.nc) and one a site (Ni_K-8.nc);
`tests/reference/site_table.py` makes a table of them.
"""

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure

from corefuse import config, engines
from corefuse.core import files
from corefuse.core.edges import EDGES
from corefuse.engines import gpaw, gpaw_core_hole
from corefuse.plan import specs
from corefuse.simulate import sites
from corefuse.structures import build

SETTINGS = config.Gpaw(
    plane_wave_cutoff_ev=270, kpoint_spacing_per_angstrom=0.75, spectrum_max_ev=35
).model_dump()
STORED = Path("resources/ni_k/structures")


@dataclass(frozen=True)
class Cell:
    """A cell and how many sites of each edge get a hole."""

    name: str
    sites: dict[str, int]


def layered(name, **counts):
    return Cell(name, {edge.replace("_", " "): n for edge, n in counts.items()})


CELLS = (
    layered("LiNiO2-4fu-d0-li100-pristine", Ni_K=4, O_K=2),
    layered("LiNiO2-4fu-d0-li000-pristine", Ni_K=2, O_K=2),
    layered("NiO", Ni_K=1, O_K=1),
    layered("LiNiO2-4fu-d0-li050-pristine", Ni_K=3, O_K=2),
    layered("NMC211-4fu-d0-li100-pristine", Ni_K=2, Mn_K=1, Co_K=1),
    layered("NMC211-4fu-d0-li000-pristine", Ni_K=2, Mn_K=1, Co_K=1),
    layered("LiCoO2-4fu-d0-li100-pristine", Co_K=1, O_K=1),
    layered("LiCoO2-4fu-d0-li000-pristine", Co_K=1, O_K=1),
    layered("MnO", Mn_K=1, O_K=1),
    layered("MnO2", Mn_K=1, O_K=1),
    layered("CoO", Co_K=1, O_K=1),
    layered("LiNiO2-4fu-d0-li075-pristine", Ni_K=3, O_K=2),
    layered("LiNiO2-4fu-d0-li025-pristine", Ni_K=2, O_K=2),
    layered("NMC211-4fu-d0-li050-pristine", Ni_K=2, Mn_K=1, Co_K=1),
    layered("LiCoO2-4fu-d0-li050-pristine", Co_K=2, O_K=2),
    layered("Li2MnO3", Mn_K=1, O_K=1),
    layered("NM31-4fu-d0-li100-pristine", Ni_K=3, Mn_K=1),
    layered("NM31-4fu-d0-li050-pristine", Ni_K=3, Mn_K=1),
    layered("NM31-4fu-d0-li000-pristine", Ni_K=2, Mn_K=1),
    layered("NC31-4fu-d0-li100-pristine", Ni_K=2, Co_K=1),
    layered("NC31-4fu-d0-li050-pristine", Ni_K=2, Co_K=1),
    layered("NC31-4fu-d0-li000-pristine", Ni_K=2, Co_K=1),
    layered("LiNiO2-3fu-d0-li000-pristine", Ni_K=1, O_K=1),  # one crystal in two supercells
)
COBALTATES = {
    "formula_units": 4,
    "relaxation": {"fmax_ev_per_angstrom": 0.08, "max_steps": 60},
    "series": [{"grade": "LiCoO2", "li_content": [1.0, 0.5, 0.0]}],
}


def rock_salt(metal, a_angstrom, moment_mub):
    """16 atoms of an antiferromagnet of type II: moments turn along [111] (C. G. Shull et al.,
    Phys. Rev. 83, 333 (1951)), at the measured lattice parameter."""
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a_angstrom), [metal, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ).get_primitive_structure() * (2, 2, 2)
    planes = np.round(cell.cart_coords.sum(axis=1) / a_angstrom, 3)
    signs = np.where(np.round(planes) % 2 == 0, 1, -1)
    moments = [
        moment_mub * sign if site.specie.symbol == metal else 0.0
        for site, sign in zip(cell, signs, strict=True)
    ]
    return with_moments(cell, moments)


def rutile_mno2():
    """Pyrolusite, 12 atoms (A. A. Bolzan et al., Aust. J. Chem. 46, 939 (1993))."""
    cell = Structure.from_spacegroup(
        "P4_2/mnm",
        Lattice.tetragonal(4.398, 2.873),
        ["Mn", "O"],
        [[0, 0, 0], [0.3046, 0.3046, 0]],
    ) * (1, 1, 2)
    middle = np.isclose(cell.frac_coords[:, 0], 0.5)
    moments = [
        3.0 * (-1 if m else 1) if s.specie.symbol == "Mn" else 0.0
        for s, m in zip(cell, middle, strict=True)
    ]
    return with_moments(cell, moments)


def li2mno3():
    """12 atoms, C2/m (A. Boulineau et al., Chem. Mater. 21, 4216 (2009))."""
    cell = Structure.from_spacegroup(
        "C2/m",
        Lattice.monoclinic(4.937, 8.532, 5.030, 109.46),
        ["Mn", "Li", "Li", "Li", "O", "O"],
        [
            [0, 0.1671, 0],
            [0, 0.5, 0],
            [0, 0, 0.5],
            [0, 0.6606, 0.5],
            [0.2189, 0, 0.2273],
            [0.254, 0.32119, 0.2233],
        ],
    ).get_primitive_structure()
    return with_moments(cell, [3.0 if s.specie.symbol == "Mn" else 0.0 for s in cell])


def with_moments(cell, moments):
    cell.add_site_property("magmom", moments)
    cell.add_site_property("role", [""] * len(cell))
    return cell


def structure_of(name, scratch):
    """Relaxed layered cells as the workflow makes them; references as they were measured."""
    path = scratch / "structures" / f"{name}.json"
    if (STORED / path.name).exists():
        return build.read(STORED / path.name)
    if not path.exists():
        references = {
            "NiO": lambda: rock_salt("Ni", 4.177, 2.0),
            "MnO": lambda: rock_salt("Mn", 4.445, 5.0),
            "CoO": lambda: rock_salt("Co", 4.261, 3.0),
            "MnO2": rutile_mno2,
            "Li2MnO3": li2mno3,
        }
        cobaltates = specs.by_id(config.Structures.model_validate(COBALTATES), "this file")
        made = references[name]() if name in references else build.make(cobaltates[name])
        build.write(path, made)
    return build.read(path)


def chosen(structure, edge, number):
    """That many inequivalent sites of an edge, evenly over the order of their moments."""
    picks = sites.select(structure, [edge], config.Sites())
    moments = structure.site_properties["magmom"]
    ordered = sorted((p.absorber.site for p in picks), key=lambda i: (abs(moments[i]), i))
    places = np.linspace(0, len(ordered) - 1, min(number, len(ordered)))
    return sorted({ordered[round(p)] for p in places})


def edges_of(structure):
    """K edges of everything that is in it but Li."""
    elements = {s.specie.symbol for s in structure}
    return tuple(e for e in EDGES if e.endswith(" K") and e != "Li K" and e[:-2] in elements)


def job_of(cell, scratch, **settings):
    structure = structure_of(cell.name, scratch)
    return engines.Job(
        cell.name, structure, edges_of(structure), SETTINGS | settings, scratch / "shared"
    )


def ground(folder):
    """One SCF for both: wave functions to start from, and all channels without a hole."""
    job, atoms = gpaw.read_job(folder)
    calc = gpaw.ground_state(atoms, job["edges"], job["settings"], folder)
    calc.write(str(folder / "ground_state.gpw"), mode="all")
    gpaw.write_channels(calc, atoms, job, folder)


class WithStart(gpaw.GpawEngine):
    """GPAW without a hole that keeps its ground state."""

    def run(self, folder):
        ground(folder)


def one(cell, what, scratch):
    """Either the cell without a hole or one site with one."""
    folder = scratch / cell.name
    if what == "none":
        raw = engines.simulate(WithStart(), job_of(cell, scratch), folder / what)
    else:
        edge, site = what.rsplit("-", 1)
        edge = edge.replace("_", " ")
        job = replace(
            job_of(cell, scratch, core_hole={edge: "full"}),
            edges=(edge,),
            absorber=engines.Absorber(edge, int(site)),
            start=folder / "none" / "ground_state.gpw",
        )
        raw = engines.simulate(gpaw_core_hole.ENGINE, job, folder / what)
    files.write_netcdf(folder / f"{what}.nc", raw)


def main(scratch):
    for cell in CELLS:
        structure = structure_of(cell.name, scratch)
        wanted = ["none"] + [
            f"{edge.replace(' ', '_')}-{site}"
            for edge, number in cell.sites.items()
            for site in chosen(structure, edge, number)
        ]
        for what in wanted:
            if not (scratch / cell.name / f"{what}.nc").exists():
                command = [sys.executable, __file__, str(scratch), cell.name, what]
                subprocess.run(command, check=False)
            path = scratch / cell.name / f"{what}.nc"
            if not path.exists():
                print(cell.name, what, "broke", flush=True)
                continue
            attrs = files.read_netcdf(path).attrs
            print(
                cell.name, what, attrs["status"], attrs["reason"], attrs["cpu_seconds"], flush=True
            )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:
        one(next(c for c in CELLS if c.name == sys.argv[2]), sys.argv[3], folder)
    else:
        main(folder)
