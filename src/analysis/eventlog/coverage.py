"""Up to when is a log complete, where nobody says it?

To the end of the last event's UTC day, but for two cases:

- A wrong clock puts a few events far behind all others. They do not move the end: it is that of the
  day before the gap. The gap must be many times the longest that the log had until then, and what
  lies behind it next to nothing of what the log's own pace would have brought.
- An export that was made in the afternoon has no evening. Where the rest of the last day is silent,
  and not one of the 28 days before was silent from that hour on, the log ends with its last event.

All of it follows from how many events each hour has. The clock of this machine is not asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from analysis.core.schema import US_PER_DAY, US_PER_HOUR
from analysis.eventlog import kernels

_DAY: Final = 24
_YEAR: Final = 365 * _DAY

_TIMES: Final = 10
"""A gap is long from so many times the longest gap before it on."""

_CADENCE_DAYS: Final = 5
"""Days with events from which on a log has a pace of its own."""

_FEW: Final = 1 / 100
_NEXT_TO_NOTHING: Final = 1 / 1000
"""Of the events that the log's pace would have brought: how many are few, and how many nothing."""

_THIN: Final = 1 / 4
"""A day has few events with less than this share of a usual one's."""

_YOUNG: Final = 1 / 20
"""Of a log of less than five days: what share of its events may lie years behind it."""

_LOOK_BACK: Final = 28
_EXPECTED: Final = 5
"""Events that the rest of a day must usually have before its silence says anything."""

_WIDEST: Final = 1 << 23
"""Hours that are counted in one array: nearly a thousand years."""


class Activity(NamedTuple):
    """The hours since 1970 that have events (ascending), how many, and the last instant of each."""

    hours: np.ndarray
    events: np.ndarray
    last: np.ndarray


def activity(time: np.ndarray) -> Activity:
    """How many events does each hour have?

    Examples
    --------
    >>> activity(np.array([1, 5, 2 * US_PER_HOUR])).events.tolist()
    [2, 1]
    """
    if not len(time):
        empty = np.empty(0, np.int64)
        return Activity(empty, empty, empty)
    first = int(time.min()) // US_PER_HOUR
    width = int(time.max()) // US_PER_HOUR - first + 1
    if width > _WIDEST:
        ordered = np.sort(time)
        hours, start, events = np.unique(
            ordered // US_PER_HOUR, return_index=True, return_counts=True
        )
        return Activity(hours, events, ordered[start + events - 1])
    events, last = np.zeros(width, np.int64), np.full(width, time.min())
    kernels.per_hour(time, first, events, last)
    seen = np.flatnonzero(events)
    return Activity(seen + first, events[seen], last[seen])


def together(parts: Iterable[Activity]) -> Activity:
    """The activity of several shards as one."""
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    if not columns:
        return activity(np.empty(0, np.int64))
    hours, place = np.unique(columns[0], return_inverse=True)
    events, last = np.zeros(len(hours), np.int64), np.full(len(hours), np.iinfo(np.int64).min)
    np.add.at(events, place, columns[1])
    np.maximum.at(last, place, columns[2])
    return Activity(hours, events, last)


def covered_until(seen: Activity) -> int:
    """The instant (microseconds) up to which a log of this activity is complete.

    Examples
    --------
    >>> covered_until(activity(np.array([5]))) == US_PER_DAY
    True
    """
    if not len(seen.hours):
        return 0
    near = Activity(*(column[: _before_far(seen)] for column in seen))
    last = int(near.last[-1])
    return last + 1 if _breaks_off(near) else (last // US_PER_DAY + 1) * US_PER_DAY


def _before_far(seen: Activity) -> int:
    """How many of the hours lie before the gap behind which there are only far-off events."""
    first = _after_early(seen)
    hours, events = seen.hours[first:], seen.events[first:]
    if len(hours) < 2:
        return first + len(hours)
    gap = np.diff(hours)
    longest = np.append(1, np.maximum.accumulate(gap)[:-1])
    behind = events.sum() - np.cumsum(events)[:-1]
    before = events.sum() - behind
    span = np.maximum(hours[:-1] - hours[0] + 1, _DAY)
    new_day = np.append(True, np.diff(hours // _DAY) > 0)
    days = np.cumsum(new_day)[:-1]
    days_behind = new_day.sum() - days
    # Of what the log's own pace would have brought since the gap began.
    share = behind / (before / span * (hours[-1] - hours[:-1]))
    thin = behind / np.maximum(days_behind, 1) < _THIN * before / days
    long = (gap > _TIMES * longest) & (gap > _DAY)
    nothing = share < _NEXT_TO_NOTHING
    far = (days >= _CADENCE_DAYS) & long & (nothing | (thin & (share < _FEW)))
    young = (gap > 2 * _YEAR) & (gap > 100 * span) & (behind <= _YOUNG * before)
    found = np.flatnonzero(far | (young & nothing))
    return first + (int(found[0]) + 1 if len(found) else len(hours))


def _after_early(seen: Activity) -> int:
    """How many hours lie years before all others; the log's pace is that of the others."""
    before = np.cumsum(seen.events)[:-1]
    early = (np.diff(seen.hours) > _YEAR) & (before <= _FEW * seen.events.sum())
    found = np.flatnonzero(early)
    return int(found[-1]) + 1 if len(found) else 0


def _breaks_off(seen: Activity) -> bool:
    """Is the rest of the last day silent as on none of the four weeks before?"""
    day, hour = divmod(int(seen.hours[-1]), _DAY)
    begin = (day - _LOOK_BACK) * _DAY
    if seen.hours[0] >= begin + _DAY:
        return False
    earlier = (seen.hours >= begin) & (seen.hours < day * _DAY) & (seen.hours % _DAY > hour)
    after = np.bincount(
        (seen.hours[earlier] - begin) // _DAY, seen.events[earlier], minlength=_LOOK_BACK
    )
    return bool(after.min() > 0 and after.mean() >= _EXPECTED)
