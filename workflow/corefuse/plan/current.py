"""What makes a result stale: its config section (a param) and the code of its script (a hash)."""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

from corefuse.core.places import CLONE, PACKAGE

SCRIPTS = CLONE / "scripts"

# Names, types, input and output: what decides a number comes from here as params and files.
PLUMBING = frozenset(
    f"corefuse.{name}"
    for name in (
        *("config", *(f"config.{file.stem}" for file in (PACKAGE / "config").glob("[a-z]*.py"))),
        *(
            "core.edges",
            "core.errors",
            "core.files",
            "core.places",
            "core.section",
            "core.vocabulary",
        ),
        *("plan.specs", "plan.paths"),
    )
)
# Makers of structures carry plan.specs.REVISION; the index only counts what they have made.
MAKERS = frozenset(f"corefuse.structures.{name}" for name in ("layered", "defects", "relax"))


def code_hash(script: str, file: str | Path | None = None) -> str:
    """Hash of a script and of all it imports from the package.

    ``file`` is the script itself where it is not among the clone's own.

    Comments, docstrings and formatting do not change it. Structures and raw simulations are too
    expensive to be computed again for an edited line: they carry a revision number instead
    (``plan.specs.REVISION``, ``Engine.revision``).
    """
    start = Path(file) if file else SCRIPTS / f"{script}.py"
    code = "".join(_read(part)[0] for part in (start, *sorted(closure(start) - {start})))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def closure(file: Path) -> set[Path]:
    """The file and what it imports of the package, without ``PLUMBING`` and ``MAKERS``."""
    found: set[Path] = set()
    waiting = {file}
    while waiting:
        found |= waiting
        names = frozenset().union(*(_read(f)[1] for f in waiting)) - PLUMBING - MAKERS
        waiting = {path_of(name) for name in names} - found
    return found


def path_of(module: str) -> Path:
    """File of a module of the package, e.g. of ``corefuse.core.files``."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@lru_cache
def _read(file: Path) -> tuple[str, frozenset[str]]:
    """Code without comments and docstrings, and the modules of the package that it imports."""
    tree = ast.parse(file.read_text())
    _strip_docstrings(tree)
    return ast.unparse(tree), frozenset(imports(tree))


def imports(tree: ast.AST) -> set[str]:
    """Modules of the package that are imported anywhere in the code, in functions too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in inside if _is_module(name)}
            names |= modules if modules == inside else modules | {str(node.module)}
    return {name for name in names if name.startswith("corefuse.")}


def _is_module(name: str) -> bool:
    return name.startswith("corefuse.") and path_of(name).exists()


def _strip_docstrings(tree: ast.AST) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:] or [ast.Pass()]
