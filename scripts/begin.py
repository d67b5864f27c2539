"""What all site runs of a structure start from: structures/<id>.json -> raw/<engine>/begin/<id>."""

import json
import shutil
from pathlib import Path

from corefuse import engines, files, launch, stored, structures

text, start = snakemake.params.section, Path(snakemake.output[0])
section, engine = json.loads(text), engines.get(snakemake.wildcards.engine)
scratch = start.with_name(f".{start.name}.scratch")
job = engines.Job(
    structure_id=snakemake.wildcards.structure_id,
    structure=structures.read(snakemake.input.structure),
    edges=tuple(section["edges"]),
    settings=section["settings"],
    shared=Path(snakemake.params.shared),
    launcher=launch.launcher(snakemake.resources),
)
with files.alone(start, stored.raw_digest(engine, text, [snakemake.input.structure])) as made:
    if not made:
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            engines.begin(engine, job, scratch, start)
        finally:
            Path(snakemake.log[0]).write_text(engine.read_log(scratch))
        shutil.rmtree(scratch)
