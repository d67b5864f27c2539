import json

import h5py
import numpy as np
import pytest

from corefuse import readers
from corefuse.grid import SpectrumError

ENERGY = np.linspace(500, 560, 121)
COUNTS = 10 + np.arange(121.0)


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
        recorded = readers.read(file)
        assert recorded.unit == unit, name
        assert recorded.counts == pytest.approx(COUNTS)


def test_a_named_column_wins(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(text((ENERGY, COUNTS, 2 * COUNTS), "energy,mu,reference\n"))
    assert readers.read(file).counts == pytest.approx(COUNTS)
    assert readers.read(file, "Reference").counts == pytest.approx(2 * COUNTS)
    with pytest.raises(SpectrumError, match="no column 'other'"):
        readers.read(file, "other")


@pytest.mark.parametrize(
    "header",
    ["Voltage,Capacity", "Ecell/V,Li", "cycle number,Capacity (mAh/g)", "time/s,current (mA)"],
)
def test_electrochemistry_is_not_mistaken_for_a_spectrum(tmp_path, header):
    file = tmp_path / "cell.csv"
    file.write_text(text((ENERGY / 150, COUNTS), header + "\n"))
    with pytest.raises(SpectrumError, match="electrochemistry"):
        readers.read(file)


def test_an_entry_of_a_json_file_without_energies(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"intensity": {"0": list(COUNTS)}, "voltage": {"0": 4.3}}))
    recorded = readers.read(file, "intensity.0", (8330, 8370))
    assert recorded.energy[[0, -1]].tolist() == [8330, 8370]
    assert recorded.counts == pytest.approx(COUNTS)
    for column, ends, problem in (
        (None, (0, 1), "which entry"),
        ("intensity.7", (0, 1), "no 'intensity.7'"),
        ("voltage.0", (0, 1), "no list of numbers"),
        ("intensity.0", None, "holds no energies"),
    ):
        with pytest.raises(SpectrumError, match=problem):
            readers.read(file, column, ends)


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
    recorded = readers.read(tmp_path / "a.hspy")
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
    recorded = readers.read(tmp_path / "a.emd")
    assert recorded.counts.shape == (3, 121)
    assert recorded.energy == pytest.approx(ENERGY)
    assert recorded.axes[0].size == 3


@pytest.mark.parametrize("suffix", [".msa", ".dm3", ".dm4", ".hspy", ".emd"])
def test_a_broken_microscope_file_is_refused(tmp_path, suffix):
    file = tmp_path / f"a{suffix}"
    file.write_bytes(b"\x89HDF\r\n" + bytes(range(256)) * 4)
    try:
        recorded = readers.read(file)
    except SpectrumError as fault:
        assert "spectrum" in fault.problem
        assert "\n" not in str(fault)
    else:  # the EMSA reader takes anything: Spectrum then refuses what has no points
        assert recorded.energy.size < 2


def test_the_measured_image_has_its_axes(shared):
    folder = shared / "experimental" / "eels_si_doped_nmc"
    recorded = readers.read(folder / "TM_TM+O_EELS_Spectrum_Image.dm3")
    assert recorded.counts.shape == (2, 21, 2048)
    assert (recorded.energy[0], recorded.energy[-1]) == pytest.approx((440, 1054.1), abs=0.1)
    assert recorded.unit == "eV"
    assert [(a.name, a.size, a.unit) for a in recorded.axes] == [("y", 2, "µm"), ("x", 21, "µm")]
    assert recorded.axes[1].scale == pytest.approx(2.046e-3, rel=1e-3)
    assert readers.read(folder / "TM_Mn_edge.msa").beam_kv == 300
