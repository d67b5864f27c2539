"""What the training data look like, per subset: dataset.nc -> models/domain/<subset>.json."""

import json
from pathlib import Path

from corefuse.learn import domain
from corefuse.core import files

fitted = domain.fit_domains(
    files.read_netcdf(snakemake.input[0]),
    json.loads(snakemake.params.subsets),
    snakemake.params.seed,
)
for one in fitted.values():
    domain.save_domain(Path(snakemake.output[0]).parent, one)
