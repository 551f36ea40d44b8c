"""What earlier periods counted, asked one by one; and days without data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from support.funnel_view_logs import STEPS, view_log

from analysis.core.periods import calendar_period, period_of
from analysis.core.schema import ALL
from analysis.eventlog.log import EventLog
from analysis.funnels.history import Gaps, History, counts_of
from analysis.funnels.result import funnel


@pytest.mark.parametrize("by", [None, "device", "value"])
def test_earlier_periods_count_as_their_own_funnels_do(by: str | None) -> None:
    log = view_log(3, users=120)
    days = [
        period_of((f"2026-10-{day}", f"2026-10-{day + 2}"), "UTC", "period") for day in (21, 23, 25)
    ]
    view = funnel(log, STEPS, window="1d", by=by, entered=days[-1].bounds, top=99)
    found = History.of(view, days, [True, True, True])
    for i, period in enumerate(days):
        own = funnel(log, STEPS, window="1d", by=by, entered=period.bounds, top=99)
        table = own.table
        for place, name in enumerate(view.sums.names):
            rows = table[[group == name for group in table["group"]]]
            want = [rows[column].to_numpy() if len(rows) else 0 for column in ("count", "k")]
            assert (found.counts[0, place, :, i] == want[0]).all()
            assert (found.counts[1, place, :, i] == want[1]).all()
        whole = table.groupby("step")[["count", "k"]].sum()
        assert found.counts[:, -1, :, i].tolist() == whole.T.to_numpy().tolist()
        counts = counts_of(view, period)
        assert counts["n"] == whole["k"].iloc[0]
        assert counts["k"] == whole["k"].iloc[-1]
    assert found.names[-1] == ALL
    assert found.frame()["n"].tolist() == found.counts[1, -1, 0].tolist()


def shop(empty: set[str], weekend: bool = True) -> EventLog:
    rows = [
        (f"u{i}", day + pd.Timedelta(hours=i))
        for day in pd.date_range("2026-09-01", "2026-11-15", freq="D")
        for i in range(12)
        if str(day.date()) not in empty and (weekend or day.weekday() < 5)
    ]
    return EventLog.from_frame(
        pd.DataFrame(rows, columns=["user", "time"]).assign(event="a"), covers_until="2026-11-16"
    )


def weeks(*days: str) -> list:
    return [calendar_period(pd.Timestamp(day).date(), "week") for day in days]


def test_a_day_without_an_event_is_a_gap_where_others_have_some() -> None:
    before, now = weeks("2026-11-02", "2026-11-09")
    gaps = Gaps.of_log(shop({"2026-11-05"}), [before, now])
    assert [str(day.date()) for day in gaps.days] == ["2026-11-05"]
    assert gaps.within(before) == [0]
    assert gaps.within(now) == []
    assert "No event was recorded on 5 Nov 2026; 12 are usual" in gaps.notes((before, now))[0]


def test_a_weekend_that_is_always_closed_is_none() -> None:
    periods = weeks("2026-10-12", "2026-10-19", "2026-10-26", "2026-11-02", "2026-11-09")
    assert not Gaps.of_log(shop(set(), weekend=False), periods).days


def test_days_beyond_the_log_are_none() -> None:
    assert not Gaps.of_log(shop(set()), weeks("2026-08-24", "2026-08-31", "2026-11-16")).days


def test_gaps_are_those_of_local_days() -> None:
    """In Berlin the clocks change on 25 October: that day has 25 hours, and its events are its."""
    zone = "Europe/Berlin"
    period = period_of(("2026-10-19", "2026-11-02"), zone, "period")
    local = pd.date_range("2026-10-01", "2026-11-10", freq="D", tz=zone)
    rows = [("u", at + pd.Timedelta(minutes=i)) for at in local for i in range(20) if at.day != 25]
    frame = pd.DataFrame(rows, columns=["user", "time"]).assign(event="a")
    gaps = Gaps.of_log(EventLog.from_frame(frame, covers_until="2026-11-10"), [period])
    assert [str(day.date()) for day in gaps.days] == ["2026-10-25"]
    assert np.median(gaps.usual) == 20
