"""Local structure: raw/*/*.nc, structures/*.json -> local/<modality>.nc, local/metrics.csv."""

import json

import pandas as pd

from corefuse.config import Spectra, Train
from corefuse.core import edge_table, files
from corefuse.learn import local
from corefuse.spectra import calibration
from corefuse.structures import build

section, given = json.loads(snakemake.params.section), snakemake.input
settings = Spectra.model_validate_json(snakemake.params.spectra)
train = Train.model_validate_json(snakemake.params.train)
index = pd.read_csv(given.index).set_index("structure_id", drop=False)
axes = edge_table.load(given.edges)
constants = calibration.from_json(files.read_json(given.calibration))
valences = calibration.mean_valences(index)
tables = []
for modality, output in zip(section["modalities"], snakemake.output.data, strict=True):
    crystals = map(build.read, given.structures)
    about = (index, modality, settings, axes, constants, valences)
    found = local.of_structures(given.raw, crystals, *about)
    files.write_netcdf(output, data := local.assemble(found, modality))
    tables += [local.scores(data, t, train, snakemake.threads) for t in section["targets"]]
files.write_csv(snakemake.output.scores, pd.concat(tables))
