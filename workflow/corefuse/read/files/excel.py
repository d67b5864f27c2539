"""Excel and LibreOffice workbooks, their sheets as tables."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np

from corefuse.core.spectrum import SpectrumError
from corefuse.read.files import tables as text_tables
from corefuse.read.files.recorded import Table

MOST_ROWS = 1_100_000  # of a sheet, as Excel has it


def tables(data: bytes) -> list[Table]:
    """The sheets of a workbook that hold columns of numbers.

    Raises
    ------
    SpectrumError
        It is broken, a package is missing, or no sheet holds any.
    """
    try:
        from python_calamine import CalamineWorkbook
    except ModuleNotFoundError as err:
        raise SpectrumError(
            f"workbooks need the Python package {err.name}", "install it, or save it as .csv"
        ) from None
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheets = [
            (name, workbook.get_sheet_by_name(name).to_python()) for name in workbook.sheet_names
        ]
    except Exception as err:  # the package has errors of its own for each kind of broken file
        raise SpectrumError(
            f"its workbook is broken ({err})", "save it again, or as .csv"
        ) from None
    out = []
    for name, rows in sheets:
        text = "\n".join("\t".join(map(_cell, row)) for row in rows)
        try:
            found = text_tables.parse(text)
        except SpectrumError:
            continue
        out += [replace(table, title=table.title or name) for table in found]
    if not out:
        raise SpectrumError(
            "none of its sheets has two columns of numbers", "give energy and intensity columns"
        )
    return out


def _cell(value: object) -> str:
    if isinstance(value, float):
        return repr(value) if np.isfinite(value) else "nan"
    return str(value).replace("\t", " ").replace("\n", " ")
