import ast
import re
import shutil
import time

import pytest

from corefuse import provenance
from corefuse.provenance import MAKERS, PLUMBING, STAGE_MODULES, code_hash

SCRIPT = re.compile(r"scripts/(\w+)\.py")
STAGE = re.compile(r'code_hash\("(\w+)"\)')


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that a test may edit."""
    copy = tmp_path / "corefuse"
    shutil.copytree(provenance.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", copy)
    provenance._read.cache_clear()
    yield copy
    provenance._read.cache_clear()


def edit(package, module, change):
    file = package / f"{module}.py"
    file.write_text(change(file.read_text()))
    provenance._read.cache_clear()


def scripts_of_stages(root):
    """Stage -> its scripts, read from the rules."""
    found: dict[str, set[str]] = {}
    for file in (root / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", file.read_text(), flags=re.MULTILINE)[1:]:
            if stage := STAGE.search(rule):
                found.setdefault(stage[1], set()).add(SCRIPT.search(rule)[1])
    return found


def called_modules(file):
    """Modules of the package that a file imports, found in its text."""
    code = re.sub(r"\(\s*([^)]*?)\s*\)", r"\1", file.read_text())
    names = re.findall(r"^\s*from corefuse import ([\w, \n]+?)$", code, re.MULTILINE)
    listed = {name for group in names for name in re.findall(r"(\w+)(?: as \w+)?", group)}
    direct = re.findall(r"(?:from|import) corefuse\.(\w+)", code)
    here = {p.stem for p in provenance.PACKAGE.iterdir()}
    return (listed | set(direct)) & here


def test_stages_are_those_of_the_rules(root):
    assert set(scripts_of_stages(root)) == set(STAGE_MODULES)


def test_stage_modules_exist():
    named = {m for modules in STAGE_MODULES.values() for m in modules} | PLUMBING | MAKERS
    assert all((provenance.PACKAGE / f"{module}.py").exists() for module in named)


@pytest.mark.parametrize("stage", STAGE_MODULES)
def test_a_stage_names_all_that_its_scripts_call(stage, root):
    scripts = scripts_of_stages(root)[stage]
    called = set().union(*(called_modules(root / "scripts" / f"{s}.py") for s in scripts))
    assert called - PLUMBING == set(STAGE_MODULES[stage])


def test_a_stage_without_a_hash_carries_a_revision_or_decides_nothing(root):
    hashed = set().union(*scripts_of_stages(root).values())
    without = {p.stem for p in (root / "scripts").glob("*.py")} - hashed
    assert without == {
        *("structure", "simulate", "begin", "sites"),
        *("metrics", "resolved_config", "download"),
    }
    rules = "".join(p.read_text() for p in (root / "workflow" / "rules").glob("*.smk"))
    assert rules.count("revision=") == 4
    for name in ("metrics", "resolved_config"):
        assert called_modules(root / "scripts" / f"{name}.py") == {"files"}


@pytest.mark.parametrize("stage", STAGE_MODULES)
def test_an_edit_of_any_module_a_stage_depends_on_changes_its_hash(stage, package):
    needed, waiting = set(), set(STAGE_MODULES[stage])
    while waiting:  # written anew, on the text, so that both would have to be wrong
        needed |= waiting
        waiting = set().union(*(called_modules(package / f"{m}.py") for m in waiting))
        waiting -= needed | PLUMBING | MAKERS
    before = code_hash(stage)
    for module in needed:
        original = (package / f"{module}.py").read_text()
        edit(package, module, lambda code: code + "\nEXTRA = 1\n")
        assert code_hash(stage) != before, module
        edit(package, module, lambda _, original=original: original)
    assert code_hash(stage) == before


@pytest.mark.parametrize("stage", STAGE_MODULES)
def test_an_edit_elsewhere_leaves_the_hash(stage, package):
    before = code_hash(stage)
    for module in ("bench/stages", "checks", "config_docs", "progress", *PLUMBING, *MAKERS):
        edit(package, module, lambda code: code + "\nEXTRA = 1\n")
    assert code_hash(stage) == before


def test_comments_docstrings_and_layout_change_nothing(package):
    before = code_hash("train")

    def annotate(code):
        code = re.sub(r'^( *)"""(?=\S)', r'\1"""Reworded. ', code, flags=re.MULTILINE)
        return "# a comment\n\n\n" + code.replace("\n\n\n", "\n\n# another\n\n\n")

    edit(package, "train", annotate)
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
    edit(package, "splits", lambda _: code)
    before = code_hash("train")
    edit(package, "splits", lambda _: code.replace(old, new))
    assert code_hash("train") != before


def test_a_function_that_is_only_a_docstring_can_be_hashed(package):
    edit(package, "splits", lambda _: 'class A(Exception):\n    """Doc."""\n')
    code_hash("train")


def test_imports_in_functions_and_of_submodules_are_found():
    tree = ast.parse(
        "import corefuse.grid\nfrom corefuse import files as f, spectra\nimport numpy\n"
        "def lazy():\n    from corefuse.engines.gpaw import ENGINE\n    import corefuse\n"
    )
    assert provenance.imports(tree) == {"grid", "files", "spectra", "engines"}


def test_no_module_hides_its_imports_behind_dots():
    """``provenance.imports`` reads absolute imports only."""
    for file in provenance.PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), file


def test_hashing_is_fast_enough_for_every_job():
    provenance._read.cache_clear()
    start = time.process_time()
    for stage in STAGE_MODULES:
        code_hash(stage)
    assert time.process_time() - start < 1.0
