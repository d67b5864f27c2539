"""SHAP over the mean spectra with the projected states beneath: shap/*.csv -> figures/shap_*."""

from pathlib import Path

import pandas as pd

from corefuse.report import figures
from corefuse.core import files
from corefuse.spectra import process
from corefuse.config import Report

dpi = Report.model_validate_json(snakemake.params.section).png_dpi
data = files.read_netcdf(snakemake.input.data)
dos = process.mean_dos(process.read_usable(snakemake.input.spectra).values())
for path, svg, png in zip(
    snakemake.input.tables, snakemake.output.svg, snakemake.output.png, strict=True
):
    figure = figures.attribution(pd.read_csv(path), data, dos, Path(path).stem)
    figures.save(figure, [svg, png], dpi)
