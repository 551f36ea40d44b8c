"""Periods and their neighbors by local dates, against Python's own calendar."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.period_bounds import period_before, period_of, surrounding

ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Africa/Cairo"]


@given(st.dates(date(2015, 1, 1), date(2035, 1, 1)), st.integers(1, 40), st.sampled_from(ZONES))
def test_neighbors_touch_and_stay_on_local_midnights(first, length, zone):
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
def test_the_month_before_is_a_month(year, month):
    first = date(year, month, 1)
    after = date(year + month // 12, month % 12 + 1, 1)
    period = period_of((first.isoformat(), after.isoformat()), "Europe/Berlin", "period")
    before = period_before(period)
    assert period.noun == before.noun == "month"
    assert before.start.day == 1
    assert before.start.month == (month - 2) % 12 + 1


def test_a_week_in_which_the_clocks_change_is_a_week():
    period = period_of(("2026-10-19", "2026-10-26"), "Europe/Berlin", "period")
    assert period.noun == "week"
    start, end = period.bounds
    assert end - start == pd.Timedelta(hours=169)
    assert period_before(period).noun == "week"


def test_instants_with_a_zone_are_taken_as_they_are():
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
def test_names(start, end, noun, name):
    period = period_of((start, end), "UTC", "period")
    assert (period.noun, period.name) == (noun, name)


def test_surrounding_periods_end_where_the_log_ends():
    period = period_of(("2026-11-09", "2026-11-16"), "UTC", "period")
    first, until = pd.Timestamp("2026-10-21", tz="UTC"), pd.Timestamp("2026-11-20", tz="UTC")
    periods = surrounding(period, 12, first, until)
    assert [p.end for p in periods[:-1]] == [p.start for p in periods[1:]]
    found = [p.start.date().isoformat() for p in periods]
    assert found == ["2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16"]
