"""One batch of absorbing sites: structures/<id>.json -> raw/<engine>/sites/<id>/*.nc."""

from functools import partial
from pathlib import Path

from corefuse import engines
from corefuse.core import files, machine
from corefuse.simulate import mpi, sites, limits as watch
from corefuse.structures import build
from corefuse.config import Sites

machine.tell_in_one_line()
limits = watch.limits_of_job(snakemake.resources)
w, aside = snakemake.wildcards, snakemake.config["aside"]
engine = engines.get(w.engine)
job = engines.Job(
    structure_id=w.structure_id,
    structure=build.read(snakemake.input.structure),
    edges=tuple(aside["edges"][engine.name]),
    settings=aside["settings"][engine.name],
    shared=Path(snakemake.params.shared),
    start=Path(snakemake.input.begin),
    launcher=mpi.launcher(snakemake.resources),
)
select = Sites.model_validate_json(snakemake.params.select)
picks = sites.batch(sites.select(job.structure, job.edges, select), int(w.batch), select)
log, output = Path(snakemake.log[0]), Path(snakemake.output[0])
with log.open("w", buffering=1) as out:
    say = partial(print, file=out)
    done = sites.run_batch(engine, job, picks, output.parent, log.parent, limits, say)
files.write_json(output, done)
