"""One batch of absorbing sites: structures/<id>.json -> raw/<engine>/sites/<id>/*.nc."""

from functools import partial
from pathlib import Path

from corefuse import engines
from corefuse.config import Sites
from corefuse.core import files, machine
from corefuse.simulate import request, sites, limits as watch

machine.tell_in_one_line()
limits = watch.limits_of_job(snakemake.resources)
job, engine = request.job_of(snakemake), engines.get(snakemake.wildcards.engine)
select = Sites.model_validate_json(snakemake.params.select)
number = int(snakemake.wildcards.batch)
picks = sites.batch(sites.select(job.structure, job.edges, select), number, select)
log, output = Path(snakemake.log[0]), Path(snakemake.output[0])
with log.open("w", buffering=1) as out:
    say = partial(print, file=out)
    done = sites.run_batch(engine, job, picks, output.parent, log.parent, limits, say)
files.write_json(output, done)
