"""Seeded ways to spoil bytes, lines of text and trees of data."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

NUMBERS = (
    *("nan", "inf", "-1", "0", "1e999", "-1e308", "1e-320", "9" * 400, "1,5", "1.2.3", "0x10"),
    *("١٢", "1_000", "", "--", "1e", "True", "½", "12:30", "5 3"),
)
TOKENS = (
    *("\0", "\ufeff", "\u2028", "\x1b[31m", "</script>", "{x}", "$(id)", "../../etc/passwd"),
    *("#", '"', "'", ";", "\t", ",,,,", "energy", "#L energy mu", "#S 1", "[", "{", "a" * 3000),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 10**9, 10**30, -(10**30), 0.5, 1e308, -1e308, 1e-320),
    *("", "x", "017", "1e5", "yes", "\0", "{x}", "</script>", "../..", "/dev/zero", "a" * 300),
    *("a b", "é", "'", "|", "*", "**", "two\nlines", [], [[]], [None], {}, {"a": 1}, [1] * 50),
    *([0, 0], [1e308, -1e308], {"Li": -5}, ["O K", "O K"], "Fe K", "all", float("nan")),
)


def spoilt_bytes(content: bytes, rng: random.Random) -> bytes:
    """Bits flipped, parts cut, doubled, zeroed, filled with large numbers or put in."""
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not out:
            break
        at, length = rng.randrange(len(out)), rng.choice((1, 4, 16, 200))
        kind = rng.randrange(7)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del out[at:]
        elif kind == 2:
            del out[at : at + length]
        elif kind == 3:
            out[at : at + length] = bytes(length)
        elif kind == 4:
            out[at : at + 8] = rng.choice((b"\xff" * 8, b"\x7f" + b"\xff" * 7, bytes(8)))
        elif kind == 5:
            out[at:at] = out[at : at + length] * rng.choice((1, 50))
        else:
            out[at:at] = rng.randbytes(length)
    return bytes(out)


def spoilt_text(content: bytes, rng: random.Random) -> bytes:
    """Numbers, separators, lines and encodings changed; at times the bytes beneath."""
    if rng.random() < 0.25:
        return spoilt_bytes(content, rng)
    lines = content.decode("utf-8", "replace").splitlines()
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(lines)) if lines else 0
        kind = rng.randrange(9)
        if not lines:
            lines = [rng.choice(TOKENS)]
        elif kind == 0:
            cells = lines[at].replace(",", " , ").split()
            if cells:
                cells[rng.randrange(len(cells))] = rng.choice(NUMBERS)
            lines[at] = " ".join(cells)
        elif kind == 1:
            lines[at] += rng.choice(TOKENS)
        elif kind == 2:
            del lines[at]
        elif kind == 3:
            lines[at:at] = lines[at : at + 5]
        elif kind == 4:
            lines = [line.replace(",", rng.choice(";\t ")) for line in lines]
        elif kind == 5:
            lines = [line.replace(".", ",") for line in lines]
        elif kind == 6:
            lines.insert(at, rng.choice(TOKENS))
        elif kind == 7:
            lines = lines[::-1]
        else:
            del lines[at : at + rng.choice((3, 100, 10_000))]
    text = "\n".join(lines)
    encoding = rng.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig", "cp1252"))
    return text.encode(encoding, "replace")


def spoilt_tree(tree: Any, rng: random.Random) -> Any:
    """A copy of mappings and lists with some values, keys or entries changed."""
    out = deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place = rng.choice(list(_places(out)) or [None])
        if place is None:
            return rng.choice(VALUES)
        holder, key = place
        kind = rng.randrange(6)
        if kind == 0 and isinstance(holder, dict):
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[f"{key}{rng.choice(('s', '_', ' ', ''))}"] = rng.choice(VALUES)
        elif kind == 2 and isinstance(holder, list):
            holder.insert(key, deepcopy(holder[key]))
        elif kind == 3:
            deep: Any = rng.choice(VALUES)
            for _ in range(rng.choice((2, 30, 400))):
                deep = [deep] if rng.random() < 0.5 else {"a": deep}
            holder[key] = deep
        else:
            holder[key] = deepcopy(rng.choice(VALUES))
    return out


def _places(tree: Any) -> Any:
    """Every holder and key in a tree, without recursion."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        keys = (
            part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        )
        for key in list(keys):
            yield part, key
            if isinstance(part[key], dict | list):
                waiting.append(part[key])
