"""One requested structure, built, relaxed and labelled: -> structures/<id>.json."""

from corefuse import plan, structures

spec = plan.StructureSpec.from_json(snakemake.params.section)
structures.write(snakemake.output[0], structures.make(spec))
