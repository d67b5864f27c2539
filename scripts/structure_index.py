"""Labels of all structures: structures/*.json -> structures/index.csv."""

from corefuse.structures import build

rows = (build.labels(build.read(path)) for path in snakemake.input)
build.write_index(snakemake.output[0], rows)
