"""Bytes to text in the encodings people have, and the names of files that are no text."""

from __future__ import annotations

import codecs
import io
import zipfile
from pathlib import Path

from corefuse.core import inputs
from corefuse.core.errors import InputError
from corefuse.core.spectrum import SpectrumError
from corefuse.read.files.told import unreadable

MOST_BYTES = 2_000_000_000
MOST_UNPACKED = 200_000_000  # of an archive
_CONTROL = bytes(set(range(32)) - {9, 10, 11, 12, 13, 27})
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
EXPORT = "export it as text with energy and intensity columns (.csv, .dat, .xdi) or as .msa"
# First bytes -> what the file is, and how to get a spectrum out of it.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip file", "unpack it with gunzip"),
    (b"PK\x03\x04", "a zip archive", "unpack it"),
    (b"\x89HDF", "an HDF5 file", "call it .h5, .nxs, .hspy or .emd, or " + EXPORT),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Office file", "save it as .xlsx or .csv"),
    (b"II\x97\x01", "a TIA series", "call it .ser, or " + EXPORT),
    (b"II*\x00", "a TIFF picture", EXPORT),
    (b"MM\x00*", "a TIFF picture", EXPORT),
    (b"\x00\x00\x00\x03", "a DigitalMicrograph file", "call it .dm3"),
    (b"\x00\x00\x00\x04", "a DigitalMicrograph file", "call it .dm4"),
    (b"%PDF", "a PDF document", EXPORT),
    (b"\x89PNG", "a picture", EXPORT),
    (b"CPYA", "an Origin project", "in Origin, File > Export > ASCII"),
    (b"MATLAB", "a MATLAB file", EXPORT),
    (b"\x93NUMPY", "a NumPy array", "save it as text with numpy.savetxt"),
    (b"SQLite", "a database", EXPORT),
)


def content(path: Path) -> bytes:
    """Everything in a regular file of at most 2 GB.

    Raises
    ------
    SpectrumError
        It cannot be read, is a folder or a device, or is larger.
    """
    try:
        return inputs.regular_bytes(path, MOST_BYTES, "file")
    except InputError as fault:
        raise SpectrumError(fault.problem, fault.fix) from None


def start(path: Path) -> bytes:
    """The first 4 kB of a regular file of at most 2 GB; raises as :func:`content`."""
    try:
        inputs.check_regular(path, MOST_BYTES, "file")
        with path.open("rb") as file:
            return file.read(4096)
    except InputError as fault:
        raise SpectrumError(fault.problem, fault.fix) from None
    except OSError as err:
        raise unreadable(err) from None


def decoded(data: bytes) -> str:
    """Text in UTF-8, UTF-16 (with or without its mark) or the Windows code page.

    Raises
    ------
    SpectrumError
        The bytes are no text; what they are is named where it is known.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    start = data[:4096]
    if kind := name_of(start):
        raise SpectrumError(f"this is {kind[0]}, no text", kind[1])
    if encoding := _utf16_without_mark(start):
        return data.decode(encoding, errors="replace")
    if len(start) > len(start.translate(None, _CONTROL)):
        raise SpectrumError("this is a binary file, no text", EXPORT)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def name_of(data: bytes) -> tuple[str, str] | None:
    """What a binary file is by its first bytes, and the way to a spectrum; None if unknown."""
    return next(((kind, fix) for mark, kind, fix in _KINDS if data.startswith(mark)), None)


def names_in_zip(data: bytes) -> list[str]:
    """The members of a zip archive, none if it is broken.

    Raises
    ------
    SpectrumError
        Unpacked it would be larger than 200 MB.
    """
    try:
        members = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError):
        return []
    if sum(member.file_size for member in members) > MOST_UNPACKED:
        raise SpectrumError(
            f"unpacked it has more than {MOST_UNPACKED / 1e6:.0f} MB", "save the spectrum as .csv"
        )
    return [member.filename for member in members]


def _utf16_without_mark(start: bytes) -> str | None:
    """ASCII text in UTF-16 has a zero in every second byte."""
    even, odd = start[::2], start[1::2]
    if len(start) > 8 and odd.count(0) > 0.9 * len(odd) and not even.count(0):
        return "utf-16-le"
    if len(start) > 8 and even.count(0) > 0.9 * len(even) and not odd.count(0):
        return "utf-16-be"
    return None
