"""Section ``report``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corefuse.core import text
from corefuse.core.bounds import Between
from corefuse.core.section import Section


class Report(Section):
    """Title and resolution of the report."""

    title: Annotated[text.Line, Field(max_length=200)] = Field(
        "corefuse", description="title of the report"
    )
    png_dpi: Annotated[int, Between(50, 1200, "no printer resolves more")] = Field(
        150, description="resolution of the PNG figures"
    )
