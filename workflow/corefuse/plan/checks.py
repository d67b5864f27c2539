"""Everything that can be checked before a run starts, in the main process only."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from corefuse.config import Config, Sample, Structures
from corefuse.config.samples import units
from corefuse.core.errors import InputError
from corefuse.plan import specs as plan
from corefuse.plan.specs import OwnSpec, Spec

if TYPE_CHECKING:
    from pymatgen.core import Structure

CHECKED_OF_A_SERIES = 20  # spectra that are treated before the start; the job reads all
_WILDCARD = re.compile(r"\{\s*\w")


def before_start(
    config: Config,
    specs: Mapping[str, Spec],
    config_file: str,
    edges_file: str,
) -> InputError | None:
    """Check what only shows with files and plan at hand.

    Returns
    -------
    The fault that stops training, if there is one: a run that only simulates may go on.

    Raises
    ------
    InputError
        Any other fault.
    """
    from corefuse import engines  # a second of imports that jobs need not pay
    from corefuse.simulate import stored

    for engine, edges in config.simulation.engines().items():
        engines.check_edges(engine, edges, config_file)
    _check_edges_have_an_axis(config, config_file, edges_file)
    _check_techniques(config, config_file)
    _check_programs(config, config_file)
    if config.simulation.stored:
        stored.listed(config.simulation.stored)
        if config.simulation.stored_only:  # jobs read the files where they are
            stored.check_contents(config.simulation.stored)
    _check_edges_occur(config, specs, config_file)
    own_groups = {s.group: s.group for s in specs.values() if isinstance(s, OwnSpec)}
    crystal_of = arrangements(config.structures, config_file) | own_groups
    _check_held_out(config, crystal_of, config_file)
    _check_sample_names(config, specs, config_file)
    _check_file_names(config, config_file)
    if config.infer.samples:
        from corefuse.core import edge_table  # numpy and readers, only when needed
        from corefuse.read import measured

        measured.check_files(
            _some_of_each(config.infer.samples),
            edge_table.load(edges_file),
            config.infer.max_shift_ev,
        )
    for one in config.infer.images:
        from corefuse.core import edge_table
        from corefuse.read import image

        image.check(one, edge_table.load(edges_file))
    return too_few_parents(config, crystal_of, config_file)


def _some_of_each(samples: Sequence[Sample]) -> list[Sample]:
    """Every sample that is read alone, and of each series some, evenly: they are of one kind."""
    out: list[Sample] = []
    for unit in units(samples).values():
        step = max(1, len(unit) // CHECKED_OF_A_SERIES)
        out += [*unit[:-1:step], unit[-1]]
    return out


def _check_techniques(config: Config, config_file: str) -> None:
    """What an engine is asked to compute must be what its edges are used for."""
    from corefuse import engines

    for name, edges in config.simulation.engines().items():
        able = engines.get(name).techniques(config.simulation.settings(name))
        for technique, section in config.spectra.techniques.items():
            wrong = [edge for edge in section.edges if edge in edges and technique not in able]
            if wrong:
                raise InputError(
                    config_file,
                    f"spectra.techniques.{technique}.edges",
                    f"simulation.{name} makes {', '.join(able)} of {wrong[0]}, not {technique}",
                    f"drop it here, change simulation.{name} or name another engine for the edge",
                )


def _check_programs(config: Config, config_file: str) -> None:
    """Programs on PATH or with a path; modules and images are there on the nodes that run them."""
    from corefuse.simulate import programs

    for engine in config.simulation.engines():
        command = getattr(getattr(config.simulation, engine, None), "command", None)
        if command is None or command.module or command.image:
            continue
        for program in command.run:
            try:
                programs.locate(command.model_dump(), program, f"simulation.{engine}.command")
            except InputError as err:
                raise InputError(config_file, err.key, err.problem, err.fix) from None


def arrangements(section: Structures, config_file: str) -> dict[str, str]:
    """Arrangement of the metals of every parent; parents that share one are the same crystal.

    Raises
    ------
    InputError
        A cell has fewer arrangements than decorations, or no room for the vacancies asked for.
    """
    from corefuse.structures import build, layered  # pymatgen

    found: dict[str, str] = {}
    cells_of: dict[str, list[tuple[Structure, list[str]]]] = {}
    for i, series in enumerate(section.series):
        key = "decorations" if series.decoration is None else "decoration"
        try:
            specs = list(plan.of_series(section, series))
            number = series.arrangements()[-1] + 1
            cells = cells_of.get(specs[0].composition_id, [])
            if len(cells) < number:
                cells = build.decorations(specs[0], number)
                cells_of[specs[0].composition_id] = cells
            for spec in specs:
                if spec.parent_id not in found:
                    found[spec.parent_id] = layered.arrangement_id(*cells[spec.decoration])
                key = f"defects.{series.defects.index(spec.defect)}"
                build.check_room(spec, *cells[spec.decoration])
        except ValueError as fault:
            problem, _, fix = str(fault).partition("|")
            raise InputError(config_file, f"structures.series.{i}.{key}", problem, fix) from None
    return found


def windows_ev(edges_file: str, edges: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Edge -> its normalisation window (eV), of the edges in the config."""
    from corefuse.core import edge_table

    table = edge_table.load(edges_file)
    return {edge: table[edge].window_ev for edge in edges}


def _check_edges_have_an_axis(config: Config, config_file: str, edges_file: str) -> None:
    from corefuse.core import edge_table

    table = edge_table.load(edges_file)
    for edge in config.simulation.edges:
        if edge not in table:
            raise InputError(
                config_file,
                f"simulation.edges.{edge}",
                f"{edges_file} has no axis, window and reference for {edge}",
                f"add an entry there, or use one of {', '.join(table)}",
            )


def _check_edges_occur(config: Config, specs: Mapping[str, Spec], config_file: str) -> None:
    present = {element for spec in specs.values() for element in spec.elements}
    for edge in config.simulation.edges:
        element = edge.split()[0]
        if element not in present:
            raise InputError(
                config_file,
                f"simulation.edges.{edge}",
                f"no structure contains {element}",
                "drop the edge or add a series with it",
            )


def _check_held_out(config: Config, crystal_of: Mapping[str, str], config_file: str) -> None:
    for parent in config.dataset.holdout_parents:
        if parent not in crystal_of:
            raise InputError(
                config_file,
                "dataset.holdout_parents",
                f"no parent is called {parent!r}",
                f"use some of {', '.join(sorted(crystal_of))}",
            )


def too_few_parents(
    config: Config, crystal_of: Mapping[str, str], config_file: str
) -> InputError | None:
    """The fault of a config whose parents do not fill the folds of ``train``.

    ``crystal_of`` maps every parent to its arrangement; parents that share one count once.
    """
    outer, inner = config.train.outer_folds, config.train.inner_folds
    held_out = {crystal_of[parent] for parent in config.dataset.holdout_parents}
    left = len(set(crystal_of.values()) - held_out)
    left_by_largest_fold = left - math.ceil(left / outer)
    for key, folds, there in (
        ("outer_folds", outer, left),
        ("inner_folds", inner, left_by_largest_fold),
    ):
        if there < folds:
            return InputError(
                config_file,
                f"train.{key}",
                f"{folds} folds need as many different parents, {there} are left to train on",
                "add series or decorations, use fewer folds, or run `snakemake spectra` alone",
            )
    return None


def _check_file_names(config: Config, config_file: str) -> None:
    """Snakemake takes ``{x}`` in the name of an input for a wildcard, and cannot be told not to."""
    places = {f"infer.samples.{s.name}": s.spectra for s in config.infer.samples}
    places |= {f"infer.images.{i.name}": [i] for i in config.infer.images}
    for key, parts in places.items():
        for file in (f for part in parts for f in (part.file, part.low_loss) if f):
            if _WILDCARD.search(file):
                problem = f"braces around a word in {file!r} are a wildcard of Snakemake's"
                raise InputError(config_file, key, problem, "rename the file without braces")


def _check_sample_names(config: Config, specs: Mapping[str, Spec], config_file: str) -> None:
    for i, sample in enumerate(config.infer.samples):
        if sample.name in specs:
            raise InputError(
                config_file,
                f"infer.samples.{i}.name",
                f"a structure is called {sample.name!r} too",
                "give the sample another name",
            )
