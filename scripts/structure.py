"""One requested structure, taken or built, relaxed and labelled: -> structures/<id>.json."""

from corefuse.core import files
from corefuse.plan import specs
from corefuse.simulate import stored
from corefuse.structures import build

spec = specs.from_json(snakemake.params.section)
name, digest = f"structures/{spec.structure_id}.json", stored.structure_digest(spec)
with files.alone(snakemake.output[0], digest) as made:
    if not made and not stored.take(snakemake.params.stored, name, digest, snakemake.output[0]):
        build.write(snakemake.output[0], build.make(spec))
