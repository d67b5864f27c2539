"""One batch of absorbing sites: structures/<id>.json -> raw/<engine>/sites/<id>/*.nc."""

import json
from pathlib import Path

from corefuse import engines, files, launch, sites, structures
from corefuse.config import Sites

w, section = snakemake.wildcards, json.loads(snakemake.params.section)
job = engines.Job(
    structure_id=w.structure_id,
    structure=structures.read(snakemake.input.structure),
    edges=tuple(section["edges"]),
    settings=section["settings"],
    shared=Path(snakemake.params.shared),
    start=Path(snakemake.input.begin),
    launcher=launch.launcher(snakemake.resources),
)
select = Sites.model_validate_json(snakemake.params.select)
picks = sites.select(job.structure, job.edges, select)[int(w.batch) :: int(w.batches)]
log, output = Path(snakemake.log[0]), Path(snakemake.output[0])
with log.open("w", buffering=1) as out:
    names = sites.run_batch(
        engines.get(w.engine), job, picks, output.parent, log.parent, lambda s: print(s, file=out)
    )
files.write_json(output, names)
