"""One requested structure, taken or built, relaxed and labelled: -> structures/<id>.json."""

from pathlib import Path

from corefuse.core import files, machine
from corefuse.plan import specs
from corefuse.simulate import kept, stored
from corefuse.structures import build

machine.tell_in_one_line()
spec, target = specs.from_json(snakemake.params.section), Path(snakemake.output[0])
folder, digest = snakemake.config["aside"]["stored"], stored.structure_digest(spec)
with files.alone(target, digest) as made:
    if not (made or stored.found(target, f"structures/{target.name}", digest, folder)):
        build.write(target, build.make(spec))
    if not build.read(target).properties.get("failed"):
        kept.keep(target, digest)
