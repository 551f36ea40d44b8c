"""The bounds of a period and of its neighbors, in the local time of a place.

A week there has 167 or 169 hours twice a year, and "the week before" is still the week before:
so neighbors are found by local dates, never by subtracting hours.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from analysis.core.schema import UsageError
from analysis.core.wording import count, days

_NEXT = 2
"""How many later periods a trend shows: enough to see that they are not final."""


class Period(NamedTuple):
    """From `start` (included) to `end` (excluded), in local time of `time_zone`."""

    start: pd.Timestamp
    end: pd.Timestamp
    time_zone: str

    @property
    def bounds(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        """Start and end in UTC, as `entered=` takes them."""
        return self.start.tz_convert("UTC"), self.end.tz_convert("UTC")

    @property
    def name(self) -> str:
        """The days of the period: ``9 to 15 Nov 2026``."""
        return days(self.start, self.end)

    @property
    def is_month(self) -> bool:
        """Is it one whole calendar month?"""
        start, end = _naive(self)
        return start == start.normalize().replace(day=1) and end == start + pd.DateOffset(months=1)

    @property
    def noun(self) -> str:
        """What people call a stretch of this length: ``week``, ``day``, ``month``, ``10 days``."""
        if self.is_month:
            return "month"
        start, end = _naive(self)
        length = (end - start) / pd.Timedelta(days=1)
        return {1.0: "day", 7.0: "week"}.get(length, f"{count(length)} days")


def period_of(bounds: tuple[Any, Any], time_zone: str, what: str) -> Period:
    """A period from two instants; naive ones are local times of `time_zone`.

    Raises
    ------
    UsageError
        If it is no pair of instants, ends before it starts, or the time zone is unknown.

    Examples
    --------
    >>> week = period_of(("2026-11-09", "2026-11-16"), "Europe/Berlin", "period")
    >>> week.name, str(week.bounds[0])
    ('9 to 15 Nov 2026', '2026-11-08 23:00:00+00:00')
    """
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise UsageError(
            f"{what}: time_zone={time_zone!r} is unknown. Zones look like 'Europe/Berlin' or 'UTC'."
        ) from error
    if isinstance(bounds, str) or len(bounds) != 2:
        raise UsageError(f"{what}={bounds!r}. Allowed: (start, end), end excluded.")
    start, end = (_local(instant, time_zone, what) for instant in bounds)
    if end <= start:
        raise UsageError(f"{what}={bounds!r} ends before it starts. Swap the two.")
    return Period(start, end, time_zone)


def period_before(period: Period) -> Period:
    """The period of the same length directly before, by local dates.

    Examples
    --------
    >>> month = period_of(("2026-03-01", "2026-04-01"), "UTC", "period")
    >>> period_before(month).name
    '1 to 28 Feb 2026'
    """
    return _moved(period, -1)


def surrounding(
    period: Period, most: int, first: pd.Timestamp, until: pd.Timestamp
) -> list[Period]:
    """The last `most` periods up to `period`, and up to two after it, that the log holds.

    Parameters
    ----------
    first, until : where the log begins and up to which it is complete; periods that begin before
        the log's first day or after its end are left out.
    """
    wanted = [_moved(period, k) for k in range(1 - most, _NEXT + 1)]
    begin = first.tz_convert(period.time_zone).normalize() if not pd.isna(first) else until
    return [p for p in wanted if p == period or (p.start >= begin and p.start < until)]


def _moved(period: Period, by: int) -> Period:
    start, end = _naive(period)
    if period.is_month:
        moved = (start + pd.DateOffset(months=by), start + pd.DateOffset(months=by + 1))
    else:
        moved = (start + by * (end - start), end + by * (end - start))
    zone = period.time_zone
    return Period(_place(moved[0], zone), _place(moved[1], zone), zone)


def _naive(period: Period) -> tuple[pd.Timestamp, pd.Timestamp]:
    return period.start.tz_localize(None), period.end.tz_localize(None)


def _local(instant: Any, time_zone: str, what: str) -> pd.Timestamp:
    try:
        stamp = pd.Timestamp(instant)
    except (ValueError, TypeError) as error:
        raise _no_time(instant, what) from error
    if pd.isna(stamp):
        raise _no_time(instant, what)
    return _place(stamp, time_zone) if stamp.tz is None else stamp.tz_convert(time_zone)


def _no_time(instant: Any, what: str) -> UsageError:
    return UsageError(f"{what}: {instant!r} is not a time. Times look like '2026-11-09'.")


def _place(naive: pd.Timestamp, time_zone: str) -> pd.Timestamp:
    # A midnight that the clocks skip is the next instant there is; one that comes twice, the first.
    return naive.tz_localize(time_zone, nonexistent="shift_forward", ambiguous=True)
