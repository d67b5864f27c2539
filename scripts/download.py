"""Public measured data into the data folder, on request: `snakemake download`."""

from pathlib import Path

from corefuse.read import download

wanted = download.manifest(snakemake.input.manifest)
for line in download.fetch(wanted, Path(snakemake.params.folder)):
    print(line)
