"""Files as FDMNES writes them, with made-up numbers: what is put in must be read out again.

The format is that of the releases of 2021 and later: its header lines and columns are facts of
interoperability; no text here comes from a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

HEADER_NAMES = (
    "E_edge, Z, n_edge, j_edge, Abs_before_edge, VO_interstitial, E_cut, ninit, ninit1, "
    "Epsii ({levels}), UnitCell_Volume, Surface_ref, f0_forward, natomsym_f, abs_u_iso"
)


@dataclass(frozen=True)
class Made:
    """A run: energies count from the edge (eV), cross sections (Mbarn) are of all equal atoms."""

    z: int
    edge_energy_ev: float
    core_energies_ev: tuple[float, ...]  # L2 before L3, as FDMNES has them
    energy_ev: np.ndarray
    cross_sections_mbarn: dict[str, np.ndarray]  # column -> values
    sets: list[tuple[int, list[int]]]  # atomic number, atoms from 1; the absorbers' set first
    cycles: int = 12
    converged: bool = True
    ended: bool = True
    cut_ev: float = 0.0
    fermi_level_ev: float = -12.5


def write(folder: Path, made: Made, name: str = "site") -> None:
    """The raw spectrum and the log of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(raw_text(made))
    (folder / f"{name}_bav.txt").write_text(log_text(made))


def raw_text(made: Made) -> str:
    """A line of numbers with their names behind it, a line of columns, the table."""
    many = len(made.core_energies_ev)
    equal = len(made.sets[0][1])
    numbers = [
        f"{made.edge_energy_ev:10.3f} {made.z:4d}  1  1",
        *(f"{x:14.7E}" for x in (1.9, -6.2, made.cut_ev)),
        f"{many:2d} {max(many - 1, 1):2d}",
        *(f"{x:14.7E}" for x in (*made.core_energies_ev, 96.5, 0.0, 12.5, float(equal), 0.0)),
    ]
    names = HEADER_NAMES.format(levels="1" if many == 1 else f"1..{many}")
    columns = list(made.cross_sections_mbarn)
    rows = [
        f"{made.edge_energy_ev + e:10.3f} "
        + " ".join(f"{made.cross_sections_mbarn[c][i]:14.7E}" for c in columns)
        for i, e in enumerate(made.energy_ev)
    ]
    head = "    Energy  " + "   ".join(columns)
    return "\n".join([f"{' '.join(numbers)} = {names}", head, *rows]) + "\n"


def log_text(made: Made) -> str:
    """The log: version, sets of atoms, cycles of the SCF, farewell."""
    lines = ["  FDMNES program, made-up revision for tests", "", " ---- Symsite ----", ""]
    for number, (z, atoms) in enumerate(made.sets, start=1):
        lines += [f"   ipr = {number:3d}, Z = {z:2d}, natomsym = {len(atoms):5d}", ""]
        if number == 1:
            lines.append("  igr        posx        posy        posz           sym    code")
            lines += [f"  {a:3d}    0.00000000  0.00000000  0.00000000    E     1" for a in atoms]
        else:
            lines += ["  igr...", "".join(f"{a:6d}" for a in atoms)]
        lines.append("")
    for cycle in range(1, made.cycles + 1):
        lines.append(f" Cycle {cycle:3d},  Fermi energy = {made.fermi_level_ev:.3f} eV, val = 6.0")
        change = 500.0 / cycle**3
        lines.append(
            f"   Total energy = -1000.0 eV, Delta energy = {change:.3f} >   1.200 eV,  W = 1"
        )
    if made.converged and made.cycles:
        lines.append("  Converged !")
    lines.append(f"   E_Fermi = {made.fermi_level_ev:.3f} eV")
    if made.ended:
        lines.append("    Have a beautiful day !")
    return "\n".join(lines) + "\n"
