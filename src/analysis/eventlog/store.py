"""The log on disk: version folders and one manifest that is replaced atomically.

::

    shop/manifest.json            names the shards and everything about them
    shop/v0001-…/00000/rows.arrow, users.arrow
    shop/v0001-…/00001/…

Shards are written into a new version folder and synced; then the manifest is replaced in one
rename. A crash at any instant leaves the old log whole, and readers never see half of one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from analysis.eventlog import versions
from analysis.eventlog.shard import (
    ROWS_FILE,
    USERS_FILE,
    NumberColumn,
    Shard,
    content_sum,
    read_shard,
    write_shard,
)
from analysis.eventlog.versions import replace_file
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


_PARTS: dict[str, type] = {
    "events": int,
    "covers_until": int,
    "event_names": list,
    "properties": dict,
    "fingerprint": str,
    "shards": list,
    "sources": list,
    "rows": dict,
    "schema_version": int,
}


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
    with versions.new_version(folder, MANIFEST) as version:
        entries, properties = [], {}
        for number, shard in enumerate(shards):
            if not shard.rows:
                continue
            place = version / f"{number:05d}"
            write_shard(shard, place, event_names)
            versions.sync(place / ROWS_FILE, place / USERS_FILE, place)
            entries.append(_entry(shard, event_names, f"{version.name}/{place.name}"))
            properties = kinds(shard)
        if not entries:
            raise DataError("the log would be empty: there is no row to keep.")
        last = max(entry["end"] for entry in entries)
        manifest = Manifest(
            events=sum(entry["events"] for entry in entries),
            covers_until=day_end(last) if covers_until is None else covers_until,
            event_names=list(event_names),
            properties=properties,
            fingerprint=fingerprint_of([entry["content"] for entry in entries], properties),
            shards=entries,
            sources=[dict(source) for source in sources],
            rows=dict(rows or {}),
        )
        versions.sync(version)
        replace_file(folder / MANIFEST, json.dumps(asdict(manifest), indent=1))
    return manifest


def read_log(folder: Path | str) -> tuple[Manifest, list[Shard]]:
    """The manifest of a log's folder and its shards, mapped.

    Raises
    ------
    DataError
        If there is no log, or it is damaged.
    """
    manifest = read_manifest(folder)
    while True:
        try:
            return manifest, read_shards(folder, manifest)
        except DataError:
            # A writer may have replaced the log between the two.
            newer = read_manifest(folder)
            if newer == manifest:
                raise
            manifest = newer


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
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' is damaged ({error}). Import the data again.") from error
    found = content.get("schema_version") if isinstance(content, dict) else None
    if found != SCHEMA_VERSION:
        raise DataError(
            f"'{path}' has schema version {found!r}, this workbook reads {SCHEMA_VERSION}. "
            "Import the data again, or use the version that wrote it."
        )
    if wrong := _wrong_part(content):
        raise DataError(f"'{path}' is damaged ({wrong}). Import the data again.")
    return Manifest(**content)


def _wrong_part(content: Mapping[str, Any]) -> str | None:
    """What keeps this from being a manifest, in a few words."""
    for key in {**_PARTS, **content}:
        if key not in content or key not in _PARTS:
            return f"{key!r} is {'missing' if key not in content else 'unknown'}"
        if not isinstance(content[key], _PARTS[key]):
            return f"{key!r} is {content[key]!r:.40}"
    for name in content["event_names"]:
        if not isinstance(name, str):
            return f"an event is called {name!r:.40}"
    for entry in content["shards"]:
        whole = isinstance(entry, dict) and isinstance(entry.get("path"), str)
        if not whole or not all(isinstance(entry.get(n), int) for n in ("events", "users")):
            return f"a shard is {entry!r:.40}"
    return None


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
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"shard '{place}' is damaged: {reason}. Import again.") from error
        if shard.rows != entry["events"] or len(shard.users) != entry["users"]:
            raise DataError(
                f"shard '{place}' has {shard.rows} rows of {len(shard.users)} users, the manifest "
                f"says {entry['events']} of {entry['users']}. Import again."
            )
        if kinds(shard) != manifest.properties:
            raise DataError(
                f"shard '{place}' has the columns {kinds(shard)}, the manifest says "
                f"{manifest.properties}. Import again."
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


def _entry(shard: Shard, event_names: Sequence[str], path: str) -> dict[str, Any]:
    return {
        "path": path,
        "events": shard.rows,
        "users": len(shard.users),
        "start": int(shard.time.min()),
        "end": int(shard.time.max()),
        "content": [str(part) for part in content_sum(shard, event_names)],
    }
