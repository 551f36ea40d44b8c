"""The log on disk: version folders and one manifest that is replaced atomically.

::

    shop/manifest.json            names the shards and everything about them
    shop/v0001-…/00000/rows.arrow, users.arrow
    shop/v0001-…/00001/…

Shards are written into a new version folder and synced; then the manifest is replaced in one
rename. A crash at any instant leaves the old log whole, and readers never see half of one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from analysis.eventlog.shard import (
    ROWS_FILE,
    USERS_FILE,
    NumberColumn,
    Shard,
    content_sum,
    read_shard,
    write_shard,
)
from analysis.schema import US_PER_DAY, DataError

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says; instants in microseconds since 1970 UTC."""

    events: int
    covers_until: int
    event_names: list[str]
    properties: dict[str, str]
    fingerprint: str
    shards: list[dict[str, Any]]
    sources: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION


def write_log(
    shards: Iterable[Shard],
    folder: Path | str,
    *,
    event_names: Sequence[str],
    covers_until: int | None = None,
    sources: Sequence[Mapping[str, Any]] = (),
    rows: Mapping[str, int] | None = None,
) -> Manifest:
    """Write shards as they come and publish them as the log in `folder`.

    Parameters
    ----------
    shards : consumed one at a time, so that only one has to fit in memory.
    covers_until : microseconds UTC up to which the log is complete; default: the end of the
        last event's day.
    sources, rows : where the rows came from and how they add up; kept in the manifest.

    Raises
    ------
    DataError
        If there is not a single row.
    """
    folder = Path(folder)
    made = _missing_parents(folder)
    version = folder / _new_version(folder)
    try:
        version.mkdir(parents=True)
        entries, properties = [], {}
        for number, shard in enumerate(shards):
            if not shard.rows:
                continue
            place = version / f"{number:05d}"
            write_shard(shard, place, event_names)
            _sync(place / ROWS_FILE, place / USERS_FILE, place)
            entries.append(_entry(shard, event_names, f"{version.name}/{place.name}"))
            properties = kinds(shard)
        if not sum(entry["events"] for entry in entries):
            raise DataError("the log would be empty: there is no row to keep.")
        manifest = Manifest(
            events=sum(entry["events"] for entry in entries),
            covers_until=covers_until or day_end(max(entry["end"] for entry in entries)),
            event_names=list(event_names),
            properties=properties,
            fingerprint=fingerprint_of([entry["content"] for entry in entries], properties),
            shards=entries,
            sources=[dict(source) for source in sources],
            rows=dict(rows or {}),
        )
        _sync(version)
        replace_file(folder / MANIFEST, json.dumps(asdict(manifest), indent=1))
    except BaseException:
        shutil.rmtree(version, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise
    _drop_old_versions(folder, keep=version.name)
    return manifest


def read_manifest(folder: Path | str) -> Manifest:
    """The manifest of a log's folder.

    Raises
    ------
    DataError
        If there is no log, or one that this version cannot read.
    """
    path = Path(folder) / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"no log in '{folder}': {MANIFEST} is missing. "
            "Make one with: workbook import FILE --to DIR, or: workbook demo."
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' is damaged ({error}). Import the data again.") from error
    found = content.get("schema_version") if isinstance(content, dict) else None
    if found != SCHEMA_VERSION:
        raise DataError(
            f"'{path}' has schema version {found!r}, this workbook reads {SCHEMA_VERSION}. "
            "Import the data again, or use the version that wrote it."
        )
    return Manifest(**content)


def read_shards(folder: Path | str, manifest: Manifest) -> list[Shard]:
    """Map the shards that the manifest names.

    Raises
    ------
    DataError
        If a file is missing, cut short or not a shard.
    """
    shards = []
    for entry in manifest.shards:
        place = Path(folder) / entry["path"]
        try:
            shard = read_shard(place)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"shard '{place}' is damaged: {reason}. Import again.") from error
        if shard.rows != entry["events"] or len(shard.users) != entry["users"]:
            raise DataError(
                f"shard '{place}' has {shard.rows} rows of {len(shard.users)} users, the manifest "
                f"says {entry['events']} of {entry['users']}. Import again."
            )
        shards.append(shard)
    return shards


def kinds(shard: Shard) -> dict[str, str]:
    """``"number"`` or ``"text"`` for the session and every property."""
    return {
        name: "number" if isinstance(column, NumberColumn) else "text"
        for name, column in shard.columns.items()
    }


def day_end(us: int) -> int:
    """The end of the UTC day that holds an instant (microseconds)."""
    return (us // US_PER_DAY + 1) * US_PER_DAY


def fingerprint_of(content: Iterable[Sequence[int]], properties: Mapping[str, str]) -> str:
    """The log's fingerprint from its shards' content sums, as 32 hexadecimal digits."""
    low = high = 0
    for a, b in content:
        low, high = (low + int(a)) % 2**64, (high + int(b)) % 2**64
    columns = json.dumps(sorted(properties.items()))
    text = f"{SCHEMA_VERSION}:{low:016x}{high:016x}:{columns}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


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
    _sync(path.parent)


def _entry(shard: Shard, event_names: Sequence[str], path: str) -> dict[str, Any]:
    return {
        "path": path,
        "events": shard.rows,
        "users": len(shard.users),
        "start": int(shard.time.min()),
        "end": int(shard.time.max()),
        "content": [str(part) for part in content_sum(shard, event_names)],
    }


def _new_version(folder: Path) -> str:
    numbers = [int(found[1]) for found in map(_VERSION.match, _names(folder)) if found]
    return f"v{max(numbers, default=0) + 1:04d}-{secrets.token_hex(3)}"


_VERSION = re.compile(r"v(\d{4,})-[0-9a-f]{6}$")


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _drop_old_versions(folder: Path, *, keep: str) -> None:
    for name in _names(folder):
        if name != keep and _VERSION.match(name):
            # A reader that has the old version mapped keeps it; only its names go.
            shutil.rmtree(folder / name, ignore_errors=True)


def _missing_parents(folder: Path) -> list[Path]:
    return [path for path in (folder, *folder.parents) if not path.exists()]


def _sync(*paths: Path) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
