"""A small run of config/ni_k.yaml, trained on its stored cells: models and what is beside them."""

from pathlib import Path

import pandas as pd
import yaml

from corefuse import config
from corefuse.core import edge_table, files
from corefuse.learn import dataset, domain, train
from corefuse.learn.domain import save_domain
from corefuse.learn.models import save_model
from corefuse.read import simulated as sim
from corefuse.spectra import calibration, process


def build(root: Path, folder: Path) -> Path:
    """Write a models folder; half a minute of CPU is the most that a test session should pay."""
    stored = root / "resources" / "ni_k"
    raw = yaml.safe_load((root / "config" / "ni_k.yaml").read_text())
    raw["dataset"]["mixtures"] = 20
    raw["train"] |= {"trials": 2, "max_trees": 80, "bootstrap": 100}
    settings = config.load(raw, "ni_k.yaml")
    table = edge_table.load(root / "resources" / "edges.yaml")
    index = pd.read_csv(stored / "structures" / "index.csv")
    paths = sorted(stored.glob("raw/gpaw/*.nc"))
    known = calibration.calibrate_all(paths, index, settings.spectra, table)
    spectra = {
        p.stem: process.process({"gpaw": files.read_netcdf(p)}, settings.spectra, table, known)
        for p in paths
    }
    beside = sim.assemble(spectra, index, table, settings.dataset, settings.infer)
    sim.save(folder / "simulated.nc", beside)
    modalities, subsets = settings.spectra.modalities(), config.resolve_subsets(settings)
    made = dataset.assemble(spectra, index, settings.dataset, modalities, table).dataset
    for model in train.train_target(made, "x_li", subsets, settings.train).models.values():
        save_model(folder, model)
    for one in domain.fit_domains(made, subsets, settings.train.seed).values():
        save_domain(folder / "domain", one)
    return folder
