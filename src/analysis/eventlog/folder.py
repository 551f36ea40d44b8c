"""Version folders: where new shards are written, and what may go once nobody needs it.

::

    shop/manifest.json            names the shards and everything about them
    shop/v0001-…/00000/           rows.arrow, users.arrow, and keys.arrow where orders have ids
    shop/v0002-…/00000/           what an append has written anew; the rest stays where it is

A manifest may name shards of several version folders. Whatever it does not name belongs to an
older version or to a writer that died, and goes when the next writer starts or ends. A reader
that has such a file mapped keeps it: only its name goes.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from analysis.core.schema import USER
from analysis.eventlog.arrow_files import write_table
from analysis.eventlog.shard import Shard, content_sum, string_hashes, write_shard

KEYS_FILE: Final = "keys.arrow"


QUARANTINE: Final = "quarantine.parquet"


_VERSION: Final = re.compile(r"v(\d{4,})-[0-9a-f]{6}$")


_WORKSPACE: Final = re.compile(r"\.import-[0-9a-f]{8}$")


_TEMPORARY: Final = re.compile(r"\.(manifest\.json|truth\.json|quarantine\.parquet)\.[\w-]+\.tmp$")


class Part(NamedTuple):
    """A shard to write, and of its rows that have a key (an order id): row, time, bare (has no
    value), low, high."""

    shard: Shard
    keys: pa.Table | None


def write_part(
    part: Part, version: Path, number: int, event_names: Sequence[str]
) -> dict[str, Any]:
    """Write a part into a version folder; returns its entry for the manifest."""
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


def new_version(folder: Path) -> Path:
    """A version folder that did not exist before."""
    numbers = [int(found[1]) for found in map(_VERSION.match, _names(folder)) if found]
    version = folder / f"v{max(numbers, default=0) + 1:04d}-{secrets.token_hex(3)}"
    version.mkdir()
    return version


@contextlib.contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """A folder in the log's own, on the same disk; gone afterwards."""
    place = folder / f".import-{secrets.token_hex(4)}"
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def staged_quarantine(folder: Path, version: str) -> Path:
    """Where the quarantine of a version lies until its manifest is published."""
    return folder / f".{QUARANTINE}.{version}.tmp"


def settle(folder: Path, named: Sequence[str], version: str, *, quarantine: bool) -> None:
    """Finish what the published version has begun, and remove what no manifest names.

    Parameters
    ----------
    named : paths of the shards that the manifest names.
    version : the one that the manifest is; its quarantine is put in place.
    quarantine : whether it has one.
    """
    staged = staged_quarantine(folder, version)
    if quarantine and staged.exists():
        os.replace(staged, folder / QUARANTINE)
    elif not quarantine and version:
        (folder / QUARANTINE).unlink(missing_ok=True)
    for name in _names(folder):
        place = folder / name
        if _WORKSPACE.match(name):
            shutil.rmtree(place, ignore_errors=True)
        elif _TEMPORARY.match(name) and place.is_file():
            place.unlink(missing_ok=True)
        elif _VERSION.match(name):
            _keep(place, {path for path in named if path.startswith(f"{name}/")})
    sync(folder)


def own_names(folder: Path) -> set[str]:
    """What writers have put into a log's folder beside the files that every log has."""
    kinds = (_VERSION, _WORKSPACE, _TEMPORARY)
    return {name for name in _names(folder) if any(kind.match(name) for kind in kinds)}


def drop(folder: Path, names: Iterable[str]) -> None:
    """Remove these of a log's own files and folders."""
    for name in names:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name, ignore_errors=True)
        else:
            (folder / name).unlink(missing_ok=True)


def _keep(version: Path, named: set[str]) -> None:
    for name in _names(version):
        if f"{version.name}/{name}" not in named:
            shutil.rmtree(version / name, ignore_errors=True)
    if not named:
        shutil.rmtree(version, ignore_errors=True)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def sync(*paths: Path) -> None:
    """Wait until the disk has what was written to these files and folders."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
