"""The edges of chains: windows, maturity, entry ranges, and logs in which there is nothing."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from funnel_logs import ABC, counts, log_of

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.result import funnel


def at(*instants: int, until: int, **options: Any) -> EventLog:
    """A, B, C, … at these microseconds after a moment, all of one user."""
    base = pd.Timestamp("2026-11-09T10:00Z")
    times = [base + pd.Timedelta(t, "us") for t in instants]
    frame = pd.DataFrame({"user": "u", "event": list("ABCDEFG"[: len(times)]), "time": times})
    return EventLog.from_frame(frame, covers_until=base + pd.Timedelta(until, "us"), **options)


HOUR = 3_600_000_000


@pytest.mark.parametrize(("wait", "reach"), [(HOUR - 1, 2), (HOUR, 2), (HOUR + 1, 1)])
@pytest.mark.parametrize("steps", [["A", "B"], [["A", "B"], "B"]])
def test_the_window_is_inclusive_to_the_microsecond(
    wait: int, reach: int, steps: list[Any]
) -> None:
    log = at(0, wait, until=10 * HOUR)
    attempts = funnel(log, steps, window="1h", entered=(None, "2026-11-09T10:00:01Z")).attempts
    assert attempts["reach"].tolist() == [reach]


@pytest.mark.parametrize(("until", "mature"), [(HOUR - 1, False), (HOUR, True), (HOUR + 1, True)])
def test_an_entry_is_mature_when_its_whole_window_is_covered(until: int, mature: bool) -> None:
    result = funnel(at(0, 5, until=until), ["A", "B"], window="1h")
    assert result.attempts["mature"].tolist() == [mature]
    assert result.attempts["censored"].tolist() == [False]
    assert result.table["k"].tolist() == [int(mature)] * 2
    stopped = funnel(at(0, 5, until=until), ["B", "A"], window="1h").attempts
    assert stopped["censored"].tolist() == [until < HOUR + 5]


def test_the_mature_chain_may_be_another_one() -> None:
    """The best chain is too young for a rate; the older, shorter one is what the rate sees."""
    log = log_of("A 1:00, A 5:00, B 5:10", until="2026-11-02T05:30", g=["old", "young", "young"])
    result = funnel(log, ["A", "B"], window="1h", by="g")
    lines = result.table[["group", "step", "count", "k", "n_first"]].to_numpy().tolist()
    assert lines == [
        ["young", 1, 1, 0, 0],
        ["young", 2, 1, 0, 0],
        ["old", 1, 0, 1, 1],
        ["old", 2, 0, 0, 1],
    ]
    assert result.attempts[["group", "reach", "mature"]].to_numpy().tolist() == [
        ["young", 2, False]
    ]
    assert result.mature_attempts[["group", "reach", "mature"]].to_numpy().tolist() == [
        ["old", 1, True]
    ]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-11-02T01:00", "2026-11-02T02:00", [1, 1]),
        ("2026-11-02T01:00", "2026-11-02T01:00:00.000001", [1, 1]),
        ("2026-11-02T00:00", "2026-11-02T01:00", [0, 0]),
        ("2026-11-02T01:00:00.000001", None, [0, 0]),
        (None, "2026-11-02T01:01", [1, 1]),
        ("2026-11-02T02:00+01:00", "2026-11-02T02:01+01:00", [1, 1]),
        (None, None, [1, 1]),
    ],
)
def test_entered_limits_entries_only(start: Any, end: Any, expected: list[int]) -> None:
    log = log_of("A 1:00, B 3:00")
    assert counts(log, ["A", "B"], entered=(start, end)) == expected


@pytest.mark.parametrize("entered", ["2026-11-02", ("2026-11-02",), ("2026-11-03", "2026-11-02")])
def test_what_entered_refuses(entered: Any) -> None:
    with pytest.raises(UsageError, match=r"^funnel: entered="):
        funnel(log_of("A 1:00"), ["A"], entered=entered)


def test_known_events_that_nobody_reached_and_units_that_never_enter() -> None:
    log = log_of("A 1:00, B 1:30, C 2:00")
    assert counts(log, ["C", "B", "A"]) == [1, 0, 0]
    assert counts(log.where(event=["B", "C"]), ABC) == [0, 0, 0]
    assert funnel(log.where(event="C"), ABC).attempts.empty
    assert counts(log.where(event=["A", "C"]), ABC) == [1, 0, 0]


def test_of_an_empty_view_everything_is_zero_or_undefined() -> None:
    log = log_of("A 1:00, B 1:30", browser=["chrome", "safari"], n=[1.0, 2.0])
    for by in (None, "browser", ["browser", "n"], "n"):
        result = funnel(log.where(browser="x"), ["A", "B"], by=by)
        assert result.table["group"].tolist() == ["all", "all"]
        assert result.table[["count", "k", "n_first", "n_previous"]].to_numpy().sum() == 0
        assert result.table.loc[:, "rate":].isna().all(axis=None)
        assert result.attempts.empty
        assert list(result.attempts)[:4] == ["unit", "group", "entered_at", "reach"]
        assert result.warnings == ()


def test_a_log_without_events_is_an_error() -> None:
    frame = pd.DataFrame({"user": ["u"], "time": [pd.Timestamp(0)], "event": ["A"]})
    with pytest.raises(DataError, match=r"the log is empty\. Import events first"):
        funnel(EventLog.from_frame(frame.iloc[:0]), ["A"])
