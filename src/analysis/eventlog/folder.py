"""A log's folder: who may write, where new shards go, and what may be removed.

::

    shop/manifest.json                        names the shards and everything about them
    shop/v0001-…/00000/                       rows.arrow, users.arrow, keys.arrow (of order ids)
    shop/v0002-…/00000/                       what an append has written anew; the rest stays
    shop/units/account-1f0c…-<fingerprint>/   the log of accounts, a log's folder like any other

One writer at a time holds the folder's lock. Readers do not need it: they see the log as it was
until the manifest is replaced, and then as it is.

A manifest may name shards of several version folders. Shards that it does not name belong to an
older version or to a writer that died; they are removed when the next writer starts or ends. A
reader that has such a file mapped keeps it: only its name goes.

The name of a regrouped log holds the fingerprint of the log it was made from, so one that belongs
to an older state is never taken for the present one. Builders wait for each other, readers for
nobody.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from filelock import BaseFileLock, FileLock, Timeout

from analysis.core.schema import USER, DataError, UsageError
from analysis.eventlog.shard import Shard, content_sum, string_hashes, write_shard, write_table

LOCK: Final = ".lock"
KEYS_FILE: Final = "keys.arrow"
QUARANTINE: Final = "quarantine.parquet"
UNITS: Final = "units"
_VERSION: Final = re.compile(r"v(\d{4,})-[0-9a-f]{6}$")
_WORKSPACE: Final = re.compile(r"\.import-[0-9a-f]{8}$")
_TEMPORARY: Final = re.compile(r"\.(manifest\.json|truth\.json|quarantine\.parquet)\.[\w-]+\.tmp$")
_LONGEST: Final = 40
_OWN_FILE: Final = getattr(os, "O_NOFOLLOW", 0)
_WINDOWS: Final = os.name == "nt"


# ── one writer at a time ─────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Be the only writer of a folder, which is made if need be and removed again if left empty.

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
    >>> with only_writer(folder):
    ...     with only_writer(folder):
    ...         pass
    Traceback (most recent call last):
    analysis.DataError: another process writes '...'. Wait until it is done, then try again.
    >>> folder.exists()
    False
    """
    made: list[Path] = []
    try:
        _make(folder, made)
        with locked(folder / LOCK) as alone:
            if not alone:
                raise DataError(
                    f"another process writes '{folder}'. Wait until it is done, then try again."
                )
            yield
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


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold the lock on a file, which is made for it and removed after; yields whether it is held.

    The lock is the operating system's. It goes with the process that holds it, however that
    ends, so there is never a lock to remove by hand.

    Parameters
    ----------
    wait : wait while another process holds the lock. Without it, yield False at once; the lock is
        then not held.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / ".lock"
    >>> with locked(path) as first, locked(path) as second:
    ...     first, second, path.exists()
    (True, False, True)
    >>> path.exists()
    False
    """
    lock = FileLock(path, mode=0o644)
    if not _taken(lock, path, wait=wait):
        yield False
        return
    try:
        yield True
    finally:
        # First the name, then the lock: whoever gets hold of a file without a name takes the
        # next. Where an open file keeps its name (Windows), the lock removes it.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


def _taken(lock: BaseFileLock, path: Path, *, wait: bool) -> bool:
    while True:
        try:
            lock.acquire(blocking=wait)
        except (Timeout, FileNotFoundError) as error:
            if isinstance(error, Timeout) and path.exists():
                return False
            # It went with its last holder, perhaps with its folder, and is made anew. Where that
            # cannot be (/proc), trying for ever would not help: this says so.
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | _OWN_FILE, 0o644))
        else:
            return True


# ── removing ─────────────────────────────────────────────────────────────────────────────────────


def remove(path: Path) -> None:
    """Remove a file, a folder with all that is in it, or a link; what is not there is fine.

    Of a link only the link goes, never what it leads to, and no link inside of a folder is
    followed. What stands in a folder and cannot be removed stays.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> (place / "kept").mkdir()
    >>> (place / "link").symlink_to(place / "kept")
    >>> remove(place / "link")
    >>> [path.name for path in place.iterdir()]
    ['kept']
    """
    if path.is_dir() and not is_link(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_link(path: Path) -> bool:
    """Whether a path leads elsewhere: a symbolic link, or a junction of Windows."""
    is_junction = getattr(os.path, "isjunction", os.path.islink)  # Python 3.12
    return path.is_symlink() or bool(is_junction(path))


# ── version folders ──────────────────────────────────────────────────────────────────────────────


def new_version(folder: Path) -> Path:
    """A version folder that did not exist before."""
    numbers = [int(found[1]) for found in map(_VERSION.match, _names(folder)) if found]
    version = folder / f"v{max(numbers, default=0) + 1:04d}-{secrets.token_hex(3)}"
    version.mkdir()
    return version


class Part(NamedTuple):
    """A shard to write, and its rows that have a key (an order id).

    The columns of `keys` are ``row``, ``time``, ``bare`` (the row has no value), ``low`` and
    ``high`` (the key's hash).
    """

    shard: Shard
    keys: pa.Table | None


def write_part(
    part: Part, version: Path, number: int, event_names: Sequence[str]
) -> dict[str, Any]:
    """Write a part into a version folder; returns the manifest's entry of it."""
    shard, place = part.shard, version / f"{number:05d}"
    files = write_shard(shard, place, event_names)
    if part.keys is not None and len(part.keys):
        files[KEYS_FILE] = write_table(place / KEYS_FILE, part.keys)
    sync(place)
    homes = user_homes(shard.users)
    return {
        "path": f"{version.name}/{place.name}",
        "events": shard.rows,
        "users": len(shard.users),
        "start": int(shard.time.min()),
        "end": int(shard.time.max()),
        "content": [str(half) for half in content_sum(shard, event_names)],
        "homes": [int(homes.min()), int(homes.max())],
        "files": files,
    }


def user_homes(users: pa.Array) -> np.ndarray:
    """The upper 32 bits of each id's hash (uint64): they decide on the shard.

    Shards are ranges of this number, so a log can be split into any number of shards, and a user
    who is new belongs to the one whose range holds them.
    """
    return string_hashes(users, USER)[:, 0] >> np.uint64(32)


@contextlib.contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """A folder to work in, on the log's disk; removed afterwards."""
    place = folder / f".import-{secrets.token_hex(4)}"
    place.mkdir(mode=0o700)
    try:
        yield place
    finally:
        remove(place)


def staged_quarantine(folder: Path, version: str) -> Path:
    """The file that holds the quarantine of a version until its manifest is published."""
    return folder / f".{QUARANTINE}.{version}.tmp"


def settle(folder: Path, named: Sequence[str], version: str, *, quarantine: bool) -> None:
    """Put the published version's quarantine in place, and remove what no manifest names.

    Parameters
    ----------
    named : paths of the shards that the manifest names.
    version : the version that the manifest describes.
    quarantine : whether that version has one.
    """
    staged = staged_quarantine(folder, version)
    if quarantine and staged.exists():
        os.replace(staged, folder / QUARANTINE)
    elif not quarantine and version:
        (folder / QUARANTINE).unlink(missing_ok=True)
    for name in _names(folder):
        place = folder / name
        if _WORKSPACE.match(name) or (_TEMPORARY.match(name) and place.is_file()):
            remove(place)
        elif _VERSION.match(name):
            _keep(place, {path for path in named if path.startswith(f"{name}/")})
    sync(folder)


def _keep(version: Path, named: set[str]) -> None:
    for name in _names(version) if not is_link(version) else []:
        if f"{version.name}/{name}" not in named:
            remove(version / name)
    if not named:
        remove(version)


def own_names(folder: Path) -> set[str]:
    """Names of what writers have put into the folder: versions, workspaces and temporary files."""
    kinds = (_VERSION, _WORKSPACE, _TEMPORARY)
    return {name for name in _names(folder) if any(kind.match(name) for kind in kinds)}


def drop(folder: Path, names: Iterable[str]) -> None:
    """Remove these files and folders of a log."""
    for name in names:
        remove(folder / name)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def sync(*paths: Path) -> None:
    """Wait until the disk has what was written to these files and folders.

    Windows opens no folder, and syncs only what is open for writing; it keeps names by itself.
    """
    for path in paths:
        if _WINDOWS and path.is_dir():
            continue
        handle = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# ── the log regrouped by a property ──────────────────────────────────────────────────────────────


def unit_folder(folder: Path, name: str, fingerprint: str) -> Path:
    """The folder of the log of `folder` regrouped by a property, in the state of a fingerprint.

    Examples
    --------
    >>> unit_folder(Path("shop"), "account id", "00ff").name
    'account-id-62c33706-00ff'
    """
    readable = re.sub(r"[^0-9A-Za-z]+", "-", name).strip("-")[:_LONGEST]
    digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return folder / UNITS / f"{readable}-{digest}-{fingerprint}"


@contextlib.contextmanager
def building(place: Path) -> Iterator[Path]:
    """Be the only builder; yields a folder to fill, which becomes `place` if no error comes.

    Drafts of builders that died are removed, and so is what was made from another state of the log.
    """
    units = place.parent
    if is_link(units):
        remove(units)  # what we make and remove would be elsewhere
    units.mkdir(exist_ok=True)
    with locked(units / LOCK, wait=True):
        _sweep(units, keep=place.name.rsplit("-", 1)[1], drafts=True)
        draft = units / f".{secrets.token_hex(4)}.tmp"
        try:
            yield draft
            if draft.exists():
                remove(place)
                os.replace(draft, place)
        finally:
            remove(draft)


def drop_units(folder: Path, *, keep: str | None = None) -> None:
    """Remove the regrouped logs of `folder`, but for those made in the state of fingerprint `keep`.

    A reader that has one mapped keeps it; only its names go. A builder at work is not disturbed: it
    sees for itself that the log has changed.
    """
    units = folder / UNITS
    if is_link(units):
        remove(units)
    if not units.is_dir():
        return
    with locked(units / LOCK) as alone:
        _sweep(units, keep=keep, drafts=alone)
        if alone and keep is None:
            remove(units)


def _sweep(units: Path, *, keep: str | None, drafts: bool) -> None:
    for place in units.iterdir():
        if place.name.startswith("."):
            gone = drafts and place.name != LOCK
        else:
            gone = keep is None or not place.name.endswith(f"-{keep}")
        if gone:
            remove(place)
