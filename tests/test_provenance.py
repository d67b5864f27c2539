import ast
import re
import shutil

import pytest

from corefuse.plan import current
from corefuse.plan.current import MAKERS, PLUMBING, code_hash

SCRIPT = re.compile(r"scripts/(\w+)\.py")
HASHED = re.compile(r'code_hash\("(\w+)"\)')
ALL_HASHED = (
    *("structure_index", "collect", "calibrate", "spectra", "dataset", "train", "domain", "local"),
    *(
        "simulated",
        "read",
        "infer",
        "image",
        "attributions",
        "tables",
        "figures_spectra",
        "figures_scores",
    ),
    *("figures_attributions", "figures_inference", "figures_measured", "figures_series"),
    *("figures_images", "fusion"),
)
# They carry a revision, or decide nothing.
WITHOUT = {
    *("structure", "simulate", "begin", "sites"),
    *("metrics", "resolved_config", "download"),
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that a test may edit."""
    copy = tmp_path / "corefuse"
    shutil.copytree(current.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(current, "PACKAGE", copy)
    current._read.cache_clear()
    yield copy
    current._read.cache_clear()


def file_of(package, module):
    path = package.joinpath(*module.removeprefix("corefuse.").split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def edit(file, change):
    file.write_text(change(file.read_text()))
    current._read.cache_clear()


def hashed_scripts(root):
    """(rule's script, script whose code is hashed), read from the rules."""
    found = set()
    for file in (root / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", file.read_text(), flags=re.MULTILINE)[1:]:
            if hashed := HASHED.search(rule):
                found.add((SCRIPT.search(rule)[1], hashed[1]))
    return found


def called_modules(file, package):
    """Modules of the package that a file imports, found in its text."""
    code = re.sub(r"\(\s*([^)]*?)\s*\)", r"\1", file.read_text())
    found = set()
    for base, names in re.findall(r"^\s*from (corefuse[\w.]*) import ([\w, \n]+?)$", code, re.M):
        for name in re.findall(r"(\w+)(?: as \w+)?", names):
            inside = file_of(package, f"{base}.{name}")
            found.add(f"{base}.{name}" if inside.exists() else base)
    found |= set(re.findall(r"^\s*import (corefuse\.[\w.]+)", code, re.M))
    return found - {"corefuse"}


def test_every_rule_hashes_its_own_script(root):
    found = hashed_scripts(root)
    assert all(script == hashed for script, hashed in found)
    assert {script for script, _ in found} == set(ALL_HASHED)
    assert {p.stem for p in (root / "scripts").glob("*.py")} - set(ALL_HASHED) == WITHOUT


def test_plumbing_and_makers_exist():
    assert all(current.path_of(module).exists() for module in PLUMBING | MAKERS)


def test_a_script_without_a_hash_carries_a_revision_or_decides_nothing(root):
    rules = "".join(p.read_text() for p in (root / "workflow" / "rules").glob("*.smk"))
    assert rules.count("revision=") == 4
    for name in ("metrics", "resolved_config"):
        called = called_modules(root / "scripts" / f"{name}.py", current.PACKAGE)
        assert called == {"corefuse.core.files"}


@pytest.mark.parametrize("script", ALL_HASHED)
def test_an_edit_of_any_module_a_script_depends_on_changes_its_hash(script, package, root):
    needed = set()
    waiting = called_modules(root / "scripts" / f"{script}.py", package) - PLUMBING - MAKERS
    while waiting:  # written anew, on the text, so that both would have to be wrong
        needed |= waiting
        waiting = set().union(*(called_modules(file_of(package, m), package) for m in waiting))
        waiting -= needed | PLUMBING | MAKERS
    before = code_hash(script)
    for module in needed:
        file = file_of(package, module)
        original = file.read_text()
        edit(file, lambda code: code + "\nEXTRA = 1\n")
        assert code_hash(script) != before, module
        edit(file, lambda _, original=original: original)
    assert code_hash(script) == before


@pytest.mark.parametrize("script", ALL_HASHED)
def test_an_edit_elsewhere_leaves_the_hash(script, package):
    before = code_hash(script)
    elsewhere = {f"corefuse.{m}" for m in ("bench.stages", "plan.checks", "config.docs")}
    for module in elsewhere | PLUMBING | MAKERS:
        edit(file_of(package, module), lambda code: code + "\nEXTRA = 1\n")
    assert code_hash(script) == before


def test_comments_docstrings_and_layout_change_nothing(package):
    before = code_hash("train")

    def annotate(code):
        code = re.sub(r'^( *)"""(?=\S)', r'\1"""Reworded. ', code, flags=re.MULTILINE)
        return "# a comment\n\n\n" + code.replace("\n\n\n", "\n\n# another\n\n\n")

    edit(package / "learn" / "train.py", annotate)
    assert code_hash("train") == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return 1", "return 2"),
        ("n=3", "n=4"),
        ("return 1", "'not a docstring'.upper()\n    return 1"),
        ("def one", "def two"),
    ],
)
def test_code_changes_the_hash(package, old, new):
    code = 'def one(n=3):\n    """Doc."""\n    return 1\n'
    splits = package / "learn" / "splits.py"
    edit(splits, lambda _: code)
    before = code_hash("train")
    edit(splits, lambda _: code.replace(old, new))
    assert code_hash("train") != before


def test_a_script_counts_too(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("from corefuse.core import files\n")
    monkeypatch.setattr(current, "SCRIPTS", tmp_path)
    before = code_hash("mine")
    edit(tmp_path / "mine.py", lambda code: code + "print(files)\n")
    assert code_hash("mine") != before


def test_a_function_that_is_only_a_docstring_can_be_hashed(package):
    splits = package / "learn" / "splits.py"
    edit(splits, lambda _: 'class A(Exception):\n    """Doc."""\n')
    code_hash("train")


def test_imports_in_functions_and_of_names_are_found():
    tree = ast.parse(
        "import corefuse.core.spectrum\nfrom corefuse.core import files as f, errors\n"
        "from corefuse.core.errors import InputError\nimport numpy\n"
        "def lazy():\n    from corefuse.engines.gpaw import ENGINE\n    import corefuse\n"
    )
    assert current.imports(tree) == {
        *("corefuse.core.spectrum", "corefuse.core.files", "corefuse.core.errors"),
        "corefuse.engines.gpaw",
    }


def test_no_module_hides_its_imports_behind_dots():
    """``current.imports`` reads absolute imports only."""
    for file in current.PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), file
