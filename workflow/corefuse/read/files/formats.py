"""The formats that are known, in the order in which a file is tried for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from corefuse.core import hdf5_guard
from corefuse.core.errors import InputError
from corefuse.core.spectrum import SpectrumError
from corefuse.read.files import athena, excel, microscope, pf9809, tables, text
from corefuse.read.files.recorded import Recorded, Table

MOST_KEPT = 50_000_000  # bytes of a file that is kept in memory for the next spectrum of a series
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
# Tables, signals, or a JSON text.
Content = Sequence[Table] | Sequence[Recorded] | str


@dataclass(frozen=True)
class Format:
    """A kind of file: whose it is, by suffix and first bytes, and how it is read."""

    name: str
    suffixes: tuple[str, ...]
    holds: str
    is_one: Callable[[Path, bytes], bool]
    load: Callable[[Path, bytes, int], Content]


def _is_hdf5(path: Path, data: bytes) -> bool:
    return data.startswith(b"\x89HDF")


def _is_workbook(path: Path, data: bytes) -> bool:
    if data.startswith(b"PK\x03\x04"):
        names = text.names_in_zip(data)
        return any(n.startswith("xl/") for n in names) or "content.xml" in names
    return path.suffix.lower() == ".xls" and data.startswith(b"\xd0\xcf\x11\xe0")


def _hdf5(path: Path, data: bytes, least: int) -> Content:
    from corefuse.read.files import hdf5

    return hdf5.tables(data)


def _text(path: Path, data: bytes, least: int) -> Content:
    _refuse_archive(data)
    return tables.parse(text.decoded(data), least)


def _refuse_archive(data: bytes) -> None:
    """A zip that is no workbook is named after what is in it."""
    names = text.names_in_zip(data) if data.startswith(b"PK\x03\x04") else []
    if any(name.endswith(".npy") for name in names):
        raise SpectrumError(
            "this is an archive of NumPy arrays", "save them as text with numpy.savetxt"
        )
    if names:
        raise SpectrumError(
            f"this is a zip archive of {', '.join(names[:3])}", "unpack it, and name a file in it"
        )


def _is_microscope(path: Path, data: bytes) -> bool:
    return path.suffix.lower() in microscope.PLUGINS


def _signals(path: Path, data: bytes, least: int) -> Content:
    if path.suffix.lower() == ".msa" and not data.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"#"):
        return _text(path, data, least)  # two columns without the header of the standard
    return microscope.signals(path)


FORMATS: tuple[Format, ...] = (
    Format(
        "microscope",
        tuple(microscope.PLUGINS),
        "energy-loss spectra and images",
        _is_microscope,
        _signals,
    ),
    Format(
        "Athena project",
        (".prj",),
        "groups of mu(E)",
        lambda path, data: athena.is_one(data),
        lambda path, data, least: athena.tables(data),
    ),
    Format("NeXus and other HDF5", (".nxs", ".h5", ".hdf5"), "scans", _is_hdf5, _hdf5),
    Format(
        "workbook",
        WORKBOOKS,
        "sheets with columns",
        _is_workbook,
        lambda path, data, least: excel.tables(data),
    ),
    Format(
        "Photon Factory 9809",
        (),
        "angles and counters",
        lambda path, data: pf9809.is_one(data[:200].decode("latin-1")),
        lambda path, data, least: pf9809.tables(text.decoded(data)),
    ),
    Format(
        "JSON",
        (".json",),
        "lists of numbers",
        lambda path, data: path.suffix.lower() == ".json",
        lambda path, data, least: text.decoded(data),
    ),
    Format("text", (), "columns of numbers, any suffix", lambda path, data: True, _text),
)


def detect(path: Path, data: bytes) -> Format:
    """The format of a file, by its first bytes before its suffix."""
    return next(f for f in FORMATS if f.is_one(path, data))


def loaded(path: Path, least: int = 2) -> Content:
    """Everything in a file, by its format; ``least`` columns where it is a table of text.

    The last files are kept, as a series asks one file for each of its spectra.

    Raises
    ------
    SpectrumError
        As the format's own reader, or the file cannot be opened.
    """
    try:
        state = path.stat()
    except (OSError, ValueError):
        text.content(path)  # says why
        raise
    if state.st_size > MOST_KEPT:
        return _read(path, least)
    return _kept(path, state.st_mtime_ns, state.st_size, least)


@lru_cache(maxsize=2)
def _kept(path: Path, modified_ns: int, size: int, least: int) -> Content:
    """As :func:`loaded`; a file that has changed since is another one."""
    return _read(path, least)


def _read(path: Path, least: int) -> Content:
    by_plugin = path.suffix.lower() in microscope.PLUGINS and path.suffix.lower() != ".msa"
    data = text.start(path) if by_plugin else text.content(path)
    if not data:
        raise SpectrumError(
            "it has no two columns of numbers: it is empty", "give energy and intensity columns"
        )
    if data.startswith(hdf5_guard.SIGNATURE):
        try:
            hdf5_guard.check(path, "file")
        except InputError as fault:
            raise SpectrumError(fault.problem, fault.fix) from None
    return detect(path, data).load(path, data, least)
