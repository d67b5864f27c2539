"""Mn L2,3 of manganese oxides of known valence: simulated beside measured, by both engines.

The measured edges are EELS of the public repository xinhuolin/MnEdgeNet, test_Mn_spectra, one file
``Data<source>_<compound>.csv`` each. They hold a continuum above the white lines, and so does a
one-electron edge, but no multiplet: all take the same road, on which it goes
(:mod:`corefuse.spectra.standard`), its two steps at the maxima of the edge itself.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from pymatgen.core import Lattice, Structure

from corefuse import engines
from corefuse.config import Multiplet, Spectra
from corefuse.core import files, rawdata
from corefuse.core.edge_table import Continuum, EdgeEntry, Reference
from corefuse.core.spectrum import EnergyGrid
from corefuse.spectra import standard
from corefuse.spectra.broadening import broadened
from corefuse.spectra.features import feature_energy

EDGE = "Mn L2,3"
# The continuum is read off its last 2 eV, past L2. All files but one reach over it: Data3_MnO ends
# at 658.5, flat, and is continued so.
WINDOW_EV = (637.4, 660.0)
GRID = EnergyGrid(start_ev=630, stop_ev=666, step_ev=0.1)
CONTINUUM_FWHM_EV = 2.0  # of its steps
L2_FROM_ABOVE_L3_EV = 5.5  # between the two in every file; the lines are 10 to 12 eV apart
SHIFTS_EV = np.arange(-6.0, 6.05, 0.1)
SETTINGS = Spectra(techniques={"EELS": {"gaussian_fwhm_ev": 0.7, "edges": [EDGE]}})
HUMPS = "two Gaussians"  # the control: no engine at all
HUMP_FWHM_EV = 3.0
GPAW_ORIGIN = "SrMnO3"  # its measured L3 gives the one constant that one-electron edges need


@dataclass(frozen=True)
class Compound:
    """A crystal with collinear moments (Bohr magnetons, signed) on its Mn sites."""

    valence: int
    crystal: Structure
    note: str


def compounds() -> dict[str, Compound]:
    """Name -> crystal, from measured lattice parameters.

    MnO: Fm-3m, a 4.4457 (Sasaki et al., Proc. Jpn. Acad. B 55, 43 (1979)), antiferromagnetic along
    [111]. LaMnO3: Pbnm, A-type antiferromagnetic (Elemans et al., J. Solid State Chem. 3, 238
    (1971)). SrMnO3: cubic perovskite, a 3.805 (Chmaissem et al., PRB 64, 134412 (2001)),
    ferromagnetic for a cell of five atoms. MnO2: rutile, a 4.4041, c 2.8765, x 0.3048 (Bolzan et
    al., Aust. J. Chem. 46, 939 (1993)), the two Mn opposite.
    """
    return {
        "MnO": Compound(2, _mno(), "type-II antiferromagnet, 4 atoms"),
        "LaMnO3": Compound(3, _lamno3(), "orthorhombic, A-type antiferromagnet, 20 atoms"),
        "SrMnO3": Compound(4, _srmno3(), "cubic, ferromagnetic, 5 atoms"),
        "MnO2": Compound(4, _mno2(), "rutile, the two Mn opposite, 6 atoms"),
    }


def _mno() -> Structure:
    a = 4.4457
    lattice = Lattice(a / 2 * np.array([[2, 1, 1], [1, 2, 1], [1, 1, 2]]))
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]
    return _magnetic(Structure(lattice, ["Mn", "Mn", "O", "O"], places), [5.0, -5.0])


def _lamno3() -> Structure:
    crystal = Structure.from_spacegroup(
        "Pbnm",
        Lattice.orthorhombic(5.532, 5.742, 7.668),
        ["La", "Mn", "O", "O"],
        [[-0.010, 0.049, 0.25], [0.5, 0, 0], [0.070, 0.486, 0.25], [0.724, 0.309, 0.039]],
    )
    layers = [
        4.0 if round(2 * s.frac_coords[2]) % 2 == 0 else -4.0
        for s in crystal
        if s.specie.symbol == "Mn"
    ]
    return _magnetic(crystal, layers)


def _srmno3() -> Structure:
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    crystal = Structure(Lattice.cubic(3.805), ["Sr", "Mn", "O", "O", "O"], places)
    return _magnetic(crystal, [3.0])


def _mno2() -> Structure:
    crystal = Structure.from_spacegroup(
        "P4_2/mnm",
        Lattice.tetragonal(4.4041, 2.8765),
        ["Mn", "O"],
        [[0, 0, 0], [0.3048, 0.3048, 0]],
    )
    return _magnetic(crystal, [3.0, -3.0])


def _magnetic(crystal: Structure, of_manganese: list[float]) -> Structure:
    moments = iter(of_manganese)
    return crystal.copy(
        site_properties={
            "magmom": [next(moments) if s.specie.symbol == "Mn" else 0.0 for s in crystal]
        }
    )


@dataclass(frozen=True)
class Features:
    """Maxima of L3 and L2 in eV and the share of L3 in the area."""

    l3_ev: float
    l2_ev: float
    l3_share: float


def features(intensity: np.ndarray) -> Features:
    """Features of an edge on ``GRID``."""
    energy_ev = GRID.energies_ev
    inside = (energy_ev >= WINDOW_EV[0]) & (energy_ev <= WINDOW_EV[1])
    energy_ev, intensity = energy_ev[inside], intensity[inside]
    l3_ev = feature_energy(energy_ev, intensity, "peak")
    above = energy_ev > l3_ev + L2_FROM_ABOVE_L3_EV
    l2_ev = feature_energy(energy_ev[above], intensity[above], "peak")
    return Features(l3_ev, l2_ev, float(intensity[~above].sum() / intensity.sum()))


def overlap(measured: np.ndarray, simulated: np.ndarray) -> tuple[float, float]:
    """Cosine between two edges on ``GRID`` at the best one shift, and that shift in eV."""
    energy_ev = GRID.energies_ev
    inside = (energy_ev >= WINDOW_EV[0]) & (energy_ev <= WINDOW_EV[1])

    def cosine(shift_ev: float) -> float:
        moved = np.interp(energy_ev, energy_ev + shift_ev, simulated)[inside]
        norms = np.linalg.norm(moved) * np.linalg.norm(measured[inside])
        return float(moved @ measured[inside] / norms)

    best = max(SHIFTS_EV, key=cosine)
    return cosine(best), float(best)


def without_continuum(edge: np.ndarray) -> np.ndarray:
    """Standard form of an edge on ``GRID``, the steps of its continuum at its own maxima."""
    found = features(edge - edge[GRID.energies_ev < WINDOW_EV[0]].mean())
    entry = EdgeEntry(
        grid=GRID,
        window_ev=WINDOW_EV,
        continuum=Continuum(l3_ev=found.l3_ev, l2_ev=found.l2_ev, fwhm_ev=CONTINUUM_FWHM_EV),
        reference=Reference(
            compound={"Mn": 1}, feature="peak", energy_ev=found.l3_ev, source="the edge itself"
        ),
    )
    return standard.form(edge, entry)


def measured_edges(folder: str | Path) -> dict[str, np.ndarray]:
    """File name -> edge on ``GRID`` in standard form.

    The files are read off plots: an energy may stand there twice, its intensities are averaged.
    """
    out = {}
    for path in sorted(Path(folder).glob("Data*.csv")):
        energy, intensity = pd.read_csv(path, encoding="utf-8-sig").dropna().to_numpy(float).T
        spectrum = pd.Series(intensity).groupby(energy).mean()
        out[path.stem] = without_continuum(np.interp(GRID.energies_ev, spectrum.index, spectrum))
    return out


def compound_of(name: str) -> str:
    """``Data3_MnO2`` -> ``MnO2``."""
    return re.sub(r"^Data\d+_", "", name)


def multiplet_raw(gpaw: Mapping[str, xr.Dataset], settings: Multiplet) -> dict[str, xr.Dataset]:
    """Compound -> raw dataset of the multiplet engine, moments and shifts from GPAW."""
    out = {}
    for name, compound in compounds().items():
        with tempfile.TemporaryDirectory() as folder:
            job = engines.Job(
                name,
                compound.crystal,
                (EDGE,),
                settings.model_dump(),
                Path(folder) / "shared",
                {"gpaw": gpaw[name]},
            )
            out[name] = engines.simulate(engines.get("multiplet"), job, Path(folder) / "job")
    return out


def edges(
    raw: Mapping[str, xr.Dataset], measured: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Compound -> edge on ``GRID`` in standard form.

    Relative axes get one constant for all compounds: L3 of ``GPAW_ORIGIN`` as measured.
    """
    channels = {name: rawdata.of_edge(dataset, EDGE) for name, dataset in raw.items()}
    constant_ev = 0.0
    if not rawdata.holds_all_levels(channels[GPAW_ORIGIN]):
        origin = channels[GPAW_ORIGIN]
        threshold_ev = float(origin["core_level_shift_ev"].mean())
        wanted = next(
            features(m).l3_ev for f, m in measured.items() if compound_of(f) == GPAW_ORIGIN
        )
        guess = wanted - threshold_ev
        for _ in range(2):  # the lifetime width goes with the threshold: a second look
            constant_ev = guess
            found = features(_mean(origin, constant_ev)).l3_ev
            guess += wanted - found
        constant_ev = guess
    return {name: _mean(c, constant_ev) for name, c in channels.items()}


def compare(
    measured: Mapping[str, np.ndarray], simulated: Mapping[str, Mapping[str, np.ndarray]]
) -> pd.DataFrame:
    """One row a file and engine (``simulated``: engine -> compound -> edge), and the control.

    The control is what a high overlap is worth: :func:`humps` have no structure.
    """
    rows = []
    for file, edge in measured.items():
        of_measured = features(edge)
        rows.append({"file": file, "spectrum": "measured", **_row(of_measured)})
        of_engine = {engine: edges[compound_of(file)] for engine, edges in simulated.items()}
        for engine, found in (of_engine | {HUMPS: humps(of_measured)}).items():
            cosine, shift_ev = overlap(edge, found)
            rows.append(
                {
                    "file": file,
                    "spectrum": engine,
                    **_row(features(found)),
                    "overlap": round(cosine, 4),
                    "shift_ev": round(shift_ev, 2),
                }
            )
    return pd.DataFrame(rows)


def humps(found: Features) -> np.ndarray:
    """Two Gaussians at the maxima of an edge, areas 2 to 1 as for one electron, on ``GRID``."""
    sigma_ev = HUMP_FWHM_EV / (2 * np.sqrt(2 * np.log(2)))
    l3, l2 = (
        np.exp(-((GRID.energies_ev - e) ** 2) / (2 * sigma_ev**2))
        for e in (found.l3_ev, found.l2_ev)
    )
    return without_continuum(2 * l3 + l2)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Of a table of :func:`compare`, one row an engine: means over the files.

    Mean absolute errors of the distance of the maxima and of the share of L3, the correlation of
    that share with the measured one (the valence goes with it), mean overlap. The position of L3
    is no result: multiplets take it from these files, GPAW from one of them.
    """
    measured = table[table.spectrum == "measured"].set_index("file")
    rows = []
    for name, found in table[table.spectrum != "measured"].groupby("spectrum", sort=False):
        of_file = found.set_index("file")
        distance = (of_file.l2_minus_l3_ev - measured.l2_minus_l3_ev).abs().mean()
        rows.append(
            {
                "spectrum": name,
                "l2_minus_l3_error_ev": round(distance, 2),
                "l3_share_error": round((of_file.l3_share - measured.l3_share).abs().mean(), 3),
                "l3_share_correlation": round(of_file.l3_share.corr(measured.l3_share), 2),
                "overlap": round(of_file.overlap.mean(), 4),
            }
        )
    return pd.DataFrame(rows)


def figure(
    measured: Mapping[str, np.ndarray],
    simulated: Mapping[str, Mapping[str, np.ndarray]],
    table: pd.DataFrame,
) -> Figure:
    """One panel a file: measured, and each engine at its best shift."""
    out = Figure(figsize=(10, 3 * ((len(measured) + 1) // 2)), layout="constrained")
    axes = out.subplots((len(measured) + 1) // 2, 2, squeeze=False).ravel()
    energy_ev = GRID.energies_ev
    for ax, (file, edge) in zip(axes, measured.items(), strict=False):
        ax.fill_between(energy_ev, edge, color="0.8", label="measured")
        for engine, of_compound in simulated.items():
            row = table[(table.file == file) & (table.spectrum == engine)].iloc[0]
            ax.plot(
                energy_ev + row.shift_ev,
                of_compound[compound_of(file)],
                label=f"{engine}: overlap {row.overlap:.3f}, shift {row.shift_ev:+.1f} eV",
            )
        ax.set(xlim=WINDOW_EV, title=file, xlabel="energy (eV)", ylabel="intensity (1/eV)")
        ax.legend(fontsize=7)
    return out


def stored(folder: str | Path) -> dict[str, xr.Dataset]:
    """Compound -> the GPAW run in ``folder`` (tests/reference/make_mn.py)."""
    return {name: files.read_netcdf(Path(folder) / f"{name}.nc") for name in compounds()}


def _mean(channels: xr.Dataset, constant_ev: float) -> np.ndarray:
    threshold_ev = float(channels["core_level_shift_ev"].mean()) + constant_ev
    sites = broadened(channels, EDGE, "EELS", SETTINGS, GRID, constant_ev, threshold_ev)
    return without_continuum(sites.mean(axis=0))


def _row(found: Features) -> dict[str, float]:
    return {
        "l3_ev": round(found.l3_ev, 2),
        "l2_minus_l3_ev": round(found.l2_ev - found.l3_ev, 2),
        "l3_share": round(found.l3_share, 3),
    }
