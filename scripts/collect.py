"""Site results of each structure put together: raw/<engine>/sites/<id>/ -> raw/<engine>/<id>.nc."""

from pathlib import Path

from corefuse import files, rawdata

batches: dict[str, list[Path]] = {}
for path in map(Path, snakemake.input):
    batches.setdefault(path.parent.name, []).append(path)
for output in snakemake.output:
    of_structure = batches[Path(output).stem]
    site_files = [path.parent / name for path in of_structure for name in files.read_json(path)]
    runs = [files.read_netcdf(path) for path in site_files]
    whole = rawdata.collect(runs, Path(output).stem, snakemake.wildcards.engine)
    files.write_netcdf(output, whole)
