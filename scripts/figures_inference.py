"""One card a sample, with the truth where it is known: inference/*.csv -> figures/inference_*."""

import json
from pathlib import Path

import pandas as pd

from corefuse.report import figures
from corefuse.read import infer
from corefuse.config import Report

dpi = Report.model_validate_json(snakemake.params.section).png_dpi
index = pd.read_csv(snakemake.input.index)
told = json.loads(snakemake.params.compositions)
for path, svg, png in zip(
    snakemake.input.tables, snakemake.output.svg, snakemake.output.png, strict=True
):
    name = Path(path).stem
    truth = infer.known_truth(index, name, told.get(name, {}))
    card = figures.inference_card(pd.read_csv(path), name, truth)
    figures.save(card, [svg, png], dpi)
