"""Mn L2,3 of four oxides, simulated by both engines beside measured: a table and a figure.

    export PYTHONPATH=workflow
    python tests/reference/compare_mn.py ../shared/experimental/mn_l23_references [output folder]

Not part of the workflow: it judges the engines. GPAW's runs are those of tests/reference/mn.
"""

import sys
from pathlib import Path

import mn_references

from corefuse import config
from corefuse.core import files
from corefuse.report import figures

ROOT = Path(__file__).resolve().parents[2]
folder = Path(sys.argv[1])
output = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "results" / "mn_references"
# 10Dq of Mn4+ with two: resources/multiplet.yaml, ligand_scaled
TWO_HOLES = config.Multiplet(
    ligand_holes=dict.fromkeys(("Mn2+", "Mn3+", "Mn4+"), 2), ions={"Mn4+": {"ten_dq_ev": 1.5}}
)
measured = mn_references.measured_edges(folder)
gpaw = mn_references.stored(ROOT / "tests" / "reference" / "mn")
simulated = {
    "multiplet": mn_references.edges(
        mn_references.multiplet_raw(gpaw, config.Multiplet()), measured
    ),
    "2 ligand holes": mn_references.edges(mn_references.multiplet_raw(gpaw, TWO_HOLES), measured),
    "crystal field": mn_references.edges(
        mn_references.multiplet_raw(gpaw, config.Multiplet(charge_transfer=False)), measured
    ),
    "gpaw": mn_references.edges(gpaw, measured),
}
table = mn_references.compare(measured, simulated)
print(table.to_string(index=False))
print(mn_references.summary(table).to_string(index=False))
output.mkdir(parents=True, exist_ok=True)
files.write_csv(output / "mn_l23.csv", table)
paths = [output / "mn_l23.svg", output / "mn_l23.png"]
figures.save(mn_references.figure(measured, simulated, table), paths, 150)
