"""What measured spectra are laid beside: spectra/*.nc -> models/simulated.nc."""

import pandas as pd

from corefuse.config import Dataset, Infer
from corefuse.core import edge_table
from corefuse.read import simulated
from corefuse.spectra import process

made = simulated.assemble(
    process.read_usable(snakemake.input.spectra),
    pd.read_csv(snakemake.input.index),
    edge_table.load(snakemake.input.edges),
    Dataset.model_validate_json(snakemake.params.dataset),
    Infer.model_validate_json(snakemake.params.bounds),
)
simulated.save(snakemake.output[0], made)
