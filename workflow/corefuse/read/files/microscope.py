"""Files of electron microscopes, read by RosettaSciIO (doi 10.5281/zenodo.8011666)."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from corefuse.core import hdf5_guard
from corefuse.core.errors import InputError
from corefuse.core.inputs import check_regular
from corefuse.core.spectrum import SpectrumError
from corefuse.read.files.headers import unit_of
from corefuse.read.files.recorded import Recorded, SpatialAxis
from corefuse.read.files.told import unreadable

# Suffix -> the plug-in of RosettaSciIO that reads it.
PLUGINS = {
    ".msa": "msa",
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".hspy": "hspy",
    ".emd": "emd",
    ".ser": "tia",
}
MOST_BYTES = 20_000_000_000
_NAMED = re.compile(r"energy|loss", re.IGNORECASE)
NO_EELS = ("EDS", "CL", "DIFFRACTION", "HOLOGRAM")


def signals(path: Path) -> list[Recorded]:
    """Every energy-loss or absorption signal of a file; X-ray spectra and images are left out.

    Raises
    ------
    SpectrumError
        The file cannot be read, a package for it is missing, or it holds no spectrum.
    """
    _check_inside(path)
    plugin = PLUGINS[path.suffix.lower()]
    reader = import_module(f"rsciio.{plugin}").file_reader  # slow, needed for these files only
    try:
        found = reader(str(path))
    except ImportError as err:
        raise SpectrumError(
            f"{path.suffix} files need the Python package {err.name or err}",
            f"install it in corefuse's environment (pip install {err.name or 'it'})",
        ) from None
    except MemoryError:
        raise SpectrumError("it does not fit into memory", "cut the spectrum out of it") from None
    except OSError as err:
        if err.errno:
            raise unreadable(err) from None
        raise _no_spectrum(path, err) from None
    except Exception as err:  # a plug-in fails on a broken file in ways of its own
        raise _no_spectrum(path, err) from None
    try:
        spectra = [_recorded(s) for s in found if _is_spectrum(s)]
    except MemoryError:
        raise SpectrumError("it does not fit into memory", "cut the spectrum out of it") from None
    except Exception as err:  # axes or data that a broken file left half written
        raise _no_spectrum(path, err) from None
    if not spectra:
        kinds = ", ".join(dict.fromkeys(_kind(s) for s in found)) or "nothing"
        raise SpectrumError(f"it holds no energy-loss spectrum, but {kinds}", "give another file")
    return spectra


def _check_inside(path: Path) -> None:
    """An HDF5 file (.hspy, .emd) must take nothing from other files: the plug-ins follow links."""
    try:
        check_regular(path, MOST_BYTES, "file")
        if hdf5_guard.is_hdf5(path):
            hdf5_guard.check(path, "file")
    except InputError as fault:
        raise SpectrumError(fault.problem, fault.fix) from None
    except OSError as err:
        raise unreadable(err) from None


def _is_spectrum(signal: dict[str, Any]) -> bool:
    return _energy_axis(signal) is not None and _signal_type(signal) not in NO_EELS


def _signal_type(signal: dict[str, Any]) -> str:
    kind = str(signal.get("metadata", {}).get("Signal", {}).get("signal_type") or "")
    return kind.split("_")[0].upper()


def _kind(signal: dict[str, Any]) -> str:
    return f"{_signal_type(signal) or 'an image'} {tuple(np.shape(signal['data']))}"


def _recorded(signal: dict[str, Any]) -> Recorded:
    place = _energy_axis(signal)
    assert place is not None
    counts = np.moveaxis(np.asarray(signal["data"], dtype=float), place, -1)
    axis = signal["axes"][place]
    energy = axis["offset"] + axis["scale"] * np.arange(axis["size"])
    beside = [a for i, a in enumerate(signal["axes"]) if i != place]
    # by position: writers leave axes without names, or give two the same one
    names = "yx"[-len(beside) :] if len(beside) <= 2 else [f"axis{i}" for i in range(len(beside))]
    spatial = tuple(_spatial(n, a) for n, a in zip(names, beside, strict=True)) if beside else ()
    title = str(signal["metadata"].get("General", {}).get("title") or "")
    return Recorded(
        energy, counts, unit_of(str(axis["units"])), spatial, _beam_kv(signal), title=title
    )


def _no_spectrum(path: Path, err: Exception) -> SpectrumError:
    kind = "EMSA/MAS spectrum" if path.suffix.lower() == ".msa" else f"{path.suffix} spectrum"
    return SpectrumError(
        f"it is no {kind} ({type(err).__name__})", "export it again as .msa or .csv"
    )


def _energy_axis(signal: dict[str, Any]) -> int | None:
    """Which axis holds energies: by its unit, else by its name, else the one of each pixel."""
    axes = signal["axes"]
    by_unit = [i for i, axis in enumerate(axes) if unit_of(str(axis.get("units")))]
    by_name = [i for i, a in enumerate(axes) if _NAMED.search(str(a.get("name")))]
    of_a_pixel = [i for i, axis in enumerate(axes) if axis.get("navigate") is False]
    nameless = not any(re.search("[a-z]", str(a.get("units") or "")) for a in axes)
    for found in (by_unit, by_name, of_a_pixel if nameless else []):
        if len(found) == 1 or (found and found is not of_a_pixel):
            return found[0]
    alone = len(axes) == 1 and np.ndim(signal["data"]) == 1
    return 0 if alone and not _is_length(str(axes[0].get("units"))) else None


def _is_length(unit: str) -> bool:
    """Whether a unit is that of a line profile over an image."""
    return bool(re.fullmatch(r"\s*([pnuµμm]?m|Å|A|px|pixels?|1/.*|s)\s*", unit))


def _spatial(name: str, axis: dict[str, Any]) -> SpatialAxis:
    unit = str(axis.get("units") or "px")
    return SpatialAxis(name, axis["size"], float(axis["scale"]), float(axis["offset"]), unit)


def _beam_kv(signal: dict[str, Any]) -> float | None:
    """Beam energy, which writers give in keV as given or, against the standard, in eV."""
    microscope = signal["metadata"].get("Acquisition_instrument", {}).get("TEM", {})
    beam = float(microscope.get("beam_energy") or 0)
    return (beam / 1000 if beam > 5000 else beam) or None
