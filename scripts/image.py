"""A spectrum image read pixel by pixel -> images/<image>.nc."""

import sys

from corefuse.config import Image
from corefuse.core import files
from corefuse.read import image, infer, simulated

read = image.whole(
    Image.model_validate_json(snakemake.params.section),
    simulated.load(snakemake.input.simulated),
    infer.Library.load(snakemake.input.models, snakemake.input.domain),
    snakemake.params.confidence,
    progress=lambda line: print(f"[corefuse] {line}", file=sys.stderr),
)
files.write_netcdf(snakemake.output[0], read)
