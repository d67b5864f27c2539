"""What all site runs of a structure start from: structures/<id>.json -> raw/<engine>/begin/<id>."""

from pathlib import Path

from corefuse import engines
from corefuse.core import files, machine
from corefuse.simulate import request, retries, stored, limits as watch

machine.tell_in_one_line()
limits = watch.limits_of_job(snakemake.resources)
engine, start = engines.get(snakemake.wildcards.engine), Path(snakemake.output[0])
digest = stored.raw_digest(engine, snakemake.params.section, [snakemake.input.structure])
with files.alone(start, digest) as made:
    if not made:
        job, log = request.job_of(snakemake), Path(snakemake.log[0])
        retries.begin(engine, job, start, digest, limits, log)
