"""Doctor: does every engine of a config work here? (``make doctor``, a minute at most each)"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from corefuse import config as cfg
from corefuse import engines
from corefuse.core.errors import InputError, NotConvergedError


@dataclass(frozen=True)
class Finding:
    """What an engine's check came to: ``said`` names what works, or the problem and its fix."""

    engine: str
    works: bool
    said: str

    def __str__(self) -> str:
        return f"{self.engine:<10} {'works' if self.works else 'FAILS'}  {self.said}"


def examine(name: str, simulation: cfg.Simulation) -> Finding:
    """Run one engine's check with its settings in a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix=f"corefuse-{name}-") as folder:
        try:
            said = engines.get(name).check(simulation.settings(name), Path(folder))
            return Finding(name, True, said)
        except InputError as err:
            return Finding(name, False, f"{err.key}: {err.problem}. Fix: {err.fix}")
        except NotConvergedError as err:
            return Finding(name, False, f"{err}. Fix: run `{name}` by hand to see more")
        except (ImportError, OSError, subprocess.SubprocessError) as err:
            return Finding(name, False, f"{err}. Fix: run `make setup`")


def main(arguments: list[str]) -> int:
    """Print a line for each engine of a config file; 1 if one fails."""
    file = arguments[0] if arguments else "config/config.yaml"
    try:
        simulation = cfg.load(yaml.safe_load(Path(file).read_text()), file).simulation
    except (InputError, OSError, yaml.YAMLError) as err:
        print(f"corefuse: {err}", file=sys.stderr)
        return 1
    findings = [examine(name, simulation) for name in simulation.engines()]
    print("\n".join(map(str, findings)))
    return int(not all(finding.works for finding in findings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
