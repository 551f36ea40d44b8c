"""Days, ISO weeks and months of a time zone, and when their numbers can be final.

A period is named as people name it (``2026-11-09``, ``2026-W46``, ``2026-11``) and bounded by
local midnights, kept as UTC instants: a day on which the clocks change has 23 or 25 hours, and
both are right. A period is *complete* when the log covers it and, where the report follows people
for a window, also the window after its end: the last person to enter needs all of it. Until then
a rate can only rise, and a report that compared it with a finished week would show a fall that is
none.

Nothing here asks a clock: "now" is the instant up to which the log is complete.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from analysis.core import wording
from analysis.core.schema import US_PER_SECOND, UsageError, human_duration

_FORMS = {
    "day": (re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII), "2026-11-09"),
    "week": (re.compile(r"(\d{4})-W(\d\d)", re.ASCII), "2026-W46"),
    "month": (re.compile(r"(\d{4})-(\d\d)", re.ASCII), "2026-11"),
}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Period:
    """A day, week or month; `start` included and `end` excluded, both UTC instants."""

    kind: str
    label: str
    first_day: date
    end_day: date
    time_zone: str

    @property
    def start(self) -> datetime:
        return local_midnight(self.first_day, self.time_zone)

    @property
    def end(self) -> datetime:
        return local_midnight(self.end_day, self.time_zone)

    def words(self) -> str:
        """The period as a person writes it: ``9 to 15 Nov 2026``."""
        return wording.days(pd.Timestamp(self.first_day), pd.Timestamp(self.end_day))


def parse_period(label: str, kind: str, time_zone: str = "UTC") -> Period:
    """The period of that name.

    Parameters
    ----------
    label : ``2026-11-09``, ``2026-W46`` or ``2026-11``, as `kind` (``day``, ``week``, ``month``)
        wants it; time_zone : whose midnights bound it.

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
    >>> week.start.isoformat(), week.words()
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
        period = period_of(day, kind, time_zone)
        # Years at either end of the calendar have no next period, or no instant in UTC.
        _ = period.start, period.end
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"period={label!r} is not in the calendar ({error}). A {kind} looks like {example!r}."
        ) from error
    return period


def period_of(day: date, kind: str, time_zone: str = "UTC") -> Period:
    """The day, week or month that holds a local date.

    Examples
    --------
    >>> period_of(date(2027, 1, 1), "week").label
    '2026-W53'
    """
    if kind == "day":
        return Period(kind, day.isoformat(), day, day + timedelta(days=1), time_zone)
    if kind == "week":
        year, week, weekday = day.isocalendar()
        first = day - timedelta(days=weekday - 1)
        return Period(kind, f"{year:04d}-W{week:02d}", first, first + timedelta(days=7), time_zone)
    first = day.replace(day=1)
    end = (first + timedelta(days=31)).replace(day=1)
    return Period(kind, f"{first:%Y-%m}", first, end, time_zone)


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
    period = period_of(first, kind, time_zone)
    if period.first_day != first:
        period = period_of(period.end_day, kind, time_zone)
    due = []
    while is_complete(period, covers_until, window_us=window_us):
        due.append(period)
        period = period_of(period.end_day, kind, time_zone)
    return due


def is_complete(period: Period, covers_until: datetime, *, window_us: int = 0) -> bool:
    """Whether the log covers the period and the window (microseconds) after its end."""
    return instant(period.end) + window_us <= instant(covers_until)


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
    if instant(period.start) >= instant(covers_until):
        state = "has not begun"
    elif instant(period.end) > instant(covers_until):
        state = "is not over"
    else:
        state = "is not final"
    why = f"{period.label} {state}: the log ends at {_minute(covers_until)}"
    if window_us:
        follow_up = human_duration(window_us)
        why += f", and people who entered up to {_minute(period.end)} are followed for {follow_up}"
    final = period.end + timedelta(microseconds=window_us)
    return f"{why}. It will be final when the log covers until {_minute(final)}."


def local_midnight(day: date, time_zone: str) -> datetime:
    """The first instant of a local date, in UTC.

    Where clocks jump over midnight this is the jump; where midnight comes twice, the first one:
    both are what ``fold=0`` gives.
    """
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC)


def instant(moment: datetime) -> int:
    """Microseconds since 1970 UTC, exactly."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * US_PER_SECOND + since.microseconds


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
