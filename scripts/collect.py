"""Site results of a structure put together: raw/<engine>/sites/<id>/ -> raw/<engine>/<id>.nc."""

from pathlib import Path

from corefuse.core import files, rawdata

w = snakemake.wildcards
runs = [
    files.read_netcdf(Path(path).parent / site["file"]).assign_attrs(
        multiplicity=site["multiplicity"]
    )
    for path in snakemake.input
    for site in files.read_json(path)
]
files.write_netcdf(snakemake.output[0], rawdata.collect(runs, w.structure_id, w.engine))
