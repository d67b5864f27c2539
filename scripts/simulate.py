"""One structure through one engine, or taken: structures/<id>.json -> raw/<engine>/<id>.nc."""

import sys
from pathlib import Path

from corefuse import engines
from corefuse.core import files, machine, rawdata
from corefuse.simulate import request, retries, stored, limits as watch

machine.tell_in_one_line()
limits = watch.limits_of_job(snakemake.resources)
given, target = snakemake.input, Path(snakemake.output[0])
folder = snakemake.config["aside"]["stored"]
engine, text = engines.get(snakemake.wildcards.engine), snakemake.params.section
digest = stored.raw_digest(engine, text, [given.structure, *given.raw, *given.resources])
with files.alone(target, digest) as made:
    if not (made or stored.found(target, f"raw/{engine.name}/{target.name}", digest, folder)):
        job, log = request.job_of(snakemake), Path(snakemake.log[0])
        raw = retries.simulate(engine, job, target, digest, limits, log)
        for row in rawdata.warnings(raw):
            print(f"corefuse: {row['structure_id']}: {row['warning']}", file=sys.stderr)
    retries.keep(target, digest)
