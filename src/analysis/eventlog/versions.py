"""Version folders: one writer at a time, and nothing half-written stays.

A version is written into a folder of its own and counts once the file that names it, the
manifest, has been replaced. Whoever fails before that leaves the folder as it was; whoever fails
after that has written a whole log. Readers take no lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from analysis.schema import DataError, UsageError

LOCK = ".lock"
VERSION = re.compile(r"v(\d{4,})-[0-9a-f]{6}$")
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.tmp$")


@contextlib.contextmanager
def new_version(folder: Path, manifest: str) -> Iterator[Path]:
    """A folder to write a version into; the body replaces the manifest, which names it.

    Afterwards all other versions go; a reader that has one of them mapped keeps it.

    Raises
    ------
    UsageError
        If there can be no folder in that place.
    DataError
        If another process is writing there.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"'{folder}' cannot be a log's folder ({error.strerror}). Name another."
        ) from error
    with _only_writer(folder):
        version = folder / _new_name(folder)
        try:
            version.mkdir()
            yield version
        except BaseException:
            if not _is_published(folder / manifest, version.name):
                shutil.rmtree(version, ignore_errors=True)
                if not (folder / manifest).exists():
                    (folder / LOCK).unlink(missing_ok=True)
                for path in made:
                    with contextlib.suppress(OSError):
                        path.rmdir()
            raise
        _drop_all_but(version)


def replace_file(path: Path, text: str) -> None:
    """Replace a file's content in one step that a crash cannot split."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(*paths: Path) -> None:
    """Have files and folders on the disk before going on."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    busy = DataError(
        f"the log in '{folder}' is being written by another process. Try again when that has ended."
    )
    # The lock goes with the process, however that ends; the file may stay.
    with (folder / LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise busy from error
        if not os.fstat(lock.fileno()).st_nlink:  # its owner failed and took it away just now
            raise busy
        yield


def _new_name(folder: Path) -> str:
    found = (VERSION.match(path.name) for path in folder.iterdir())
    numbers = [int(match[1]) for match in found if match]
    return f"v{max(numbers, default=0) + 1:04d}-{secrets.token_hex(3)}"


def _is_published(manifest: Path, name: str) -> bool:
    return manifest.is_file() and name in manifest.read_text(encoding="utf-8")


def _drop_all_but(version: Path) -> None:
    for path in version.parent.iterdir():
        if VERSION.match(path.name) and path != version:
            shutil.rmtree(path, ignore_errors=True)
        elif _UNFINISHED.match(path.name):
            path.unlink(missing_ok=True)
