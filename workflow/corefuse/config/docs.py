"""Key reference and JSON schema, generated from the typed config (``make docs``)."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from corefuse import config
from corefuse.core.files import atomic

HEAD = """# Configuration

Generated from `workflow/corefuse/config` by `make docs`; a test fails when it is out of date.
`config/config.yaml` is the demo, `config/nmc.yaml` a cluster-size run
(`make run CONFIG=config/nmc.yaml PROFILE=slurm`). A file given with `--configfile` is not merged
with the demo: keys that it does not contain take the defaults below. Changing a key of
`simulation` reruns the simulations and all later stages; changing a later section reruns that stage
and the following ones, but no simulation.

| key | type | default | meaning |
|---|---|---|---|
"""


def reference() -> str:
    """The Markdown key reference."""
    rows = (f"| `{k}` | {t} | {d} | {m} |" for k, t, d, m in _rows(config.model(), ""))
    return HEAD + "\n".join(rows) + "\n"


def schema() -> str:
    """The JSON schema."""
    return json.dumps(config.model().model_json_schema(), indent=1) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        inner, suffix = _section(field.annotation)
        if inner:
            meaning = field.description or (inner.__doc__ or "").strip().splitlines()[0]
            yield key, "section" if not suffix else "sections", _default(field, inner), meaning
            yield from _rows(inner, f"{key}{suffix}.")
        else:
            yield key, _type_name(field.annotation), _default(field, None), field.description or ""


def _section(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    args = [a for a in typing.get_args(annotation) if a is not types.NoneType]
    if args:
        inner, _ = _section(args[-1])
        suffix = {list: "[]", dict: ".<technique>"}.get(typing.get_origin(annotation), "")
        return inner, suffix
    return None, ""


def _type_name(annotation: Any) -> str:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type_name(args[0])
    if origin is typing.Literal:
        return " \\| ".join(f"`{a}`" for a in args)
    if origin in (types.UnionType, typing.Union):
        return " \\| ".join(_type_name(a) for a in args)
    if origin is list:
        return f"list of {_type_name(args[0])}"
    if origin is tuple:
        return f"[{', '.join(_type_name(a) for a in args)}]"
    if origin is dict:
        return f"{_type_name(args[0])}: {_type_name(args[1])}"
    return {"NoneType": "null", "str": "text", "int": "integer", "float": "number"}.get(
        annotation.__name__, annotation.__name__
    )


def _default(field: Any, inner: type[BaseModel] | None) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if inner and field.default is not None:
        return "see below"
    return f"`{json.dumps(field.default)}`"


def main() -> None:
    """Write ``config/README.md`` and ``config/schema.json``."""
    folder = Path(__file__).resolve().parents[3] / "config"
    for name, text in (("README.md", reference()), ("schema.json", schema())):
        with atomic(folder / name) as partial:
            partial.write_text(text)


if __name__ == "__main__":
    main()
