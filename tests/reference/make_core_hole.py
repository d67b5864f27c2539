"""O K of LiCoO2 and of one NMC cell with no, half a and a full core hole -> core_hole/*.nc.

Run from the project's root, about 25 minutes on one core; sites that are there are not redone:
    PYTHONPATH=workflow python tests/reference/make_core_hole.py SCRATCH
"""

import sys
from pathlib import Path

import yaml

from corefuse import config, engines
from corefuse.core import files, rawdata
from corefuse.plan import specs as plan
from corefuse.simulate import limits, sites
from corefuse.structures import build

EDGE = "O K"
CELLS = ("LiCoO2-4fu-d0-li100-pristine", "NMC211-4fu-d0-li100-pristine")
OUT = Path("tests/reference/core_hole")


def main(scratch: Path) -> None:
    """Relaxed cells and GPAW settings are the demo's."""
    demo = config.load(yaml.safe_load(Path("config/config.yaml").read_text()), "config.yaml")
    specs = plan.by_id(demo.structures, "config.yaml")
    for name in CELLS:
        path = scratch / f"{name}.json"
        if not path.exists():
            build.write(path, build.make(specs[name]))
        structure = build.read(path)
        for hole in ("none", "half", "full"):
            simulation = demo.simulation.model_copy(
                update={"edges": {EDGE: "gpaw"}, "core_hole": {EDGE: hole}}
            )
            (engine,) = simulation.engines()
            job = engines.Job(
                name, structure, (EDGE,), simulation.settings(engine), scratch / "shared"
            )
            run = whole if hole == "none" else by_sites
            raw = run(engines.get(engine), job, simulation.sites, scratch / f"{name}-{hole}")
            files.write_netcdf(OUT / f"{name.split('-')[0]}-{hole}.nc", raw)
            print(name, hole, f"{raw.attrs['cpu_seconds']:.0f} CPU s", flush=True)


def whole(engine, job, settings, folder):
    """All sites in one run."""
    return engines.simulate(engine, job, folder)


def by_sites(engine, job, settings, folder):
    """The inequivalent sites, from one ground state."""
    folder.mkdir(parents=True, exist_ok=True)
    start = folder.parent / f"{job.structure_id}.gpw"
    if not start.exists():
        (folder / "begin").mkdir(exist_ok=True)
        engine.begin(job, folder / "begin", start)
    picks = sites.select(job.structure, job.edges, settings)
    job = engines.Job(**vars(job) | {"start": start})
    done = sites.run_batch(engine, job, picks, folder, folder / "logs", limits.Limits(), print)
    runs = [
        files.read_netcdf(folder / site["file"]).assign_attrs(multiplicity=site["multiplicity"])
        for site in done
    ]
    return rawdata.collect(runs, job.structure_id, engine.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
