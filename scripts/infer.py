"""What the models read in a held-out structure: spectra/<id>.nc -> inference/<id>.csv."""

from corefuse.core import files
from corefuse.read import infer

sample = infer.of_structure(files.read_netcdf(snakemake.input.spectra))
library = infer.Library.load(snakemake.input.models, snakemake.input.domain)
answer = infer.infer(sample, library, snakemake.params.confidence)
files.write_csv(snakemake.output[0], answer.assign(sample=snakemake.wildcards.sample))
