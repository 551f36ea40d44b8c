"""Times, judged by the standard library's datetime and zoneinfo."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.sources.times import REASONS, guess_unit, read_instants

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
TIMES = st.datetimes(dt.datetime(1990, 1, 2), dt.datetime(2099, 12, 30))


def us_of(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


def read(cells: Any, *, zone: Any = None, unit: Any = None, of: Any = None) -> Any:
    result = read_instants(pa.array(cells, of), "ts", zone=zone, unit=unit)
    return [
        REASONS[code] if code else int(us)
        for us, code in zip(result.us, result.reason, strict=True)
    ]


def utc(*parts: Any) -> int:
    return us_of(dt.datetime(*parts, tzinfo=dt.UTC))  # type: ignore[misc]


@given(TIMES, st.integers(-14 * 60, 14 * 60))
def test_an_offset_says_the_instant(moment: Any, minutes: int) -> None:
    moment = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    assert read([moment.isoformat(), moment.isoformat(sep=" ")]) == [us_of(moment)] * 2


@given(st.lists(TIMES, min_size=1, max_size=5), st.sampled_from(ZONES))
def test_naive_text_and_naive_timestamps_are_read_in_the_zone(
    moments: list[Any], zone: Any
) -> None:
    wanted = []
    for moment in moments:
        local = moment.replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=0)
        back = local.astimezone(dt.UTC).astimezone(local.tzinfo)
        if back.replace(tzinfo=None) == moment:  # times that the clocks skip: below
            wanted.append((moment, us_of(local.astimezone(dt.UTC))))
    texts = [moment.isoformat() for moment, _ in wanted]
    assert read(texts, zone=zone, of=pa.string()) == [us for _, us in wanted]
    stamps = [moment for moment, _ in wanted]
    assert read(stamps, zone=zone, of=pa.timestamp("us")) == [us for _, us in wanted]


def test_the_hour_shown_twice_is_summer_time_and_the_skipped_one_moves_forward() -> None:
    assert read(["2025-10-26T02:30:00"], zone="Europe/Berlin") == [utc(2025, 10, 26, 0, 30)]
    assert read(["2025-03-30T02:30:00"], zone="Europe/Berlin") == [utc(2025, 3, 30, 1, 0)]


def test_an_offset_wins_over_the_zone() -> None:
    both = ["2026-01-01T00:00:00Z", "2026-01-01 00:00:00", "2026-07-01T12:00:00+02:00"]
    wanted = [utc(2026, 1, 1), utc(2025, 12, 31, 23), utc(2026, 7, 1, 10)]
    assert read(both, zone="Europe/Berlin") == wanted


@pytest.mark.parametrize(
    "text",
    [
        "2020-11-01 00:54:33.036492 UTC",
        "2020-11-01T00:54:33.036492Z",
        "20201101T005433.036492Z",
        " 2020-11-01T01:54:33.036492+01 ",
        "2020-10-31T19:54:33.036492-0500",
        "2020-11-01T00:54:33.036492789Z",
    ],
)
def test_ways_to_write_one_instant(text: str) -> None:
    assert read([text]) == [1_604_192_073_036_492]
    assert read([text, None, "?"]) == [1_604_192_073_036_492, *REASONS[1:3]]


@pytest.mark.parametrize(
    "text", ["yesterday", "now", "today", "01/02/2026", "2026-13-01T00:00Z", "2026-01-01T25:00Z"]
)
def test_what_is_no_time_has_a_reason(text: str) -> None:
    assert read([text, "2026-01-01T00:00Z"]) == ["time is unreadable", utc(2026, 1, 1)]


def test_the_range_is_1990_to_2099() -> None:
    cells = [
        "1989-12-31T23:59:59Z",
        "1990-01-01T00:00Z",
        "2099-12-31T23:59:59Z",
        "2100-01-01T00:00Z",
    ]
    outside = "time is outside 1990 to 2099"
    assert read(cells) == [outside, utc(1990, 1, 1), utc(2099, 12, 31, 23, 59, 59), outside]


@pytest.mark.parametrize("cells", [["2026-01-01 10:00"], ["2026-01-01T10:00Z", "2026-01-01"]])
def test_naive_text_without_a_zone_stops_the_import(cells: list[str]) -> None:
    with pytest.raises(UsageError, match="none is assumed"):
        read(cells)


def test_naive_timestamps_without_a_zone_stop_the_import() -> None:
    with pytest.raises(UsageError, match="--time-zone"):
        read([dt.datetime(2026, 1, 1)])
    assert read([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)]) == [utc(2026, 1, 1)]
    assert read([dt.date(2026, 1, 1)], zone="Asia/Tokyo") == [utc(2025, 12, 31, 15)]


@given(TIMES, st.sampled_from(["s", "ms", "us", "ns"]))
def test_numbers_in_a_unit(moment: Any, unit: str) -> None:
    us = us_of(moment.replace(tzinfo=dt.UTC))
    scale = {"s": 1_000_000, "ms": 1_000, "us": 1}.get(unit)
    number = us * 1_000 + 999 if scale is None else us // scale
    wanted = [us if scale is None else number * scale]
    assert read([number], unit=unit) == wanted
    assert read([str(number)], unit=unit) == wanted
    assert read([str(number), "x"], unit=unit) == [*wanted, "time is unreadable"]
    assert guess_unit(number) == unit or us < 10**12


@given(TIMES)
def test_decimal_seconds_keep_microseconds(moment: Any) -> None:
    us = us_of(moment.replace(tzinfo=dt.UTC))
    text = f"{us // 1_000_000}.{us % 1_000_000:06d}"
    assert read([text], unit="s") == [us]
    assert read([float(text)], unit="s") == [us]


def test_numbers_that_are_no_times() -> None:
    cells = ["99999999999999999999", "1.6e9", "-5", "nan", ""]
    wanted = [REASONS[2], REASONS[2], REASONS[3], REASONS[2], REASONS[1]]
    assert read(cells, unit="s") == wanted
    assert read([float("inf"), float("nan"), None], unit="s") == [REASONS[3], *[REASONS[1]] * 2]
    assert read([2**62, -(2**62)], unit="s") == [REASONS[3]] * 2


@pytest.mark.parametrize("cells", [["1604192073036492"], [1_604_192_073_036_492]])
def test_numbers_without_a_unit_stop_the_import_with_a_guess(cells: Any) -> None:
    with pytest.raises(UsageError, match="looks like microseconds: --time-unit us"):
        read(cells)


def test_one_number_among_texts_is_a_bad_row() -> None:
    assert read(["2026-01-01T00:00Z", "2026-01-02T00:00Z", "5"])[2] == "time is unreadable"


def test_no_cell_at_all_and_no_time_at_all() -> None:
    assert read([None, None]) == ["time is missing"] * 2
    with pytest.raises(UsageError, match="holds bool"):
        read([True])
