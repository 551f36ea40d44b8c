"""Opening the shards of a log: all of one version, and none that was cut short."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis.core.schema import DataError
from analysis.eventlog.arrow_files import map_table
from analysis.eventlog.folder import KEYS_FILE
from analysis.eventlog.shard import Shard, read_shard
from analysis.eventlog.store import Manifest, file_facts, kinds, read_manifest


def open_shards(folder: Path | str) -> tuple[Manifest, list[Shard]]:
    """The manifest of a log and its shards, mapped: of one version, whoever writes meanwhile.

    Raises
    ------
    DataError
        If there is no log, or a file is missing, cut short or not a shard.
    """
    manifest = read_manifest(folder)
    while True:
        try:
            return manifest, [_matching(folder, manifest, entry) for entry in manifest.shards]
        except DataError:
            # Between reading the manifest and its shards a writer may have replaced both.
            newer = read_manifest(folder)
            if newer == manifest:
                raise
            manifest = newer


def _matching(folder: Path | str, manifest: Manifest, entry: Mapping[str, Any]) -> Shard:
    shard = read_part(folder, entry)
    if kinds(shard) != manifest.properties:
        raise DataError(
            f"shard '{Path(folder) / entry['path']}' has the columns {kinds(shard)}, the manifest "
            f"says {manifest.properties}. Import again."
        )
    return shard


def read_part(folder: Path | str, entry: Mapping[str, Any]) -> Shard:
    """Map a shard that the manifest names.

    Raises
    ------
    DataError
        If a file is missing, cut short or not a shard.
    """
    place = Path(folder) / entry["path"]
    try:
        for name, facts in entry.get("files", {}).items():
            size = (place / name).stat().st_size
            if size != facts["bytes"]:
                raise ValueError(
                    f"{name} has {size:,} bytes, it was written with {facts['bytes']:,}"
                )
        shard = read_shard(place)
    except (OSError, LookupError, TypeError, ValueError, pa.ArrowException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"shard '{place}' is damaged: {reason}. Import again.") from error
    if shard.rows != entry["events"] or len(shard.users) != entry["users"]:
        raise DataError(
            f"shard '{place}' has {shard.rows} rows of {len(shard.users)} users, the manifest "
            f"says {entry['events']} of {entry['users']}. Import again."
        )
    return shard


def read_sound_part(folder: Path | str, entry: Mapping[str, Any]) -> Shard:
    """Map a shard after reading all of it: what is written anew must not hide a changed bit.

    Raises
    ------
    DataError
        If a file is not what was written.
    """
    for name in entry.get("files", {}):
        _verify(folder, entry, name)
    return read_part(folder, entry)


def sound_keys(folder: Path | str, entry: Mapping[str, Any]) -> pa.Table | None:
    """The keyed rows of a shard, or None where it has none.

    Raises
    ------
    DataError
        If the file is not what was written.
    """
    if KEYS_FILE not in entry.get("files", {}):
        return None
    _verify(folder, entry, KEYS_FILE)
    return map_table(Path(folder) / entry["path"] / KEYS_FILE)


def _verify(folder: Path | str, entry: Mapping[str, Any], name: str) -> None:
    path = Path(folder) / entry["path"] / name
    try:
        sound = file_facts(path) == entry["files"][name]
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}. Import again.") from error
    if not sound:
        raise DataError(f"'{path}' is damaged: it is not what was written. Import again.")
