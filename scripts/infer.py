"""What the models read in one sample: spectra -> inference/<sample>.csv."""

from corefuse import edge_table, files, infer, measured
from corefuse.config import Sample

table = edge_table.load(snakemake.input.edges)
if snakemake.params.section:
    sample = measured.sample(Sample.model_validate_json(snakemake.params.section), table)
else:
    sample = infer.of_structure(files.read_netcdf(snakemake.input.files[0]))
library = infer.Library.load(snakemake.input.models, snakemake.input.domain)
files.write_csv(snakemake.output[0], infer.infer(sample, library, snakemake.params.confidence))
