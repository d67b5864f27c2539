"""Arithmetic of columns as a user writes it: ``ln(i0/itrans)``, ``(roi1 + roi2)/i0``."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

import numpy as np

from corefuse.core.spectrum import SpectrumError

MOST_CHARACTERS = 500
FUNCTIONS = {
    "ln": np.log,
    "log": np.log,
    "log10": np.log10,
    "exp": np.exp,
    "abs": np.abs,
    "sqrt": np.sqrt,
}
_OPERATORS: dict[type[ast.AST], Callable[..., np.ndarray]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}
FIX = (
    'write e.g. ln(i0/itrans), (roi1 + roi2)/i0, sum("roi*")/i0, or $3/$2 by number; names with '
    "other characters in quotes"
)
_NUMBERED = re.compile(r"\$(\d+)")


def is_one(text: object) -> bool:
    """Whether what a user gives for a column is an expression rather than a name."""
    return isinstance(text, str) and bool(re.search(r"[()*/+$]|\s-\s", text))


def evaluate(
    text: str,
    column: Callable[[str | int], np.ndarray],
    matching: Callable[[str], list[np.ndarray]],
) -> np.ndarray:
    """The value (n,) of an expression; nothing but arithmetic is carried out.

    ``column`` gives a column by name or number, ``matching`` those of a pattern. Where a quotient
    or a logarithm does not exist the value is not finite.

    Raises
    ------
    SpectrumError
        It is no expression, or names a column that is not there.
    """
    try:
        if len(text) > MOST_CHARACTERS:
            raise SyntaxError
        tree = ast.parse(_NUMBERED.sub(r"_column_\1", text.strip()), mode="eval").body
        with np.errstate(all="ignore"):
            value = _value(tree, column, matching)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
        if isinstance(err, SpectrumError):
            raise
        raise SpectrumError(f"{text!r} is no expression of columns", FIX) from None
    if np.ndim(value) == 0:
        raise SpectrumError(f"{text!r} names no column", FIX)
    return value


def _value(
    node: ast.expr,
    column: Callable[[str | int], np.ndarray],
    matching: Callable[[str], list[np.ndarray]],
) -> np.ndarray:
    def inner(part: ast.expr) -> np.ndarray:
        return _value(part, column, matching)

    match node:
        case ast.Constant(value=bool()):
            raise SyntaxError
        case ast.Constant(value=int() | float() as number):
            return np.float64(number)
        case ast.Constant(value=str() as name):
            return column(name)
        case ast.Name(id=name) if name.startswith("_column_"):
            return column(int(name.removeprefix("_column_")))
        case ast.Name(id=name):
            return column(name)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](inner(left), inner(right))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](inner(operand))
        case ast.Call(func=ast.Name(id="sum"), args=args, keywords=[]) if args:
            parts: list[np.ndarray] = []
            for arg in args:
                pattern = arg.value if isinstance(arg, ast.Constant) else None
                parts += matching(pattern) if isinstance(pattern, str) else [inner(arg)]
            return np.sum(parts, axis=0)
        case ast.Call(func=ast.Name(id=name), args=[arg], keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](inner(arg))
    raise SyntaxError
