"""Is every file of a log what was written? Sizes and checksums against the manifest.

Opening a log notices files that are missing or cut short; a bit that a disk has changed is only
noticed by reading everything, so that is done when somebody asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from analysis.eventlog import parallel as engine
from analysis.eventlog.folder import QUARANTINE, staged_quarantine
from analysis.eventlog.store import Manifest, file_facts, read_manifest


class Damage(NamedTuple):
    """A file that is not what was written, and why."""

    file: str
    reason: str


class Checked(NamedTuple):
    """What was read, and what of it is damaged."""

    files: int
    bytes: int
    damaged: tuple[Damage, ...]


def check(folder: Path | str) -> Checked:
    """Is every file of the log in a folder what was written?

    Raises
    ------
    DataError
        If there is no log, or its manifest cannot be read.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from analysis.eventlog.log import EventLog
    >>> day = pd.Timestamp("2026-01-01")
    >>> with tempfile.TemporaryDirectory() as place:
    ...     frame = pd.DataFrame({"user": ["ann"], "time": [day], "event": ["visit"]})
    ...     EventLog.from_frame(frame).save(place)
    ...     check(place).damaged
    ()
    """
    place = Path(folder)
    manifest = read_manifest(place)
    while True:
        found = _checked(place, manifest)
        newer = read_manifest(place)
        if not found.damaged or newer == manifest:
            return found
        manifest = newer  # what was missing may have been replaced meanwhile


def _checked(folder: Path, manifest: Manifest) -> Checked:
    files = {
        f"{entry['path']}/{name}": facts
        for entry in manifest.shards
        for name, facts in entry.get("files", {}).items()
    }
    damaged = [
        Damage(entry["path"], "has no checksum: an earlier version wrote it. Import again.")
        for entry in manifest.shards
        if not entry.get("files")
    ]
    if manifest.quarantine is not None:
        # After a crash it may still lie where the next writer will put it into place.
        staged = staged_quarantine(folder, manifest.version).name
        name = staged if (folder / staged).exists() else QUARANTINE
        files[name] = manifest.quarantine
    reasons = engine.over(files.items(), lambda of: _reason(folder / of[0], of[1]))
    damaged += [Damage(name, why) for name, why in zip(files, reasons, strict=True) if why]
    size = sum(facts["bytes"] for facts in files.values())
    return Checked(len(files), size, tuple(damaged))


def _reason(path: Path, facts: Mapping[str, Any]) -> str:
    try:
        found = file_facts(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}."
    if found["bytes"] != facts["bytes"]:
        return f"has {found['bytes']:,} bytes, it was written with {facts['bytes']:,}."
    return "" if found["blake2b"] == facts["blake2b"] else "has other content than was written."
