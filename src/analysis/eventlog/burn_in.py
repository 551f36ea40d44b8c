"""Who was there before the log began? People first seen in its first days, who come back and back.

A log has a first event of everybody in it, which need not be the first ever: a log that begins
among old customers takes each of them for a newcomer on the day of the next visit. So their first
events come in a rush at the beginning, until most of those who ever return have been seen. People
first seen before that are left out of what is asked "from the first event".

What this module refuses to do: leave anybody out where there is no such rush.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.schema import US_PER_DAY, UsageError, instant_us, timestamp
from analysis.core.wording import count, day
from analysis.eventlog import parallel
from analysis.eventlog.kernels import sightings
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard

NEVER_SEEN: Final = int(np.iinfo(np.int64).max)

_MOST: Final = 0.9
"""The burn-in is over when so many of those who return have been seen."""

_FEWEST: Final = 20
"""So few people who return, or are new afterwards, tell nothing."""

_RUSH: Final = 1.15
_SURE: Final = 3.0
"""A rush is so many times as many first events as in the same time afterwards, by so many sigma."""

_WEEK: Final = 7


class BurnIn(NamedTuple):
    """Whom to leave out.

    Attributes
    ----------
    since_us : people first seen before this instant are left out; None: nobody is.
    left_out : how many they are.
    rush : by what the log shows it, where the instant comes from the data.
    """

    since_us: int | None
    left_out: int
    rush: str = ""

    def among(self, gone: int) -> BurnIn:
        """The same for a question in which only so many of those left out would be."""
        return self._replace(left_out=gone)

    @property
    def note(self) -> str:
        """What is to be said of it; empty where nobody is left out."""
        if self.since_us is None or not self.left_out:
            return ""
        who = "1 user" if self.left_out == 1 else f"{count(self.left_out)} users"
        verb = "is" if self.left_out == 1 else "are"
        before = day(timestamp(self.since_us), year=True)
        gone = f"{who} first seen before {before} {verb} left out"
        if not self.rush:
            return f"{gone} (since=)."
        return (
            f"The log begins among people who had been there before: {self.rush}. So {gone} "
            "(since= sets another day; the log's first keeps all). About one in ten of those who "
            "return pauses longer, and still counts as new."
        )

    def keeps(self, shard: Shard, names: int) -> np.ndarray:
        """Which users of a shard are looked at; `names` is the number of events of the log."""
        if self.since_us is None:
            return np.ones(len(shard.offsets) - 1, bool)
        return first_seen(shard, names) >= self.since_us


NOBODY: Final = BurnIn(None, 0)


def burn_in(log: EventLog, since: Any, what: str) -> BurnIn:
    """Who is left out because they may have been there before the log began?

    Parameters
    ----------
    since : an instant; people first seen before it are left out. None: from the data. The log's
        first instant, or an earlier one, leaves nobody out.
    what : the name of the question, for errors.

    Raises
    ------
    UsageError
        If `since` is not a time.

    Notes
    -----
    From the data: of those who were seen in the log's first half and come back in its second, nine
    of ten have come by some time after its middle. That long the log's beginning is a burn-in,
    in whole weeks if it is more than one, provided that clearly more people are first seen in it
    than in the same time after it.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "bob"], "event": "visit",
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-09"])}))
    >>> burn_in(log, None, "conversion_curve").left_out
    0
    >>> burn_in(log, "2026-01-05", "conversion_curve").note
    '1 user first seen before 5 Jan 2026 is left out (since=).'
    """
    start = log.start
    if not isinstance(start, pd.Timestamp):
        return NOBODY
    names = len(log.event_names)
    if since is not None:
        at = _instant(since, what)
        if at <= instant_us(start):
            return NOBODY
        seen = np.concatenate(parallel.map_shards(log.shards, lambda s: first_seen(s, names)))
        gone = int((seen < at).sum())
        return BurnIn(at, gone)
    return _from_the_data(log, instant_us(start), names)


def _instant(since: Any, what: str) -> int:
    try:
        return instant_us(pd.Timestamp(since))
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{what}: since={since!r} is not a time. Times look like '2026-11-09'; leave it out "
            "for the default, which comes from the data."
        ) from error


def _from_the_data(log: EventLog, begin: int, names: int) -> BurnIn:
    middle = begin + (log.covers_until_us - begin) // 2
    parts = parallel.map_shards(log.shards, lambda shard: _sightings(shard, names, middle))
    seen, again = (np.concatenate(cells) for cells in zip(*parts, strict=True))
    waits = again[(seen < middle) & (again < NEVER_SEEN)] - middle
    if len(waits) < _FEWEST:
        return NOBODY
    days = int(np.ceil(np.quantile(waits, _MOST) / US_PER_DAY))
    days = days if days <= _WEEK else -(-days // _WEEK) * _WEEK
    length = days * US_PER_DAY
    since = begin + length
    rush, after = (int(((seen >= a) & (seen < a + length)).sum()) for a in (begin, since))
    if after < _FEWEST or since + length > log.covers_until_us:
        return NOBODY
    if rush < _RUSH * after or rush - after < _SURE * np.sqrt(rush + after):
        return NOBODY
    return BurnIn(
        since,
        rush,
        f"{count(rush)} users were first seen in its first {count(days)} days, {count(after)} in "
        f"the next {count(days)}",
    )


def first_seen(shard: Shard, names: int) -> np.ndarray:
    """Per user of a shard the instant of the first row that is shown, or `NEVER_SEEN`."""
    return _sightings(shard, names, NEVER_SEEN)[0]


def _sightings(shard: Shard, names: int, middle: int) -> tuple[np.ndarray, np.ndarray]:
    """Per user the first instant of all, and the first one from `middle` on."""
    return sightings(shard.time, shard.event, shard.offsets, names, middle)
