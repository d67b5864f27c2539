"""Trained models put where the project brings them along, and ``corefuse read`` finds them.

``python -m corefuse.learn.ship config/reference.yaml resources/models soft_xas hard_xas eels``
takes those of a finished run: models, cards and domains of these subsets, what they read spectra
against (``simulated.nc``), and ``library.json``, which says what they were trained on.
"""

from __future__ import annotations

import shutil
import sys
from hashlib import sha256
from pathlib import Path

from corefuse import config as cfg
from corefuse.core import files
from corefuse.core.errors import InputError
from corefuse.plan.paths import Paths
from corefuse.simulate import stored

LARGEST_MB = 20
SUFFIXES = (".ubj", ".json")


def ship(config: cfg.Config, file: str | Path, folder: str | Path, subsets: list[str]) -> list[str]:
    """Copy the models of these subsets; names of the files written.

    Raises
    ------
    InputError
        The run has not finished training a subset, names no stored library, or its models are
        larger than a repository should hold.
    """
    models, about = Path(Paths(config.name)("models")), library(config, file)
    names = ["simulated.nc"]
    for subset in subsets:
        trained = [f"{target}/{subset}" for target in config.train.targets]
        names += [f"domain/{subset}.json", *(f"{t}{end}" for t in trained for end in SUFFIXES)]
    for name in names:
        if not (models / name).exists():
            raise InputError(models / name, "models", "the run has not made it", "finish the run")
    size_mb = sum((models / name).stat().st_size for name in names) / 1e6
    if size_mb > LARGEST_MB:
        raise InputError(
            folder,
            "models",
            f"{size_mb:.1f} MB, {LARGEST_MB} at most belong into a repository",
            "ship fewer subsets or lower train.max_trees",
        )
    shutil.rmtree(folder, ignore_errors=True)  # of a run with other targets or subsets
    for name in names:
        with files.atomic(Path(folder) / name) as partial:
            shutil.copyfile(models / name, partial)
    files.write_json(Path(folder) / "library.json", about)
    return [*names, "library.json"]


def library(config: cfg.Config, file: str | Path) -> dict[str, str | int]:
    """What a run was trained on: the library's folder, its hash, its cells and its config."""
    found = stored.finished(config, file)
    text = files.dumps(found)
    return {
        "folder": str(config.simulation.stored),
        "sha256": sha256(text.encode()).hexdigest(),
        "structures": len(found),
        "config": str(file),
    }


def main(config_file: str, folder: str, *subsets: str) -> int:
    """Ship the models of a run; 1 where they can't be."""
    try:
        config = cfg.read(config_file)
        written = ship(config, config_file, folder, list(subsets))
    except InputError as err:
        print(f"corefuse: {err}", file=sys.stderr)
        return 1
    print(f"{len(written)} files in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
