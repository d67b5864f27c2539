"""The raw dataset: what every engine leaves behind, whichever code ran.

Dimensions ``channel`` (one site at one edge), ``l`` (0, 1, 2) and ``energy``. One edge's channels
share an axis once ``core_level_shift_ev`` is added to ``energy_ev``; one constant per edge is then
left to calibrate.

The intensity of a 2p edge is that of one 2p level without spin-orbit coupling, unless the channels
have the coordinate ``l2_start_ev`` (see :class:`Levels`): then L3 and L2 are both in it, final
states are bound, the axis is absolute, and some Lorentzian width is in it already.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import xarray as xr

STEP_EV = 0.05
COVERED = 0.5  # of an edge's sites that must have a result for a structure to count
BELOW_EV = 5.0  # room below the zero for thermally emptied states


def energy_axis(stop_ev: float) -> np.ndarray:
    """Uniform axis (eV) from ``-BELOW_EV`` to ``stop_ev`` in steps of ``STEP_EV``."""
    return np.arange(round(-BELOW_EV / STEP_EV), round(stop_ev / STEP_EV) + 1) * STEP_EV


def sticks_to_density(
    positions_ev: np.ndarray, heights: np.ndarray, axis_ev: np.ndarray
) -> np.ndarray:
    """Sticks (n,) as a density per eV on a uniform axis (m,).

    Each stick is shared by its two neighbours in proportion to their nearness, which keeps its
    area and its first moment exactly. Sticks outside the axis are left out.
    """
    step = axis_ev[1] - axis_ev[0]
    place = (positions_ev - axis_ev[0]) / step
    inside = (place >= 0) & (place < len(axis_ev) - 1)
    low = np.floor(place[inside]).astype(int)
    upper_share = place[inside] - low
    height = heights[inside]
    density = np.bincount(low, height * (1 - upper_share), len(axis_ev))
    density += np.bincount(low + 1, height * upper_share, len(axis_ev))
    return density / step


@dataclass(frozen=True)
class Levels:
    """Of an intensity that holds L3 and L2 and is on an absolute axis.

    ``l2_start_ev`` is where L2 begins on the raw axis, ``lorentzian_fwhm_ev`` the width that is in
    already, ``energy_source`` where the absolute energy comes from.
    """

    l2_start_ev: float
    lorentzian_fwhm_ev: float
    energy_source: str


@dataclass(frozen=True)
class Resolved:
    """Of an intensity of K or L3 alone, from a code with its own L2 and its own widths.

    ``l2_intensity`` (energy,) counts from L2's zero, ``l2_offset_ev`` above that of L3; both are
    zero where the edge is a K edge. ``core_hole_fwhm_ev`` (``l2_core_hole_fwhm_ev`` of L2) is the
    Lorentzian width that is in already; ``final_state_width`` says whether the lifetime of the
    final states is in, too.
    """

    l2_intensity: np.ndarray
    l2_offset_ev: float
    core_hole_fwhm_ev: float
    l2_core_hole_fwhm_ev: float
    final_state_width: bool


@dataclass(frozen=True)
class Channel:
    """One site at one edge: ``intensity`` (energy,), ``dos`` (3, energy), both per eV.

    ``multiplicity`` is how many sites of the structure it represents.
    """

    edge: str
    site: int
    element: str
    role: str
    intensity: np.ndarray
    dos: np.ndarray
    core_level_shift_ev: float
    moment_mub: float
    levels: Levels | None = None
    multiplicity: float = 1.0
    resolved: Resolved | None = None


def build(channels: list[Channel], energy_ev: np.ndarray) -> xr.Dataset:
    """Stack channels into a raw dataset with status ``ok``.

    ``levels`` and ``resolved`` are given for all of them or for none. No channels: none of the
    edges' elements is in the structure.
    """
    n = len(energy_ev)
    per_channel = {
        name: ("channel", np.array([getattr(c, name) for c in channels]))
        for name in ("edge", "site", "element", "role", "multiplicity")
    }
    levels = [c.levels for c in channels if c.levels]
    if levels:
        per_channel |= {
            f.name: ("channel", np.array([getattr(v, f.name) for v in levels]))
            for f in fields(Levels)
        }
    resolved = [c.resolved for c in channels if c.resolved]
    if resolved:
        per_channel |= {
            f.name: ("channel", np.array([getattr(r, f.name) for r in resolved]))
            for f in fields(Resolved)
            if f.name != "l2_intensity"
        }
    dataset = xr.Dataset(
        {
            "intensity": (
                ("channel", "energy"),
                np.reshape([c.intensity for c in channels], (-1, n)).astype("f4"),
                {"units": "bohr^2/eV", "long_name": "squared dipole density, unoccupied states"},
            ),
            "dos": (
                ("channel", "l", "energy"),
                np.reshape([c.dos for c in channels], (-1, 3, n)).astype("f4"),
                {"units": "states/eV", "long_name": "projected unoccupied density of states"},
            ),
            "core_level_shift_ev": (
                "channel",
                np.array([c.core_level_shift_ev for c in channels]),
                {"units": "eV", "long_name": "energy zero on the axis shared by one edge"},
            ),
            "moment_mub": (
                "channel",
                np.array([c.moment_mub for c in channels]),
                {"units": "bohr magneton"},
            ),
        },
        coords={"energy_ev": ("energy", energy_ev, {"units": "eV"}), "l": [0, 1, 2], **per_channel},
    )
    if resolved:
        l2 = np.array([r.l2_intensity for r in resolved], dtype="f4")
        dataset["l2_intensity"] = ("channel", "energy"), l2
    return dataset.assign_attrs(status="ok", reason="")


def with_atoms(
    raw: xr.Dataset,
    moments_mub: Sequence[float],
    core_level_shifts_ev: Sequence[float],
    dos: np.ndarray | None = None,
) -> xr.Dataset:
    """``raw`` with the moment and the core-level shift of every atom, whichever edges it has.

    The shift is that of the core level in the element's ground-state dataset, so it compares
    between sites of one element only. ``dos`` (atom, 3, energy) is the projected unoccupied
    density of states of every atom without a core hole (states/eV), if it is known.
    """
    if dos is not None:
        raw = raw.assign(
            atom_dos=(("atom", "l", "energy"), dos.astype("f4"), {"units": "states/eV"})
        )
    return raw.assign(
        atom_moment_mub=("atom", np.array(moments_mub), {"units": "bohr magneton"}),
        atom_core_level_shift_ev=("atom", np.array(core_level_shifts_ev), {"units": "eV"}),
    )


def holds_all_levels(channels: xr.Dataset) -> bool:
    """Whether L3 and L2 are both in the intensity, on an absolute axis."""
    return "l2_start_ev" in channels.coords


def multiplicities(channels: xr.Dataset) -> np.ndarray:
    """How many sites each channel represents (channel,); one each in files of whole structures."""
    if "multiplicity" not in channels.coords:
        return np.ones(channels.sizes["channel"])
    return channels["multiplicity"].values


def site_mean(values: np.ndarray, channels: xr.Dataset) -> np.ndarray:
    """Mean over the sites (first axis), weighted by the number of sites per channel."""
    return np.average(values, axis=0, weights=multiplicities(channels))


def site_std(values: np.ndarray, channels: xr.Dataset) -> np.ndarray:
    """Standard deviation over the sites (first axis), counted as in :func:`site_mean`."""
    return np.sqrt(site_mean((values - site_mean(values, channels)) ** 2, channels))


def resolves_levels(channels: xr.Dataset) -> bool:
    """Whether L2 is held beside the intensity, and the widths that a code has put in."""
    return "l2_intensity" in channels


def failed(reason: str) -> xr.Dataset:
    """A dataset without channels that says why."""
    return xr.Dataset(attrs={"status": "failed", "reason": reason})


def join(runs: Sequence[xr.Dataset]) -> xr.Dataset:
    """One structure's raw dataset from those of its sites, which share an axis.

    What the sites have in common (atoms, version, parameters, and of a method that names the site
    the first one's) is kept once; seconds and attempts add up.
    """
    whole = xr.concat(
        runs,
        "channel",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        combine_attrs="override",
    )
    attrs = {
        name: combine(run.attrs[name] for run in runs)
        for name, combine in (
            ("wall_seconds", sum),
            ("cpu_seconds", sum),
            ("peak_memory_mb", max),
            ("attempts", _all_attempts),
        )
        if name in runs[0].attrs
    }
    return whole.assign_attrs(attrs)


def _all_attempts(of_sites: Iterable[str]) -> str:
    return json.dumps([attempt for site in of_sites for attempt in json.loads(site)])


def collect(runs: Sequence[xr.Dataset], structure_id: str, engine: str) -> xr.Dataset:
    """A structure's raw dataset from those of its sites; ``failed_sites`` lists those without one.

    Each run has the attribute ``multiplicity``, the number of sites that it represents. A structure
    of which an edge has results for less than :data:`COVERED` of its sites has failed; no site at
    all is a structure without the elements.
    """
    done = [
        run.assign_coords(multiplicity=("channel", [run.attrs["multiplicity"]]))
        for run in runs
        if run.attrs["status"] == "ok"
    ]
    failures = [
        {name: run.attrs[name] for name in ("edge", "reason", "log")}
        | {"site": int(run.attrs["site"])}
        for run in runs
        if run.attrs["status"] != "ok"
    ]
    reasons = [
        f"{edge}: {share:.0%} of its sites have a result, {COVERED:.0%} are needed; site "
        + "; ".join(f"{f['site']}: {f['reason']}" for f in failures if f["edge"] == edge)
        for edge, share in _covered(runs).items()
        if share < COVERED
    ]
    if reasons:
        whole = failed(". ".join(reasons))
    elif done:
        whole = join(done)
        for name in ("edge", "site", "log", "multiplicity"):
            del whole.attrs[name]
    else:
        whole = build([], energy_axis(0.0))
    return whole.assign_attrs(
        structure_id=structure_id,
        engine=engine,
        failed_sites=json.dumps(failures),
        sites=len(runs),
    )


def _covered(runs: Sequence[xr.Dataset]) -> dict[str, float]:
    """Share of each edge's sites that have a result."""
    every: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for attrs in (run.attrs for run in runs):
        every[attrs["edge"]] += attrs["multiplicity"]
        done[attrs["edge"]] += attrs["multiplicity"] * (attrs["status"] == "ok")
    return {edge: done[edge] / n for edge, n in every.items()}


def of_edge(raw: xr.Dataset, edge: str) -> xr.Dataset:
    """The channels of one edge; none where the element is absent.

    A file that keeps the density of states of every atom alone has that of the channels from it;
    of one that keeps none it is zero.
    """
    channels = raw.isel(channel=np.flatnonzero(raw["edge"].values == edge))
    if "dos" not in channels:
        n, energies = channels.sizes["channel"], channels.sizes["energy"]
        dos = np.zeros((n, 3, energies), dtype="f4")
        if "atom_dos" in channels:
            dos = channels["atom_dos"].values[channels["site"].values]
        channels = channels.assign(dos=(("channel", "l", "energy"), dos))
    return channels


def failed_sites(raw: xr.Dataset) -> list[dict[str, object]]:
    """One row for each site of the structure that has no result; none of whole-structure runs."""
    structure = {name: raw.attrs[name] for name in ("structure_id", "engine")}
    return [structure | row for row in json.loads(raw.attrs.get("failed_sites", "[]"))]


def warnings(raw: xr.Dataset) -> list[dict[str, object]]:
    """One row for each doubt that an engine had about a structure that it computed."""
    structure = {name: raw.attrs[name] for name in ("structure_id", "engine")}
    return [structure | {"warning": w} for w in raw.attrs.get("warnings", "").splitlines()]


def summary(raw: xr.Dataset) -> dict[str, object]:
    """What a user wants to know of one run: status, reason, cost, convergence."""
    wanted = (
        "structure_id",
        "engine",
        "engine_version",
        "status",
        "reason",
        "scf_iterations",
        "attempts",
        "bands",
        "kpoints",
        "wall_seconds",
        "cpu_seconds",
        "peak_memory_mb",
    )
    found = {name: raw.attrs.get(name, "") for name in wanted}
    if attempts := json.loads(found["attempts"] or "[]"):
        lost = sum(not a["converged"] for a in attempts)
        found["attempts"] = f"{len(attempts)}, {lost} not converged"
    return found
