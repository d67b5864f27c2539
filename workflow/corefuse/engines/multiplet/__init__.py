"""Multiplets: see :mod:`corefuse.engines.multiplet.engine.engine`."""

from corefuse.engines.multiplet.engine import ENGINE

__all__ = ["ENGINE"]
