"""What all site runs of a structure start from: structures/<id>.json -> raw/<engine>/begin/<id>."""

import json
import shutil
from pathlib import Path

from corefuse import engines, launch, structures

section = json.loads(snakemake.params.section)
engine = engines.get(snakemake.wildcards.engine)
start = Path(snakemake.output[0])
scratch = start.with_name(f".{start.name}.scratch")
scratch.mkdir(parents=True, exist_ok=True)
job = engines.Job(
    structure_id=snakemake.wildcards.structure_id,
    structure=structures.read(snakemake.input.structure),
    edges=tuple(section["edges"]),
    settings=section["settings"],
    shared=Path(snakemake.params.shared),
    launcher=launch.launcher(snakemake.resources),
)
try:
    engines.begin(engine, job, scratch, start)
finally:
    Path(snakemake.log[0]).write_text(engine.read_log(scratch))
shutil.rmtree(scratch)
