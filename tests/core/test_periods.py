"""Periods against pandas' own calendar and time zone arithmetic."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.periods import (
    calendar_period,
    is_complete,
    parse_period,
    period_before,
    period_of,
    periods_due,
    surrounding,
    what_is_immature,
)
from analysis.core.schema import US_PER_DAY, UsageError, instant_us

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "America/Havana",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
]

PANDAS_FREQUENCY = {"day": "D", "week": "W-SUN", "month": "M"}

WEEK_US = 7 * US_PER_DAY

DEMO_ENDS = datetime(2026, 11, 23, tzinfo=UTC)

days = st.dates(date(1990, 1, 1), date(2037, 12, 31))

kinds = st.sampled_from(list(PANDAS_FREQUENCY))


def midnight(day: date, zone: str) -> pd.Timestamp:
    # ambiguous=True takes the first of two midnights, as the day's first instant must.
    naive = pd.DatetimeIndex([pd.Timestamp(day)])
    local = naive.tz_localize(zone, ambiguous=[True], nonexistent="shift_forward")  # type: ignore[arg-type]
    return local.tz_convert("UTC")[0]


@given(days, kinds, st.sampled_from(ZONES))
def test_bounds_agree_with_pandas(day: Any, kind: Any, zone: Any) -> None:
    period = calendar_period(day, kind, zone)
    judge = pd.Period(day, freq=PANDAS_FREQUENCY[kind])
    assert period.first_day == judge.start_time.date()
    assert period.end_day == (judge + 1).start_time.date()
    assert period.start == midnight(period.first_day, zone)
    assert period.end == midnight(period.end_day, zone)


@given(days, kinds, st.sampled_from(ZONES))
def test_a_name_gives_its_period_back(day: Any, kind: Any, zone: Any) -> None:
    period = calendar_period(day, kind, zone)
    assert parse_period(period.label, kind, zone) == period


@given(days, kinds)
def test_periods_follow_each_other_without_gap(day: Any, kind: Any) -> None:
    period = calendar_period(day, kind, "Europe/Berlin")
    after = calendar_period(period.end_day, kind, "Europe/Berlin")
    assert after.start == period.end
    assert after.label > period.label


def test_a_day_of_clock_change_has_23_or_25_hours() -> None:
    hours = [
        (period.end - period.start) / timedelta(hours=1)
        for period in (
            parse_period(d, "day", "Europe/Berlin") for d in ("2026-03-29", "2026-10-25")
        )
    ]
    assert hours == [23, 25]


def test_a_day_whose_midnight_does_not_exist_starts_at_the_jump() -> None:
    period = parse_period("2026-04-24", "day", "Africa/Cairo")
    assert period.start == datetime(2026, 4, 23, 22, tzinfo=UTC)
    assert (period.end - period.start) / timedelta(hours=1) == 23


def test_a_period_whose_midnight_does_not_exist_is_named_by_its_days() -> None:
    week = period_of(("2026-04-24", "2026-05-01"), "Africa/Cairo", "period")
    assert (week.name, week.noun) == ("24 to 30 Apr 2026", "week")
    assert period_before(week).name == "17 to 23 Apr 2026"
    first, until = week.bounds
    assert surrounding(week, 3, first, until) == [week]


@pytest.mark.parametrize(
    ("bounds", "label"),
    [
        (("2026-11-09", "2026-11-10"), "2026-11-09"),
        (("2026-11-09", "2026-11-16"), "2026-W46"),
        (("2026-11-10", "2026-11-17"), "2026-11-10/2026-11-17"),
        (("2026-11-01", "2026-12-01"), "2026-11"),
    ],
)
def test_a_period_of_two_dates_is_that_of_its_name(bounds: Any, label: str) -> None:
    assert period_of(bounds, "Europe/Berlin", "period").label == label
    for kind in PANDAS_FREQUENCY:
        named = calendar_period(date.fromisoformat(bounds[0]), kind, "Europe/Berlin")
        assert (named == period_of(bounds, "Europe/Berlin", "period")) == (named.label == label)


@pytest.mark.parametrize(
    ("label", "first", "end"),
    [
        # From the table of long years and edge weeks of ISO 8601.
        ("2020-W53", date(2020, 12, 28), date(2021, 1, 4)),
        ("2021-W01", date(2021, 1, 4), date(2021, 1, 11)),
        ("2026-W01", date(2025, 12, 29), date(2026, 1, 5)),
        ("2026-W46", date(2026, 11, 9), date(2026, 11, 16)),
        ("2026-W53", date(2026, 12, 28), date(2027, 1, 4)),
    ],
)
def test_iso_weeks(label: str, first: Any, end: Any) -> None:
    period = parse_period(label, "week")
    assert (period.first_day, period.end_day) == (first, end)


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("2025-W53", "week"),
        ("2026-W00", "week"),
        ("2026-W46", "day"),
        ("2026-11", "week"),
        ("2026-13", "month"),
        ("2026-02-30", "day"),
        ("2026-W4", "week"),
        ("２０２６-11", "month"),
        ("9999-12", "month"),
        ("9999-12-31", "day"),
        ("0000-01", "month"),
        ("../2026-11", "month"),
        ("2026-11\n", "month"),
        ("", "week"),
    ],
)
def test_what_is_no_period_is_refused_in_one_line(label: str, kind: str) -> None:
    with pytest.raises(UsageError, match=rf"A {kind} looks like '2026") as caught:
        parse_period(label, kind)
    assert "\n" not in str(caught.value)


def test_the_demo_is_complete_for_week_46_and_not_for_47() -> None:
    assert is_complete(parse_period("2026-W46", "week"), DEMO_ENDS, window_us=WEEK_US)
    assert not is_complete(parse_period("2026-W46", "week"), DEMO_ENDS, window_us=WEEK_US + 1)
    assert is_complete(parse_period("2026-W47", "week"), DEMO_ENDS)
    assert not is_complete(parse_period("2026-W47", "week"), DEMO_ENDS, window_us=WEEK_US)


def test_every_week_of_the_demo_that_is_due() -> None:
    due = periods_due(
        datetime(2026, 8, 17, 0, 3, tzinfo=UTC), DEMO_ENDS, kind="week", window_us=WEEK_US
    )
    assert [period.label for period in due] == [f"2026-W{n}" for n in range(34, 47)]


def test_a_log_that_starts_in_mid_week_starts_with_the_next_week() -> None:
    due = periods_due(datetime(2026, 8, 18, tzinfo=UTC), DEMO_ENDS, kind="week")
    assert due[0].label == "2026-W35"


@given(st.sampled_from(ZONES), kinds, st.integers(0, 40), st.integers(0, 3 * WEEK_US))
def test_due_periods_are_whole_complete_and_all_there(
    zone: Any, kind: Any, length_days: int, window_us: int
) -> None:
    start = datetime(2026, 10, 20, 13, tzinfo=UTC)
    until = start + timedelta(days=length_days)
    due = periods_due(start, until, kind=kind, time_zone=zone, window_us=window_us)
    assert all(is_complete(period, until, window_us=window_us) for period in due)
    local = pd.Timestamp(start).tz_convert(zone).date()
    for period in due:
        assert period.first_day >= local
    for one, next_one in itertools.pairwise(due):
        assert one.end == next_one.start
    if due:
        following = calendar_period(due[-1].end_day, kind, zone)
        assert not is_complete(following, until, window_us=window_us)


@pytest.mark.parametrize(
    ("label", "window_us", "words"),
    [
        ("2026-W46", WEEK_US, ""),
        ("2026-W47", WEEK_US, "is not final"),
        ("2026-W48", WEEK_US, "has not begun"),
        ("2026-W47", 0, ""),
    ],
)
def test_what_is_immature_is_said(label: str, window_us: Any, words: str) -> None:
    said = what_is_immature(parse_period(label, "week"), DEMO_ENDS, window_us=window_us)
    assert words in said
    assert bool(said) == bool(words)


def test_a_period_under_way_says_when_it_will_be_final() -> None:
    said = what_is_immature(parse_period("2026-11", "month"), DEMO_ENDS, window_us=WEEK_US)
    assert "is not over" in said
    assert said.endswith("when the log covers until 2026-12-08 00:00 UTC.")


def test_a_report_without_follow_up_speaks_of_none() -> None:
    said = what_is_immature(parse_period("2026-11", "month"), DEMO_ENDS)
    assert "followed" not in said
    assert said.endswith("until 2026-12-01 00:00 UTC.")


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_instants_are_exact(moment: datetime) -> None:
    assert pd.Timestamp(instant_us(moment), unit="us", tz="UTC") == pd.Timestamp(moment)


# Periods and their neighbors by local dates, against Python's own calendar.


LOCAL_ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Africa/Cairo",
]


@given(
    st.dates(date(2015, 1, 1), date(2035, 1, 1)),
    st.integers(1, 40),
    st.sampled_from(LOCAL_ZONES),
)
def test_neighbors_touch_and_stay_on_local_midnights(first: date, length: int, zone: Any) -> None:
    last = first + timedelta(days=length)
    period = period_of((first.isoformat(), last.isoformat()), zone, "period")
    before = period_before(period)
    assert before.end == period.start
    if not period.is_month:
        assert before.start.date() == first - timedelta(days=length)
    for stamp in (*period.bounds, *before.bounds):
        local = stamp.astimezone(ZoneInfo(zone))
        # Where the clocks skip midnight the day begins an hour later.
        assert local.hour in (0, 1)
        assert local.minute == 0


@given(st.integers(2015, 2035), st.integers(1, 12))
def test_the_month_before_is_a_month(year: int, month: int) -> None:
    first = date(year, month, 1)
    after = date(year + month // 12, month % 12 + 1, 1)
    period = period_of((first.isoformat(), after.isoformat()), "Europe/Berlin", "period")
    before = period_before(period)
    assert period.noun == before.noun == "month"
    assert before.start.day == 1
    assert before.start.month == (month - 2) % 12 + 1


def test_a_week_in_which_the_clocks_change_is_a_week() -> None:
    period = period_of(("2026-10-19", "2026-10-26"), "Europe/Berlin", "period")
    assert period.noun == "week"
    start, end = period.bounds
    assert end - start == pd.Timedelta(hours=169)
    assert period_before(period).noun == "week"


def test_instants_with_a_zone_are_taken_as_they_are() -> None:
    there = period_of(("2026-11-08T23:00Z", "2026-11-15T23:00Z"), "Europe/Berlin", "period")
    assert there == period_of(("2026-11-09", "2026-11-16"), "Europe/Berlin", "period")
    assert there.name == "9 to 15 Nov 2026"


@pytest.mark.parametrize(
    ("start", "end", "noun", "name"),
    [
        ("2026-11-09", "2026-11-10", "day", "9 Nov 2026"),
        ("2026-11-09", "2026-11-16", "week", "9 to 15 Nov 2026"),
        ("2026-12-28", "2027-01-04", "week", "28 Dec 2026 to 3 Jan 2027"),
        ("2026-02-01", "2026-03-01", "month", "1 to 28 Feb 2026"),
        ("2026-11-01", "2026-11-15", "14 days", "1 to 14 Nov 2026"),
    ],
)
def test_names(start: str, end: str, noun: str, name: str) -> None:
    period = period_of((start, end), "UTC", "period")
    assert (period.noun, period.name) == (noun, name)


def test_surrounding_periods_end_where_the_log_ends() -> None:
    period = period_of(("2026-11-09", "2026-11-16"), "UTC", "period")
    first, until = pd.Timestamp("2026-10-21", tz="UTC"), pd.Timestamp("2026-11-20", tz="UTC")
    periods = surrounding(period, 12, first, until)
    assert [p.end for p in periods[:-1]] == [p.start for p in periods[1:]]
    found = [p.start.date().isoformat() for p in periods]
    assert found == ["2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16"]
