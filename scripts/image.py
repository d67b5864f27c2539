"""A spectrum image read pixel by pixel -> images/<image>.nc."""

from corefuse import edge_table, files, image, infer
from corefuse.config import Image

wanted = Image.model_validate_json(snakemake.params.section)
prepared = image.read(wanted, edge_table.load(snakemake.input.edges))
library = infer.Library.load(snakemake.input.models, snakemake.input.domain)
maps = image.maps(prepared, library, snakemake.params.confidence)
files.write_netcdf(snakemake.output[0], maps.merge(prepared))
