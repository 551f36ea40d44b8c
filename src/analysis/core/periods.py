"""Which time is a period, which one came before it, and when can its numbers be final?

A period has local bounds: it is given by two instants (`period_of`), or named as people name a
day, an ISO week or a month (``2026-11-09``, ``2026-W46``, ``2026-11``: `parse_period`). A day on
which the clocks change has 23 or 25 hours, and "the week before" is still the week before: so
neighbors are found by local dates, never by subtracting hours.

A period is *complete* when the log covers it and, where people are followed for a window, also the
window after its end: the last person to enter needs all of it. Until then a rate can only rise,
and a comparison with a finished week would show a fall that is none.

What this module refuses to do: ask a clock. "Now" is the instant up to which the log is complete.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
from pandas.api.typing import NaTType

from analysis.core.schema import UsageError, human_duration, instant_us
from analysis.core.wording import count, days

_FORMS = {
    "day": (re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII), "2026-11-09"),
    "week": (re.compile(r"(\d{4})-W(\d\d)", re.ASCII), "2026-W46"),
    "month": (re.compile(r"(\d{4})-(\d\d)", re.ASCII), "2026-11"),
}

_DAYS_OF_A_WEEK = 7
_HOURS_OF_A_DAY = 24

_LATER_SHOWN = 2
"""How many later periods a trend shows: enough to see that they are not final."""


@dataclass(frozen=True)
class Period:
    """From `start` (included) to `end` (excluded), in local time of `time_zone`."""

    start: pd.Timestamp
    end: pd.Timestamp
    time_zone: str

    @property
    def bounds(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        """Start and end in UTC, as `entered=` takes them."""
        return self.start.tz_convert("UTC"), self.end.tz_convert("UTC")

    @property
    def first_day(self) -> date:
        """The local date of its first instant."""
        return self.start.date()

    @property
    def end_day(self) -> date:
        """The local date after that of its last instant."""
        return (self.end - pd.Timedelta(1, "us")).date() + timedelta(days=1)

    @property
    def name(self) -> str:
        """The days of the period: ``9 to 15 Nov 2026``."""
        return days(pd.Timestamp(self.first_day), pd.Timestamp(self.end_day))

    @property
    def label(self) -> str:
        """How reports name it: ``2026-11-09``, ``2026-W46``, ``2026-11``; else by both dates."""
        first, end = self.first_day, self.end_day
        if self.is_month:
            return f"{first:%Y-%m}"
        if self.noun == "day":
            return first.isoformat()
        year, week, weekday = first.isocalendar()
        if self.noun == "week" and weekday == 1:
            return f"{year:04d}-W{week:02d}"
        return f"{first}/{end}"

    @property
    def is_month(self) -> bool:
        """Is it one whole calendar month?"""
        start, end = _local_clock(self)
        return start == start.normalize().replace(day=1) and end == start + pd.DateOffset(months=1)

    @property
    def noun(self) -> str:
        """What people call a stretch of this length: ``week``, ``10 days``, ``12 hours``."""
        if self.is_month:
            return "month"
        length = length_in_days(self)
        if not length.is_integer():
            hours = length * _HOURS_OF_A_DAY
            return "hour" if hours == 1 else f"{hours:,.4g} hours"
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
    >>> week.name, week.label, str(week.bounds[0])
    ('9 to 15 Nov 2026', '2026-W46', '2026-11-08 23:00:00+00:00')
    """
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise UsageError(
            f"{what}: time_zone={time_zone!r} is unknown. Zones look like 'Europe/Berlin' or 'UTC'."
        ) from error
    if isinstance(bounds, str) or len(bounds) != 2:
        raise UsageError(f"{what}={bounds!r}. Allowed: (start, end), end excluded.")
    start, end = (_instant(given, time_zone, what) for given in bounds)
    if end <= start:
        raise UsageError(f"{what}={bounds!r} ends before it starts. Swap the two.")
    return Period(start, end, time_zone)


def _instant(given: Any, time_zone: str, what: str) -> pd.Timestamp:
    refused = UsageError(f"{what}: {given!r} is not a time. Times look like '2026-11-09'.")
    try:
        stamp = pd.Timestamp(given)
    except (ValueError, TypeError) as error:
        raise refused from error
    if pd.isna(stamp):
        raise refused
    return _place(stamp, time_zone) if stamp.tz is None else stamp.tz_convert(time_zone)


def parse_period(label: str, kind: str, time_zone: str = "UTC") -> Period:
    """The period of that name.

    Parameters
    ----------
    label : ``2026-11-09``, ``2026-W46`` or ``2026-11``, as `kind` (``day``, ``week``, ``month``)
        wants it. time_zone : whose midnights bound it.

    Raises
    ------
    UsageError
        If the name has another form, or the calendar has no such period.

    Notes
    -----
    Weeks are those of ISO 8601: they start on Monday, and week 1 holds the year's first Thursday.

    Examples
    --------
    >>> week = parse_period("2026-W46", "week", "Europe/Berlin")
    >>> week.bounds[0].isoformat(), week.name
    ('2026-11-08T23:00:00+00:00', '9 to 15 Nov 2026')
    """
    form, example = _FORMS[kind]
    found = form.fullmatch(label)
    if not found:
        raise UsageError(
            f"period={label!r} is no {kind}, and the report is made every {kind}. "
            f"A {kind} looks like {example!r}."
        )
    numbers = [int(part) for part in found.groups()]
    try:
        if kind == "week":
            day = date.fromisocalendar(numbers[0], numbers[1], 1)
        else:
            day = date(numbers[0], numbers[1], numbers[2] if kind == "day" else 1)
        period = calendar_period(day, kind, time_zone)
        # Years at either end of the calendar have no next period, or no instant in UTC.
        _ = [bound.to_pydatetime() for bound in period.bounds]
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"period={label!r} is not in the calendar ({error}). A {kind} looks like {example!r}."
        ) from error
    return period


def calendar_period(day: date, kind: str, time_zone: str = "UTC") -> Period:
    """The day, week or month that holds a local date.

    Examples
    --------
    >>> from datetime import date
    >>> calendar_period(date(2027, 1, 1), "week").label
    '2026-W53'
    """
    if kind == "day":
        first, end = day, day + timedelta(days=1)
    elif kind == "week":
        first = day - timedelta(days=day.weekday())
        end = first + timedelta(days=7)
    else:
        first = day.replace(day=1)
        end = (first + timedelta(days=31)).replace(day=1)
    start, after = (_place(pd.Timestamp(at), time_zone) for at in (first, end))
    return Period(start, after, time_zone)


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
    wanted = [_moved(period, k) for k in range(1 - most, _LATER_SHOWN + 1)]
    begin = until
    if not pd.isna(first):
        begin = _place(pd.Timestamp(first.tz_convert(period.time_zone).date()), period.time_zone)
    return [p for p in wanted if p == period or (p.start >= begin and p.start < until)]


def earlier(period: Period, most: int, first: pd.Timestamp | NaTType) -> list[Period]:
    """Up to `most` periods before this one that the log holds from their beginning, oldest first.

    A day is compared with the same weekday of the weeks before: weekdays differ.

    Parameters
    ----------
    first : where the log begins; periods that begin before the log's first day are left out.

    Examples
    --------
    >>> week = parse_period("2026-W46", "week")
    >>> [p.label for p in earlier(week, 26, pd.Timestamp("2026-10-28", tz="UTC"))]
    ['2026-W45']
    >>> monday = parse_period("2026-11-09", "day")
    >>> [p.label for p in earlier(monday, 2, pd.Timestamp("2026-10-01", tz="UTC"))]
    ['2026-10-26', '2026-11-02']
    """
    if isinstance(first, NaTType):
        return []
    begin = _place(pd.Timestamp(first.tz_convert(period.time_zone).date()), period.time_zone)
    lap = _DAYS_OF_A_WEEK if period.noun == "day" else 1
    found = [_moved(period, -lap * k) for k in range(most, 0, -1)]
    return [p for p in found if p.start >= begin]


def same_age(other: Period, period: Period, until: pd.Timestamp) -> Period:
    """As much of another period as of `period` had passed at an instant, by local clocks.

    Parameters
    ----------
    until : an instant after the start of `period`.

    Examples
    --------
    >>> now, before = parse_period("2026-W46", "week"), parse_period("2026-W45", "week")
    >>> str(same_age(before, now, pd.Timestamp("2026-11-14 12:00", tz="UTC")).end)
    '2026-11-07 12:00:00+00:00'
    """
    zone = period.time_zone
    passed = _shown(until.tz_convert(zone), zone) - _local_clock(period)[0]
    start, end = _local_clock(other)
    cut = min(start + passed, end)
    return Period(other.start, other.end if cut == end else _place(cut, zone), zone)


def length_in_days(period: Period) -> float:
    """How many days a period has, by local clocks: a day on which they change is one, too.

    Examples
    --------
    >>> length_in_days(parse_period("2026-02", "month"))
    28.0
    """
    start, end = _local_clock(period)
    return (end - start) / pd.Timedelta(days=1)


def _moved(period: Period, by: int) -> Period:
    start, end = _local_clock(period)
    if period.is_month:
        moved = (start + pd.DateOffset(months=by), start + pd.DateOffset(months=by + 1))
    else:
        moved = (start + by * (end - start), end + by * (end - start))
    zone = period.time_zone
    return Period(_place(moved[0], zone), _place(moved[1], zone), zone)


def periods_due(
    start: datetime,
    covers_until: datetime,
    *,
    kind: str,
    time_zone: str = "UTC",
    window_us: int = 0,
) -> list[Period]:
    """Every complete period from the log's first whole one on, oldest first.

    Parameters
    ----------
    start : the log's first event; the period that holds it is whole if that event is on the
        period's first day.
    covers_until : the instant up to which the log is complete.
    window_us : microseconds for which people are followed after they enter.

    Examples
    --------
    >>> from datetime import datetime, UTC
    >>> due = periods_due(datetime(2026, 8, 19, tzinfo=UTC), datetime(2026, 9, 14, tzinfo=UTC),
    ...     kind="week", window_us=7 * 86_400_000_000)
    >>> [period.label for period in due]
    ['2026-W35', '2026-W36']
    """
    first = start.astimezone(ZoneInfo(time_zone)).date()
    period = calendar_period(first, kind, time_zone)
    if period.first_day != first:
        period = calendar_period(period.end_day, kind, time_zone)
    due = []
    while is_complete(period, covers_until, window_us=window_us):
        due.append(period)
        period = calendar_period(period.end_day, kind, time_zone)
    return due


def is_complete(period: Period, covers_until: datetime, *, window_us: int = 0) -> bool:
    """Whether the log covers the period and the window (microseconds) after its end."""
    return instant_us(period.end) + window_us <= instant_us(covers_until)


def what_is_immature(period: Period, covers_until: datetime, *, window_us: int = 0) -> str:
    """Why the period's numbers are not final, in one sentence; empty where they are.

    Examples
    --------
    >>> from datetime import datetime, UTC
    >>> what_is_immature(parse_period("2026-W47", "week"), datetime(2026, 11, 23, tzinfo=UTC),
    ...     window_us=7 * 86_400_000_000)
    '2026-W47 is not final: the log ends at 2026-11-23 00:00 UTC, and people who entered up to \
2026-11-23 00:00 UTC are followed for 7 days. It will be final when the log covers until \
2026-11-30 00:00 UTC.'
    """
    if is_complete(period, covers_until, window_us=window_us):
        return ""
    if period.start >= covers_until:
        state = "has not begun"
    elif period.end > covers_until:
        state = "is not over"
    else:
        state = "is not final"
    why = f"{period.label} {state}: the log ends at {_minute(covers_until)}"
    if window_us:
        follow_up = human_duration(window_us)
        why += f", and people who entered up to {_minute(period.end)} are followed for {follow_up}"
    final = period.bounds[1] + timedelta(microseconds=window_us)
    return f"{why}. It will be final when the log covers until {_minute(final)}."


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _local_clock(period: Period) -> tuple[pd.Timestamp, pd.Timestamp]:
    """What the clocks there show at both bounds, without a zone: midnight at a day's beginning."""
    start, end = (_shown(bound, period.time_zone) for bound in (period.start, period.end))
    return start, end


def _shown(bound: pd.Timestamp, time_zone: str) -> pd.Timestamp:
    midnight = pd.Timestamp(bound.date())
    return midnight if _place(midnight, time_zone) == bound else bound.tz_localize(None)


def _place(naive: pd.Timestamp, time_zone: str) -> pd.Timestamp:
    # A midnight that the clocks skip is the next instant there is; one that comes twice, the first.
    return naive.tz_localize(time_zone, nonexistent="shift_forward", ambiguous=True)
