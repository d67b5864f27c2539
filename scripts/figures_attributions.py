"""SHAP over the mean spectra with the projected states beneath: shap/*.csv -> figures/shap_*."""

from pathlib import Path

import pandas as pd

from corefuse import figures, files, spectra
from corefuse.config import Report

dpi = Report.model_validate_json(snakemake.params.section).png_dpi
data = files.read_netcdf(snakemake.input.data)
dos = spectra.mean_dos(spectra.read_usable(snakemake.input.spectra).values())
for path, svg, png in zip(
    snakemake.input.tables, snakemake.output.svg, snakemake.output.png, strict=True
):
    figure = figures.attribution(pd.read_csv(path), data, dos, Path(path).stem)
    figures.save(figure, [svg, png], dpi)
