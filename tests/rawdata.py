"""Raw datasets for tests: synthetic ones, and the stored GPAW runs in ../shared/reference."""

from pathlib import Path

import numpy as np
import xarray as xr

from corefuse.core.edges import EDGES
from corefuse.core.rawdata import Channel, build, energy_axis, sticks_to_density

ENERGY_EV = energy_axis(35.0)
EDGES_OF = {8: "O K", 3: "Li K", 25: "Mn L2,3", 27: "Co L2,3", 28: "Ni L2,3"}


def channel(
    edge: str,
    peaks: dict[float, float],
    site: int = 0,
    shift_ev: float = 0.0,
    role: str = "oxygen",
) -> Channel:
    """A site whose transitions are sticks, energy above the Fermi level: area."""
    intensity = sticks_to_density(
        np.array(list(peaks)), np.array(list(peaks.values()), dtype=float), ENERGY_EV
    )
    dos = np.array([(1 + ang) * intensity for ang in range(3)])
    return Channel(edge, site, EDGES[edge].element, role, intensity, dos, shift_ev, 0.0)


def dataset(channels: list[Channel], structure_id: str = "synthetic") -> xr.Dataset:
    """The raw dataset of a run that went well."""
    return build(channels, ENERGY_EV).assign_attrs(
        structure_id=structure_id,
        engine="gpaw",
        engine_version="0",
        parameters="{}",
        reach="simulation.gpaw.spectrum_max_ev",
    )


def gpaw_reference(path: Path) -> xr.Dataset:
    """A stored 40-atom GPAW run as a raw dataset; core-level shifts are not in it (zero)."""
    stored = np.load(path, allow_pickle=False)
    channels = []
    for site, number in enumerate(stored["Z"]):
        intensity = np.zeros_like(ENERGY_EV)
        for spin in (0, 1):
            above = stored[f"eps_{site}_{spin}"].ravel() - stored["ef"]
            empty = 1 / (1 + np.exp(-np.clip(above / 0.1, -50, 50)))
            intensity += sticks_to_density(
                above, stored[f"sig_{site}_{spin}"].ravel() * empty, ENERGY_EV
            )
        edge = EDGES_OF[int(number)]
        dos = np.zeros((3, len(ENERGY_EV)))
        channels.append(Channel(edge, site, EDGES[edge].element, "", intensity, dos, 0.0, 0.0))
    return dataset(channels, path.stem)
