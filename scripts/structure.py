"""One requested structure, taken or built, relaxed and labelled: -> structures/<id>.json."""

from corefuse import plan, stored, structures

spec = plan.StructureSpec.from_json(snakemake.params.section)
name, digest = f"structures/{spec.structure_id}.json", stored.structure_digest(spec)
if not stored.take(snakemake.params.stored, name, digest, snakemake.output[0]):
    structures.write(snakemake.output[0], structures.make(spec))
