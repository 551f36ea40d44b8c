"""One writer at a time: whoever changes a log's folder holds its lock meanwhile.

The lock is the operating system's (flock) on a file in the folder. It goes with the process that
holds it, however that ends, so there is never a lock to remove by hand. Readers do not know it:
they see the log as it was until the manifest is replaced, and then as it is.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from analysis.core.schema import DataError, UsageError

LOCK: Final = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is not there and goes again if left empty.

    Raises
    ------
    UsageError
        If there can be no folder in that place.
    DataError
        If another process holds it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "log"
    >>> with locked(folder):
    ...     with locked(folder):
    ...         pass
    Traceback (most recent call last):
    analysis.DataError: another process writes '...'. Wait until it is done, then try again.
    >>> folder.exists()
    False
    """
    made: list[Path] = []
    try:
        _make(folder, made)
        handle = _taken(folder)
        try:
            yield
        finally:
            # First the name, then the lock: whoever waits for neither finds the one they locked
            # nameless, and takes the next.
            (folder / LOCK).unlink(missing_ok=True)
            os.close(handle)
    finally:
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()


def _make(folder: Path, made: list[Path]) -> None:
    """Make a folder; `made` gets what was not there, even where this ends in an error."""
    try:
        made.extend(place for place in (folder, *folder.parents) if not place.exists())
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise  # the disk's fault: another place need not be better
        raise UsageError(
            f"'{folder}' cannot be a log's folder ({error.strerror}). Name another."
        ) from error


def _taken(folder: Path) -> int:
    while True:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _still_there(folder, handle):
                return handle
        except BlockingIOError as error:
            os.close(handle)
            raise DataError(
                f"another process writes '{folder}'. Wait until it is done, then try again."
            ) from error
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _still_there(folder: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(folder / LOCK))
    except FileNotFoundError:
        return False
