"""One constant per edge, from the structures that ended well: raw/*/*.nc -> calibration.json."""

import pandas as pd

from corefuse.spectra import calibration
from corefuse.core import edge_table, files
from corefuse.config import Spectra

settings = Spectra.model_validate_json(snakemake.params.section)
table = edge_table.load(snakemake.input.edges)
index = pd.read_csv(snakemake.input.index)
files.write_json(
    snakemake.output[0],
    calibration.to_json(calibration.calibrate_all(snakemake.input.raw, index, settings, table)),
)
