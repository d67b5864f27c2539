"""Tables of the report as self-contained HTML pages that sort nothing and load nothing."""

from __future__ import annotations

from html import escape
from pathlib import Path

import pandas as pd

from corefuse.core.files import atomic

STYLE = """body{font:14px system-ui,sans-serif;margin:1.5em;color:#222}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th{position:sticky;top:0;background:#f2f4f7;text-align:left}
th,td{padding:.3em .7em;border-bottom:1px solid #ddd;white-space:pre;vertical-align:top}
tr:hover td{background:#f8fafc}h1{font-size:1.15em}p{max-width:50em}"""


MOST_ROWS = 2000  # a browser scrolls them, and the report stays small
LOG_LINES = 8


def end_of(log: str | Path) -> str:
    """Last lines of a log, empty where it is gone."""
    path = Path(log)
    lines = path.read_text(errors="replace").rstrip().splitlines() if path.exists() else []
    return "\n".join(lines[-LOG_LINES:])


def write(path: str | Path, table: pd.DataFrame, title: str, note: str = "") -> None:
    """One table as an HTML page; an empty table says so in words, a long one how much it leaves."""
    body = _html(table.head(MOST_ROWS)) if len(table) else "<p>None.</p>"
    if len(table) > MOST_ROWS:
        note = f"{note} The first {MOST_ROWS} of {len(table)} rows; all are in the run's files."
    with atomic(path) as partial:
        partial.write_text(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
            f"<style>{STYLE}</style><h1>{escape(title)}</h1><p>{escape(note)}</p>{body}</html>\n"
        )


def _html(table: pd.DataFrame) -> str:
    with pd.option_context("display.max_colwidth", None):  # else reasons are cut short
        text = table.to_html(index=False, border=0, float_format="{:.4g}".format, na_rep="")
    return text.replace("\\n", "\n")  # pandas spells line breaks out
