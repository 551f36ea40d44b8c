"""Too little memory is said in one line, however a library puts it.

Libraries that find no room for a thread or for their own code say so in many ways, and some wait
for ever. So a limit that leaves no room for them (``ulimit -v``) is an error before they load.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from analysis.core.schema import DataError

_LIBRARIES: Final = 1_300 << 20
_PER_CORE: Final = 64 << 20
"""Bytes of address space: libraries keep some for the threads of each core."""

_SIGNS: Final = (
    "cannot allocate memory",
    "failed to map segment",
    "can't start new thread",
    "launch worker thread",
    "unable to allocate",
    "libllvmlite",
    "error return without exception set",
)


def refuse_little_memory() -> None:
    """Raise a `DataError` if the process may not have as much memory as the libraries take."""
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    least = _LIBRARIES + _PER_CORE * (os.cpu_count() or 1)
    if limit not in (-1, resource.RLIM_INFINITY) and limit < least:
        raise DataError(
            f"this process may have {limit >> 20:,} MB of memory and needs {least >> 20:,} MB. "
            "Allow more: ulimit -v unlimited."
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Does an error say that there is no memory left?

    Examples
    --------
    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("can't start new thread"))
    (True, True)
    >>> is_out_of_memory(ValueError("no"))
    False
    """
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in _SIGNS)
