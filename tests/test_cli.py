"""The command line: what a user types, what comes back."""

import pytest

from corefuse import cli


def test_help_names_the_subcommands(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    assert "doctor" in capsys.readouterr().out


def test_a_fault_of_the_input_is_one_line_and_exit_status_1(capsys, tmp_path):
    assert cli.main(["doctor", str(tmp_path / "none.yaml")]) == 1
    error = capsys.readouterr().err
    assert "none.yaml" in error
    assert "Traceback" not in error
