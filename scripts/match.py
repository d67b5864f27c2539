"""Shift and width of a sample's edges against the simulated ones -> measured/<sample>.csv."""

import pandas as pd

from corefuse.core import edge_table, files
from corefuse.read import match, measured
from corefuse.spectra import process
from corefuse.config import Infer

settings = Infer.model_validate_json(snakemake.params.section)
table = edge_table.load(snakemake.input.edges)
simulated = process.read_usable(snakemake.input.spectra)
index = pd.read_csv(snakemake.input.index)
matches = {s.name: match.fit_sample(s, table, simulated, index, settings) for s in settings.samples}
own = settings.samples[:1]  # the other one is that whose shifts it takes
found = match.table(own, matches, measured.notes(own, table), table)
files.write_csv(snakemake.output[0], found)
