"""Up to when is a log complete, where nobody says it? Against logs of which one can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import samples

import analysis as wb
from analysis.eventlog import coverage

DAY = pd.Timedelta("1D")
START = pd.Timestamp("2026-03-01", tz="UTC")


def log_of(times: Any, **options: Any) -> wb.EventLog:
    times = pd.DatetimeIndex(times)
    users = [f"u{i % 50}" for i in range(len(times))]
    frame = pd.DataFrame({"user": users, "time": times, "event": "visit"})
    return wb.EventLog.from_frame(frame, **options)


def steady(days: float, a_day: int, start: pd.Timestamp = START) -> list[pd.Timestamp]:
    return [start + DAY * i / a_day for i in range(int(days * a_day))]


def scattered(days: int, a_day: float, seed: int) -> list[pd.Timestamp]:
    rng = np.random.default_rng(seed)
    return [START + DAY * float(t) for t in rng.uniform(0, days, rng.poisson(days * a_day))]


# ── far-off events


def viewers() -> list[tuple[str, pd.Timestamp, str]]:
    """200 viewers over ten days; all of the first four days' buy after half an hour."""
    rows = []
    for i in range(200):
        seen = START + DAY * (i // 20) + pd.Timedelta(hours=i % 20 + 1)
        rows.append((f"u{i}", seen, "view"))
        if i < 80:
            rows.append((f"u{i}", seen + pd.Timedelta("30min"), "buy"))
    return rows


@pytest.mark.parametrize("far", [[], ["2098-01-01"], ["2045-05-05", "2098-01-01", "2071-02-03"]])
def test_one_wrong_clock_changes_no_rate(far: list[str]) -> None:
    rows = viewers() + [("u7", pd.Timestamp(day, tz="UTC"), "view") for day in far]
    log = wb.EventLog.from_frame(pd.DataFrame(rows, columns=["user", "time", "event"]))
    assert log.covers_until == START + 10 * DAY
    assert log.events_after_end() == len(far)
    assert len(log) == 280 + len(far)
    answer = wb.funnel(log, ["view", "buy"], window="6d")
    assert answer.table.loc[1, ["k", "rate"]].tolist() == [80, 1.0]


@pytest.mark.parametrize(
    ("days", "a_day", "ahead"),
    [(10, 28, 365), (90, 50, 60), (30, 5, 100), (14, 2000, 5), (60, 1, 3650), (2, 500, 9000)],
)
def test_an_event_far_beyond_the_others_does_not_move_the_end(
    days: int, a_day: int, ahead: int
) -> None:
    times = steady(days, a_day)
    log = log_of([*times, START + (days + ahead) * DAY])
    assert log.covers_until == START + days * DAY
    assert log.events_after_end() == 1
    assert log.end == START + (days + ahead) * DAY


def test_clocks_that_are_wrong_both_ways_do_not_hide_each_other() -> None:
    early, late = pd.Timestamp("1990-01-01", tz="UTC"), pd.Timestamp("2098-01-01", tz="UTC")
    log = log_of([early, *steady(30, 20), late])
    assert log.covers_until == START + 30 * DAY
    assert log.events_after_end() == 1


@pytest.mark.parametrize(
    "times",
    [
        # Too little to have a pace.
        [START, START + 400 * DAY],
        [START] * 100 + [START + 30 * DAY],
        # Events that get rare, as those of a cohort do.
        [START + DAY * 1.5**i for i in range(18)],
        # Tracking was off for two months, then came back as it was.
        steady(90, 40) + steady(1, 40, START + 150 * DAY),
        # A shop that is open in spring.
        steady(60, 20) + steady(60, 20, START + 365 * DAY),
        # Weekdays only, and few.
        [START + DAY * d for d in range(50) if d % 7 < 5],
    ],
    ids=["two", "one day", "rare", "off", "spring", "weekdays"],
)
def test_logs_with_pauses_go_on_to_the_last_event(times: list[pd.Timestamp]) -> None:
    log = log_of(times)
    assert log.covers_until == max(times).floor("D") + DAY
    assert log.events_after_end() == 0


@pytest.mark.parametrize("seed", range(40))
def test_scattered_logs_keep_the_end_of_their_last_day(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = scattered(int(rng.integers(5, 90)), float(rng.choice([0.3, 1, 4, 30])), seed)
    if times:
        assert log_of(times).covers_until == max(times).floor("D") + DAY


# ── a day that breaks off


def test_a_day_that_breaks_off_ends_the_log() -> None:
    times = [t for t in steady(40, 24) if t <= START + 39 * DAY + pd.Timedelta("15h")]
    log = log_of(times)
    assert log.covers_until == times[-1] + pd.Timedelta("1us")
    assert log.events_after_end() == 0


@pytest.mark.parametrize(
    "quiet",
    [
        # One of the days before was as silent from that hour on.
        lambda t: (t - START).days == 30 and t.hour > 15,
        # Nights are always silent from 15:00 on.
        lambda t: t.hour > 15,
        # The log is not four weeks old.
        lambda t: (t - START).days < 12,
        # Few events a day: silence says little.
        lambda t: t.hour % 6,
    ],
    ids=["silent before", "always", "young", "sparse"],
)
def test_a_silence_that_is_usual_does_not(quiet: Any) -> None:
    times = [t for t in steady(40, 24) if t <= START + 39 * DAY + pd.Timedelta("15h")]
    assert log_of([t for t in times if not quiet(t)]).covers_until == START + 40 * DAY


def test_dates_without_times_keep_the_whole_day() -> None:
    assert log_of([START + DAY * (i // 30) for i in range(1500)]).covers_until == START + 50 * DAY


def test_an_end_that_was_said_stays() -> None:
    log = log_of([*steady(40, 24), START + 9000 * DAY], covers_until="2026-03-20")
    assert log.covers_until == pd.Timestamp("2026-03-20", tz="UTC")
    assert log.events_after_end() == 21 * 24 + 1
    # What comes after an end that was said is seen, but for what is far off.
    assert len(log.until_end()) == 40 * 24
    assert log.between(end="2026-03-20").until_end().events == 19 * 24


# ── logs that are known


def test_the_demo_ends_where_it_did() -> None:
    frame = wb.simulate(users=3000).log.to_frame()
    assert wb.EventLog.from_frame(frame).covers_until == frame["time"].max().ceil("D")


def ga360(path: Path) -> pd.Series:
    return pd.to_datetime(pd.read_csv(path, usecols=["ts"])["ts"], format="ISO8601", utc=True)


def otto(path: Path) -> pd.Series:
    sessions = pd.read_json(path, lines=True)["events"]
    ms = pd.Series([one["ts"] for own in sessions for one in own])
    return pd.to_datetime(ms, unit="ms", utc=True)


def ga4(path: Path) -> pd.Series:
    return pd.to_datetime(pd.read_json(path, lines=True)["event_timestamp"], unit="us", utc=True)


def retail(path: Path) -> pd.Series:
    return pd.to_datetime(pd.read_csv(path, encoding="latin-1")["InvoiceDate"], utc=True)


@pytest.mark.parametrize(
    ("sample", "times"),
    [
        pytest.param(samples.MERCHANDISE_STORE, ga360, marks=samples.needs_merchandise_store),
        pytest.param(samples.OTTO, otto),
        pytest.param(samples.GA4_EVENTS, ga4, marks=samples.needs(samples.GA4_EVENTS)),
        pytest.param(samples.ONLINE_RETAIL, retail),
    ],
    ids=["ga360", "otto", "ga4", "online_retail"],
)
def test_the_samples_keep_the_end_of_their_last_day(sample: Path, times: Any) -> None:
    found = times(sample)
    us = np.asarray(found, "datetime64[us]").astype(np.int64)
    until = pd.Timestamp(coverage.covered_until(coverage.activity(us)), unit="us", tz="UTC")
    assert until == found.max().floor("D") + DAY


# ── how it is counted


def test_shards_have_the_activity_of_the_whole() -> None:
    time = np.random.default_rng(3).integers(-(10**13), 10**13, 5000)
    whole = coverage.activity(time)
    parts = coverage.together(coverage.activity(part) for part in np.array_split(time, 7))
    for one, other in zip(whole, parts, strict=True):
        assert one.tolist() == other.tolist()
    by = pd.Series(time).groupby(time // coverage.US_PER_HOUR)
    assert whole.events.tolist() == by.size().tolist()
    assert whole.last.tolist() == by.max().tolist()


def test_times_of_a_million_years_fit_into_memory() -> None:
    time = np.array([5, -(2**62), 2**62, 6])
    found = coverage.activity(time)
    assert found.events.tolist() == [1, 2, 1]
    assert found.last.tolist() == [-(2**62), 6, 2**62]


def test_a_log_without_a_row_covers_nothing() -> None:
    assert coverage.covered_until(coverage.together([])) == 0
