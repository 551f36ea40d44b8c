"""Where compiled kernels are kept, and what happens where they can be kept nowhere.

numba keeps what it has compiled beside the source, or else in a folder of the user. Where neither
can be written, as in a container with a read-only file system and no home, it refuses to define a
kernel at all. Then kernels are compiled for this process only, and one warning says so.

This is asked when the package is imported, before any kernel is defined. It costs a temporary file;
numba itself is imported only where nothing can be kept.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

VARIABLE: Final = "NUMBA_CACHE_DIR"
"""numba's own variable: the folder to keep compiled kernels in."""

_PACKAGE: Final = Path(__file__).parents[1]


def let_kernels_compile() -> None:
    """See to it that kernels can be defined, also where what is compiled cannot be kept."""
    if not any(map(_can_be_written, _places())):
        _compile_without_keeping()


def _places() -> list[Path]:
    """Where numba looks for a place, in its order; a kernel's package stands for all of them."""
    given = os.environ.get(VARIABLE)
    return [*([Path(given)] if given else []), _PACKAGE / "eventlog" / "__pycache__", _user_cache()]


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "numba" / "Cache"
    if sys.platform == "darwin":
        return Path(os.path.expanduser("~/Library/Caches/numba"))
    return Path(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")) / "numba"


def _can_be_written(folder: Path) -> bool:
    if not folder.is_absolute():
        return False  # there is no home, and "~" stayed as it is
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _compile_without_keeping() -> None:
    from numba.core.dispatcher import Dispatcher

    keep = Dispatcher.enable_caching

    def enable_caching(self: Any) -> None:
        try:
            keep(self)
        except (RuntimeError, OSError) as error:
            if self.py_func.__module__.split(".")[0] != "analysis":
                raise
            _say_once(str(error))

    Dispatcher.enable_caching = enable_caching  # type: ignore[method-assign]


_said: list[str] = []


def _say_once(why: str) -> None:
    if _said:
        return
    _said.append(why)
    warnings.warn(
        "Compiled code can be kept nowhere: neither the package's folder nor the user's can be "
        "written. Each start compiles anew, for up to a minute. Set NUMBA_CACHE_DIR to a folder "
        "that can be written.",
        RuntimeWarning,
        stacklevel=2,
    )
