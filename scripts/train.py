"""One target, every subset: dataset.nc -> models/<target>/, its metrics and predictions."""

import json
from pathlib import Path

from corefuse.core import files
from corefuse.learn import kept, models, train
from corefuse.config import Train

folder = Path(snakemake.output.metrics).parents[1]
about = json.dumps([snakemake.params.section, snakemake.params.code, models.versions()])
result = train.train_target(
    files.read_netcdf(snakemake.input[0]),
    snakemake.wildcards.target,
    json.loads(snakemake.params.subsets),
    Train.model_validate_json(snakemake.params.section),
    n_threads=snakemake.threads,
    kept=kept.Kept(folder / snakemake.wildcards.target / "kept", about),
)
for model in result.models.values():
    models.save_model(folder, model)
files.write_csv(snakemake.output.predictions, result.out_of_fold)
files.write_csv(snakemake.output.metrics, result.metrics)
files.write_csv(snakemake.output.curve, result.curve)
