"""Maps of every spectrum image: images/<image>.nc -> figures/image_<image>.*"""

from corefuse.report import figures
from corefuse.core import files
from corefuse.config import Report

dpi = Report.model_validate_json(snakemake.params.section).png_dpi
for path, svg, png in zip(
    snakemake.input.maps, snakemake.output.svg, snakemake.output.png, strict=True
):
    figures.save(figures.image_maps(files.read_netcdf(path)), [svg, png], dpi)
