"""What is fuzzed: for each kind a whole file, a way to spoil it and the code that reads it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fuzz.mutations import spoilt_bytes, spoilt_text, spoilt_tree

ROOT = Path(__file__).resolve().parents[2]
ENERGY = np.linspace(500, 600, 400)
EDGE = 1 + np.arctan(ENERGY - 535) / np.pi + np.exp(-(((ENERGY - 540) / 2) ** 2))


@dataclass(frozen=True)
class Kind:
    """``make`` writes whole files into a folder; ``spoil`` changes the one that ``read`` reads."""

    name: str
    make: Callable[[Path], Path]
    spoil: Callable[[Path, random.Random], None]
    read: Callable[[Path], Any]


def in_bytes(change: Callable[[bytes, random.Random], bytes]) -> Callable[..., None]:
    def spoil(path: Path, rng: random.Random) -> None:
        path.write_bytes(change(path.read_bytes(), rng))

    return spoil


def in_json(path: Path, rng: random.Random) -> None:
    if rng.random() < 0.2:
        return in_bytes(spoilt_text)(path, rng)
    path.write_text(json.dumps(spoilt_tree(json.loads(path.read_text()), rng)))


def in_yaml(path: Path, rng: random.Random) -> None:
    if rng.random() < 0.3:
        return in_bytes(spoilt_text)(path, rng)
    path.write_text(_dumped(spoilt_tree(yaml.safe_load(path.read_text()), rng)))


def _dumped(tree: Any) -> str:
    try:
        return yaml.safe_dump(tree, sort_keys=False)
    except RecursionError:
        return json.dumps(tree)


# --- measured files -------------------------------------------------------------------------------


def table(suffix: str, head: str, separator: str, end: str = "") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        rows = (f"{e:.3f}{separator}{y:.5f}" for e, y in zip(ENERGY, EDGE, strict=True))
        path = folder / f"whole{suffix}"
        path.write_text("\n".join([*filter(None, [head]), *rows, end]) + "\n")
        return path

    return make


XDI = "# XDI/1.0\n# Column.1: energy eV\n# Column.2: mutrans\n# Mono.d_spacing: 3.13\n#---"
MSA = (
    "#FORMAT      : EMSA/MAS Spectral Data File\n#VERSION     : 1.0\n#TITLE       : x\n"
    "#NPOINTS     : 400\n#NCOLUMNS    : 1\n#XUNITS      : eV\n#DATATYPE    : XY\n"
    "#XPERCHAN    : 0.250626566\n#OFFSET      : 500.0\n#YUNITS      : Counts\n#SIGNALTYPE  : ELS\n"
    "#SPECTRUM    : Spectral Data Starts Here"
)
SPEC = "#F scan\n#S 1 ascan energy 500 600\n#N 3\n#L energy  i0  itrans"


def spec(folder: Path) -> Path:
    rows = (f"{e:.3f} 1000 {1000 * np.exp(-y):.3f}" for e, y in zip(ENERGY, EDGE, strict=True))
    path = folder / "whole.dat"
    path.write_text("\n".join([SPEC, *rows]) + "\n")
    return path


def of_lists(folder: Path) -> Path:
    path = folder / "whole.json"
    path.write_text(json.dumps({"a": {"energy": ENERGY.tolist(), "mu": EDGE.tolist()}}))
    return path


def nexus(folder: Path) -> Path:
    import h5py

    path = folder / "whole.h5"
    with h5py.File(path, "w") as file:
        file["entry/data/energy"], file["entry/data/mu"] = ENERGY, EDGE
    return path


def hspy(folder: Path) -> Path:
    from hyperspy.api import signals

    signal = signals.Signal1D(EDGE)
    signal.set_signal_type("EELS")
    axis = signal.axes_manager._axes[-1]
    axis.scale, axis.offset, axis.units = float(ENERGY[1] - ENERGY[0]), 500.0, "eV"
    signal.save(folder / "whole.hspy", overwrite=True)
    return folder / "whole.hspy"


def athena(folder: Path) -> Path:
    import gzip

    def listed(values: np.ndarray) -> str:
        return "(" + ",".join(f"'{v:.4f}'" for v in values) + ")"

    path = folder / "whole.prj"
    text = (
        "# Athena project file -- Demeter version 0.9.25\n\n$old_group = 'abc';\n"
        "@args = ('label','one','datatype','xmu');\n"
        f"@x = {listed(ENERGY)};\n@y = {listed(EDGE)};\n[record]   # \n\n1;\n"
    )
    path.write_bytes(gzip.compress(text.encode()))
    return path


def measured(path: Path) -> None:
    from corefuse.config import MeasuredSpectrum
    from corefuse.core import edge_table
    from corefuse.read import measured

    technique = "EELS" if path.suffix in (".msa", ".hspy") else "XAS"
    asked = MeasuredSpectrum(edge="O K", technique=technique, file=str(path))
    found = measured.read(asked, edge_table.load(ROOT / "resources/edges.yaml"), max_shift_ev=3.0)
    assert np.isfinite(found.intensity).all() and (np.diff(found.energy_ev) > 0).all()


# --- configs --------------------------------------------------------------------------------------


def config(folder: Path) -> Path:
    import toy

    (folder / "mine.csv").write_text(toy.O_K)
    made = toy.edited("infer.samples.0.spectra.0.file", str(folder / "mine.csv"))
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(made, sort_keys=False))
    return path


def read_config(path: Path) -> None:
    from corefuse import config as cfg
    from corefuse.config import samples
    from corefuse.core import yaml_file
    from corefuse.plan import checks, specs

    filled, _ = samples.put_in(yaml_file.read(path), path)
    found = cfg.load(filled, path)
    planned = specs.by_id(found.structures, path)
    assert cfg.load(json.loads(cfg.canonical(found)), path) == found
    checks.before_start(found, planned, str(path), str(ROOT / "resources/edges.yaml"))


def samples_file(folder: Path) -> Path:
    import toy

    (folder / "o.csv").write_text(toy.O_K)
    (folder / "map.hspy").touch()
    spectrum = {"edge": "O K", "technique": "EELS", "file": "o.csv", "low_loss": None}
    listed = {
        "samples": [{"name": "one", "composition": {"Li": 1.0, "Ni": 1.0}, "spectra": [spectrum]}],
        "series": [{"name": "many", **spectrum, "columns": [1, 2], "voltages": [None, 3.9]}],
        "images": [{"name": "map", "file": "map.hspy", "edges": ["O K"]}],
    }
    path = folder / "samples.yaml"
    path.write_text(yaml.safe_dump(listed, sort_keys=False))
    return path


def read_samples(path: Path) -> None:
    import toy

    from corefuse import config as cfg
    from corefuse.config import samples

    infer = {"samples_file": str(path), "data_folder": str(path.parent)}
    filled, left_out = samples.put_in(toy.edited("infer", infer), "c.yaml")
    assert all("\n" not in line for line in left_out)
    cfg.load(filled, "c.yaml")


# --- results --------------------------------------------------------------------------------------

_MODEL: list[Any] = []


def _trained() -> Any:
    if not _MODEL:
        import synthetic

        from corefuse.config import Train
        from corefuse.learn.domain import fit_domain
        from corefuse.learn.train import train_target

        data = synthetic.build(parents=6, structures=2, views=2)
        settings = Train(outer_folds=2, inner_folds=2, trials=1, max_trees=10, bootstrap=100)
        found = train_target(data, "x_li", {synthetic.O_K: [synthetic.O_K]}, settings).models
        sample = synthetic.sample_of(data, 0, [synthetic.O_K])
        domain = fit_domain(data, synthetic.O_K, [synthetic.O_K], 0)
        _MODEL.append((found[synthetic.O_K], domain, sample))
    return _MODEL[0]


def model_folder(folder: Path) -> Path:
    from corefuse.learn.domain import save_domain
    from corefuse.learn.models import save_model

    model, domain, _ = _trained()
    save_model(folder, model)
    save_domain(folder / "domain", domain)
    return folder / "x_li" / f"{model.card.subset}.ubj"


def card(folder: Path) -> Path:
    return model_folder(folder).with_suffix(".json")


def domain(folder: Path) -> Path:
    return folder / "domain" / f"{model_folder(folder).stem}.json"


def with_its_hash(path: Path, rng: random.Random) -> None:
    """As a sender would: the card names the hash of the spoilt booster."""
    in_bytes(spoilt_bytes)(path, rng)
    known = json.loads(path.with_suffix(".json").read_text())
    known["booster_sha256"] = sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(known))


def read_models(path: Path) -> None:
    from corefuse.read.infer import Library, infer

    _, _, sample = _trained()
    top = path.parents[1]
    name = path.stem
    library = Library.load([top / "x_li" / f"{name}.ubj"], [top / "domain" / f"{name}.json"])
    table = infer(sample, library, 0.8)
    assert len(table) == 1


def raw(folder: Path) -> Path:
    path = folder / "raw.nc"
    path.write_bytes((ROOT / "tests/reference/pristine.nc").read_bytes())
    return path


def read_raw(path: Path) -> None:
    from corefuse.core import files

    files.read_result(path)


def structure(folder: Path) -> Path:
    from corefuse.config import Structures
    from corefuse.plan.specs import plan
    from corefuse.structures import build

    section = Structures.model_validate({"series": [{"grade": "LiNiO2", "formula_units": 2}]})
    path = folder / "structure.json"
    build.write(path, build.build(plan(section)[0]))
    return path


def read_structure(path: Path) -> None:
    from corefuse.structures import build

    assert len(build.read(path))


KINDS = {
    kind.name: kind
    for kind in (
        Kind("csv", table(".csv", "energy,mu", ","), in_bytes(spoilt_text), measured),
        Kind("txt", table(".txt", "", "\t"), in_bytes(spoilt_text), measured),
        Kind("xdi", table(".xdi", XDI, " "), in_bytes(spoilt_text), measured),
        Kind("msa", table(".msa", MSA, ", ", "#ENDOFDATA   :"), in_bytes(spoilt_text), measured),
        Kind("spec", spec, in_bytes(spoilt_text), measured),
        Kind("json", of_lists, in_json, measured),
        Kind("prj", athena, in_bytes(spoilt_bytes), measured),
        Kind("h5", nexus, in_bytes(spoilt_bytes), measured),
        Kind("hspy", hspy, in_bytes(spoilt_bytes), measured),
        Kind("config", config, in_yaml, read_config),
        Kind("samples", samples_file, in_yaml, read_samples),
        Kind("card", card, in_json, read_models),
        Kind("domain", domain, in_json, read_models),
        Kind("booster", model_folder, with_its_hash, read_models),
        Kind("netcdf", raw, in_bytes(spoilt_bytes), read_raw),
        Kind("structure", structure, in_json, read_structure),
    )
}
