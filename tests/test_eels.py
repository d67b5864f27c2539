import numpy as np
import pytest

from corefuse.core.spectrum import SpectrumError
from corefuse.read import eels, files

STEP = 0.3
LOSS = np.arange(-30, 300, STEP)
WIDTH = 2.0


def zero_loss(energy, at=0.0):
    return np.exp(-4 * np.log(2) * ((energy - at) / WIDTH) ** 2)


def low_loss(t_over_lambda, at=0.0):
    """Zero loss and a plasmon at 24 eV with its repeats, Poisson-distributed: exact by Fourier."""
    loss = np.fft.fftfreq(4096, 1 / 4096) * STEP
    single = np.where(loss > 5, np.exp(-(((loss - 24) / 4) ** 2)), 0)
    single *= t_over_lambda / single.sum()
    zero = zero_loss(loss) / zero_loss(loss).sum()
    counts = np.fft.ifft(np.fft.fft(zero) * np.exp(np.fft.fft(single))).real
    order = np.argsort(loss)
    return 1e6 * np.interp(LOSS - at, loss[order], counts[order])


@pytest.mark.parametrize("thick", [0.3, 0.6, 1.2])
def test_thickness_and_zero_loss_are_found(thick):
    found = eels.low_loss(LOSS, low_loss(thick, at=-3.3))
    assert found.zero_loss_ev == pytest.approx(-3.3, abs=STEP)
    assert found.t_over_lambda == pytest.approx(thick, abs=0.02)
    assert found.zero_loss_fwhm_ev == pytest.approx(WIDTH, abs=0.2)
    assert found.energy_ev[np.argmax(found.counts)] == pytest.approx(0, abs=STEP)


def test_plural_scattering_is_taken_out():
    """An edge folded with a thick low loss comes back as it was, at the resolution it had."""
    energy = np.arange(500, 700, STEP)
    sharp = np.exp(-(((energy - 540) / 1.5) ** 2)) + 0.4 * (energy > 540) * np.exp(
        -(energy - 540) / 300
    )
    low = eels.low_loss(LOSS, low_loss(0.8))
    kernel = low.counts / low.counts.sum()
    at_zero = round(-low.energy_ev[0] / STEP)
    thick = np.convolve(sharp, kernel)[at_zero : at_zero + energy.size]
    thin = np.convolve(sharp, zero_loss(LOSS) / zero_loss(LOSS).sum())
    thin = np.exp(-0.8) * thin[round(-LOSS[0] / STEP) :][: energy.size]
    inside = (energy > 510) & (energy < 600)
    found = eels.single_scattering(energy, thick, low)
    assert np.abs(found - thin)[inside].max() < 0.03 * thin.max()
    assert np.abs(thick - thin)[inside].max() > 0.2 * thin.max()


def test_what_is_no_low_loss_is_refused():
    with pytest.raises(SpectrumError, match="no zero-loss peak"):
        eels.low_loss(np.arange(400, 600, STEP), np.ones(667))
    low = eels.low_loss(LOSS, low_loss(0.5))
    with pytest.raises(SpectrumError, match=r"steps of 0\.3 eV, the edge of 0\.5"):
        eels.single_scattering(np.arange(500, 700, 0.5), np.ones(400), low)


def test_denoising_keeps_the_components_and_drops_the_noise():
    rng = np.random.default_rng(0)
    energy = np.arange(500, 600, STEP)
    weights = rng.random((4, 10, 2))
    parts = 2000 + 500 * np.array([np.sin(energy / 7), np.cos(energy / 11)])
    truth = weights @ parts
    noisy = rng.poisson(truth).astype(float)
    clean = eels.denoised(energy, noisy, 2)
    assert np.abs(clean - truth).mean() < 0.4 * np.abs(noisy - truth).mean()
    with pytest.raises(SpectrumError, match="50 components of 40 pixels"):
        eels.denoised(energy, noisy, 50)


def test_the_measured_zero_loss_image(shared):
    recorded = files.read(
        shared / "experimental" / "eels_si_doped_nmc" / "ZLP_EELS_Spectrum_Image.dm3"
    )
    found = eels.low_loss(recorded.energy, recorded.counts)
    assert found.zero_loss_ev == pytest.approx(-3.3, abs=0.3)
    assert found.zero_loss_fwhm_ev == pytest.approx(2.35, abs=0.1)
    assert found.t_over_lambda == pytest.approx(0.6, abs=0.05)
