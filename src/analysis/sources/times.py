"""Times as instants: microseconds since 1970 UTC, and never by assumption.

ISO 8601 text with an offset says its instant. Text without one says it only together with a time
zone, a number only together with its unit, and where these are not given the import stops and
says which option to use: a guess would move every session by hours and nobody would see it.

In the hour that a zone's clocks show twice, the first reading counts (daylight saving time), unless
the order of the file says that it is the second (see `clocks`); a time that they skip moves forward
to the first instant after the gap.
"""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kind

from analysis.core.schema import US_PER_SECOND, UsageError, one_of
from analysis.eventlog.instants import EARLIEST, LATEST, dated, iso_stamps
from analysis.eventlog.shard import TEXT

UNITS: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NUMBER: Final = r"^\s*-?[0-9]+(\.[0-9]+)?\s*$"
_INTEGER: Final = r"^-?([0-9]{1,18}|[1-8][0-9]{18})$"
_DECIMAL: Final = r"^-?[0-9]{1,18}\.[0-9]+$"
_OFFSET: Final = r"([zZ]|[Tt :].*[+-][0-9]{2}(:?[0-9]{2})?)$"
_MIDNIGHT: Final = r"[T ]00:00(:00(\.0+)?)?$"
_UTC: Final = r"\s*(UTC|GMT)$"


class Instants(NamedTuple):
    """`us` int64 microseconds UTC; `reason` codes into `REASONS`, 0 where the time is good."""

    us: np.ndarray
    reason: np.ndarray


REASONS: Final = (
    "",
    "time is missing",
    "time is unreadable",
    "time is outside 1990 to 2099",
)

_MISSING, _UNREADABLE, _OUTSIDE = 1, 2, 3


def check_unit(unit: str) -> str:
    """Return `unit` if it is ``s``, ``ms``, ``us`` or ``ns``, else raise a `UsageError`."""
    return one_of("time unit", unit, UNITS)


Second: TypeAlias = Callable[[np.ndarray, np.ndarray, str], np.ndarray]
"""Which local times are the second ones of their hour, by the times, their rows and the zone."""


def read_instants(
    column: pa.Array,
    name: str,
    *,
    zone: str | None,
    unit: str | None,
    second: Second | None = None,
) -> Instants:
    """Which instants do these cells mean?

    Parameters
    ----------
    column : text, numbers, dates or timestamps; `name` is for messages.
    zone : of times without an offset. unit : of numbers.
    second : says which times of an hour that clocks show twice are the second; default: none.

    Raises
    ------
    UsageError
        If there are times without an offset and no `zone`, or numbers and no `unit`.

    Examples
    --------
    >>> read_instants(pa.array(["1990-01-01T01:00:00+01:00", "?"]), "ts", zone=None, unit=None)
    Instants(us=array([631152000000000,               0]), reason=array([0, 2], dtype=int8))
    """
    if kind.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if kind.is_null(column.type):
        us = pa.nulls(len(column), pa.int64())
    elif kind.is_timestamp(column.type) or kind.is_date(column.type):
        us = _from_timestamps(column, name, zone, second)
    elif kind.is_string(column.type) or kind.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column.cast(TEXT))
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, TEXT), column)
        us = _from_text(column, name, zone, unit, second)
    elif kind.is_integer(column.type) or kind.is_floating(column.type):
        us = _from_numbers(column, name, unit)
    else:
        raise UsageError(f"column {name!r} holds {column.type}, which is no time. Name another.")
    return _judged(us, pc.is_null(column, nan_is_null=True))


def two_columns(day: pa.Array, clock: pa.Array, name: str) -> pa.Array:
    """The times of a column of dates and one of times of day, as text; missing where one is.

    Raises
    ------
    UsageError
        If one of the two cannot be text.

    Examples
    --------
    >>> two_columns(pa.array(["2026-01-31"]), pa.array(["8:15"]), "day and hour").to_pylist()
    ['2026-01-31 08:15']
    """
    try:
        if kind.is_timestamp(day.type):
            day = day.cast(pa.timestamp("us")).cast(pa.date32())
        days, clocks = (pc.utf8_trim_whitespace(cells.cast(TEXT)) for cells in (day, clock))
    except pa.ArrowException as error:
        raise UsageError(
            f"columns {name} hold {day.type} and {clock.type}, which are no date and no time of "
            "day. Name others."
        ) from error
    days = pc.replace_substring_regex(days, _MIDNIGHT, "")
    clocks = pc.replace_substring_regex(clocks, r"^([0-9]:)", r"0\1")
    both = pc.binary_join_element_wise(days, clocks, pa.scalar(" ", TEXT))
    there = pc.and_(pc.greater(pc.utf8_length(days), 0), pc.greater(pc.utf8_length(clocks), 0))
    return pc.if_else(there, both, pa.scalar(None, TEXT))


def _judged(us: pa.Array, missing: pa.Array) -> Instants:
    read = us.is_valid().to_numpy(zero_copy_only=False)
    numbers = pc.fill_null(us, 0).to_numpy(zero_copy_only=False)
    inside = (numbers >= EARLIEST) & (numbers < LATEST)
    reason = np.where(read, np.where(inside, 0, _OUTSIDE), _UNREADABLE)
    reason[missing.to_numpy(zero_copy_only=False)] = _MISSING
    return Instants(numbers, reason.astype(np.int8))


def _from_timestamps(
    column: pa.Array, name: str, zone: str | None, second: Second | None
) -> pa.Array:
    of = column.type
    if kind.is_timestamp(of) and of.tz is not None:
        return column.cast(pa.timestamp("us", of.tz), safe=False).cast(pa.int64())
    naive = column.cast(pa.timestamp("us"), safe=False)
    return _localized(naive, name, zone, second)


def _from_text(
    column: pa.Array, name: str, zone: str | None, unit: str | None, second: Second | None
) -> pa.Array:
    if unit is not None:
        return _from_digits(column, unit)
    try:
        return column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    except pa.ArrowInvalid:
        pass
    number = pc.fill_null(pc.match_substring_regex(column, _NUMBER), False)
    if pc.sum(number).as_py() * 2 > len(column) - column.null_count:
        raise _no_unit(column.filter(number)[0].as_py(), name)
    column = pc.if_else(number, pa.scalar(None, TEXT), column)
    return _from_iso(column, name, zone, second)


def _from_iso(column: pa.Array, name: str, zone: str | None, second: Second | None) -> pa.Array:
    try:
        naive = column.cast(pa.timestamp("us"))
        return _localized(naive, name, zone, second)
    except pa.ArrowInvalid:
        pass
    column = pc.replace_substring_regex(column, _UTC, "Z")
    nothing = pa.scalar(None, TEXT)
    column = dated(column)
    offset = pc.fill_null(pc.match_substring_regex(column, _OFFSET), False)
    fixed = _read_iso(pc.if_else(offset, column, nothing))
    naive = _read_iso(pc.if_else(offset, nothing, column))
    return pc.coalesce(fixed.cast(pa.int64()), _localized(naive, name, zone, second))


def _read_iso(column: pa.Array) -> pa.Array:
    """Text as timestamps without a zone, null where it is none; offsets are applied."""
    stamps = iso_stamps(column)
    return pa.array(stamps.dt.as_unit("us").dt.tz_localize(None)).cast(pa.timestamp("us"))


def _localized(naive: pa.Array, name: str, zone: str | None, second: Second | None) -> pa.Array:
    if naive.null_count == len(naive):
        return pa.nulls(len(naive), pa.int64())
    if zone is None:
        example = pc.drop_null(naive)[0].as_py()
        raise UsageError(
            f"the times in column {name!r} have no time zone (for example '{example}'), and none "
            "is assumed. Say which: --time-zone UTC, or --time-zone Europe/Berlin."
        )
    stamps = pd.Series(naive.to_pandas())
    first = np.ones(len(stamps), np.bool_)
    if second is not None:
        there = np.flatnonzero(naive.is_valid().to_numpy(zero_copy_only=False))
        times = pc.drop_null(naive).cast(pa.int64()).to_numpy(zero_copy_only=False)
        first[there] = ~second(times, there, zone)
    local = stamps.dt.tz_localize(_zone(zone), ambiguous=first, nonexistent="shift_forward")
    return pa.array(local.dt.tz_convert("UTC")).cast(pa.timestamp("us", "UTC")).cast(pa.int64())


@functools.cache
def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name)


def _from_numbers(column: pa.Array, name: str, unit: str | None) -> pa.Array:
    present = pc.drop_null(column)
    if not len(present):
        return pa.nulls(len(column), pa.int64())
    if unit is None:
        raise _no_unit(str(present[0].as_py()), name)
    return _scaled(column, unit)


def _from_digits(column: pa.Array, unit: str) -> pa.Array:
    try:
        return _scaled(column.cast(pa.int64()), unit)
    except pa.ArrowInvalid:
        pass
    nothing = pa.scalar(None, TEXT)
    whole = pc.if_else(pc.match_substring_regex(column, _INTEGER), column, nothing)
    broken = pc.if_else(pc.match_substring_regex(column, _DECIMAL), column, nothing)
    return pc.coalesce(
        _scaled(whole.cast(pa.int64()), unit), _scaled(broken.cast(pa.float64()), unit)
    )


def _scaled(column: pa.Array, unit: str) -> pa.Array:
    """Numbers of a unit as int64 microseconds; beyond int64 they stay beyond every log."""
    missing = pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False)
    numbers = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
    if numbers.dtype.kind == "f":
        scaled = np.where(missing, 0.0, numbers) * (US_PER_SECOND / _PER_SECOND[unit])
        us = np.round(np.clip(scaled, -(2.0**62), 2.0**62)).astype(np.int64)
    elif unit == "ns":
        us = numbers.astype(np.int64) // 1_000
    else:
        factor = US_PER_SECOND // _PER_SECOND[unit]
        us = np.clip(numbers, -(2**62) // factor, 2**62 // factor).astype(np.int64) * factor
    return pa.array(us, mask=missing)


def _no_unit(example: str, name: str) -> UsageError:
    guess = guess_unit(float(example))
    hint = f" {example} looks like {UNITS[guess]}: --time-unit {guess}." if guess else ""
    return UsageError(
        f"the times in column {name!r} are numbers, and none says in which unit.{hint} "
        f"Allowed: --time-unit {', '.join(UNITS)}."
    )


def guess_unit(number: float) -> str | None:
    """The unit in which a number would be a time between 1990 and 2099, if there is one.

    Examples
    --------
    >>> guess_unit(1_604_192_073_036_492)
    'us'
    """
    for unit, per_second in _PER_SECOND.items():
        if EARLIEST <= number * US_PER_SECOND / per_second < LATEST:
            return unit
    return None
