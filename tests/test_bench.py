"""The table of `make bench`; what it measures is run by hand, timings are no test."""

import pytest

from corefuse import config
from corefuse.bench import Row, __main__, cluster, gpaw_cells, multiplets, stages, table
from corefuse.plan import specs

ROWS = [
    Row("slow", "16 atoms", 40.0, 20, 512.4),
    Row("quick", "Mn2+", 4.0, 1, limit_s=8.0, reference="slow, 16 atoms", note="why"),
    Row("late", "Ni2+", 4.0, limit_s=3.0, reference="nowhere"),
]


def test_the_table_has_ratios_limits_and_costs_of_a_spectrum():
    slow, quick, late = table(ROWS).to_dict("records")
    assert (slow["peak_memory_mb"], slow["cpu_s_per_spectrum"]) == ("512", "2")
    assert (quick["ratio"], quick["ratio_to"]) == ("0.1", "slow, 16 atoms")
    assert (quick["limit_s"], late["limit_s"]) == ("8 kept", "3 BROKEN")
    assert (late["ratio"], late["ratio_to"], late["spectra"]) == ("", "", "")
    assert quick["note"] == "why"


def test_one_table_has_every_section(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(stages, "DEMO", tmp_path)
    (tmp_path / "metrics.csv").touch()
    monkeypatch.setattr(__main__, "SECTIONS", (lambda: ROWS[:1], lambda: ROWS[1:]))
    with pytest.raises(SystemExit, match="a limit is not kept"):
        __main__.main()
    printed = capsys.readouterr()
    assert printed.out.count("cpu_s_per_spectrum") == 1
    assert len(printed.out.splitlines()) == 2 + len(ROWS)
    assert len(printed.err.splitlines()) == len(ROWS)


def test_limits_that_are_kept_end_well(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(stages, "DEMO", tmp_path)
    (tmp_path / "metrics.csv").touch()
    monkeypatch.setattr(__main__, "SECTIONS", (lambda: ROWS[:2],))
    __main__.main()
    assert "8 kept" in capsys.readouterr().out


def test_multiplets_are_held_to_their_limits(monkeypatch):
    monkeypatch.setattr(multiplets, "IONS", ("Ni2+",))
    rows = {r.label: r for r in multiplets.rows() if not r.what.startswith("edrixs")}
    models = {"multiplets, crystal field, Ni2+", "multiplets, charge transfer, Ni2+"}
    assert rows.keys() == models
    assert all(row.limit_s > 0 for row in rows.values())
    assert all(
        r.cpu_seconds > 0 and r.reference == n.replace("multiplets", "edrixs")
        for n, r in rows.items()
    )


def test_the_cells_have_the_sizes_asked_for():
    sizes = []
    for formula_units, series in gpaw_cells.SERIES.items():
        section = config.Structures.model_validate(
            {"formula_units": formula_units, "series": [series]}
        )
        sizes.append(4 * specs.plan(section)[0].formula_units)
    assert sizes == [16, 32, 40, 48]


def test_the_dry_run_is_of_twenty_thousand_sites():
    assert cluster.sites_asked() >= 20_000
    config.load(cluster.MANY, "many.yaml")
