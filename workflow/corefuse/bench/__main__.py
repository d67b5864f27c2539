"""``python -m corefuse.bench``: the table on stdout, progress on stderr."""

from __future__ import annotations

import sys

from corefuse.bench import (
    BROKEN,
    ROOT,
    cluster,
    core_hole,
    crystal,
    feff,
    gpaw_cells,
    images,
    multiplets,
    printed,
    products,
    reading,
    stages,
    table,
)

SECTIONS = (
    cluster.rows,
    gpaw_cells.rows,
    core_hole.rows,
    feff.rows,
    crystal.rows,
    stages.rows,
    products.rows,
    reading.rows,
    images.rows,
    multiplets.rows,
)


def main() -> None:
    """Measure section after section and print one table; exit with 1 where a limit is broken."""
    if not (stages.DEMO / "metrics.csv").exists():
        folder = stages.DEMO.relative_to(ROOT)
        sys.exit(f"corefuse: {folder}: no finished demo to time the stages on. Fix: make demo")
    rows = []
    for section in SECTIONS:
        for row in section():
            print(f"[bench] {row.label}: {row.cpu_seconds:.2f} s", file=sys.stderr, flush=True)
            rows.append(row)
    print("CPU seconds on one core; ratio: to the row named beside it; edrixs: its scipy backend")
    text = printed(table(rows))
    print(text)
    if BROKEN in text:
        sys.exit(f"corefuse: a limit is not kept: {BROKEN} in the table")


if __name__ == "__main__":
    main()
