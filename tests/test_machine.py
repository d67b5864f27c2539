"""A full disk or a lost mount is no fault of a structure: it stops the job and counts nothing."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from corefuse import engines
from corefuse.core import files, rawdata
from corefuse.core.errors import InputError
from corefuse.core.machine import FIXES, MachineError, fault_of, named_in
from corefuse.simulate import limits, programs, retries


def raised(fault):
    def work():
        raise fault

    return work


def wrapped():
    try:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as cause:
        raise RuntimeError("GPAW could not write") from cause


def hdf5():
    raise RuntimeError(
        "Unable to flush file (file write failed: errno = 28, error message = 'No space left on "
        "device', buf = 0x55, total write size = 32768)"
    )


OF_THE_MACHINE = {os.strerror(n): raised(OSError(n, os.strerror(n))) for n in FIXES} | {
    "no module": raised(ModuleNotFoundError("No module named 'gpaw'")),
    "no library": raised(ImportError("libxc.so.9: cannot open shared object file: No such file")),
    "library by ctypes": raised(OSError("libxc.so: cannot open shared object file")),
    "in the chain": wrapped,
    "in the text of HDF5": hdf5,
}
NOT_OF_IT = {
    "of the code": raised(ValueError("No space left for bands")),
    "of the system, unknown": raised(OSError("disk")),
    "a file that is not there": raised(FileNotFoundError(2, "No such file", "scf.json")),
}


@pytest.mark.parametrize("work", OF_THE_MACHINE.values(), ids=OF_THE_MACHINE)
def test_a_fault_of_the_machine_counts_as_no_attempt_and_is_one_line(work, tmp_path):
    for _ in range(retries.ATTEMPTS + 1):
        with pytest.raises(MachineError) as told:
            retries.attempt(work, tmp_path / "a", "request", limits.Limits(), print)
    assert retries.made(tmp_path / "a", "request") == 0
    assert ". Fix: " in str(told.value)
    assert "\n" not in str(told.value) and len(str(told.value)) <= 300


@pytest.mark.parametrize("work", NOT_OF_IT.values(), ids=NOT_OF_IT)
def test_any_other_fault_counts(work, tmp_path):
    with pytest.raises(limits.StoppedError):
        retries.attempt(work, tmp_path / "a", "request", limits.Limits(), print)
    assert retries.made(tmp_path / "a", "request") == 1


def test_input_errors_stay_what_they_are():
    try:
        raise InputError("a.yaml", "key", "unreadable", "fix") from PermissionError(13, "denied")
    except InputError as fault:
        assert fault_of(fault) is None


def test_a_folder_that_is_gone_is_a_lost_mount(tmp_path):
    folder = tmp_path / "mount"
    folder.mkdir()

    def lose():
        folder.rename(tmp_path / "elsewhere")
        raise FileNotFoundError(2, "No such file or directory", "structure.json")

    with pytest.raises(MachineError, match="is gone"):
        retries.attempt(lose, folder / "a", "request", limits.Limits(), print)


def test_a_program_that_names_one_is_believed(tmp_path):
    command = {"run": ["full"], "module": None, "image": None}
    program = tmp_path / "full"
    program.write_text("#!/bin/sh\necho 'forrtl: No space left on device'\nexit 29\n")
    program.chmod(0o755)
    command["run"] = [str(program)]
    with pytest.raises(MachineError, match="No space left on device"):
        programs.run(command, tmp_path, 1.0, "simulation.feff.command")
    assert named_in("it had no space left on devices\nall is well") is None


class Writer(engines.ProgramEngine):
    """Writes more than a small disk holds."""

    name, revision, edges = "writer", 1, ("O K",)
    check = None

    def version(self):
        return "1"

    def prepare(self, job, folder):
        pass

    def run(self, folder):
        with (folder / "waves").open("wb") as out:
            out.write(bytes(8 << 20))

    def parse(self, folder):
        line = rawdata.Channel("O K", 0, "O", "", np.ones(9), np.zeros((3, 9)), 0.0, 0.0)
        return rawdata.build([line], np.arange(9.0))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_writes_no_structure_off(small_disk):
    """Four tries on the full disk, then one with room: the result is there."""
    atom = Structure(Lattice.cubic(5), ["O"], [[0, 0, 0]])
    job = engines.Job("atom", atom, ("O K",), {}, small_disk)
    arguments = (Writer(), job, small_disk / "raw.nc", "request", limits.Limits())
    with pytest.raises(limits.StoppedError):  # a fault of its own, which stays counted
        retries.attempt(raised(KeyError(1)), small_disk / "raw.nc", "request", arguments[-1], print)
    for _ in range(retries.ATTEMPTS + 1):
        with pytest.raises(MachineError, match="No space left"):
            retries.simulate(*arguments, small_disk / "log" / "a.log")
    assert not (small_disk / "raw.nc").exists()
    assert retries.made(small_disk / "raw.nc", "request") == 1
    assert sum(f.stat().st_size for f in small_disk.rglob("*") if f.is_file()) < 10_000
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    raw = retries.simulate(*arguments, small_disk / "log" / "a.log")
    assert raw.attrs["status"] == "ok"
    assert files.read_netcdf(small_disk / "raw.nc").attrs["status"] == "ok"


SCRIPT = """
import errno, os
from corefuse.core import machine
machine.tell_in_one_line()
raise {}
"""


@pytest.mark.parametrize(
    ("fault", "lines"),
    [("OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'results/a.nc')", 1), ("KeyError(1)", 4)],
)
def test_a_script_prints_one_line_for_the_machine_and_a_traceback_for_a_bug(fault, lines, root):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(fault)],
        env=os.environ | {"PYTHONPATH": str(root / "workflow")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()
    assert len(said) == 1 if lines == 1 else "Traceback" in done.stderr
    if lines == 1:
        assert said[0].startswith("corefuse: the machine: ") and "free space" in said[0]
