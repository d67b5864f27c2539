"""Parity and errors by modality subset: metrics.csv, predictions -> figures."""

import json

import pandas as pd

from corefuse.report import figures
from corefuse.learn import scores
from corefuse.config import Report

dpi = Report.model_validate_json(snakemake.params.section).png_dpi
metrics = pd.read_csv(snakemake.input.metrics)
predictions = pd.concat(map(pd.read_csv, snakemake.input.predictions))
kinds = {target: scores.kind_of(target) for target in metrics.target.unique()}
parity, bars, lines = snakemake.output.png
figures.save(
    figures.parity(predictions, snakemake.params.subset), [snakemake.output.parity, parity], dpi
)
order = json.loads(snakemake.params.subsets)
figures.save(figures.scores(metrics, kinds, order), [snakemake.output.scores, bars], dpi)
curves = pd.concat(map(pd.read_csv, snakemake.input.curves))
figures.save(figures.learning_curves(curves, kinds), [snakemake.output.curves, lines], dpi)
