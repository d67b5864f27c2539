"""Scores of all targets in one table: models/*/metrics.csv -> metrics.csv."""

import pandas as pd

from corefuse.core import files

files.write_csv(snakemake.output[0], pd.concat(map(pd.read_csv, snakemake.input)))
