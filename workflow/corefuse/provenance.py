"""What makes a result stale: its config section (a param) and the code of its stage (a hash)."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

PACKAGE = Path(__file__).parent

# The modules that a stage's scripts call; the modules these import count too. Structures and raw
# simulations are too dear to be redone for an edited line: they carry a revision number instead
# (plan.REVISION, Engine.revision).
STAGE_MODULES: dict[str, tuple[str, ...]] = {
    "index": ("structures",),
    "collect": ("rawdata",),
    "spectra": ("spectra", "calibration", "edge_table"),
    "dataset": ("dataset", "edge_table"),
    "train": ("train", "domain", "models"),
    "infer": ("infer", "measured", "match", "image", "spectra", "edge_table"),
    "report": (
        *("attributions", "figures", "tables", "models", "scores", "infer"),
        *("spectra", "measured", "match", "edge_table", "rawdata"),
    ),
}
# Names, types, input and output: what decides a number comes from here as params and files.
PLUMBING = frozenset({"config", "edges", "errors", "files", "plan"})
# Makers of structures, under plan.REVISION; the index only counts what they have made.
MAKERS = frozenset({"crystals", "defects", "relax"})


def code_hash(stage: str) -> str:
    """Hash of a stage's code that comments, docstrings and formatting don't change."""
    code = "".join(_read(module)[0] for module in sorted(closure(STAGE_MODULES[stage])))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def closure(modules: Iterable[str]) -> set[str]:
    """The modules and what they import of the package, without ``PLUMBING`` and ``MAKERS``."""
    found: set[str] = set()
    waiting = set(modules)
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= _read(module)[1] - PLUMBING - MAKERS - found
    return found


@lru_cache
def _read(module: str) -> tuple[str, frozenset[str]]:
    """Code without comments and docstrings, and the modules of the package that it imports."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    _strip_docstrings(tree)
    return ast.unparse(tree), frozenset(imports(tree))


def imports(tree: ast.AST) -> set[str]:
    """Modules of the package that are imported anywhere in the code, in functions too."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    paths = [name.split(".") for name in names]
    return {path[1] for path in paths if path[0] == "corefuse" and len(path) > 1}


def _strip_docstrings(tree: ast.AST) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:] or [ast.Pass()]
