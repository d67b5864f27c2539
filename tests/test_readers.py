import json

import h5py
import numpy as np
import pytest

from corefuse.core.spectrum import SpectrumError
from corefuse.read import files

ENERGY = np.linspace(500, 560, 121)
COUNTS = 10 + np.arange(121.0)


def read(path, column=None, axis_range=None, energy_column=None, **more):
    asked = files.Wanted(column=column, axis_range=axis_range, energy_column=energy_column, **more)
    return files.read(path, asked)


def text(columns, header=""):
    rows = zip(*columns, strict=True)
    return header + "\n".join(",".join(f"{v:.6f}" for v in row) for row in rows)


def test_the_unit_of_a_column_is_recognised(tmp_path):
    for name, header, unit in (
        ("a.csv", "Energy (keV),mu\n", "keV"),
        ("b.csv", "E [eV],mu\n", "eV"),
        ("c.csv", "", None),
        ("d.xdi", "# XDI/1.0\n# Column.1: energy keV\n# Column.2: mutrans\n", "keV"),
    ):
        file = tmp_path / name
        body = text((ENERGY, COUNTS), header)
        file.write_text(body.replace(",", " ") if name.endswith("xdi") else body)
        recorded = read(file)
        assert recorded.unit == unit, name
        assert recorded.counts == pytest.approx(COUNTS)


def test_a_named_column_wins(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(text((ENERGY, COUNTS, 2 * COUNTS), "energy,mu,reference\n"))
    assert read(file).counts == pytest.approx(COUNTS)
    assert read(file, "Reference").counts == pytest.approx(2 * COUNTS)
    with pytest.raises(SpectrumError, match="no column 'other'"):
        read(file, "other")


SERIES = (ENERGY, COUNTS, 2 * COUNTS, 3 * COUNTS)


@pytest.mark.parametrize("name", ["a.nor", "a.xmu", "a.tsv", "a.001", "a"])
def test_a_table_is_one_whatever_its_suffix(tmp_path, name):
    (tmp_path / name).write_text(text((ENERGY, COUNTS), "# energy xmu\n").replace(",", "\t"))
    assert read(tmp_path / name).counts == pytest.approx(COUNTS)


def test_columns_by_name_and_number_for_energies_too(tmp_path):
    file = tmp_path / "a.dat"
    file.write_text(text((COUNTS, ENERGY, 2 * COUNTS), "a,mono,b\n"))
    for column, energy in (("b", "mono"), (3, 2), ("B", "Mono")):
        recorded = read(file, column, energy_column=energy)
        assert recorded.energy == pytest.approx(ENERGY)
        assert recorded.counts == pytest.approx(2 * COUNTS)
    for column, energy, told in (("b", "E", "a, mono, b"), (4, 2, "a, mono, b")):
        with pytest.raises(SpectrumError, match=f"no column .*use one of {told}"):
            read(file, column, energy_column=energy)


@pytest.mark.parametrize(
    ("header", "told"),
    [("energy,ocv,charged,full\n", "ocv, charged, full"), ("", "2, 3, 4")],
)
def test_several_spectra_in_a_table_are_told_not_guessed(tmp_path, header, told):
    file = tmp_path / "a.csv"
    file.write_text(text(SERIES, header))
    with pytest.raises(SpectrumError, match=f"which of its columns {told} is the spectrum"):
        read(file)
    names = files.entries(file)
    assert ", ".join(map(str, names)) == told
    assert read(file, names[2]).counts == pytest.approx(3 * COUNTS)


@pytest.mark.parametrize(
    ("data", "column", "energy"),
    [
        ({"energy": ENERGY, "a": COUNTS, "b": 2 * COUNTS}, "b", None),
        (
            {"energy": {"0": ENERGY, "1": ENERGY}, "mu": {"0": COUNTS, "1": 2 * COUNTS}},
            "mu.1",
            None,
        ),
        ([{"energy": ENERGY, "mu": COUNTS}, {"energy": ENERGY, "mu": 2 * COUNTS}], "1.mu", None),
        ({"x": ENERGY, "a": COUNTS, "b": 2 * COUNTS}, "b", "x"),
        ({"grid (eV)": ENERGY, "scans": {"one": COUNTS, "two": 2 * COUNTS}}, "scans.two", None),
    ],
)
def test_a_json_file_with_energies(tmp_path, data, column, energy):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(data, default=list))
    recorded = read(file, column, energy_column=energy)
    assert recorded.energy == pytest.approx(ENERGY)
    assert recorded.counts == pytest.approx(2 * COUNTS)
    assert len(files.entries(file, energy_column=energy)) == 2
    with pytest.raises(SpectrumError, match="which entry"):
        read(file, energy_column=energy)


def test_lists_beside_the_spectra_of_a_json_file_are_not_taken_for_some(tmp_path):
    file = tmp_path / "a.json"
    both = {"0": COUNTS, "1": COUNTS}
    file.write_text(json.dumps({"intensity": both, "cdf": both}, default=list))
    assert files.entries(file, "intensity") == ["intensity.0", "intensity.1"]
    with pytest.raises(SpectrumError, match="which of intensity, cdf holds the spectra"):
        files.entries(file)


def test_a_json_table_as_pandas_writes_it(tmp_path):
    import pandas as pd

    table = pd.DataFrame({"energy": ENERGY, "mu": COUNTS})
    for orient in ("columns", "records", "list"):
        data = (
            table.to_dict(orient) if orient == "list" else json.loads(table.to_json(orient=orient))
        )
        (tmp_path / "a.json").write_text(json.dumps(data))
        assert read(tmp_path / "a.json").counts == pytest.approx(COUNTS), orient


def test_falling_and_repeated_energies(tmp_path):
    """A scan downwards is turned round; two counts at one energy are averaged."""
    file = tmp_path / "a.csv"
    energy, counts = np.repeat(ENERGY, 2)[::-1], np.repeat(COUNTS, 2)[::-1] + np.tile([1, -1], 121)
    file.write_text(text((energy, counts)))
    recorded = read(file)
    assert recorded.energy == pytest.approx(ENERGY)
    assert recorded.counts == pytest.approx(COUNTS)


@pytest.mark.parametrize(
    "header",
    ["Voltage,Capacity", "Ecell/V,Li", "cycle number,Capacity (mAh/g)", "time/s,current (mA)"],
)
def test_electrochemistry_is_not_mistaken_for_a_spectrum(tmp_path, header):
    file = tmp_path / "cell.csv"
    file.write_text(text((ENERGY / 150, COUNTS), header + "\n"))
    with pytest.raises(SpectrumError, match="electrochemistry"):
        read(file)


def test_an_entry_of_a_json_file_without_energies(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(
        json.dumps({"intensity": {"0": list(COUNTS), "1": list(COUNTS)}, "voltage": {"0": 4.3}})
    )
    recorded = read(file, "intensity.0", (8330, 8370))
    assert recorded.energy[[0, -1]].tolist() == [8330, 8370]
    assert recorded.counts == pytest.approx(COUNTS)
    for column, ends, problem in (
        (None, (0, 1), "which entry"),
        ("intensity.7", (0, 1), "no list of numbers 'intensity.7'.*use one of intensity.0"),
        ("voltage.0", (0, 1), "no list of numbers 'voltage.0'"),
        ("intensity.0", None, "holds no energies"),
    ):
        with pytest.raises(SpectrumError, match=problem):
            read(file, column, ends)


def write_hspy(path, counts):
    from hyperspy.api import signals

    signal = signals.Signal1D(counts)
    for name, size in zip("yx", counts.shape[:-1], strict=True):
        assert signal.axes_manager["xy".index(name)].size == size
        axis = signal.axes_manager["xy".index(name)]
        axis.name, axis.scale, axis.offset, axis.units = name, 2.0, 1.0, "nm"
    axis = signal.axes_manager[-1]
    axis.name, axis.scale, axis.offset = "Energy loss", float(np.diff(ENERGY)[0]), 500.0
    axis.units = "eV"
    signal.save(path)


def test_a_hyperspy_image_keeps_its_axes(tmp_path):
    image = COUNTS + np.arange(6).reshape(2, 3, 1)
    write_hspy(tmp_path / "a.hspy", image)
    recorded = read(tmp_path / "a.hspy")
    assert recorded.counts == pytest.approx(image)
    assert recorded.energy == pytest.approx(ENERGY)
    assert recorded.unit == "eV"
    assert [(a.name, a.size, a.scale, a.offset, a.unit) for a in recorded.axes] == [
        ("y", 2, 2.0, 1.0, "nm"),
        ("x", 3, 2.0, 1.0, "nm"),
    ]
    assert recorded.mean() == pytest.approx(COUNTS + 2.5)


def test_a_berkeley_emd_file(tmp_path):
    with h5py.File(tmp_path / "a.emd", "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("data/edge")
        group.attrs["emd_group_type"] = 1
        group["data"] = np.tile(COUNTS, (3, 1))
        for i, (values, name, units) in enumerate(
            ((np.arange(3.0), "x", "nm"), (ENERGY, "Energy loss", "eV"))
        ):
            dim = group.create_dataset(f"dim{i + 1}", data=values)
            dim.attrs["name"], dim.attrs["units"] = name, units
    recorded = read(tmp_path / "a.emd")
    assert recorded.counts.shape == (3, 121)
    assert recorded.energy == pytest.approx(ENERGY)
    assert recorded.axes[0].size == 3


@pytest.mark.parametrize("suffix", [".msa", ".dm3", ".dm4", ".hspy", ".emd"])
def test_a_broken_microscope_file_is_refused(tmp_path, suffix):
    file = tmp_path / f"a{suffix}"
    file.write_bytes(b"\x89HDF\r\n" + bytes(range(256)) * 4)
    try:
        recorded = read(file)
    except SpectrumError as fault:
        assert "spectrum" in fault.problem or "HDF5 file" in fault.problem
        assert "\n" not in str(fault)
    else:  # the EMSA reader takes anything: Spectrum then refuses what has no points
        assert recorded.energy.size < 2


def test_the_measured_image_has_its_axes(shared):
    folder = shared / "experimental" / "eels_si_doped_nmc"
    recorded = read(folder / "TM_TM+O_EELS_Spectrum_Image.dm3")
    assert recorded.counts.shape == (2, 21, 2048)
    assert (recorded.energy[0], recorded.energy[-1]) == pytest.approx((440, 1054.1), abs=0.1)
    assert recorded.unit == "eV"
    assert [(a.name, a.size, a.unit) for a in recorded.axes] == [("y", 2, "µm"), ("x", 21, "µm")]
    assert recorded.axes[1].scale == pytest.approx(2.046e-3, rel=1e-3)
    assert read(folder / "TM_Mn_edge.msa").beam_kv == 300
