"""What a job asks of a cluster: more than stored runs took, and more for larger work."""

import pytest

from corefuse import config
from corefuse.core import files
from corefuse.plan import demands, specs

SMALL = config.Gpaw(plane_wave_cutoff_ev=270, kpoint_spacing_per_angstrom=0.75)


def spec(formula_units):
    section = {"formula_units": formula_units, "series": [{"grade": "LiNiO2"}]}
    return specs.plan(config.Structures.model_validate(section))[0]


@pytest.mark.parametrize(
    ("stored", "formula_units", "settings"),
    [
        ("core_hole/LiCoO2-none", 4, SMALL),
        ("nmc40", 10, config.Gpaw(kpoint_spacing_per_angstrom=0.9)),
    ],
)
def test_a_first_attempt_asks_for_more_than_a_stored_run_took_but_not_for_far_more(
    root, stored, formula_units, settings
):
    taken = files.read_netcdf(root / "tests" / "reference" / f"{stored}.nc").attrs
    asked_mb = demands.memory_mb(spec(formula_units), settings.model_dump())
    assert 1.3 < asked_mb / taken["peak_memory_mb"] < 3
    asked_s = 60 * demands.minutes(spec(formula_units), settings.model_dump())
    assert 3 < asked_s / taken["cpu_seconds"] < 60


def test_demands_grow_with_the_cell_the_cutoff_and_the_sites_of_a_job():
    small = SMALL.model_dump()
    finer = small | {"plane_wave_cutoff_ev": 400}
    assert demands.memory_mb(spec(30), small) > 2 * demands.memory_mb(spec(10), small)
    assert demands.memory_mb(spec(10), finer) > demands.memory_mb(spec(10), small)
    assert demands.minutes(spec(10), small, runs=8) > 2 * demands.minutes(spec(10), small)
