"""Section ``simulation``: which engine computes which edge, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from corefuse.config.command import deciding
from corefuse.config.fdmnes import Fdmnes
from corefuse.config.feff import Feff
from corefuse.config.gpaw import Gpaw
from corefuse.config.multiplet import Multiplet
from corefuse.core import text
from corefuse.core.bounds import Between, Seed, SiteCount
from corefuse.core.edges import EDGES
from corefuse.core.places import found
from corefuse.core.section import Section, canonical
from corefuse.core.vocabulary import EdgeName

CoreHole = Literal["none", "half", "full"]
HOLE_ENGINE = "gpaw_core_hole"  # what runs gpaw's edges that have a core hole


def _engine_names() -> tuple[str, ...]:
    """Files of ``engines/`` that hold an ``ENGINE``; found without importing them."""
    folder = Path(__file__).parents[1] / "engines"
    files = [*folder.glob("[a-z]*.py"), *folder.glob("*/engine.py")]
    holds = [file for file in files if "\nENGINE = " in file.read_text()]
    names = sorted(f.parent.name if f.name == "engine.py" else f.stem for f in holds)
    return tuple(name for name in names if name != HOLE_ENGINE)


ENGINES = _engine_names()
EngineName = Literal[ENGINES]  # type: ignore[valid-type]


class Sites(Section):
    """Sites that an engine with one run per site computes, and their batches."""

    select: Literal["all", "inequivalent", "near_defects"] = Field(
        "inequivalent",
        description="sites to compute: all; one of each set of symmetry-equivalent sites; or "
        "those nearest to each defect and a sample of the others",
    )
    symmetry_tolerance_angstrom: Annotated[float, Between(1e-5, 1, "half a bond is 1 A")] = Field(
        0.05,
        description="for `inequivalent`: largest distance of an atom from its symmetric position",
    )
    nearest: SiteCount = Field(
        6, description="for `near_defects`: number of sites per edge that are kept at each defect"
    )
    sample: SiteCount = Field(
        4, description="for `near_defects`: size of the random sample of the other sites"
    )
    seed: Seed = Field(1, description="for `near_defects`: seed of that sample")
    sites_per_job: SiteCount = Field(
        24, description="number of sites of one structure that one job computes in sequence"
    )


def _of_command_line(value: Any) -> Any:
    """Snakemake's ``--config 'simulation={"stored_only": false}'`` gives text."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


class Simulation(Section):
    """The engine of each edge and the settings of each engine."""

    edges: dict[EdgeName, EngineName] = Field(
        min_length=1, description="engine that computes each edge"
    )
    core_hole: dict[EdgeName, CoreHole] = Field(
        {},
        description="core hole per edge of gpaw: none (one run for all sites), half or full "
        "(one run per site)",
    )
    stored: Annotated[text.FilePath, AfterValidator(found)] | None = Field(
        None,
        description="folder of finished structures and simulations (see `python -m "
        "corefuse.simulate.stored`); a stored result is used if it is exactly the "
        "one that the config asks for",
    )
    stored_only: Annotated[bool, BeforeValidator(_of_command_line)] = Field(
        False,
        description="whether structures that are not stored are left out instead of computed",
    )
    sites: Sites = Sites()
    gpaw: Gpaw = Gpaw()
    multiplet: Multiplet = Multiplet()
    fdmnes: Fdmnes = Fdmnes()
    feff: Feff = Feff()

    def engines(self) -> dict[str, list[str]]:
        """Engine name -> its edges, in the order of ``EDGES`` however the config is sorted."""
        out: dict[str, list[str]] = {}
        for edge in (e for e in EDGES if e in self.edges):
            hole = self.core_hole.get(edge, "none") != "none"
            out.setdefault(HOLE_ENGINE if hole else self.edges[edge], []).append(edge)
        return out

    def settings(self, engine: str) -> dict[str, Any]:
        """The section of an engine as plain data; for core holes, that of GPAW and the holes."""
        if engine == HOLE_ENGINE:
            holes = {e: h for e, h in self.core_hole.items() if h != "none"}
            return self.gpaw.model_dump(mode="json") | {"core_hole": holes}
        section: BaseModel = getattr(self, engine)
        return section.model_dump(mode="json")

    def request(self, engine: str) -> str:
        """Edges and settings of an engine, all of the config that its results depend on."""
        settings = deciding(self.settings(engine))
        return canonical({"edges": self.engines()[engine], "settings": settings})

    @model_validator(mode="after")
    def _stored_somewhere(self) -> Simulation:
        if self.stored_only and not self.stored:
            raise ValueError("no folder is named|name one in stored, or drop stored_only|stored")
        return self

    @model_validator(mode="after")
    def _holes_are_gpaws(self) -> Simulation:
        for edge, hole in self.core_hole.items():
            if hole != "none" and self.edges.get(edge) != "gpaw":
                raise ValueError(
                    f"gpaw does not compute {edge}|set simulation.edges.{edge} to gpaw or drop the "
                    f"core hole|core_hole.{edge}"
                )
        return self
