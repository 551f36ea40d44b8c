"""Whom to follow, from when, and how far: the waits behind every answer about time.

A user is followed from the first start until the first macro at or after it, or else as far as
the log is complete. A user who has not converted by then is not a "no": the wait is cut off, and
everything that is computed from these waits has to know that.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from analysis.core import checks
from analysis.core.schema import ALL, SESSION, DataError, UsageError
from analysis.eventlog import parallel
from analysis.eventlog.burn_in import NOBODY, BurnIn, burn_in
from analysis.eventlog.groups import groups_of, largest
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard, TextColumn
from analysis.timing.kernels import first_conversions

MOST_GROUPS: Final = 6
"""As many as a figure can hold; the rest is one group more."""


@dataclass(frozen=True, eq=False)
class Waits:
    """One entry per user who started, in the order of the shards.

    Attributes
    ----------
    entered_us : instant of the start; microseconds since 1970 UTC.
    wait_us : microseconds from there to the macro, or to where the log's knowledge ends.
    converted : whether there was a macro.
    sessions : number of the macro's session, 1 for that of the start; 0 where it is not known.
    groups : number of the user's group in `names`.
    until_us : where the log's knowledge ends.
    bounds_us : the range of the starts that was asked for, end excluded; None: all.
    hidden : how many groups were left out because they are too small to show.
    burn_in : who was left out because they may have been there before the log began.
    """

    entered_us: np.ndarray
    wait_us: np.ndarray
    converted: np.ndarray
    sessions: np.ndarray
    groups: np.ndarray
    names: list[Hashable]
    until_us: int
    bounds_us: tuple[int, int] | None = None
    hidden: int = 0
    burn_in: BurnIn = NOBODY

    @property
    def followed_us(self) -> np.ndarray:
        """How long the log can follow each user, converted or not."""
        return self.until_us - self.entered_us

    def within(self, horizon_us: int) -> np.ndarray:
        """Which users converted within the horizon."""
        return self.converted & (self.wait_us <= horizon_us)

    def mature(self, horizon_us: int) -> np.ndarray:
        """Which users the log covers for their whole horizon."""
        return self.followed_us >= horizon_us

    def members(self, group: int) -> np.ndarray | slice:
        """The users of a group, as an index of the columns."""
        return self.groups == group if len(self.names) > 1 else slice(None)

    def where(self, keep: np.ndarray) -> Waits:
        """The waits of some users."""
        columns = ("entered_us", "wait_us", "converted", "sessions", "groups")
        return replace(self, **{name: getattr(self, name)[keep] for name in columns})


def waits_of(  # noqa: PLR0913
    log: EventLog,
    start: str | None,
    macro: str,
    *,
    by: str | Sequence[str] | None = None,
    entered: tuple[Any, Any] | None = None,
    min_cell: int = 1,
    planned: Sequence[str] = (),
    since: Any = None,
    what: str,
) -> Waits:
    """How long did each user take from the first `start` to the first `macro` at or after it?

    Parameters
    ----------
    start : an event's name; None: the user's first event, whatever it is.
    by : property, or several, whose value on the row of the start is the group; the largest six
        are kept, the rest becomes ``"(other)"``.
    entered : (start, end) of the first starts, end excluded; naive times are UTC.
    min_cell : groups of fewer users than this are left out.
    planned : events that a log may lack: as the macro each is one that never happened.
    since : people first seen before this are left out; see `analysis.eventlog.burn_in`.
    what : the name of the question, for errors.

    Raises
    ------
    UsageError
        If an event or property is unknown, the macro is the start, or `entered` is not a range.
    DataError
        If the log is empty.
    """
    if not log.shards or not log.event_names:
        raise DataError(f"{what}: the log is empty. Import events first: workbook import FILE.")
    checks.min_cell(what, min_cell)
    _check_events(log, start, macro, planned, what)
    names = log.event_names
    begin = -1 if start is None else names.index(start)
    codes = (begin, names.index(macro) if macro in names else -1)
    bounds = None if entered is None else checks.entry_range(what, entered)
    properties = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    for name in properties:
        checks.property_name(f"{what}: by", log, name)
    run = partial(_shard_waits, names=len(names), codes=codes, until=log.covers_until_us)
    left_out = burn_in(log, since, what)
    asked = [_entered(part, bounds) for part in parallel.map_shards(log.shards, run)]
    parts = [_old_hands_out(part, left_out, len(names)) for part in asked]
    left_out = left_out.among(sum(len(part[1]) for part in asked) - sum(len(p[1]) for p in parts))
    groups = groups_of(log.shards, [rows for _, rows, *_ in parts], properties)
    sizes = sum(
        (np.bincount(own, minlength=len(groups.names)) for own in groups.codes),
        np.zeros(len(groups.names), np.int64),
    )
    groups = largest(groups, sizes, MOST_GROUPS)
    found = Waits(
        _joined([shard.time[rows] for shard, rows, *_ in parts], np.int64),
        _joined([part[2] for part in parts], np.int64),
        _joined([part[4] for part in parts], np.bool_),
        _joined([part[3] for part in parts], np.int32),
        _joined(groups.codes, np.int64),
        groups.names,
        log.covers_until_us,
        bounds,
        burn_in=left_out,
    )
    return _large_enough(found, min_cell)


def _check_events(
    log: EventLog, start: str | None, macro: str, planned: Sequence[str], what: str
) -> None:
    for name in (macro,) if start is None else (start, macro):
        if not (name == macro and name in planned):
            checks.event_name(what, log, name)
    if start == macro:
        raise UsageError(
            f"{what}: {macro!r} is the start and the macro. A wait needs two events: name another "
            "start, or start=None for the user's first event."
        )


# A shard with the columns that `first_conversions` returns.
_Part = tuple[Shard, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _shard_waits(shard: Shard, *, names: int, codes: tuple[int, int], until: int) -> _Part:
    column = shard.columns[SESSION]
    assert isinstance(column, TextColumn)  # sessions always are
    rows = (shard.time, shard.event, column.codes, shard.offsets, shard.masks)
    return (shard, *first_conversions(*rows, names, codes, until, len(column.values)))


def _old_hands_out(part: _Part, left_out: BurnIn, names: int) -> _Part:
    if left_out.since_us is None:
        return part
    shard, rows, *columns = part
    user = np.searchsorted(shard.offsets, rows, side="right") - 1
    keep = left_out.keeps(shard, names)[user]
    waits, numbers, converted = (column[keep] for column in columns)
    return shard, rows[keep], waits, numbers, converted


def _entered(part: _Part, bounds: tuple[int, int] | None) -> _Part:
    if bounds is None:
        return part
    shard, rows, *columns = part
    instants = shard.time[rows]
    keep = (instants >= bounds[0]) & (instants < bounds[1])
    waits, numbers, converted = (column[keep] for column in columns)
    return shard, rows[keep], waits, numbers, converted


def _joined(parts: Sequence[np.ndarray], dtype: Any) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype), *parts])


def _large_enough(found: Waits, min_cell: int) -> Waits:
    """The waits without the groups of fewer than `min_cell` users."""
    sizes = np.bincount(found.groups, minlength=len(found.names))
    kept = np.flatnonzero(sizes >= min_cell)
    if len(kept) == len(found.names) or not len(found.groups):
        return found
    place = np.full(len(sizes), -1, np.int64)
    place[kept] = np.arange(len(kept))
    shown = found.where(place[found.groups] >= 0)
    return replace(
        shown,
        groups=place[shown.groups],
        names=[found.names[group] for group in kept] or [ALL],
        hidden=len(sizes) - len(kept),
    )
