"""What all site runs of a structure start from: structures/<id>.json -> raw/<engine>/begin/<id>."""

from pathlib import Path

from corefuse.simulate import retries, mpi, stored, limits as watch
from corefuse import engines
from corefuse.core import files, machine
from corefuse.structures import build

machine.tell_in_one_line()
limits = watch.limits_of_job(snakemake.resources)
start, aside = Path(snakemake.output[0]), snakemake.config["aside"]
engine = engines.get(snakemake.wildcards.engine)
job = engines.Job(
    structure_id=snakemake.wildcards.structure_id,
    structure=build.read(snakemake.input.structure),
    edges=tuple(aside["edges"][engine.name]),
    settings=aside["settings"][engine.name],
    shared=Path(snakemake.params.shared),
    launcher=mpi.launcher(snakemake.resources),
)
request = stored.raw_digest(engine, snakemake.params.section, [snakemake.input.structure])
with files.alone(start, request) as made:
    if not made:
        retries.begin(engine, job, start, request, limits, Path(snakemake.log[0]))
