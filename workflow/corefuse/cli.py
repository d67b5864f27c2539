"""The command ``corefuse``: ``corefuse doctor``, and what the other subcommands register here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from corefuse.core.errors import InputError


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
    _add_doctor(commands)
    return out


def _add_doctor(commands: argparse._SubParsersAction) -> None:
    doctor = commands.add_parser("doctor", help="check every engine that a config names")
    doctor.add_argument("config", nargs="?", default="config/config.yaml", help="a run's config")
    doctor.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from corefuse.simulate import doctor  # the engines take seconds to import

    return doctor.main([options.config])


if __name__ == "__main__":
    sys.exit(main())
