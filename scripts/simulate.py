"""One structure through one engine, or taken: structures/<id>.json -> raw/<engine>/<id>.nc."""

import sys
from pathlib import Path

from corefuse.simulate import retries, mpi, stored, limits as watch
from corefuse import engines
from corefuse.core import files, machine, rawdata
from corefuse.structures import build

machine.tell_in_one_line()
limits = watch.limits_of_job(snakemake.resources)
given, target, aside = snakemake.input, Path(snakemake.output[0]), snakemake.config["aside"]
engine, text = engines.get(snakemake.wildcards.engine), snakemake.params.section
digest = stored.raw_digest(engine, text, [given.structure, *given.raw, *given.resources])
with files.alone(target, digest) as made:
    place = f"raw/{engine.name}/{target.name}"
    if not (made or stored.found(target, place, digest, aside["stored"])):
        job = engines.Job(
            structure_id=snakemake.wildcards.structure_id,
            structure=build.read(given.structure),
            edges=tuple(aside["edges"][engine.name]),
            settings=aside["settings"][engine.name],
            shared=Path(snakemake.params.shared),
            raw={Path(p).parent.name: files.read_netcdf(p) for p in given.raw},
            launcher=mpi.launcher(snakemake.resources),
        )
        raw = retries.simulate(engine, job, target, digest, limits, Path(snakemake.log[0]))
        for row in rawdata.warnings(raw):
            print(f"corefuse: {row['structure_id']}: {row['warning']}", file=sys.stderr)
    retries.keep(target, digest)
