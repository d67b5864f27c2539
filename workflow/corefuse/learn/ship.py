"""Trained models put where the project brings them along: ``resources/models/<subset>``.

``python -m corefuse.learn.ship config/reference.yaml resources/models soft_xas hard_xas eels``
takes those of a finished run. A folder holds the models, cards and domain of one subset as the
``models`` folder of a run does, and ``library.json``, which says what they were trained on.
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


def ship(config: cfg.Config, file: str | Path, folder: str | Path, subsets: list[str]) -> list[str]:
    """Copy the models of these subsets; the files written.

    Raises
    ------
    InputError
        The run has not finished training a subset, names no stored library, or its models are
        larger than a repository should hold.
    """
    models, out = Path(Paths(config.name)("models")), []
    about = library(config, file)
    for subset in subsets:
        domain = models / "domain" / f"{subset}.json"
        trained = [models / t / f"{subset}.ubj" for t in config.train.targets]
        there = [domain, *trained, *(path.with_suffix(".json") for path in trained)]
        for path in there:
            if not path.exists():
                raise InputError(path, "models", "the run has not made it", "finish the run")
        target = Path(folder) / subset
        shutil.rmtree(target, ignore_errors=True)  # of a run with other targets
        for path in there:
            with files.atomic(target / path.relative_to(models)) as partial:
                shutil.copyfile(path, partial)
        files.write_json(target / "library.json", about)
        out += [str(path) for path in sorted(target.rglob("*.*"))]
    size_mb = sum(Path(path).stat().st_size for path in out) / 1e6
    if size_mb > LARGEST_MB:
        raise InputError(
            folder,
            "models",
            f"{size_mb:.1f} MB, {LARGEST_MB} at most belong into a repository",
            "ship fewer subsets or lower train.max_trees",
        )
    return out


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
