"""What edges add to each other, and label leaks: predictions, dataset.csv -> fusion/."""

import json

import pandas as pd

from corefuse.config import Train
from corefuse.core import files
from corefuse.learn import fusion
from corefuse.report import tables

s = Train.model_validate_json(snakemake.params.section)
subsets = json.loads(snakemake.params.subsets)
predictions = pd.concat(map(pd.read_csv, snakemake.input.predictions))
labels = pd.read_csv(snakemake.input.table).drop_duplicates("structure_id")
drawn = (s.bootstrap, s.confidence, s.seed)
found = {
    "gains": fusion.gains(predictions, subsets, *drawn),
    "next_edge": fusion.next_edges(predictions, subsets, *drawn),
    "leaks": fusion.label_leaks(labels, s.outer_folds, *drawn),
}
for name, table in found.items():
    files.write_csv(snakemake.output[f"{name}_csv"], table)
    tables.write(snakemake.output[name], table, *fusion.TITLES[name])
