"""The config with every default filled in, kept with the results: -> config.yaml."""

import json

import yaml

from corefuse.core import files

with files.atomic(snakemake.output[0]) as partial:
    partial.write_text(yaml.safe_dump(json.loads(snakemake.params.section), sort_keys=False))
