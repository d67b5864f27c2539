"""Every shift and how well it fits: the distribution has to hold the truth."""

import numpy as np
import pytest

from corefuse.core import edge_table
from corefuse.core.spectrum import SpectrumError, blurred, normalise
from corefuse.read import align
from corefuse.read.align import Misfit

WIDE = np.arange(500, 580, 0.2)
KNOWN = Misfit(scale=1e-3, typical=0.05, largest=0.1, shift_error_ev=0.5, drift_ev=0.5)


def shape(energy, shift=0.0, width=1.2):
    energy = energy - shift
    step = np.arctan((energy - 537) / 0.8) / np.pi + 0.5
    return step + 0.6 * np.exp(-(((energy - 530) / width) ** 2))


def fitted(spectra, ensemble, entry, most_ev, width_ev):
    shifts_ev, widths_ev = align.steps(most_ev), align.widths(width_ev)
    return align.profile(WIDE, spectra, ensemble, entry, shifts_ev, widths_ev)


@pytest.fixture(scope="module")
def entry(root):
    return edge_table.load(root / "resources" / "edges.yaml")["O K"]


@pytest.fixture(scope="module")
def ensemble(entry):
    energy = entry.grid.energies_ev
    kinds = [shape(energy), shape(energy, width=2.5), 1 + 0 * energy]
    return np.array([normalise(energy, k, entry.window_ev) for k in kinds])


def test_many_spectra_at_once_give_what_each_gives_alone(entry, ensemble):
    shifts = np.array([-2.3, -0.4, 0.0, 1.7])
    spectra = np.array([7 * shape(WIDE, s) + 3 for s in shifts])
    together = fitted(spectra, ensemble, entry, 3.0, 0.0)
    assert together.shifts_ev[together.best()] == pytest.approx(-shifts, abs=0.06)
    assert np.sqrt(together.squared.min(axis=1)).max() < 0.05
    for i, spectrum in enumerate(spectra):
        alone = align.profile(
            WIDE, spectrum[None], ensemble, entry, align.steps(3.0), align.widths(0.0)
        )
        assert alone.squared[0] == pytest.approx(together.squared[i])


@pytest.mark.parametrize("width", [-1.5, 0.0, 1.5])
def test_the_width_is_found_whichever_of_the_two_is_sharper(entry, ensemble, width):
    measured = blurred(shape(WIDE), 0.2, max(width, 0))
    simulated = blurred(ensemble[:1], 0.2, max(-width, 0))
    found = align.profile(
        WIDE, measured[None], simulated, entry, align.steps(1.0), align.widths(3.0)
    )
    assert found.width_ev[0, found.best()[0]] == pytest.approx(width, abs=0.35)


def test_what_is_no_edge_at_any_shift_is_refused(entry, ensemble):
    with pytest.raises(SpectrumError, match=r"no shift from -1 to \+1 eV"):
        align.profile(
            WIDE, -shape(WIDE)[None], ensemble, entry, align.steps(1.0), align.widths(0.0)
        )


def test_a_worse_fit_leaves_a_wider_distribution(entry, ensemble):
    """As a reduced chi-squared: what no simulated spectrum is like says less about its axis."""
    like = shape(WIDE)
    unlike = like + 0.5 * np.exp(-(((WIDE - 545) / 1.0) ** 2))
    found = align.profile(
        WIDE, np.array([like, unlike]), ensemble, entry, align.steps(3.0), align.widths(0.0)
    )
    _, std = align.spread(found.shifts_ev, align.weights(found, KNOWN))
    assert std[1] > 1.5 * std[0]


def test_without_parents_to_leave_out_every_shift_counts(entry, ensemble):
    none = align.misfit_of({"only": (np.ones(1), np.ones(1), np.ones(1))})
    found = align.profile(
        WIDE, shape(WIDE)[None], ensemble, entry, align.steps(2.0), align.widths(0.0)
    )
    assert np.ptp(align.weights(found, none)) == 0


def test_draws_stand_for_their_distribution(entry):
    shifts = np.arange(-50, 51) / 10
    likely = align.gaussian(shifts, [0.7, -2.0], [0.5, 1.0])
    mean, std = align.spread(shifts, likely)
    for stream in (0, 1, 5):
        drawn = align.draws(shifts, likely, 64, stream)
        assert drawn.mean(axis=1) == pytest.approx(mean, abs=0.1)
        assert drawn.std(axis=1) == pytest.approx(std, rel=0.15)
    first, second = (align.draws(shifts, likely, 256, stream)[0] for stream in (1, 2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.3


def test_a_shift_moves_each_spectrum_by_its_own(entry):
    spectra = np.array([shape(WIDE), shape(WIDE, 1.0)])
    moved = align.standard_form(WIDE, spectra, entry, np.array([1.0, 0.0]))
    assert moved[0] == pytest.approx(moved[1], abs=1e-4)
