import json

import numpy as np
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from corefuse.core import files, rawdata

AXIS = rawdata.energy_axis(30.0)


@given(
    positions=arrays(float, 7, elements=st.floats(-4.9, 29.9)),
    heights=arrays(float, 7, elements=st.floats(0, 10)),
)
def test_sticks_keep_area_and_first_moment(positions, heights):
    density = rawdata.sticks_to_density(positions, heights, AXIS)
    assert np.isclose(density.sum() * rawdata.STEP_EV, heights.sum())
    moment = (density * AXIS).sum() * rawdata.STEP_EV
    assert np.isclose(moment, (positions * heights).sum(), atol=1e-8)


def test_sticks_outside_the_axis_are_left_out():
    density = rawdata.sticks_to_density(np.array([-50.0, 31.0]), np.ones(2), AXIS)
    assert not density.any()


def test_axis_is_uniform_and_holds_zero():
    assert np.allclose(np.diff(AXIS), rawdata.STEP_EV)
    assert np.abs(AXIS).min() < 1e-9
    assert np.isclose(AXIS[-1], 30.0)


def _channel(edge: str, site: int) -> rawdata.Channel:
    rng = np.random.default_rng(site)
    return rawdata.Channel(
        edge=edge,
        site=site,
        element=edge.split()[0],
        role="oxygen",
        intensity=rng.random(len(AXIS)),
        dos=rng.random((3, len(AXIS))),
        core_level_shift_ev=0.1 * site,
        moment_mub=0.0,
    )


def test_schema_survives_a_file(tmp_path):
    raw = rawdata.build([_channel("O K", 3), _channel("O K", 4), _channel("Li K", 0)], AXIS)
    files.write_netcdf(tmp_path / "a.nc", raw)
    back = files.read_netcdf(tmp_path / "a.nc")
    assert back.attrs["status"] == "ok"
    oxygen = rawdata.of_edge(back, "O K")
    assert oxygen["site"].values.tolist() == [3, 4]
    assert np.allclose(oxygen["intensity"], raw["intensity"].values[:2])
    assert rawdata.of_edge(back, "Ni L2,3").sizes["channel"] == 0


def test_files_of_one_edge_each_can_be_joined_and_written(tmp_path):
    """Names of edges differ in length; each file knows its own only."""
    for name, edge in (("a", "O K"), ("b", "Ni L2,3")):
        files.write_netcdf(tmp_path / f"{name}.nc", rawdata.build([_channel(edge, 1)], AXIS))
    sites = [files.read_netcdf(tmp_path / f"{name}.nc") for name in "ab"]
    files.write_netcdf(tmp_path / "all.nc", xr.concat(sites, "channel", data_vars="minimal"))
    back = files.read_netcdf(tmp_path / "all.nc")
    assert back["edge"].values.tolist() == ["O K", "Ni L2,3"]
    assert back["element"].values.tolist() == ["O", "Ni"]


def test_a_failed_run_has_its_reason_and_no_spectra(tmp_path):
    files.write_netcdf(tmp_path / "f.nc", rawdata.failed("SCF not converged"))
    back = files.read_netcdf(tmp_path / "f.nc")
    assert (back.attrs["status"], back.attrs["reason"]) == ("failed", "SCF not converged")
    assert not back.data_vars


def test_attempts_of_all_sites_are_kept_and_counted():
    records = [{"converged": False, "reason": "SCF"}, {"converged": True, "reason": ""}]
    runs = [
        rawdata.build([_channel("O K", site)], AXIS).assign_attrs(
            edge="O K", site=site, log="", multiplicity=1.0, attempts=json.dumps(records[site:])
        )
        for site in (0, 1)
    ]
    whole = rawdata.collect(runs, "a", "gpaw_core_hole")
    assert json.loads(whole.attrs["attempts"]) == [*records, records[1]]
    assert rawdata.summary(whole)["attempts"] == "3, 1 not converged"
