"""What all site runs of a structure start from: structures/<id>.json -> raw/<engine>/begin/<id>."""

import json
from pathlib import Path

from corefuse.simulate import retries, mpi, stored, limits as watch
from corefuse import engines
from corefuse.core import files
from corefuse.structures import build

limits = watch.limits_of_job(snakemake.resources)
text, start = snakemake.params.section, Path(snakemake.output[0])
section, engine = json.loads(text), engines.get(snakemake.wildcards.engine)
job = engines.Job(
    structure_id=snakemake.wildcards.structure_id,
    structure=build.read(snakemake.input.structure),
    edges=tuple(section["edges"]),
    settings=section["settings"],
    shared=Path(snakemake.params.shared),
    launcher=mpi.launcher(snakemake.resources),
)
request = stored.raw_digest(engine, text, [snakemake.input.structure])
with files.alone(start, request) as made:
    if not made:
        retries.begin(engine, job, start, request, limits, Path(snakemake.log[0]))
