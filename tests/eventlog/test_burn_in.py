"""Who was there before the log began, in logs whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.core.schema import UsageError
from analysis.eventlog.burn_in import NEVER_SEEN, burn_in, first_seen
from analysis.eventlog.log import EventLog

DAY = pd.Timestamp("2026-01-01")


def visits(seed: int, *, old: int, new: int, days: float = 90, gap: float = 10) -> pd.DataFrame:
    """Old customers who come every so many days, and so many new ones a day who come back, too."""
    rng = np.random.default_rng(seed)
    rows = []
    starts = [("old", rng.uniform(0, gap, old)), ("new", rng.uniform(0, days, int(new * days)))]
    for kind, first in starts:
        for i, at in enumerate(first):
            times = at + np.concatenate([[0], np.cumsum(rng.exponential(gap, 12))])
            rows += [(f"{kind}{i}", time) for time in times if time < days]
    frame = pd.DataFrame(rows, columns=["user", "at"])
    return frame.assign(time=DAY + pd.to_timedelta(frame["at"], "D"), event="visit")


def log_of(frame: pd.DataFrame) -> EventLog:
    until = DAY + pd.Timedelta(days=90)
    return EventLog.from_frame(frame[["user", "time", "event"]], covers_until=until)


def test_old_customers_are_seen_first_and_left_out() -> None:
    log = log_of(visits(1, old=600, new=10))
    found = burn_in(log, None, "test")
    assert found.since_us is not None
    since = pd.Timestamp(found.since_us, unit="us")
    # Nine of ten visits come within 10 · ln 10 = 23 days of the one before: four weeks.
    assert since == log.start.tz_localize(None) + pd.Timedelta(days=28)
    seen = np.concatenate([first_seen(s, 1) for s in log.shards])
    assert found.left_out == (seen < found.since_us).sum() > 800
    assert "were first seen in its first 28 days" in found.note
    users = [name for s in log.shards for name in s.users.to_pylist()]
    kept = np.concatenate([found.keeps(s, 1) for s in log.shards])
    assert not any(name.startswith("old") for name, own in zip(users, kept, strict=True) if own)


@pytest.mark.parametrize("seed", range(5))
def test_without_old_customers_nobody_is_left_out(seed: int) -> None:
    assert burn_in(log_of(visits(seed, old=0, new=20)), None, "test").since_us is None


def test_where_everybody_is_old_nobody_is_left_out() -> None:
    assert burn_in(log_of(visits(1, old=500, new=0)), None, "test").since_us is None


def test_the_day_can_be_given() -> None:
    frame = visits(1, old=50, new=2)
    log = log_of(frame)
    found = burn_in(log, "2026-01-15", "test")
    first = frame.groupby("user")["time"].min()
    assert found.left_out == (first < "2026-01-15").sum()
    assert (
        found.note == f"{found.left_out} users first seen before 15 Jan 2026 are left out (since=)."
    )
    assert burn_in(log, "2026-01-01", "test").note == ""
    with pytest.raises(UsageError, match="since='soon' is not a time"):
        burn_in(log, "soon", "test")


def test_rows_that_are_not_shown_are_not_seen() -> None:
    frame = pd.DataFrame(
        {
            "user": ["a", "a", "b", "c"],
            "time": DAY + pd.to_timedelta([0, 2, 1, 3], "D"),
            "event": "visit",
            "device": ["m", "d", "m", "d"],
        }
    )
    log = EventLog.from_frame(frame, shards=1).where(device="d")
    seen = np.concatenate([first_seen(s, len(log.event_names)) for s in log.shards])
    known = seen[seen < NEVER_SEEN]
    assert sorted(pd.to_datetime(known, unit="us").day) == [3, 4]


def test_a_question_that_asks_of_fewer_people_says_how_many_it_leaves_out() -> None:
    given = burn_in(log_of(visits(1, old=50, new=2)), "2026-01-15", "test")
    assert given.among(1).note == "1 user first seen before 15 Jan 2026 is left out (since=)."
    assert given.among(0).note == ""
    assert given.among(0).since_us == given.since_us
    found = burn_in(log_of(visits(1, old=600, new=10)), None, "test")
    assert "So 7 users first seen before 29 Jan 2026 are left out" in found.among(7).note
