"""Labels of all structures: structures/*.json -> structures/index.csv."""

from corefuse import structures

rows = (structures.labels(structures.read(path)) for path in snakemake.input)
structures.write_index(snakemake.output[0], rows)
