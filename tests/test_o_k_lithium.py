"""O K pre-edges fall where lithium leaves, as published for higher oxidation states."""

import pytest

from corefuse.spectra.features import pre_edge_metrics


@pytest.fixture
def plot_o_k(root, monkeypatch):
    """The script of the figure, in the folder that it is run from."""
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(root / "tests" / "reference")
    import plot_o_k

    return plot_o_k


def pre_edge_ev(y):
    return pre_edge_metrics(y["energy_O_K"].values, y.values).pre_edge_ev


@pytest.mark.parametrize("compound", ["LiNiO2", "LiCoO2"])
def test_the_pre_edge_falls_by_up_to_an_ev(plot_o_k, compound):
    at = {n: pre_edge_ev(y) for n, y in plot_o_k.spectra(compound, plot_o_k.SHIFTED).items()}
    assert -1.0 < at["li000"] - at["li100"] < -0.05


def test_as_simulated_that_of_nickel_rises(plot_o_k):
    simulated = plot_o_k.spectra("LiNiO2", plot_o_k.AS_SIMULATED)
    assert pre_edge_ev(simulated["li000"]) - pre_edge_ev(simulated["li100"]) > 1.0
