"""YAML files of users, read strictly: what YAML 1.1 would take for something else is refused.

PyYAML takes the last of two equal keys, ``0777`` for 511 and ``4:30`` for 270, and follows whatever
an anchor points to. A config must mean one thing only, so that each of these is an
:class:`InputError` that names the line.
"""

from __future__ import annotations

import re
import sys
from math import isinf
from pathlib import Path
from typing import Any

import yaml

from corefuse.core.errors import InputError
from corefuse.core.inputs import regular_bytes

LARGEST_BYTES = 20_000_000  # a samples file of 5,000 spectra has 2 MB
DEEPEST = 40  # mappings and lists inside each other; a config has eight
MOST_VALUES = 2_000_000  # with every anchor written out
_PLAIN_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+")
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _RefusedError(Exception):
    """What is wrong, what to change, and the line (from 0) it is in."""

    def __init__(self, problem: str, fix: str, line: int) -> None:
        self.problem, self.fix, self.line = problem, fix, line


class _Strict(_BASE):
    """PyYAML's safe loader without its surprises."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.tag != "tag:yaml.org,2002:str":
                raise _RefusedError(f"{name[:40]} is no text, so no key", "put it in quotes", line)
            if name in keys:
                raise _RefusedError(
                    f"the key {name[:40]!r} is given twice", "drop one of them", line
                )
            keys.add(name)
        return super().construct_mapping(node, deep=deep)


def _number(loader: Any, node: yaml.ScalarNode) -> int | float:
    text = node.value
    if not _PLAIN_NUMBER.fullmatch(text):
        raise _RefusedError(
            f"{text[:40]} is read as another number by YAML (octal, base 60, ..)",
            "write it in decimal, or in quotes where it is text",
            node.start_mark.line,
        )
    is_int = node.tag.endswith("int")
    if len(text) > 40 or (not is_int and isinf(float(text))):
        raise _RefusedError(f"{text[:20]} is no usable number", "shorten it", node.start_mark.line)
    return int(text) if is_int else float(text)


def _text(loader: Any, node: yaml.ScalarNode) -> str:
    return str(node.value)


def _no_plain_data(loader: Any, node: yaml.Node) -> None:
    kind = node.tag.rpartition(":")[2]
    raise _RefusedError(
        f"a value of type {kind}", "use text, numbers and lists", node.start_mark.line
    )


for _kind in ("int", "float"):
    _Strict.add_constructor(f"tag:yaml.org,2002:{_kind}", _number)
for _kind in ("binary", "set", "omap", "pairs"):
    _Strict.add_constructor(f"tag:yaml.org,2002:{_kind}", _no_plain_data)
_Strict.add_constructor("tag:yaml.org,2002:timestamp", _text)  # a date in a file's name


def read(path: str | Path, key: str = "config") -> Any:
    """Read a YAML (or JSON) file of a user: mappings with text keys, lists, text, numbers.

    Raises
    ------
    InputError
        The file is missing, no regular file, too large, not UTF-8, no YAML, nested more than
        ``DEEPEST`` times, or means something else than it says: a key given twice, an octal or
        base-60 number, an anchor that contains itself. ``key`` names what was to be read.
    """
    data = regular_bytes(path, LARGEST_BYTES, key)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data[: fault.start].count(b"\n") + 1
        raise InputError(path, key, f"line {line} is not UTF-8", "save the file as UTF-8") from None
    try:
        _check_depth(text)
        return _construct(text)
    except _RefusedError as fault:
        where = f"line {fault.line + 1}"
        raise InputError(path, key, f"{where}: {fault.problem}", fault.fix) from None
    except yaml.YAMLError as fault:
        raise InputError(path, key, f"it is no YAML: {_said(fault)}", "correct it there") from None
    except (ValueError, OverflowError, RecursionError) as fault:
        said = f"it cannot be read ({type(fault).__name__})"
        raise InputError(path, key, said, "write plain YAML") from None


def main(arguments: list[str]) -> int:
    """Say in one line why a file cannot be read, before Snakemake answers with a traceback."""
    try:
        for path in arguments:
            read(path)
    except InputError as fault:
        print(f"corefuse: {fault}", file=sys.stderr)
        return 1
    return 0


def _construct(text: str) -> Any:
    loader = _Strict(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, {}) > MOST_VALUES:
            raise _RefusedError("its anchors write out to too many values", "use fewer anchors", 0)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_depth(text: str) -> None:
    """Events, unlike nodes, are found without recursion."""
    depth = 0
    for event in yaml.parse(text, Loader=_BASE):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            line = event.start_mark.line
            raise _RefusedError(f"nested more than {DEEPEST} times", "write it flatter", line)


def _values(node: yaml.Node, known: dict[int, int | None]) -> int:
    """Values a node represents, anchors written out."""
    if id(node) in known:
        counted = known[id(node)]
        if counted is None:
            line = node.start_mark.line
            raise _RefusedError("an anchor that contains itself", "write the section out", line)
        return counted
    known[id(node)] = None
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        children = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = list(node.value)
    known[id(node)] = count = 1 + sum(_values(child, known) for child in children)
    return count


def _said(fault: yaml.YAMLError) -> str:
    mark, problem = getattr(fault, "problem_mark", None), getattr(fault, "problem", None)
    where = f"line {mark.line + 1}, " if mark else ""
    return f"{where}{str(problem or type(fault).__name__)[:120]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
