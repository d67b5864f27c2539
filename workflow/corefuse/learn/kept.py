"""Finished subsets of a target, kept so that none is trained again that would come out the same.

Snakemake removes the outputs of a job before it runs it again; what is kept stands beside them.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pandas as pd

from corefuse.core.errors import InputError
from corefuse.core.files import write_csv, write_json
from corefuse.learn.models import Model, load_model, save_model

TABLES = ("metrics", "out_of_fold", "curve")


@dataclass(frozen=True)
class SubsetResult:
    """What training on one target and subset leaves behind."""

    metrics: pd.DataFrame
    out_of_fold: pd.DataFrame
    curve: pd.DataFrame
    model: Model


@dataclass(frozen=True)
class Kept:
    """A folder with one finished result per subset; ``about`` is settings and code."""

    folder: Path
    about: str

    def get(self, subset: str, columns_sha256: str) -> SubsetResult | None:
        """The kept result of a subset if it was made of these columns by the same settings."""
        place = self.folder / subset
        try:
            if json.loads((place / "made_of.json").read_text()) != self._key(columns_sha256):
                return None
            tables = {
                name: pd.read_csv(place / f"{name}.csv", float_precision="round_trip")
                for name in TABLES
            }
            (path,) = place.glob(f"*/{subset}.ubj")
            tables["metrics"] = tables["metrics"].fillna({"note": ""})
            return SubsetResult(**tables, model=load_model(path))
        except (OSError, ValueError, InputError):  # half a result of a run that was killed
            return None

    def put(self, subset: str, columns_sha256: str, result: SubsetResult) -> None:
        """Keep a result; the file that says what it is made of is written last."""
        place = self.folder / subset
        shutil.rmtree(place, ignore_errors=True)
        for name in TABLES:
            write_csv(place / f"{name}.csv", getattr(result, name))
        save_model(place, result.model)
        write_json(place / "made_of.json", self._key(columns_sha256))

    def _key(self, columns_sha256: str) -> dict[str, str]:
        return {"columns": columns_sha256, "about": sha256(self.about.encode()).hexdigest()}
