"""What was read in the measured series against their voltage -> figures/series.*, table."""

import json

import pandas as pd

from corefuse.report import figures, tables
from corefuse.read import infer
from corefuse.config import Report

dpi = Report.model_validate_json(snakemake.params.section).png_dpi
found = infer.series(
    json.loads(snakemake.params.places), pd.concat(map(pd.read_csv, snakemake.input.tables))
)
figures.save(figures.series(found), [snakemake.output.svg, snakemake.output.png], dpi)
note = infer.series_order(found)
tables.write(snakemake.output.table, found, "Series", note)
