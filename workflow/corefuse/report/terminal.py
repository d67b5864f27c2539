"""What was read as a table that a person can read in a terminal."""

from __future__ import annotations

import numpy as np
import pandas as pd

from corefuse.core.targets import TARGET_TABLE
from corefuse.read.reading import Reading

MOST_ROWS = 12  # samples that are shown one by one
WIDTH = 96


def answers(found: Reading) -> str:
    """The answers of every sample, or of a long series its first, last and extremes."""
    rows = found.answers
    names = list(dict.fromkeys(rows["sample"]))
    shown = names if len(names) <= MOST_ROWS else [*names[:4], *names[-4:]]
    chosen = rows[rows["sample"].isin(shown)]
    table = pd.DataFrame(
        {
            "sample": chosen["sample"],
            "": [TARGET_TABLE[target].label for target in chosen.target],
            "value": [_value(row) for row in chosen.itertuples()],
            "interval": [_interval(row) for row in chosen.itertuples()],
            "verdict": chosen.verdict.str.replace("_", " "),
        }
    )
    lines = [table.to_string(index=False)]
    if len(shown) < len(names):
        counts = rows.verdict.value_counts()
        told = ", ".join(f"{n} {v.replace('_', ' ')}" for v, n in counts.items())
        lines.append(f"{len(names)} samples in all (first and last shown): {told}")
    lines += ["", *reasons(rows)]
    return "\n".join(lines).rstrip() + "\n"


def reasons(rows: pd.DataFrame) -> list[str]:
    """Every note once, with whom it concerns."""
    by_note: dict[str, list[str]] = {}
    for row in rows.itertuples():
        for note in filter(None, str(row.note).split("; ")):
            by_note.setdefault(note, []).append(str(row.sample))
    out = []
    for note, concerned in by_note.items():
        names = list(dict.fromkeys(concerned))
        who = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        out.append(f"- {who}: {note}")
    return out if len(out) <= 20 else [*out[:20], f"- and {len(out) - 20} more, see answer.csv"]


def _value(row: object) -> str:
    value = row.probability if TARGET_TABLE[row.target].kind == "class" else row.prediction
    return "" if value is None or np.isnan(value) else f"{value:.2f}"


def _interval(row: object) -> str:
    if pd.isna(row.low):
        return ""
    if TARGET_TABLE[row.target].kind == "class":
        return {(0.0, 0.0): "no", (1.0, 1.0): "yes"}.get((row.low, row.high), "undecided")
    return f"{row.low:.2f} to {row.high:.2f}"
