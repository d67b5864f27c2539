"""Measured edges beside the nearest simulated ones: measured/*.nc -> figures/measured_*, table."""

from pathlib import Path

import pandas as pd

from corefuse.config import Report
from corefuse.core import files
from corefuse.read import simulated
from corefuse.report import figures, measured, tables

dpi = Report.model_validate_json(snakemake.params.section).png_dpi
beside = simulated.load(snakemake.input.simulated)
pairs = zip(snakemake.output.svg, snakemake.output.png, strict=True)
outputs = {Path(svg).stem: (svg, png) for svg, png in pairs}
rows = []
for path in snakemake.input.spectra:
    read = files.read_netcdf(path)
    rows.append(measured.table(read, beside))
    for modality, figure in measured.figures(read, beside).items():
        figures.save(figure, outputs[f"measured_{Path(path).stem}-{modality}"], dpi)
tables.write(snakemake.output.table, pd.concat(rows), "Measured beside simulated")
