"""What a report has read, summed up: it changes with any row of its stretch, and with no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.core.periods import parse_period
from analysis.core.schema import US_PER_DAY, instant_us, timestamp
from analysis.eventlog.log import EventLog
from analysis.reports.contents import content, content_of_period, first_instant, has_changed

START, UNTIL = instant_us("2026-08-03"), instant_us("2026-08-17")


@pytest.fixture
def frame() -> pd.DataFrame:
    draw = np.random.default_rng(1)
    rows = 400
    return pd.DataFrame(
        {
            "user": [f"u{number}" for number in draw.integers(0, 60, rows)],
            "time": pd.Timestamp("2026-07-20")
            + pd.to_timedelta(draw.integers(0, 42 * 86_400, rows), "s"),
            "event": draw.choice(["visit", "cart", "purchase"], rows),
            "device": draw.choice(["phone", "desktop"], rows),
            "value": np.round(draw.uniform(1, 99, rows), 2),
        }
    )


def log_of(frame: pd.DataFrame, **options: Any) -> EventLog:
    return EventLog.from_frame(frame, covers_until="2026-09-07", **options)


def test_it_is_the_fingerprint_of_the_rows_of_the_stretch(frame: pd.DataFrame) -> None:
    for shards in (1, 3):
        log = log_of(frame, shards=shards)
        read = content(log, START, UNTIL)
        view = log.between(timestamp(START), timestamp(UNTIL))
        assert (read["events"], read["fingerprint"]) == (view.events, view.fingerprint)
    assert 0 < read["events"] < len(frame)


@pytest.mark.parametrize("row", range(0, 400, 40))
@pytest.mark.parametrize("cell", ["time", "event", "device", "value", "user", "gone"])
def test_any_cell_of_the_stretch_counts_and_no_other(
    frame: pd.DataFrame, row: int, cell: str
) -> None:
    time = frame["time"][row]
    changed = frame.drop(index=row) if cell == "gone" else frame.copy()
    if cell == "time":
        changed.loc[row, cell] = time + pd.Timedelta("1us")
    elif cell != "gone":
        changed.loc[row, cell] = {"value": 1000.0}.get(cell, "other")
    inside = START <= instant_us(time) < UNTIL
    # One session for all: where they are found, a row can change the session of later ones.
    sessions = content(log_of(frame.assign(session="s")), START, UNTIL)
    assert has_changed(log_of(changed.assign(session="s")), sessions) == inside


def test_a_period_is_read_with_the_window_after_it(frame: pd.DataFrame) -> None:
    week = parse_period("2026-W32", "week", "Europe/Berlin")
    read = content_of_period(log_of(frame), week, window_us=7 * US_PER_DAY)
    assert (read["start"], read["until"]) == (
        "2026-08-02T22:00:00+00:00",
        "2026-08-16T22:00:00+00:00",
    )


@pytest.mark.parametrize(
    "damaged",
    [None, {}, {"start": 1}, {"start": "x", "until": "y", "fingerprint": "z"}, [], "text"],
)
def test_a_summary_that_cannot_be_read_says_nothing(frame: pd.DataFrame, damaged: Any) -> None:
    assert not has_changed(log_of(frame), damaged)


@pytest.mark.parametrize(
    ("early", "first"),
    [
        (["1970-01-01"], "2026-07-20"),
        (["1970-01-01", "2000-01-01"], "2026-07-20"),
        (["2026-01-25"], "2026-01-25"),  # less than half a year before
        (["2025-01-01"] * 5, "2025-01-01"),  # more than one in a hundred
    ],
)
def test_a_few_events_long_before_all_others_are_no_beginning(
    frame: pd.DataFrame, early: list[str], first: str
) -> None:
    wrong = pd.DataFrame({"user": "w", "time": pd.to_datetime(early, utc=True), "event": "visit"})
    rows = pd.concat([frame.assign(time=frame["time"].dt.tz_localize("UTC")), wrong])
    for shards in (1, 3):
        found = timestamp(first_instant(log_of(rows, shards=shards)))
        assert f"{found:%Y-%m-%d}" == first
        assert found in set(rows["time"])
