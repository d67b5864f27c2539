"""All sections of one run, and what must hold between them."""

from __future__ import annotations

import importlib
import reprlib
from functools import cache
from itertools import combinations
from typing import Any

from pydantic import Field, create_model, model_validator

from corefuse.config.dataset import Dataset
from corefuse.config.infer import Infer, Sample
from corefuse.config.local import LOCAL_TARGET_NAMES, Local
from corefuse.config.report import Report
from corefuse.config.simulation import ENGINES, Simulation
from corefuse.config.spectra import Spectra
from corefuse.config.structures import Structures
from corefuse.config.train import Combinations, Train
from corefuse.core.edges import modality_id, split_modality
from corefuse.core.section import Section
from corefuse.core.vocabulary import Name


class Config(Section):
    """A whole run."""

    name: Name = Field(description="name of the run; results are in results/<name>")
    structures: Structures
    simulation: Simulation
    spectra: Spectra
    dataset: Dataset = Dataset()
    train: Train = Train()
    local: Local = Local()
    infer: Infer = Infer()
    report: Report = Report()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        for technique, settings in self.spectra.techniques.items():
            for edge in settings.edges:
                if edge not in self.simulation.edges:
                    raise ValueError(
                        f"no engine computes {edge!r}|add '{edge}: gpaw' to simulation.edges "
                        f"or drop it here|spectra.techniques.{technique}.edges"
                    )
        known = self.spectra.modalities()
        _check_local(self.local, known)
        names = [image.name for image in self.infer.images]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise ValueError(
                    f"there are two images {name!r}|give each a name of its own"
                    f"|infer.images.{i}.name"
                )
        _check_subsets(resolve_subsets(self), known)
        _check_samples(self.infer.samples, known)
        if any(s.series for s in self.infer.samples) and "x_li" not in self.train.targets:
            raise ValueError(
                "a series is drawn as its Li content, which no model predicts"
                "|add x_li, or drop the series|train.targets"
            )
        for i, image in enumerate(self.infer.images):
            unknown = [e for e in image.edges if modality_id(e, "EELS") not in known]
            if unknown:
                raise ValueError(
                    f"{unknown[0]} is not simulated for EELS, so no model reads it"
                    f"|add it to spectra.techniques.EELS|infer.images.{i}.edges"
                )
        return self


def _check_local(local: Local, known: list[str]) -> None:
    for key, asked, there in (
        ("modalities", local.modalities, known),
        ("targets", local.targets, LOCAL_TARGET_NAMES),
    ):
        for name in asked:
            if name not in there:
                raise ValueError(f"unknown {name!r}|use some of {', '.join(there)}|local.{key}")


@cache
def model() -> type[Config]:
    """:class:`Config` with the ``Settings`` of every engine that defines them in its own file.

    The sections of the built-in engines are in this package, because importing an engine takes
    about a second.
    """
    own = {
        name: getattr(importlib.import_module(f"corefuse.engines.{name}"), "Settings", Section)
        for name in ENGINES
        if name not in Simulation.model_fields
    }
    if not own:
        return Config
    sections: dict[str, Any] = {name: (section, section()) for name, section in own.items()}
    simulation = create_model(
        "Simulation", __base__=Simulation, __doc__=Simulation.__doc__, **sections
    )
    return create_model(
        "Config", __base__=Config, __doc__=Config.__doc__, simulation=(simulation, ...)
    )


def resolve_subsets(config: Config) -> dict[str, list[str]]:
    """Subset name -> modality ids, with ``each`` and techniques spelt out; small ones first.

    An edge that is measured under others which are not simulated (Li K) is in a subset only where
    it is named.
    """
    every = config.spectra.modalities()
    readable = [m for m in every if m not in superposed(every)]
    out: dict[str, list[str]] = {}
    for name, wanted in config.train.subsets.items():
        if wanted == "each":
            out |= {m: [m] for m in readable}
        elif wanted == ["all"]:
            out |= {name: readable} if readable else {}
        elif isinstance(wanted, str):
            chosen = [m for m in readable if m.endswith(f"-{wanted}")]
            out |= {name: chosen} if chosen else {}
        elif isinstance(wanted, Combinations):
            out |= _combinations(name, wanted.every_subset_of)
        else:
            out[name] = list(wanted)
    place = {modality: i for i, modality in enumerate(every)}
    order = {n: (len(ms), [place.get(m, -1) for m in ms], n) for n, ms in out.items()}
    return {name: out[name] for name in sorted(out, key=order.__getitem__)}


def _combinations(name: str, modalities: list[str]) -> dict[str, list[str]]:
    """All subsets: one modality by its id, all of them by ``name``, ``name-O_K-Ni_L23`` between."""
    out = {m: [m] for m in modalities}
    for size in range(2, len(modalities)):
        for some in combinations(modalities, size):
            edges = "-".join(m.rpartition("-")[0] for m in some)
            out[f"{name}-{edges}"] = list(some)
    return out | {name: list(modalities)}


def superposed(modalities: list[str]) -> dict[str, str]:
    """Of these modalities those that are measured under other edges -> which, by whom found."""
    edges = {m: split_modality(m)[0] for m in modalities}
    return {m: edge.superposed for m, edge in edges.items() if edge.superposed}


def not_read(config: Config) -> dict[str, str]:
    """Modalities that are simulated and in no subset -> why."""
    used = {m for subset in resolve_subsets(config).values() for m in subset}
    every = config.spectra.modalities()
    why = superposed(every)
    return {m: why.get(m, "named in no subset") for m in every if m not in used}


def _check_subsets(subsets: dict[str, list[str]], known: list[str]) -> None:
    if not subsets:
        raise ValueError("no modality is in any of them|add all: [all]|train.subsets")
    for name, modalities in subsets.items():
        unknown = [m for m in modalities if m not in known]
        if unknown or not modalities or len(modalities) > len(set(modalities)):
            problem = f"{unknown[0]!r} is not simulated" if unknown else "empty or repeated"
            raise ValueError(f"{problem}|use some of {', '.join(known)}|train.subsets.{name}")


def _check_samples(samples: list[Sample], known: list[str]) -> None:
    names, before = {s.name for s in samples}, set()
    for i, sample in enumerate(samples):
        key = f"infer.samples.{i}"
        if sample.aligned_with and sample.aligned_with not in names:
            raise ValueError(
                f"no sample is called {sample.aligned_with!r}"
                f"|use one of {reprlib.repr(sorted(names))}|{key}.aligned_with"
            )
        if sample.name in before:
            raise ValueError(
                f"there are two samples {sample.name!r}|give each a name of its own|{key}.name"
            )
        before.add(sample.name)
        measured = [modality_id(s.edge, s.technique) for s in sample.spectra]
        for k, modality in enumerate(measured):
            if modality in measured[:k]:
                raise ValueError(
                    f"{modality} is listed twice|give one file per edge and technique|{key}.spectra"
                )
            if modality not in known:
                raise ValueError(
                    f"{modality} is not simulated, so no model reads it"
                    f"|use {', '.join(known)} or add it to spectra.techniques|{key}.spectra.{k}"
                )
