"""Predicted Li content of the measured series against voltage -> figures/series.*, table."""

import pandas as pd

from corefuse.report import figures, tables
from corefuse.read import infer
from corefuse.config import Infer, Report

samples = Infer.model_validate_json(snakemake.params.infer).samples
dpi = Report.model_validate_json(snakemake.params.section).png_dpi
read = {p.split("/")[-1].removesuffix(".csv"): pd.read_csv(p) for p in snakemake.input.tables}
found = infer.series(samples, read)
figures.save(figures.series(found), [snakemake.output.svg, snakemake.output.png], dpi)
note = infer.series_order(found)
tables.write(snakemake.output.table, found, "Predicted Li against voltage", note)
