"""Section ``report``."""

from __future__ import annotations

from pydantic import Field

from corefuse.core.section import Section


class Report(Section):
    """Looks of the report."""

    title: str = Field("corefuse", description="headline of the report")
    png_dpi: int = Field(150, ge=50, description="resolution of the PNG figures")
