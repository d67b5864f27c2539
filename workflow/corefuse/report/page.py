"""report.html as Snakemake writes it, without the times of the run: same results, same bytes.

``python -m corefuse.report.page results/demo/report.html``. How long each job took stays in
``benchmarks/``.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from corefuse.core import files

_CHART = re.compile(r"^(\s*var (?:runtimes|timeline)_spec = )(\{.*\})(;?)$", re.MULTILINE)


def without_times(page: str) -> str:
    """The page with its two charts of times (runtimes and timeline of the jobs) left empty."""
    return _CHART.sub(_emptied, page)


def _emptied(chart: re.Match[str]) -> str:
    spec = json.loads(chart[2])
    spec["data"]["values"] = []
    return f"{chart[1]}{json.dumps(spec)}{chart[3]}"


def main(path: str) -> None:
    """Rewrite a report in its place."""
    page = Path(path).read_text(encoding="utf-8")
    with files.atomic(path) as partial:
        partial.write_text(without_times(page), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
