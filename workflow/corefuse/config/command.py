"""How a program of the user is started; shared by the engines that run one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from corefuse.core import text
from corefuse.core.section import Section


def command_of(program: str) -> BeforeValidator:
    """Accept a name alone as a command, with ``program`` as the default program."""

    def spelt_out(value: Any) -> Any:
        if isinstance(value, str | list):
            return {"run": value}
        return {"run": program} | value if isinstance(value, dict) else value

    return BeforeValidator(spelt_out, json_schema_input_type=str | list[str] | Command)


def _one_program(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Command(Section):
    """How a program is started. The name or path of the program alone is sufficient."""

    run: Annotated[
        list[text.CommandLine],
        BeforeValidator(_one_program, json_schema_input_type=str | list[str]),
    ] = Field(
        [],
        min_length=1,
        description="program name or path; the default is the engine's own name. A list of "
        "programs is run in sequence",
    )
    module: text.Line | None = Field(None, description="environment module that is loaded first")
    image: text.FilePath | None = Field(
        None, description="apptainer image (file or URI) that contains the program"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Command:
        if self.module and self.image:
            raise ValueError("both a module and an image are given|give only one of them|")
        return self


# Settings of how any engine is started and when it is ended. No result depends on them.
HOW_IT_RUNS = ("command", "time_limit_hours", "memory_mb")


def deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an engine without those that only say how it runs (:data:`HOW_IT_RUNS`)."""
    return {key: value for key, value in settings.items() if key not in HOW_IT_RUNS}
