"""Where corefuse's own files are: beside the package in a clone, inside it when it is installed."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
CLONE = PACKAGE.parents[1]


def own(name: str) -> str:
    """Path of a file of corefuse, such as ``resources/edges.yaml``.

    The path is relative where the working folder is the clone: Snakemake compares the paths of
    inputs, and results must stay current when the clone is moved.
    """
    path = CLONE / name if (CLONE / name).exists() else PACKAGE / name
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def found(name: str) -> str:
    """A path that a config names: in the working folder, or else among corefuse's own files."""
    return name if Path(name).exists() or not Path(own(name)).exists() else own(name)
