"""Makes the stored GPAW runs of the Mn oxides whose Mn L2,3 edges were measured.

    python tests/reference/make_mn.py [name ...]

Writes mn/<name>.nc beside this file: raw dataset of the GPAW engine with its provenance.
"""

import sys
import tempfile
from pathlib import Path

import mn_references

from corefuse import config, engines
from corefuse.core import files
from corefuse.core.edges import EDGES, Edge

SETTINGS = config.Gpaw(
    plane_wave_cutoff_ev=350, kpoint_spacing_per_angstrom=0.6, spectrum_max_ev=30
)
HERE = Path(__file__).parent


def main() -> None:
    # the engine needs an edge of every element to name its dataset
    EDGES.update({f"{e} K": Edge(f"{e} K", e, "1s", ("K",)) for e in ("La", "Sr")})
    made = mn_references.compounds()
    for name in sys.argv[1:] or made:
        with tempfile.TemporaryDirectory() as scratch:
            job = engines.Job(
                name,
                made[name].crystal,
                ("Mn L2,3",),
                SETTINGS.model_dump(),
                Path(tempfile.gettempdir()) / "corefuse-datasets",
            )
            raw = engines.simulate(engines.get("gpaw"), job, Path(scratch))
        files.write_netcdf(HERE / "mn" / f"{name}.nc", raw.assign_attrs(note=made[name].note))
        print(name, raw.attrs["status"], raw.attrs["reason"], raw.attrs["wall_seconds"], flush=True)


if __name__ == "__main__":
    main()
