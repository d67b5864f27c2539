"""Measured edges over the simulated ensemble: files named in the config -> figures/measured_*."""

import pandas as pd

from corefuse import edge_table, figures, measured, spectra, tables
from corefuse.config import Infer, Report

dpi = Report.model_validate_json(snakemake.params.section).png_dpi
table = edge_table.load(snakemake.input.edges)
simulated = spectra.read_usable(snakemake.input.spectra).values()
rows = []
outputs = iter(zip(snakemake.output.svg, snakemake.output.png, strict=True))
for sample in Infer.model_validate_json(snakemake.params.samples).samples:
    for modality, spectrum in measured.sample(sample, table).items():
        ensemble = spectra.ensemble(simulated, modality)
        comparison = measured.compare(spectrum, ensemble, modality)
        rows += [{"sample": sample.name, **row} for row in comparison]
        figure = figures.measured_and_simulated(
            spectrum, ensemble, modality, measured.summary(comparison)
        )
        figures.save(figure, next(outputs), dpi)
tables.write(snakemake.output.table, pd.DataFrame(rows), "Measured beside simulated")
