"""The base of all typed data: frozen mappings that refuse keys they do not know."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import AfterValidator, BaseModel, ConfigDict


def _no_repeats(values: list[Any]) -> list[Any]:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise ValueError(f"{value!r} is listed twice|drop one of them|")
    return values


Unique = AfterValidator(_no_repeats)


class Section(BaseModel):
    """A frozen mapping that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def canonical(section: BaseModel | dict[str, Any] | list[Any]) -> str:
    """A section as one canonical JSON string: the form Snakemake can compare between runs.

    Braces in text are escaped, since Snakemake would take ``{x}`` for a wildcard.
    """
    data = section.model_dump(mode="json") if isinstance(section, BaseModel) else section
    return _JSON_TEXT.sub(_without_braces, json.dumps(data, sort_keys=True))


_JSON_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


def _without_braces(text: re.Match[str]) -> str:
    return text[0].replace("{", "\\u007b").replace("}", "\\u007d")
