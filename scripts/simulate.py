"""One structure through one engine, or taken: structures/<id>.json -> raw/<engine>/<id>.nc."""

import json
import sys
from pathlib import Path

from corefuse.simulate import retries, mpi, stored, limits as watch
from corefuse import engines
from corefuse.core import files, rawdata
from corefuse.structures import build

limits = watch.limits_of_job(snakemake.resources)
given, target, text = snakemake.input, Path(snakemake.output[0]), snakemake.params.section
engine, name = engines.get(snakemake.wildcards.engine), snakemake.wildcards.structure_id
digest = stored.raw_digest(engine, text, [given.structure, *given.raw, *given.resources])
place = snakemake.params.stored, f"raw/{engine.name}/{name}.nc"
with files.alone(target, digest) as made:
    if not made and not stored.take(*place, digest, target):
        section = json.loads(text)
        edges, settings = tuple(section["edges"]), section["settings"]
        crystal, shared = build.read(given.structure), Path(snakemake.params.shared)
        others = {Path(p).parent.name: files.read_netcdf(p) for p in given.raw}
        launcher = mpi.launcher(snakemake.resources)
        job = engines.Job(name, crystal, edges, settings, shared, raw=others, launcher=launcher)
        log = Path(snakemake.log[0])
        raw = retries.simulate(engine, job, target, digest, limits, log)
        for row in rawdata.warnings(raw):
            print(f"corefuse: {row['structure_id']}: {row['warning']}", file=sys.stderr)
