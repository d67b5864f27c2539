"""HDF5 that takes data from other files of the reader's machine is refused, whoever reads it."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from corefuse.core import files, hdf5_guard
from corefuse.core.errors import LONGEST, InputError
from corefuse.core.spectrum import SpectrumError
from corefuse.read.files import microscope

SECRET = b"the reader's own file, not for a stranger" * 10


def external_link(file, folder):
    file["data"] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def deep_external_link(file, folder):
    file.create_group("a/b/c")["data"] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def external_storage(file, folder):
    file.create_dataset("data", (100,), "u1", external=[(str(folder / "secret.txt"), 0, 100)])


def virtual(file, folder):
    layout = h5py.VirtualLayout((10,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (10,))
    file.create_virtual_dataset("data", layout)


def never_written(file, folder):
    file.create_dataset("data", (10**9, 10), "f8", chunks=(1000, 10))


KINDS = [external_link, deep_external_link, external_storage, virtual, never_written]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.txt").write_bytes(SECRET)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.arange(10.0)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".nc", ".hspy", ".emd"])
def test_data_from_outside_are_refused(folder, kind, suffix):
    path = folder / f"stranger{suffix}"
    with h5py.File(path, "w") as file:
        kind(file, folder)
    with pytest.raises(InputError) as caught:
        hdf5_guard.check(path, "file")
    assert len(str(caught.value)) <= LONGEST
    read = files.read_netcdf if suffix == ".nc" else microscope.signals
    with pytest.raises((InputError, SpectrumError), match="copy the data into one plain file"):
        read(path)


def test_what_is_inside_is_taken(folder):
    """Soft links, links to one dataset from two places and a group that holds itself."""
    path = folder / "good.h5"
    with h5py.File(path, "w") as file:
        file["a/x"] = np.arange(1000.0)
        file["b"] = file["a"]
        file["a/again"] = h5py.SoftLink("/a")
        file["b/itself"] = file["a"]
    hdf5_guard.check(path, "file")


@pytest.mark.parametrize("content", [b"", b"garbage" * 50, b"\x89HDF\r\n\x1a\n", b"version 1\noid"])
def test_files_that_are_no_netcdf_are_named(folder, content):
    path = folder / "broken.nc"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        files.read_netcdf(path)
    assert caught.value.file.endswith("broken.nc")


def test_half_a_netcdf_is_named(folder, root):
    whole = Path(root / "tests/reference/nmc40.nc").read_bytes()
    path = folder / "half.nc"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"half\.nc"):
        files.read_netcdf(path)


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "\x00"])
def test_files_that_are_no_json_are_named(folder, content):
    path = folder / "broken.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"broken\.json"):
        files.read_json(path)
