"""One structure through one engine: structures/<id>.json -> raw/<engine>/<id>.nc."""

import json
import shutil
import sys
from pathlib import Path

from corefuse import engines, files, launch, rawdata, structures

section = json.loads(snakemake.params.section)
engine = engines.get(snakemake.wildcards.engine)
scratch = Path(snakemake.output[0]).with_suffix(".scratch")
job = engines.Job(
    structure_id=snakemake.wildcards.structure_id,
    structure=structures.read(snakemake.input.structure),
    edges=tuple(section["edges"]),
    settings=section["settings"],
    shared=Path(snakemake.params.shared),
    launcher=launch.launcher(snakemake.resources),
    raw={Path(p).parent.name: files.read_netcdf(p) for p in snakemake.input.raw},
)
raw = engines.simulate(engine, job, scratch)
for row in rawdata.warnings(raw):
    print(f"corefuse: {row['structure_id']}: {row['warning']}", file=sys.stderr)
Path(snakemake.log[0]).write_text(engine.read_log(scratch))
files.write_netcdf(snakemake.output[0], raw)
shutil.rmtree(scratch)
