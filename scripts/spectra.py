"""Standard spectra of every structure: raw/<engine>/<id>.nc -> spectra/<id>.nc."""

from pathlib import Path

import pandas as pd
from corefuse.spectra import calibration, process
from corefuse.core import edge_table, files
from corefuse.config import Spectra

settings = Spectra.model_validate_json(snakemake.params.section)
table = edge_table.load(snakemake.input.edges)
constants = calibration.from_json(files.read_json(snakemake.input.calibration))
valences = calibration.mean_valences(pd.read_csv(snakemake.input.index))
for output in snakemake.output:
    name = Path(output).name
    raw = {
        Path(p).parent.name: files.read_result(p)
        for p in snakemake.input.raw
        if Path(p).name == name
    }
    valence = valences[Path(name).stem]
    files.write_netcdf(output, process.process(raw, settings, table, constants, valence))
