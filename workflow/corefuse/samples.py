"""The samples file: what was measured, apart from the config, its data where the user has it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from corefuse.errors import InputError

KINDS = ("samples", "images")


def put_in(raw: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A parsed config with what its ``infer.samples_file`` lists, and what that had to leave out.

    An entry comes in where all its files are in the data folder; of the others there is a line
    for the user. One that the config names itself wins, so a resolved config can be read again.

    Raises
    ------
    InputError
        The samples file cannot be read or is no mapping of ``samples`` and ``images``.
    """
    infer = raw.get("infer") if isinstance(raw, dict) else None
    if not isinstance(infer, dict) or not infer.get("samples_file"):
        return raw, []
    folder = data_folder(infer)
    out, left_out = dict(infer), []
    for kind, entries in _read(Path(infer["samples_file"])).items():
        own = list(infer.get(kind) or [])
        names = {entry.get("name") for entry in own}
        out[kind] = own
        for entry in (e for e in entries if e.get("name") not in names):
            missing = [f for f in _files(entry) if not (folder / f).exists()]
            if missing:
                left_out.append(
                    f"{entry.get('name')} is left out: there is no {folder / missing[0]} "
                    "(`snakemake download` gets it; COREFUSE_DATA names another folder)"
                )
            else:
                out[kind] = [*out[kind], _placed(entry, folder)]
    return raw | {"infer": out}, left_out


def data_folder(infer: Mapping[str, Any]) -> Path:
    """Where measured files of a samples file are: the config's, ``$COREFUSE_DATA``, or ``data``."""
    return Path(infer.get("data_folder") or os.environ.get("COREFUSE_DATA") or "data")


def _read(path: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        listed = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as err:
        problem = f"it cannot be read ({type(err).__name__})"
        raise InputError(path, "infer.samples_file", problem, "correct the path or file") from None
    right = isinstance(listed, dict) and set(listed) <= set(KINDS)
    entries = [e for kind in listed.values() for e in kind or []] if right else [None]
    if not all(isinstance(entry, dict) for entry in entries):
        raise InputError(path, "samples", "no list of samples", "give samples: [..], images: [..]")
    return {kind: listed[kind] or [] for kind in KINDS if kind in listed}


def _files(entry: Mapping[str, Any]) -> list[str]:
    """Every file that a sample or image names."""
    parts = [entry, *(entry.get("spectra") or [])]
    return [part[key] for part in parts for key in ("file", "low_loss") if part.get(key)]


def _placed(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    placed = {k: str(folder / v) if k in ("file", "low_loss") else v for k, v in entry.items()}
    if "spectra" in entry:
        placed["spectra"] = [_placed(s, folder) for s in entry["spectra"]]
    return placed
