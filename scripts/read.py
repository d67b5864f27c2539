"""A measured sample or series, treated, aligned and read -> measured/, inference/<name>.csv."""

import json

from corefuse.config import Sample
from corefuse.core import files
from corefuse.read import infer, reading, simulated

beside = simulated.load(snakemake.input.simulated)
found = reading.read(
    [Sample.model_validate(one) for one in json.loads(snakemake.params.section)],
    beside,
    infer.Library.load(snakemake.input.models, snakemake.input.domain),
    snakemake.params.confidence,
    json.loads(snakemake.params.wanted),
)
files.write_netcdf(snakemake.output.spectra, reading.dataset(found, beside))
files.write_csv(snakemake.output.matched, found.matched)
files.write_csv(snakemake.output.answers, found.answers)
