"""An edge taken out of a measured spectrum: background, edge step, Bragg glitches."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d

from corefuse.config import MeasuredSpectrum
from corefuse.core.edge_table import EdgeEntry
from corefuse.core.spectrum import Spectrum
from corefuse.read import background

POST_EDGE_FROM = 0.25  # of what there is above the edge: past the white line
PRE_EDGE_EV = 20.0  # how far below the window the background is read
GLITCH = 12.0  # of the typical difference from what the neighbours say
GLITCH_HEIGHT = 0.03  # of the edge
CRYSTALS_FROM_EV = 2000.0  # below, monochromators are gratings
GLITCH_STEP_EV = 0.7  # half the natural width of the K edges of Mn, Co, Ni: a line has points
TOGETHER_EV, TOGETHER = 15.0, 3  # so many points off within so much are no Bragg glitches
POWER_LAW_EV = (-40.0, -5.0)  # from the start of the window: clear of what the resolution smears


def in_window(energy_ev: np.ndarray, entry: EdgeEntry) -> np.ndarray:
    """Which energies (n,) lie in the window of an edge."""
    return (energy_ev >= entry.window_ev[0]) & (energy_ev <= entry.window_ev[1])


def below_window(entry: EdgeEntry, length_ev: float = PRE_EDGE_EV) -> tuple[float, float]:
    """The part of a spectrum where the background of an edge is read."""
    return entry.window_ev[0] - length_ev, entry.window_ev[0]


def default_window(method: str, entry: EdgeEntry) -> tuple[float, float]:
    """Where a background is fitted if nobody says where."""
    if method == "mean":
        return below_window(entry)
    return entry.window_ev[0] + POWER_LAW_EV[0], entry.window_ev[0] + POWER_LAW_EV[1]


def background_method(raw: Spectrum, measured: MeasuredSpectrum, entry: EdgeEntry) -> str:
    """The background that is asked for, else a pre-edge line of XAS if it has the length for one.

    XAS without a pre-edge has been normalised before, as extracted EELS edges have.
    """
    if measured.background:
        return measured.background
    window_ev = measured.background_window_ev or default_window("line", entry)
    lined = measured.technique == "XAS" and background.is_long_enough(raw.energy_ev, window_ev)
    return "line" if lined else "mean"


def without_background(
    raw: Spectrum, measured: MeasuredSpectrum, entry: EdgeEntry
) -> tuple[Spectrum, np.ndarray]:
    """The edge above its background, from the start of the fit on, and the background's std.

    The default is left to the standard form.
    """
    if measured.background == "mean" and measured.background_window_ev is None:
        return raw, np.zeros(raw.intensity.size)
    window_ev = measured.background_window_ev or default_window(measured.background, entry)
    fitted = background.METHODS[measured.background](raw.energy_ev, raw.intensity, window_ev)
    kept = raw.energy_ev >= (window_ev[0] if measured.background != "mean" else -np.inf)
    flat = raw.intensity - fitted.values
    return Spectrum(raw.energy_ev[kept], flat[kept]), fitted.std[kept]


def to_unit_step(
    spectrum: Spectrum, std: np.ndarray, entry: EdgeEntry
) -> tuple[Spectrum, np.ndarray, str, float]:
    """An edge above its pre-edge line on the scale of its own step, and what that was.

    The step itself comes last, 1 where the post-edge does not tell it.
    """
    energy_ev, flat = spectrum.energy_ev, spectrum.intensity
    e0_ev = background.steepest_ev(energy_ev, flat, entry.window_ev)
    length_ev = float(energy_ev[-1]) - e0_ev
    post_ev = POST_EDGE_FROM * length_ev, length_ev
    if not background.is_long_enough(energy_ev - e0_ev, post_ev):
        return (
            spectrum,
            std,
            f"edge at {e0_ev:.1f} eV, its post-edge is too short to tell its step",
            1.0,
        )
    step = background.edge_step(energy_ev, flat, e0_ev, post_ev)
    if step <= 0:
        return spectrum, std, f"edge at {e0_ev:.1f} eV, its post-edge lies below its pre-edge", 1.0
    below = energy_ev < e0_ev - PRE_EDGE_EV
    told = f"edge at {e0_ev:.1f} eV, step {step:.3g}"
    if below.sum() > 2:
        told += f", pre-edge scatter {float(flat[below].std()) / step:.2%} of it"
    return Spectrum(energy_ev, flat / step), std / step, told, step


def mended(
    spectrum: Spectrum, entry: EdgeEntry
) -> tuple[Spectrum, tuple[str, ...], tuple[str, ...]]:
    """Without Bragg glitches: single points far off the cubic through their four neighbours.

    They take the cubic's value. Several close together are no glitches but a detector at its floor
    or ceiling: they stay, and are doubted. Only crystals, so hard X-rays, make glitches; where
    points are far apart a white line looks like one. Returns the spectrum, notes and doubts.
    """
    if entry.window_ev[0] < CRYSTALS_FROM_EV:
        return spectrum, (), ()
    y, energy_ev = spectrum.intensity, spectrum.energy_ev[2:-2]
    cubic = (4 * (y[1:-3] + y[3:-1]) - y[:-4] - y[4:]) / 6
    away = np.abs(y[2:-2] - cubic)
    inside = in_window(energy_ev, entry)
    least = max(GLITCH * np.median(away[inside]), GLITCH_HEIGHT * np.ptp(y[2:-2][inside]))
    alone = away == maximum_filter1d(away, 5)  # its neighbours are off because of it
    close = np.gradient(energy_ev) < GLITCH_STEP_EV
    glitches = inside & alone & close & (away > least)
    if not glitches.any():
        return spectrum, (), ()
    off_ev = energy_ev[glitches]
    places = ", ".join(f"{e:.1f}" for e in off_ev[:5])
    crowded = off_ev.size >= TOGETHER and np.min(off_ev[TOGETHER - 1 :] - off_ev[: 1 - TOGETHER])
    if off_ev.size >= TOGETHER and crowded <= TOGETHER_EV:
        doubt = f"{off_ev.size} points jump at {places} eV, too close together for Bragg glitches"
        return spectrum, (), (doubt,)
    values = np.concatenate([y[:2], np.where(glitches, cubic, y[2:-2]), y[-2:]])
    return Spectrum(spectrum.energy_ev, values), (f"glitches interpolated at {places} eV",), ()
