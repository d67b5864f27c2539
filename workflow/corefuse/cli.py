"""The command ``corefuse``: ``corefuse read`` and ``app`` for measured files, ``doctor``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from corefuse.core.errors import InputError

READ_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("files",), {"nargs": "+", "metavar": "FILE", "help": "measured files, or a samples .yaml"}),
    (("--edge",), {"help": 'edge in the files ("Ni K"); found where only one is possible'}),
    (("--technique",), {"choices": ("XAS", "EELS")}),
    (("--column",), {"help": "intensity: name, number from 1, or ln(i0/itrans)"}),
    (("--energy-column",), {"help": "energies, likewise"}),
    (("--scan",), {"help": "which scan of a file that holds several"}),
    (("--group",), {"help": "which group of an Athena project, NeXus file or workbook"}),
    (("--signal",), {"help": "which signal of a microscope file"}),
    (("--background",), {"choices": ("mean", "line", "power_law"), "help": "taken off below"}),
    (("--mode",), {"choices": ("TEY", "TFY", "PFY", "HERFD", "transmission")}),
    (("--reference",), {"help": "foil or standard beside it: Ni, foil.dat=Ni, NiO.dat=8344"}),
    (("--reference-column",), {"help": "the foil's column in the same file"}),
    (("--axis-uncertainty-ev",), {"type": float, "help": "how well the energies are known"}),
    (("--energy-offset-ev",), {"type": float, "help": "added to the energies"}),
    (("--composition",), {"help": "known contents, of the first: Li=1,Ni=0.8,Mn=0.1,Co=0.1"}),
    (("--series",), {"action": "store_true", "help": "the files are one series"}),
    (("--models",), {"help": "models of a finished run; default: those of corefuse"}),
    (("--confidence",), {"type": float, "default": 0.8, "help": "of the intervals (0.8)"}),
    (("--out",), {"default": "corefuse_read", "help": "folder of the results (corefuse_read)"}),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; a fault of the user's input is one line on stderr and exit status 1."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except InputError as fault:
        print(f"corefuse: {fault}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """All subcommands with their options."""
    out = argparse.ArgumentParser("corefuse", description=__doc__.split(":")[0])
    commands = out.add_subparsers(required=True, metavar="COMMAND")
    _add_read(commands)
    _add_app(commands)
    _add_doctor(commands)
    return out


def _add_read(commands: argparse._SubParsersAction) -> None:
    read = commands.add_parser("read", help="answers for measured spectra, series and images")
    for arguments, keywords in READ_OPTIONS:
        read.add_argument(*arguments, **keywords)
    read.set_defaults(run=_read)


def _read(options: argparse.Namespace) -> int:
    from corefuse.read import command  # numpy, xarray and xgboost, which --help need not load

    return command.run(options)


def _add_app(commands: argparse._SubParsersAction) -> None:
    app = commands.add_parser("app", help="the same on a page of this machine's browser")
    app.add_argument("--models", help="models of a finished run; default: those of corefuse")
    app.add_argument("--confidence", type=float, default=0.8, help="of the intervals (0.8)")
    app.add_argument("--port", type=int, default=5006, help="on 127.0.0.1 (5006)")
    app.add_argument("--no-browser", action="store_true", help="do not open the browser")
    app.set_defaults(run=_app)


def _app(options: argparse.Namespace) -> int:
    try:
        from corefuse.read import app  # Panel takes seconds to import
    except ModuleNotFoundError as fault:
        fix = "pip install 'corefuse[app]'"
        raise InputError("corefuse app", "panel", f"{fault.name} is not installed", fix) from None
    return app.run(options)


def _add_doctor(commands: argparse._SubParsersAction) -> None:
    doctor = commands.add_parser("doctor", help="check every engine that a config names")
    doctor.add_argument("config", nargs="?", default="config/config.yaml", help="a run's config")
    doctor.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from corefuse.simulate import doctor  # the engines take seconds to import

    return doctor.main([options.config])


if __name__ == "__main__":
    sys.exit(main())
