"""Measured edges over the simulated ensemble and fitted to it -> figures/measured_*."""

import pandas as pd

from corefuse.core import edge_table
from corefuse.report import figures, tables
from corefuse.read import match, measured
from corefuse.spectra import process
from corefuse.config import Infer, Report

dpi = Report.model_validate_json(snakemake.params.section).png_dpi
settings = Infer.model_validate_json(snakemake.params.samples)
table = edge_table.load(snakemake.input.edges)
simulated = process.read_usable(snakemake.input.spectra)
index = pd.read_csv(snakemake.input.index)
found = pd.concat(map(pd.read_csv, snakemake.input.match)).set_index(["sample", "modality"])
rows = []
outputs = iter(zip(snakemake.output.svg, snakemake.output.png, strict=True))
for sample in settings.samples:
    mine = found.loc[sample.name]
    read = measured.sample(sample, table, mine.shift_ev.to_dict(), mine.blur_fwhm_ev.to_dict())
    fits = match.fit_sample(sample, table, simulated, index, settings)
    for modality, spectrum in read.items():
        ensemble = process.ensemble(simulated.values(), modality)
        comparison = measured.compare(spectrum, ensemble, modality)
        told = mine.loc[modality].to_dict()
        rows += [{"sample": sample.name, **comparison[0], **told}, {"sample": "", **comparison[1]}]
        notes = measured.summary(comparison)
        figure = figures.measured_and_simulated(spectrum, ensemble, modality, notes, fits[modality])
        figures.save(figure, next(outputs), dpi)
tables.write(snakemake.output.table, pd.DataFrame(rows), "Measured beside simulated")
