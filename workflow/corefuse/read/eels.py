"""Energy loss: zero-loss alignment, thickness, plural scattering, denoising; eXSpy does the work.

eXSpy and HyperSpy (F. de la Pena et al., doi 10.5281/zenodo.592838) are slow to import, so only
the functions that need them do.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from corefuse.core.spectrum import SpectrumError

if TYPE_CHECKING:
    from exspy.signals import EELSSpectrum

MIN_ZERO_LOSS_SHARE = 0.05  # of all electrons: with less, t/lambda > 3, no thickness is reported
UNCALIBRATED_EV = 20.0  # a zero loss farther from 0 than this: the axis was never calibrated
FARTHEST_EV = 200.0  # a zero loss is not looked for beyond
SHARP = 5.0  # its height over the median of the spectrum
MAX_STEP_DIFFERENCE = 1e-3  # low loss and core loss taken with one dispersion


@dataclass(frozen=True, eq=False)
class LowLoss:
    """Aligned low loss: axis (n,) with the zero-loss peak at 0, counts (n,), what it says."""

    energy_ev: np.ndarray
    counts: np.ndarray
    zero_loss_ev: float  # where the peak was before
    zero_loss_fwhm_ev: float
    t_over_lambda: float


def low_loss(energy_ev: np.ndarray, counts: np.ndarray) -> LowLoss:
    """Align a low-loss spectrum, or an image pixel by pixel, and estimate its thickness.

    ``counts`` are (..., n); the pixels are added up after the alignment. t/lambda is
    ln(I_total / I_zero) (R. F. Egerton, Electron Energy-Loss Spectroscopy in the Electron
    Microscope, 3rd ed. (2011), eq. 5.1), the zero-loss intensity being cut at the first minimum
    above the peak. An axis whose zero was never set is taken from its highest peak.

    Raises
    ------
    SpectrumError
        There is no zero-loss peak.
    """
    moved_ev = _zero_loss_near(energy_ev, counts)
    energy_ev = energy_ev - moved_ev
    signal = _signal(energy_ev, counts)
    before_ev = moved_ev + float(np.mean(signal.estimate_zero_loss_peak_centre().data))
    signal.align_zero_loss_peak(print_stats=False, show_progressbar=False, crop=True)
    if signal.axes_manager.navigation_size:
        signal = signal.sum()
    signal.data = np.clip(signal.data, 0, None)  # below the peak only noise of the dark correction
    threshold = signal.estimate_elastic_scattering_threshold(window=10.0)
    zero_loss = float(np.ravel(signal.estimate_elastic_scattering_intensity(threshold).data)[0])
    if not zero_loss > MIN_ZERO_LOSS_SHARE * signal.data.sum():
        raise SpectrumError("it has no zero-loss peak", "give the low-loss spectrum of the edge")
    width = float(np.ravel(signal.estimate_peak_width().data)[0])
    axis = signal.axes_manager.signal_axes[0].axis
    ratio = float(np.log(signal.data.sum() / zero_loss))
    return LowLoss(np.array(axis), np.array(signal.data), before_ev, width, ratio)


def _zero_loss_near(energy_ev: np.ndarray, counts: np.ndarray) -> float:
    """Where the zero loss of an uncalibrated axis stands (eV), 0 for one that is calibrated."""
    total = counts.reshape(-1, counts.shape[-1]).sum(axis=0)
    top = int(np.argmax(total))
    peak_ev = float(energy_ev[top])
    if energy_ev[0] < 0 < energy_ev[-1] and abs(peak_ev) < UNCALIBRATED_EV:
        return 0.0
    inside = 2 < top < energy_ev.size - 3
    if not inside or abs(peak_ev) > FARTHEST_EV or total[top] < SHARP * np.median(total):
        raise SpectrumError(
            f"it reaches from {energy_ev[0]:g} to {energy_ev[-1]:g} eV: no zero-loss peak",
            "give the low-loss spectrum taken with the edge",
        )
    return peak_ev


def single_scattering(energy_ev: np.ndarray, edge: np.ndarray, low: LowLoss) -> np.ndarray:
    """Fourier-ratio deconvolution of background-free edges (..., n): plural scattering taken out.

    Reconvolved with a Gaussian as wide as the zero-loss peak, so the resolution stays as it was.

    Raises
    ------
    SpectrumError
        Low loss and edge have different dispersions.
    """
    step, low_step = np.diff(energy_ev).mean(), np.diff(low.energy_ev).mean()
    if abs(step / low_step - 1) > MAX_STEP_DIFFERENCE:
        raise SpectrumError(
            f"the low loss has steps of {low_step:.4g} eV, the edge of {step:.4g} eV",
            "give the low loss taken with the edge's dispersion",
        )
    zero = _signal(low.energy_ev, low.counts)
    threshold = float(np.ravel(zero.estimate_elastic_scattering_threshold().data)[0])
    # eXSpy 0.3.2 takes one low loss a pixel
    of_each = np.broadcast_to(low.counts, (*edge.shape[:-1], low.counts.size))
    out = _signal(energy_ev, edge).fourier_ratio_deconvolution(
        _signal(low.energy_ev, of_each),
        threshold=threshold,
        fwhm=low.zero_loss_fwhm_ev,
        extrapolate_lowloss=False,
        extrapolate_coreloss=False,  # a power law finds no exponent where an edge ends in noise
    )
    # eXSpy 0.3.2 reconvolves with a Gaussian of area 1 in eV, not in channels
    single = np.array(out.data)[..., : energy_ev.size] * low_step
    if not np.isfinite(single).all():
        raise SpectrumError(
            "with it the deconvolution of the edge gives no finite numbers",
            "leave low_loss out, or give one with a clear zero-loss peak",
        )
    return single


def denoised(energy_ev: np.ndarray, counts: np.ndarray, components: int) -> np.ndarray:
    """Counts (..., n) of an image rebuilt from its first principal components.

    Counts are weighted for their Poisson noise before the decomposition (M. R. Keenan and
    P. G. Kotula, Surf. Interface Anal. 36, 203 (2004)).

    Raises
    ------
    SpectrumError
        More components than pixels.
    """
    pixels = int(np.prod(counts.shape[:-1]))
    if components >= pixels:
        raise SpectrumError(
            f"{components} components of {pixels} pixels", "keep fewer components, or null"
        )
    signal = _signal(energy_ev, np.clip(counts, 0, None))
    signal.decomposition(
        normalize_poissonian_noise=True,
        svd_solver="full",  # the default draws random numbers
        output_dimension=components,
        print_info=False,
    )
    return np.array(signal.get_decomposition_model(components).data)


def _signal(energy_ev: np.ndarray, counts: np.ndarray) -> EELSSpectrum:
    logging.getLogger("hyperspy").setLevel(logging.ERROR)
    logging.getLogger("exspy").setLevel(logging.ERROR)
    import hyperspy.api as hs
    from exspy.signals import EELSSpectrum

    hs.preferences.General.show_progressbar = False
    spatial = [{"size": n, "navigate": True} for n in counts.shape[:-1]]
    step = float(np.diff(energy_ev).mean())
    energy = {
        "name": "Energy loss",
        "size": energy_ev.size,
        "offset": float(energy_ev[0]),
        "scale": step,
        "units": "eV",
    }
    return EELSSpectrum(np.array(counts, dtype=float), axes=[*spatial, energy])
