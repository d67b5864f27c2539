"""Text of users in Snakemake's report stays text: it runs no script and reads no file.

Snakemake writes captions, labels and job parameters as JSON into ``<script>`` blocks, where a
``</script>`` in a column's name would end the block and begin another one, and renders captions
with docutils, whose directives ``raw`` and ``include`` would do the same and more. Found with
Snakemake 9; a browser test holds it.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

MOST_PARAMETERS = 500  # characters of a job's parameters; all of them are in config.yaml
_RST = re.compile(r"([^\w\s])")


def install() -> None:
    """Escape what this process writes into a report, and turn off docutils' access to files."""
    os.environ["DOCUTILSCONFIG"] = str(Path(__file__).with_name("docutils.conf"))
    from snakemake.report import html_reporter
    from snakemake.report.html_reporter import data

    modules = [html_reporter]
    for found in pkgutil.iter_modules(data.__path__, f"{data.__name__}."):
        modules.append(importlib.import_module(found.name))
    for module in modules:
        if hasattr(module, "json"):
            module.json = SimpleNamespace(dumps=dumps)


def dumps(value: Any) -> str:
    """JSON for a ``<script>`` block, long parameters of jobs cut short."""
    return json.dumps(_shortened(value)).replace("<", "\\u003c").replace(">", "\\u003e")


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        cut = {k: v for k, v in value.items() if k == "params" and isinstance(v, str)}
        short = {
            k: v if len(v) < MOST_PARAMETERS else f"{v[:MOST_PARAMETERS]} ..."
            for k, v in cut.items()
        }
        return {k: _shortened(v) for k, v in value.items()} | short
    return [_shortened(v) for v in value] if isinstance(value, list | tuple) else value


def rst(text: str) -> str:
    """Text as reStructuredText that shows it, on one line, and nothing else."""
    return _RST.sub(r"\\\1", " ".join(text.split()))
