"""What all site runs of a structure start from: structures/<id>.json -> raw/<engine>/begin/<id>."""

from pathlib import Path

from corefuse import engines
from corefuse.config import Sites
from corefuse.core import files, machine
from corefuse.simulate import request, retries, sites, stored, limits as watch

machine.tell_in_one_line()
limits = watch.limits_of_job(snakemake.resources)
engine, start = engines.get(snakemake.wildcards.engine), Path(snakemake.output[0])
digest = stored.raw_digest(engine, snakemake.params.section, [snakemake.input.structure])
job, log = request.job_of(snakemake), Path(snakemake.log[0])
choice = Sites.model_validate(snakemake.config["aside"]["sites"])
with files.alone(start, digest) as made:
    if sites.all_done(engine, job, choice, start.parents[1] / "sites" / start.name):
        start.touch()  # nothing will be started from it
    elif not made:
        retries.begin(engine, job, start, digest, limits, log)
