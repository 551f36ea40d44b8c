"""Removing people from a log, as if they had never been in it.

Only the shards that hold them are written anew. What they alone had goes with them: the values of
their properties, the bad rows that name them, and what was cached of the log. The names of events
stay, and so do the import's counts of duplicates. Nothing of the log keeps the version before;
copies and the files that were imported are out of reach, and importing these again brings the
people back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.folder import (
    QUARANTINE,
    Part,
    new_version,
    user_homes,
    workspace,
    write_part,
)
from analysis.eventlog.maintenance import leave_out
from analysis.eventlog.opening import read_sound_part, sound_keys
from analysis.eventlog.shard import Column, NumberColumn, Shard, text_column
from analysis.eventlog.store import Manifest, publish, read_manifest, writing


class Forgotten(NamedTuple):
    """What was removed: people, their events, and bad rows that named them."""

    users: int
    events: int
    quarantined: int


def forget(folder: Path | str, users: Sequence[str]) -> Forgotten:
    """Remove people from the log in a folder, in one step.

    Raises
    ------
    UsageError
        If nobody is named.
    DataError
        If somebody is neither in the log nor in its quarantine, or nobody would be left; then
        nothing is changed.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from analysis.eventlog.log import EventLog
    >>> day = pd.Timestamp("2026-01-01")
    >>> with tempfile.TemporaryDirectory() as place:
    ...     frame = pd.DataFrame({"user": ["ann", "bob"], "time": [day, day], "event": ["x", "x"]})
    ...     EventLog.from_frame(frame).save(place)
    ...     forget(place, ["ann"]), EventLog.open(place).users
    (Forgotten(users=1, events=1, quarantined=0), 1)
    """
    place, wanted = Path(folder), sorted(set(users))
    if not wanted:
        raise UsageError("forget: nobody is named. Name at least one user.")
    read_manifest(place)
    with writing(place) as manifest:
        if manifest is None:
            raise DataError(f"'{place}' was removed meanwhile. There is nobody to forget.")
        with workspace(place) as room:
            return _forget(place, manifest, wanted, room / QUARANTINE)


def _forget(folder: Path, manifest: Manifest, users: list[str], staged: Path) -> Forgotten:
    version = new_version(folder)
    entries, found = _shards_without(folder, manifest, users, version)
    bad, named = leave_out(folder / QUARANTINE, users, staged)
    missing = [user for user in users if user not in found | named]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(users)} users are not found in '{folder}', the first is "
            f"{missing[0]!r}. Nobody was removed. Ids are compared letter by letter."
        )
    if not entries:
        raise DataError(f"nobody else is in '{folder}'. Nobody was removed; remove the folder.")
    events = manifest.events - sum(entry["events"] for entry in entries)
    gone = {"rows_in": events + bad, "rows_kept": events, "rows_quarantined": bad}
    draft = dataclasses.replace(
        manifest,
        shards=entries,
        rows={name: count - gone.get(name, 0) for name, count in manifest.rows.items()},
        quarantine=None if bad and not staged.exists() else manifest.quarantine,
    )
    publish(folder, version, draft, quarantine=staged if staged.exists() else None)
    return Forgotten(len(users), events, bad)


def _shards_without(
    folder: Path, manifest: Manifest, users: list[str], version: Path
) -> tuple[list[dict[str, Any]], set[str]]:
    """Entries of the shards, those with one of the users written anew; and who was there."""
    gone = pa.array(users, pa.large_string())
    homes = user_homes(gone)
    entries: list[dict[str, Any]] = []
    found: set[str] = set()
    for entry in manifest.shards:
        low, high = entry.get("homes", (0, 2**32))
        mine = gone.filter(pa.array((homes >= low) & (homes <= high)))
        # Of the shards that cannot hold them nothing is read.
        shard = read_sound_part(folder, entry) if len(mine) else None
        leave = None if shard is None else pc.is_in(shard.users, mine).to_numpy(False)
        if shard is None or leave is None or not leave.any():
            entries.append(entry)
            continue
        found.update(shard.users.filter(pa.array(leave)).to_pylist())
        part = _without(shard, leave, sound_keys(folder, entry))
        if part.shard.rows:
            entries.append(write_part(part, version, len(entries), manifest.event_names))
    return entries, found


def _without(shard: Shard, leave: np.ndarray, keys: pa.Table | None) -> Part:
    """A shard without some of its users, and the keys of the rows that stay."""
    counts = np.diff(shard.offsets)
    stay = np.repeat(~leave, counts)
    if keys is not None:
        row = keys.column("row").to_numpy()
        keys = keys.filter(pa.array(stay[row]))
        moved = (np.cumsum(stay) - 1)[keys.column("row").to_numpy()]
        keys = keys.set_column(0, "row", pa.array(moved))
    kept = Shard(
        users=shard.users.filter(pa.array(~leave)),
        offsets=np.concatenate([[0], np.cumsum(counts[~leave])]).astype(np.int64),
        time=shard.time[stay],
        event=shard.event[stay],
        masks=shard.masks[~leave],
        columns={name: _cells(column, stay) for name, column in shard.columns.items()},
    )
    return Part(kept, keys)


def _cells(column: Column, stay: np.ndarray) -> Column:
    if isinstance(column, NumberColumn):
        return NumberColumn(column.numbers[stay])
    codes = column.codes[stay].astype(np.int32)
    cells = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), column.values)
    return text_column(cells)
