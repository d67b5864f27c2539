"""The border of the readers: a fault that nobody thought of is still a fault of the file."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from corefuse.core.errors import InputError, shortened
from corefuse.core.inputs import check_regular
from corefuse.core.spectrum import SpectrumError

MOST_BYTES = 20_000_000_000
Answer = TypeVar("Answer")


def guarded(reads: Callable[..., Answer]) -> Callable[..., Answer]:
    """A reader whose every error is a SpectrumError; its first argument is the path.

    Devices and pipes, which may never end, are refused before they are opened. What a broken file
    makes of numbers, axes and libraries is endless, so any exception is one of the file; the
    original is its cause.
    """

    @wraps(reads)
    def read(path: Path, *args: Any, **kwargs: Any) -> Answer:
        try:
            if Path(path).exists():
                check_regular(path, MOST_BYTES, "file")
            return reads(path, *args, **kwargs)
        except SpectrumError:
            raise
        except InputError as fault:
            raise SpectrumError(fault.problem, fault.fix) from fault
        except MemoryError as fault:
            raise SpectrumError("it does not fit into memory", "cut out the spectrum") from fault
        except Exception as fault:
            said = shortened(f"{type(fault).__name__}: {fault}", 80)
            raise SpectrumError(
                f"it is broken, or not what its name says ({said})",
                "export it again, as .csv with energy and intensity",
            ) from fault

    return read
