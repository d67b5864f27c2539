"""What the rules ask of an engine: revision, inputs, environment, threads, memory and time.

Engines are imported inside the functions: that takes a second.
"""

from __future__ import annotations

from collections.abc import Iterable

from corefuse.config import Simulation
from corefuse.core.places import own
from corefuse.plan.specs import Spec


def revision(engine: str) -> int:
    """The engine's revision, a rerun trigger of its simulations."""
    from corefuse import engines

    return engines.get(engine).revision


def inputs(engine: str, configured: Iterable[str]) -> tuple[list[str], list[str]]:
    """The engine whose raw files this one reads, if one runs; project files it depends on.

    One is enough: with GPAW's ground states there, nothing waits for core holes of every site.
    """
    from corefuse import engines

    found = engines.get(engine)
    running = [name for name in found.reads if name in configured]
    return running[:1], [own(name) for name in found.resources]


def by_site(simulation: Simulation) -> list[str]:
    """Engines of the config that work site by site."""
    from corefuse import engines

    names = simulation.engines()
    return [n for n in names if engines.get(n).works_by_site(simulation.settings(n))]


def environment(engine: str) -> str:
    """Name of the file in ``envs/`` that its jobs run in."""
    from corefuse import engines

    return engines.get(engine).environment


def threads(engine: str) -> int:
    """Threads of one of its jobs."""
    from corefuse import engines

    return engines.get(engine).threads


def memory_mb(engine: str, spec: Spec, simulation: Simulation) -> int:
    """Memory (MB) of a first attempt: the config's, or else what the engine thinks it needs."""
    from corefuse import engines

    settings = simulation.settings(engine)
    return int(settings.get("memory_mb") or engines.get(engine).memory_mb(spec, settings))


def minutes(engine: str, spec: Spec, simulation: Simulation, runs: int) -> int:
    """Time (minutes) of a first attempt at so many runs in one job."""
    from corefuse import engines

    edges, settings = simulation.engines()[engine], simulation.settings(engine)
    return engines.get(engine).minutes(spec, edges, settings, runs)
