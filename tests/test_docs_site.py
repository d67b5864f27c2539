"""The documentation: it builds without a broken link, and what it shows exists."""

import json
import re
import subprocess
import sys

import jsonschema
import pytest
import yaml
from toy import environment

LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)(?:#[^)]*)?\)")
AT_THE_ROOT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config/README.md")


def test_the_site_builds_and_no_link_is_broken(root, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=root,
        env=environment(NO_MKDOCS_2_WARNING="1"),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    reference = (tmp_path / "api" / "core" / "index.html").read_text()
    assert "corefuse.core.spectrum.normalise" in reference  # made from docstrings


@pytest.mark.parametrize("page", AT_THE_ROOT)
def test_links_of_pages_outside_of_the_site(root, page):
    file = root / page
    for target in LINK.findall(file.read_text()):
        assert (file.parent / target).exists(), target


def test_no_source_is_outside_of_the_repository(root):
    """``../shared`` is read by tests that skip without it; nothing else may rest on it."""
    for folder in ("workflow", "scripts", "docs", "resources", "config"):
        for file in (root / folder).rglob("*"):
            if file.suffix in (".py", ".md", ".yaml", ".smk", ".rst"):
                assert "shared/notes" not in file.read_text(), file


@pytest.mark.parametrize("name", ["config", "ni_k", "nmc", "reference"])
def test_editors_complete_the_keys_of_every_config(root, name):
    text = (root / "config" / f"{name}.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    schema = json.loads((root / "config" / "schema.json").read_text())
    jsonschema.validate(yaml.safe_load(text), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text) | {"simulatoin": {}}, schema)


def test_every_direct_dependency_has_its_reason(root):
    reasons = (root / "docs" / "dependencies.md").read_text()
    for line in (root / "envs" / "requirements.in").read_text().splitlines():
        if line and not line.startswith("#"):
            assert line.split("==")[0] in reasons, line
