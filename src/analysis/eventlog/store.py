"""The log on disk: version folders and one manifest that is replaced atomically.

Shards are written into a new version folder and synced; then the manifest is replaced in one
rename. A crash at any instant leaves the old log whole or the new one, and readers never see
half of one. The manifest has the size and a checksum of every file: a file that was cut short is
noticed when a log is opened, and a changed bit when somebody asks (`maintenance.check`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from analysis.core.schema import DataError
from analysis.eventlog.coverage import activity, covered_until, together
from analysis.eventlog.folder import (
    KEYS_FILE,
    Part,
    drop,
    drop_units,
    new_version,
    only_writer,
    own_names,
    settle,
    staged_quarantine,
    sync,
    write_part,
)
from analysis.eventlog.shard import (
    NumberColumn,
    Shard,
    map_table,
    read_shard,
    shard_event_names,
    sound,
)

MANIFEST: Final = "manifest.json"
CHECKSUM: Final = "checksum"
"""The manifest's part that sums up the others; manifests of earlier versions have none."""
SCHEMA_VERSION: Final = 1


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
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    """How the files' columns were written, for files that are added later."""
    terms: dict[str, Any] = field(default_factory=dict)
    """What later files must agree to (`import_settings`)."""
    losses: list[list[Any]] = field(default_factory=list)
    """What imports lost: fate, column, reason, event, week and rows (see `EventLog.losses`)."""
    quarantine: dict[str, Any] | None = None
    version: str = ""
    schema_version: int = SCHEMA_VERSION


_LOSS: Final = (str, str, str, str, str, int)
_LATER: Final[dict[str, Any]] = {"losses": []}
"""Parts that manifests of earlier versions do not have, and what these mean by it."""
_PARTS: Final[dict[str, type | tuple[type, ...]]] = {
    "events": int,
    "covers_until": int,
    "event_names": list,
    "properties": dict,
    "fingerprint": str,
    "shards": list,
    "sources": list,
    "rows": dict,
    "columns": dict,
    "terms": dict,
    "losses": list,
    "quarantine": (dict, type(None)),
    "version": str,
    "schema_version": int,
}


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def write_log(
    shards: Iterable[Shard],
    folder: Path | str,
    *,
    event_names: Sequence[str],
    covers_until: int | None = None,
    sources: Sequence[Mapping[str, Any]] = (),
    rows: Mapping[str, int] | None = None,
    terms: Mapping[str, Any] | None = None,
    losses: Sequence[Sequence[Any]] = (),
) -> Manifest:
    """Write shards as they come and publish them as the log in `folder`.

    Parameters
    ----------
    shards : consumed one at a time, so that only one has to fit in memory.
    covers_until : microseconds UTC up to which the log is complete; default: what `coverage`
        makes of the events' times.
    sources, rows : where the rows came from and how they add up; kept in the manifest.
    terms : what files that are added later must agree to (`import_settings`).
    losses : what was lost on the way; kept in the manifest.

    Raises
    ------
    DataError
        If there is not a single row.
    """
    folder = Path(folder)
    with writing(folder):
        version = new_version(folder)
        draft = Manifest(
            events=0,
            covers_until=0,
            event_names=list(event_names),
            properties={},
            fingerprint="",
            shards=[],
            sources=[dict(source) for source in sources],
            rows=dict(rows or {}),
            terms=dict(terms or {}),
            losses=[list(loss) for loss in losses],
        )
        entries: list[dict[str, Any]] = []
        seen = []
        for shard in shards:
            if shard.rows:
                entries.append(write_part(Part(shard, None), version, len(entries), event_names))
                draft = replace(draft, properties=kinds(shard))
                seen.append(activity(shard.time))
        until = covered_until(together(seen)) if covers_until is None else covers_until
        return publish(folder, version, replace(draft, shards=entries, covers_until=until))


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Manifest | None]:
    """Be the only writer of a folder; yields the manifest that is there.

    What a writer that died has left behind is removed at the start, and at the end everything
    that the manifest does not name by then.

    Raises
    ------
    UsageError
        If there can be no folder in that place.
    DataError
        If another process writes there.
    """
    with only_writer(folder):
        there, before = own_names(folder), _inode(folder / MANIFEST)
        try:
            yield _settled(folder)
            _settled(folder)
        except BaseException:
            with contextlib.suppress(OSError):  # what went wrong first is what matters
                # A manifest nobody can read, but surely the one of before: it names nothing new.
                if _settled(folder) is None and _inode(folder / MANIFEST) == before:
                    drop(folder, own_names(folder) - there)
            raise


def _settled(folder: Path) -> Manifest | None:
    """Remove what the manifest does not name; where it cannot be read, nothing."""
    if not (folder / MANIFEST).exists():
        settle(folder, [], "", quarantine=False)
        return None
    try:
        manifest = read_manifest(folder)
    except DataError:
        return None
    paths = [entry["path"] for entry in manifest.shards]
    settle(folder, paths, manifest.version, quarantine=manifest.quarantine is not None)
    drop_units(folder, keep=manifest.fingerprint)
    return manifest


def _inode(path: Path) -> int | None:
    return path.stat().st_ino if path.exists() else None


def publish(
    folder: Path, version: Path, draft: Manifest, *, quarantine: Path | None = None
) -> Manifest:
    """Complete a manifest whose shards are written, and make it the log's; used inside `writing`.

    Parameters
    ----------
    draft : a manifest with shards; number of events, fingerprint and version are filled in.
    quarantine : a file that goes beside the log in the same step; default: the one that is there.

    Raises
    ------
    DataError
        If there is not a single row.
    """
    events = sum(entry["events"] for entry in draft.shards)
    if not events:
        raise DataError("the log would be empty: there is no row to keep.")
    content = [entry["content"] for entry in draft.shards]
    facts = draft.quarantine
    if quarantine is not None:
        staged = staged_quarantine(folder, version.name)
        os.replace(quarantine, staged)
        sync(staged)
        facts = file_facts(staged)
    manifest = replace(
        draft,
        events=events,
        fingerprint=fingerprint_of(content, draft.properties),
        quarantine=facts,
        version=version.name,
    )
    sync(version, folder)
    content = json.loads(json.dumps(asdict(manifest)))
    replace_file(folder / MANIFEST, json.dumps({**content, CHECKSUM: checksum(content)}, indent=1))
    return manifest


def checksum(content: Mapping[str, Any]) -> str:
    """Of what a manifest says, however it is written: 32 hexadecimal digits."""
    text = json.dumps({name: content[name] for name in content if name != CHECKSUM}, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def kinds(shard: Shard) -> dict[str, str]:
    """``"number"`` or ``"text"`` for the session and every property."""
    return {
        name: "number" if isinstance(column, NumberColumn) else "text"
        for name, column in shard.columns.items()
    }


def fingerprint_of(content: Iterable[Sequence[int]], properties: Mapping[str, str]) -> str:
    """The log's fingerprint from its shards' content sums, as 32 hexadecimal digits."""
    low = high = 0
    for a, b in content:
        low, high = (low + int(a)) % 2**64, (high + int(b)) % 2**64
    columns = json.dumps(sorted(properties.items()))
    text = f"{SCHEMA_VERSION}:{low:016x}{high:016x}:{columns}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def file_facts(path: Path) -> dict[str, Any]:
    """A file's size in ``bytes`` and its ``blake2b``."""
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=16))
    return {"bytes": path.stat().st_size, "blake2b": digest.hexdigest()}


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


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def open_shards(folder: Path | str) -> tuple[Manifest, list[Shard]]:
    """The manifest of a log and its shards, mapped; all of one version, even while somebody writes.

    Raises
    ------
    DataError
        If there is no log, or a file is missing, cut short or not a shard.
    """
    manifest = read_manifest(folder)
    while True:
        try:
            return manifest, [open_part(folder, manifest, entry) for entry in manifest.shards]
        except DataError:
            # Between reading the manifest and its shards a writer may have replaced both.
            newer = read_manifest(folder)
            if newer == manifest:
                raise
            manifest = newer


def open_part(folder: Path | str, manifest: Manifest, entry: Mapping[str, Any]) -> Shard:
    """Map a shard that has the columns and event names of its manifest.

    Raises
    ------
    DataError
        If it has others, or a file is missing, cut short or not a shard.
    """
    shard = read_part(folder, entry)
    place = Path(folder) / entry["path"]
    with sound(f"shard '{place}'"):
        names = shard_event_names(place)
        if names != manifest.event_names[: len(names)]:
            raise ValueError("it has other event names than the manifest")
    if kinds(shard) != manifest.properties:
        raise DataError(
            f"shard '{place}' has the columns {kinds(shard)}, the manifest "
            f"says {manifest.properties}. Import again."
        )
    return shard


def read_manifest(folder: Path | str) -> Manifest:
    """The manifest of a log's folder.

    Raises
    ------
    DataError
        If there is no log, one that this version cannot read, or a manifest that is not what was
        written.
    """
    path, content = Path(folder) / MANIFEST, _content(folder)
    if content.get(CHECKSUM) not in (None, checksum(content)):
        raise DataError(
            f"'{path}' is damaged: it is not what was written. Restore it, or import the data "
            "again."
        )
    return _manifest(path, content)


def read_changed_manifest(folder: Path | str) -> tuple[Manifest, str | None]:
    """The manifest of a log's folder, be it changed or not, and what is wrong with it.

    An empty text: nothing is. None: it has no checksum, so nobody can tell.

    Raises
    ------
    DataError
        If there is no log, or one that this version cannot read.
    """
    path, content = Path(folder) / MANIFEST, _content(folder)
    wrong = None
    if CHECKSUM in content:
        sound = content[CHECKSUM] == checksum(content)
        wrong = "" if sound else "is not what was written. Restore it, or import the data again."
    return _manifest(path, content), wrong


def _content(folder: Path | str) -> dict[str, Any]:
    path = Path(folder) / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"no log in '{folder}': {MANIFEST} is missing. "
            "Make one with: workbook import FILE --to DIR, or: workbook demo."
        ) from error
    except PermissionError as error:
        raise DataError(
            f"'{path}' cannot be read: {error.strerror}. Check your permissions."
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' is damaged ({error}). Import the data again.") from error
    found = content.get("schema_version") if isinstance(content, dict) else None
    if found != SCHEMA_VERSION:
        raise DataError(
            f"'{path}' has schema version {found!r}, this workbook reads {SCHEMA_VERSION}. "
            "Import the data again, or use the version that wrote it."
        )
    return dict(content)


def _manifest(path: Path, content: dict[str, Any]) -> Manifest:
    content = _LATER | {name: part for name, part in content.items() if name != CHECKSUM}
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
    for loss in content["losses"]:
        if not isinstance(loss, list) or tuple(map(type, loss)) != _LOSS:
            return f"a loss is {loss!r:.40}"
    for entry in content["shards"]:
        whole = isinstance(entry, dict) and isinstance(entry.get("path"), str)
        if not whole or not all(isinstance(entry.get(n), int) for n in ("events", "users")):
            return f"a shard is {entry!r:.40}"
    return None


def read_part(folder: Path | str, entry: Mapping[str, Any]) -> Shard:
    """Map a shard that the manifest names.

    Raises
    ------
    DataError
        If a file is missing, cut short or not a shard.
    """
    place = Path(folder) / entry["path"]
    with sound(f"shard '{place}'"):
        for name, facts in entry.get("files", {}).items():
            size = (place / name).stat().st_size
            if size != facts["bytes"]:
                raise ValueError(
                    f"{name} has {size:,} bytes, it was written with {facts['bytes']:,}"
                )
        shard = read_shard(place)
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
        raise DataError(
            f"'{path}' cannot be read: {error.strerror}. Check the file and your permissions."
        ) from error
    if not sound:
        raise DataError(f"'{path}' is damaged: it is not what was written. Import again.")
