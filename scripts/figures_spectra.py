"""Spectra by Li content and by defect: spectra/*.nc -> figures/spectra_by_*."""

import json

import pandas as pd

from corefuse.report import figures
from corefuse.spectra import process
from corefuse.config import Report

dpi = Report.model_validate_json(snakemake.params.section).png_dpi
index = pd.read_csv(snakemake.input.index)
modalities = json.loads(snakemake.params.modalities)
usable = process.read_usable(snakemake.input.spectra)
by_lithium, by_defect = snakemake.output.png
figures.save(
    figures.spectra_by_lithium(usable, index, modalities),
    [snakemake.output.by_lithium, by_lithium],
    dpi,
)
figures.save(
    figures.spectra_by_defect(usable, index, modalities),
    [snakemake.output.by_defect, by_defect],
    dpi,
)
