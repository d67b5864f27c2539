"""Doctor: does every engine of a config work here? (``make doctor``, a minute at most each)"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from corefuse import config as cfg
from corefuse import engines
from corefuse.config import samples
from corefuse.core import yaml_file
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.core.places import own
from corefuse.plan import checks, specs


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


def examine_config(config: cfg.Config, file: str, left_out: list[str]) -> Finding:
    """Make the checks that a run makes before its first job."""
    try:
        planned = specs.by_id(config.structures, file)
        no_training = checks.before_start(config, planned, file, own("resources/edges.yaml"))
    except InputError as err:
        return Finding("config", False, str(err))
    said = [f"{len(planned)} structures, {len(config.infer.samples)} measured samples", *left_out]
    said += [f"nothing is trained: {no_training}"] if no_training else []
    return Finding("config", True, "; ".join(said))


def main(arguments: list[str]) -> int:
    """Print a line for a config file and one for each of its engines; 1 if one fails."""
    file = arguments[0] if arguments else "config/config.yaml"
    try:
        filled, left_out = samples.put_in(yaml_file.read(file), file)
        config = cfg.load(filled, file)
    except InputError as err:
        print(f"corefuse: {err}", file=sys.stderr)
        return 1
    findings = [examine_config(config, file, left_out)]
    findings += [examine(name, config.simulation) for name in config.simulation.engines()]
    print("\n".join(map(str, findings)))
    return int(not all(finding.works for finding in findings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
