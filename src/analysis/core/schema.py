"""What are the columns called, how long is a duration, when is an instant, and what is an error?

A duration comes in as ``"30min"``, ``"7d"`` or a Timedelta and is an integer of microseconds
inside; an instant comes in as anything pandas reads and is an integer of microseconds since 1970
UTC inside. Integers, because they add without rounding: the number of shards can never change a
digit of an answer. Every error has four parts: what went wrong, what was given, what would be
allowed, and what to do next.

This module refuses to guess: a naive time is UTC only where the caller's documentation says so,
and a name that nobody knows is an error with the nearest known name in it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# Columns

USER: Final = "user"

TIME: Final = "time"

EVENT: Final = "event"

SESSION: Final = "session"

VALUE: Final = "value"

SOURCE_EVENT: Final = "source_event"

EVENT_ID: Final = "event_id"

# Groups that are none of their own, and everybody

MISSING: Final = "(missing)"

OTHER: Final = "(other)"

ALL: Final = "all"

# Units

US_PER_SECOND: Final = 1_000_000

US_PER_MINUTE: Final = 60 * US_PER_SECOND

US_PER_HOUR: Final = 3_600 * US_PER_SECOND

US_PER_DAY: Final = 24 * US_PER_HOUR

SESSION_GAP_US: Final = 30 * US_PER_MINUTE

MONEY_SCALE: Final = 1_000_000
"""Money adds up in millionths, so that sums do not depend on their order."""

# Errors


class WorkbookError(ValueError):
    """Something a person can mend; the message says how. ``exit_code`` is the command's."""

    __module__ = "analysis"
    exit_code = 2


class UsageError(WorkbookError):
    """The call is wrong: an unknown name, an argument out of range."""

    __module__ = "analysis"
    exit_code = 2


class DataError(WorkbookError):
    """The call is fine and the data say no: unreadable, empty, damaged."""

    __module__ = "analysis"
    exit_code = 1


class ReportError(DataError):
    """A report could not be made; the message says which, why, and what to do."""


def did_you_mean(name: object, allowed: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` with a leading space, or nothing where no name is near.

    Examples
    --------
    >>> did_you_mean("add_to_crt", ["purchase", "add_to_cart"])
    " Did you mean 'add_to_cart'?"
    """
    near = difflib.get_close_matches(str(name), list(allowed), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def one_of(what: str, name: object, allowed: Iterable[str]) -> str:
    """Return `name` if it is allowed, else raise a `UsageError` that lists what is.

    Examples
    --------
    >>> one_of("funnel: order", "any", ["sequential", "any"])
    'any'
    """
    names = list(allowed)
    if name in names:
        return str(name)
    listed = ", ".join(repr(n) for n in names)
    raise UsageError(f"{what}={name!r} is unknown.{did_you_mean(name, names)} Allowed: {listed}.")


# Durations and instants

_DURATIONS: Final = "Durations look like '30min', '24h' or '7d'."

_DAYS: Final = re.compile(r"(?<![A-Za-z])d(?![A-Za-z])")

_YEAR: Final = re.compile(r"\d{4}")


def duration_us(value: str | timedelta | np.timedelta64, what: str = "duration") -> int:
    """Microseconds of a duration such as ``"30min"``, ``"7d"`` or a Timedelta.

    Raises
    ------
    UsageError
        If `value` is not a duration, is shorter than a microsecond, or is a bare number (which has
        no unit).

    Examples
    --------
    >>> duration_us("30min")
    1800000000
    """
    import numpy as np
    import pandas as pd

    bare = isinstance(value, (int, float, np.number)) and not isinstance(value, np.timedelta64)
    if isinstance(value, str):
        bare = value.strip().lstrip("+-").replace(".", "").isdigit()
    if bare:
        raise UsageError(f"{what}={value!r} has no unit. {_DURATIONS}")
    try:
        # pandas wants its days in a capital letter.
        delta = pd.Timedelta(_DAYS.sub("D", value) if isinstance(value, str) else value)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{what}={value!r} is not a duration. {_DURATIONS}") from error
    if pd.isna(delta) or delta <= pd.Timedelta(0):
        raise UsageError(f"{what}={value!r} must be longer than zero. {_DURATIONS}")
    us = int(delta.to_timedelta64().astype("timedelta64[us]").astype(np.int64))
    if not us:
        raise UsageError(f"{what}={value!r} is shorter than a microsecond. {_DURATIONS}")
    return us


def human_duration(us: float) -> str:
    """A duration as a person says it: ``"42 s"``, ``"3.5 min"``, ``"2.1 h"``, ``"7 days"``.

    Examples
    --------
    >>> human_duration(7 * US_PER_DAY), human_duration(90_000_000)
    ('7 days', '1.5 min')
    """
    seconds = us / US_PER_SECOND
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size * (1 if unit != "days" else 2):
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.1f}".removesuffix(".0") + " s"


def instant_us(value: str | datetime | np.datetime64, what: str = "time") -> int:
    """Microseconds since 1970 UTC of an instant; a naive one is taken as UTC.

    Raises
    ------
    UsageError
        If pandas cannot read `value` as a time, if it is a bare number (which has no unit), or a
        text without a year (``"now"``, ``"12:00"``), for which pandas would ask the clock.

    Examples
    --------
    >>> instant_us("1970-01-02")
    86400000000
    """
    import numpy as np
    import pandas as pd

    refused = UsageError(
        f"{what}={value!r} is not a time. Times look like '2026-11-09' or '2026-11-09T08:00Z'."
    )
    clock = isinstance(value, str) and not _YEAR.search(value)
    if clock or isinstance(value, (int, float, np.number)):
        raise refused
    try:
        stamp = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise refused from error
    if pd.isna(stamp):
        raise refused
    naive = stamp if stamp.tz is None else stamp.tz_convert("UTC").tz_localize(None)
    return int(naive.to_datetime64().astype("datetime64[us]").astype(np.int64))


def timestamp(us: int) -> pd.Timestamp:
    """The UTC timestamp of an instant in microseconds.

    Examples
    --------
    >>> timestamp(86_400_000_000)
    Timestamp('1970-01-02 00:00:00+0000', tz='UTC')
    """
    import pandas as pd

    return pd.Timestamp(int(us), unit="us", tz="UTC")


def time_zone_of(name: object, what: str = "time_zone") -> ZoneInfo:
    """The time zone of that name.

    Raises
    ------
    UsageError
        If there is none.

    Examples
    --------
    >>> time_zone_of("Europe/Berlin")
    zoneinfo.ZoneInfo(key='Europe/Berlin')
    """
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"{what}={name!r} is unknown.{did_you_mean(name, available_timezones())} "
            "Time zones look like 'Europe/Berlin' or 'UTC'."
        ) from error
