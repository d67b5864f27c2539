import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import ASKS, GPL_PROMPT, fake

from corefuse import engines
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.simulate import programs as external


def command(*programs, module=None, image=None):
    return {"run": list(programs), "module": module, "image": image}


def run(tmp_path, *programs, hours=1.0, **where):
    external.run(command(*programs, **where), tmp_path, hours, "the.key", "the fix")


def test_programs_run_in_order_in_the_folder(tmp_path):
    programs = [
        fake(tmp_path / "bin" / name, f"print({name!r}); open('out', 'a').write({name!r})")
        for name in ("one", "two")
    ]
    run(tmp_path, *programs)
    assert (tmp_path / "out").read_text() == "onetwo"
    assert (tmp_path / "stdout.log").read_text().split() == ["one", "two"]


def test_a_program_has_arguments(tmp_path):
    program = fake(tmp_path / "p", "print(sys.argv[1:])")
    run(tmp_path, f"{program} -n 'two words'")
    assert (tmp_path / "stdout.log").read_text().strip() == "['-n', 'two words']"


def test_a_missing_program_stops_the_run_with_the_fix(tmp_path):
    for name in ("no-such-program", str(tmp_path / "no-such-file")):
        with pytest.raises(InputError, match=r"the.key: no program .*Fix: the fix"):
            run(tmp_path, name)


def test_a_file_that_may_not_be_executed_is_missing_too(tmp_path):
    (tmp_path / "p").write_text("#!/bin/sh\n")
    with pytest.raises(InputError, match="no program"):
        run(tmp_path, str(tmp_path / "p"))


def test_what_hangs_is_ended_with_its_children(tmp_path):
    body = (
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        "open('pid', 'w').write(str(child.pid)); print('cycle 7', flush=True); time.sleep(300)"
    )
    start = time.monotonic()
    with pytest.raises(NotConvergedError, match="time limit; it last printed: cycle 7") as stopped:
        run(tmp_path, fake(tmp_path / "p", body), hours=2 / 3600)
    assert stopped.value.facts == {"time_limit_hours": 2 / 3600}
    assert time.monotonic() - start < 60
    assert not alive(int((tmp_path / "pid").read_text()))


def alive(pid):
    """Whether a process runs; an orphan that nobody has waited for does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()[:1] not in ("", "Z")


def test_the_time_limit_is_that_of_all_programs_together(tmp_path):
    slow = fake(tmp_path / "p", "time.sleep(1.2)")
    with pytest.raises(NotConvergedError, match="time limit"):
        run(tmp_path, slow, slow, hours=2 / 3600)


def test_an_exit_code_comes_with_what_was_printed(tmp_path):
    program = fake(tmp_path / "p", "print('a'); print('out of memory'); sys.exit(9)")
    with pytest.raises(NotConvergedError, match=r"exit code 9: a \| out of memory"):
        run(tmp_path, program)


def test_a_program_cannot_wait_for_the_keyboard(tmp_path):
    with pytest.raises(NotConvergedError, match="EOFError"):
        run(tmp_path, fake(tmp_path / "p", "input('name of the file?')"))


@pytest.mark.parametrize("body", ASKS)
def test_a_licence_that_is_asked_for_stops_the_run(body, tmp_path):
    program = fake(tmp_path / "p", body)
    with pytest.raises(InputError, match=r"asks for a licence.*once by hand"):
        run(tmp_path, program)
        external.check_written(tmp_path, "out.dat", program, "the.key")


@pytest.mark.parametrize(
    "body",
    [
        f"while True: print({GPL_PROMPT!r}, end=' ', flush=True); time.sleep(0.01)",
        f"print({GPL_PROMPT!r}, end=' ', flush=True); time.sleep(300)",
    ],
)
def test_what_goes_on_asking_for_a_licence_is_ended(body, tmp_path, monkeypatch):
    """Its input is empty, which does not stop all of them."""
    monkeypatch.setattr(external, "POLL_S", 0.5)
    with pytest.raises(InputError, match="asks for a licence"):
        run(tmp_path, fake(tmp_path / "p", body))


def test_a_code_that_names_its_licence_and_goes_on_is_let_run(tmp_path, monkeypatch):
    monkeypatch.setattr(external, "POLL_S", 0.1)
    body = f"print({GPL_PROMPT!r}, '- accepted', flush=True); time.sleep(1); print('done')"
    run(tmp_path, fake(tmp_path / "p", body))
    assert "done" in (tmp_path / "stdout.log").read_text()


def test_a_licence_that_is_only_mentioned_is_no_prompt(tmp_path):
    body = "print('FDMNES, free under its licence'); print('done'); sys.exit(2)"
    with pytest.raises(NotConvergedError):
        run(tmp_path, fake(tmp_path / "p", body))


MODULE = """
module() {
  [ "$2" = codes/3 ] && exec sleep 60
  [ "$2" = codes/1 ] || { echo "unknown module $2" >&2; return 1; }
  export PATH=BIN:$PATH
}
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A login shell that knows `module load codes/1`."""
    program = fake(tmp_path / "bin" / "code", "print(sys.argv)")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".bash_profile").write_text(MODULE.replace("BIN", str(tmp_path / "bin")))
    monkeypatch.setenv("HOME", str(home))
    return program


def test_a_module_is_loaded_before(modules, tmp_path):
    run(tmp_path, "code -x", module="codes/1")
    assert "-x" in (tmp_path / "stdout.log").read_text()
    found = external.provenance(command("code", module="codes/1"), "the.key")
    assert (found["binary"], found["binary_module"]) == (modules, "codes/1")
    assert found["binary_sha256"] == hashlib.sha256(Path(modules).read_bytes()).hexdigest()


def test_an_unknown_module_and_a_program_it_lacks_stop_the_run(modules, tmp_path):
    with pytest.raises(InputError, match="module codes/2: unknown module codes/2"):
        run(tmp_path, "code", module="codes/2")
    with pytest.raises(InputError, match="it holds no program 'other'"):
        run(tmp_path, "other", module="codes/1")


def test_a_module_that_hangs_stops_the_run(modules, tmp_path, monkeypatch):
    monkeypatch.setattr(external, "MODULE_LIMIT_S", 0.5)
    with pytest.raises(InputError, match="module codes/3 is not loaded within"):
        run(tmp_path, "code", module="codes/3")


def test_a_container_sees_the_folder(tmp_path, monkeypatch):
    fake(tmp_path / "bin" / "apptainer", "print(*sys.argv[1:])")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    image = tmp_path / "code.sif"
    with pytest.raises(InputError, match="no file"):
        run(tmp_path, "code", image=str(image))
    image.write_bytes(b"image")
    run(tmp_path, "code", image=str(image))
    said = (tmp_path / "stdout.log").read_text().split()
    assert said == ["exec", "--bind", str(tmp_path), "--pwd", str(tmp_path), str(image), "code"]
    found = external.provenance(command("code", image=str(image)), "the.key")
    assert found["binary_sha256"] == hashlib.sha256(b"image").hexdigest()
    assert (found["binary"], found["binary_image"]) == ("code", str(image))


def test_without_a_runtime_no_container(tmp_path, monkeypatch):
    monkeypatch.setattr(external, "RUNTIMES", ("no-such-runtime",))
    with pytest.raises(InputError, match="install one of them"):
        run(tmp_path, "code", image="docker://code")


def test_provenance_is_the_binary_and_its_hash(tmp_path):
    program = fake(tmp_path / "p", "pass")
    found = external.provenance(command(program, f"{program} again"), "the.key")
    digest = hashlib.sha256((tmp_path / "p").read_bytes()).hexdigest()
    assert found == {
        "binary": program,
        "binary_sha256": digest,
        "binary_module": "",
        "binary_image": "",
    }
    assert external.locate(command("python3"), sys.executable, "the.key") == sys.executable


def test_a_table_is_read_as_fortran_writes_it():
    rows = ["  1.0  2.5D+01", " 2.0 -1.25-101 9", " 3 1e2"]
    assert external.table(rows, 2, "f").tolist() == [[1, 25], [2, -1.25e-101], [3, 100]]


@given(st.floats(1e-200, 1e200), st.sampled_from("+-"))
def test_every_fortran_number_is_read(value, sign):
    signed = float(f"{sign}{value:.12e}")
    for word in (f"{signed:.12e}", f"{signed:.12E}".replace("E", "D")):
        assert external.fortran_float(word) == signed
    mantissa, exponent = f"{signed:.12E}".split("E")
    if abs(int(exponent)) >= 100:
        assert external.fortran_float(mantissa + exponent) == signed


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["1 2", "2 NaN"], "f holds NaN at 2 eV"),
        (["1 2", "2 Infinity"], "f holds NaN at 2 eV"),
        (["1 2", "2 *****"], "row 2 can't be read"),
        (["1 2", "2"], "cut short in row 2"),
        (["1 2"], "holds no spectrum"),
        ([], "holds no spectrum"),
    ],
)
def test_a_table_with_a_fault_is_refused(rows, problem):
    with pytest.raises(NotConvergedError, match=problem):
        external.table(rows, 2, "f")


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_of_repeated_energies_the_last_row_counts(energies):
    kept = external.last_of_each(np.array(energies, dtype=float))
    expected = {e: i for i, e in enumerate(energies)}
    assert kept.tolist() == [expected[e] for e in sorted(expected)]


def test_the_seconds_of_a_program_count_as_those_of_its_engine(tmp_path):
    """Its own process does nothing meanwhile."""
    before = engines.cpu_seconds()
    run(
        tmp_path,
        fake(
            tmp_path / "p", "end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
        ),
    )
    assert engines.cpu_seconds() - before > 0.5
