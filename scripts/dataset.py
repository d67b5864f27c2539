"""Augmented views with labels: spectra/*.nc -> dataset.nc, dataset.csv, failed.csv."""

import json
from pathlib import Path

import pandas as pd

from corefuse.learn import dataset
from corefuse.core import edge_table, files
from corefuse.config import Dataset

made = dataset.assemble(
    {Path(p).stem: files.read_result(p) for p in snakemake.input.spectra},
    pd.read_csv(snakemake.input.index),
    Dataset.model_validate_json(snakemake.params.section),
    json.loads(snakemake.params.modalities),
    edge_table.load(snakemake.input.edges),
)
files.write_netcdf(snakemake.output.data, made.dataset)
files.write_csv(snakemake.output.table, dataset.table(made.dataset))
files.write_csv(snakemake.output.failed, made.failed)
