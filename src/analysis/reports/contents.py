"""Is a published report still right? What it read, summed up, beside what the log has there now.

`first_instant` says where a log's data begin, for those who ask which periods there are.

A report reads the period's rows and those of the time for which people are followed after it. Rows
that come late, or go, change the content of that stretch, and nothing else does: not the rows
after it, not the shards, not the order of files. So a report of years ago costs one look at the
rows of its own stretch, and only where the log has changed at all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from analysis.core.periods import Period
from analysis.core.schema import US_PER_DAY, instant_us, timestamp
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn

_LONG_SILENCE = 182
"""Days without an event after which a few earlier ones are no beginning, but a wrong clock's."""

_FEW = 0.01
"""The share of all events up to which such earlier ones are few."""


def first_instant(log: EventLog) -> int:
    """The instant (microseconds) with which the log's data begin.

    Fewer than 1 % of the events, followed by half a year without any, do not count: a clock that
    was wrong puts them there, and thousands of periods without data would begin with them.

    Examples
    --------
    >>> import pandas as pd
    >>> times = ["1970-01-01", *["2026-01-01"] * 200]
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": "ann", "time": pd.to_datetime(times), "event": "visit"}))
    >>> str(timestamp(first_instant(log)))
    '2026-01-01 00:00:00+00:00'
    """

    def count(shard: Shard) -> tuple[np.ndarray, np.ndarray]:
        return np.unique(shard.time // US_PER_DAY, return_counts=True)

    parts = parallel.map_shards(log.shards, count)
    days, place = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    counts = np.bincount(place, weights=np.concatenate([part[1] for part in parts]))
    before = np.cumsum(counts)[:-1]
    begins = (np.diff(days) > _LONG_SILENCE) & (before < _FEW * counts.sum())
    first = int(np.flatnonzero(begins)[-1]) + 1 if begins.any() else 0
    start = int(days[first]) * US_PER_DAY
    return min(int(part.min()) for part in _times_from(log, start))


def _times_from(log: EventLog, start: int) -> list[np.ndarray]:
    found = [shard.time[shard.time >= start] for shard in log.shards]
    return [part for part in found if len(part)]


def content(log: EventLog, start_us: int, until_us: int) -> dict[str, Any]:
    """The rows of a log from one instant to another (excluded), summed up as plain data.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "bob"], "time": pd.to_datetime(["2026-01-01", "2026-01-09"]),
    ...     "event": "visit"}))
    >>> week = content(log, 1_767_225_600_000_000, 1_767_830_400_000_000)
    >>> week["start"], week["until"], week["events"]
    ('2026-01-01T00:00:00+00:00', '2026-01-08T00:00:00+00:00', 1)
    """

    def inside(shard: Shard) -> Shard:
        return _rows_of(shard, np.flatnonzero((shard.time >= start_us) & (shard.time < until_us)))

    part = log.derive(shards=tuple(parallel.map_shards(log.shards, inside)))
    return {
        "start": timestamp(start_us).isoformat(),
        "until": timestamp(until_us).isoformat(),
        "events": sum(shard.rows for shard in part.shards),
        "fingerprint": part.fingerprint,
    }


def content_of_period(log: EventLog, period: Period, *, window_us: int) -> dict[str, Any]:
    """What a report of a period reads: its rows, and those of the window after it."""
    return content(log, instant_us(period.start), instant_us(period.end) + window_us)


def has_changed(log: EventLog, before: Any) -> bool:
    """Whether the log now has other rows where `content` looked before.

    A summary that cannot be read says nothing, so nothing has changed as far as anybody can tell.
    """
    try:
        start, until = (instant_us(before[key]) for key in ("start", "until"))
        said = before["fingerprint"]
    except (KeyError, TypeError, ValueError):
        return False
    return bool(content(log, start, until)["fingerprint"] != said)


def _rows_of(shard: Shard, rows: np.ndarray) -> Shard:
    """The shard with some of its rows, and only the users who have one."""
    owners = np.searchsorted(shard.offsets, rows, side="right") - 1
    users, counts = np.unique(owners, return_counts=True)
    columns: dict[str, Any] = {}
    for name, column in shard.columns.items():
        if isinstance(column, NumberColumn):
            columns[name] = NumberColumn(column.numbers[rows])
        else:
            columns[name] = TextColumn(column.codes[rows], column.values)
    return replace(
        shard,
        users=shard.users.take(pa.array(users)),
        offsets=np.append(0, np.cumsum(counts)).astype(shard.offsets.dtype),
        time=shard.time[rows],
        event=shard.event[rows],
        masks=shard.masks[users],
        columns=columns,
    )
