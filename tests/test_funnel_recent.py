"""The estimates of periods that are not final, by a second library and against the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from funnel_view_logs import STEPS, view_log
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from analysis.eventlog.log import EventLog
from analysis.funnels.funnel_recent import FINAL, NOBODY, with_estimates
from analysis.funnels.result import funnel


@settings(max_examples=15)
@given(
    st.integers(0, 2**32),
    st.sampled_from([None, "device", ("device", "value")]),
    st.sampled_from([1, 12]),
    st.sampled_from(["day", "week"]),
)
def test_estimates_by_a_second_library(seed: int, by: Any, top: int, freq: str) -> None:
    log = view_log(seed)
    result = funnel(log, STEPS, window="3d", by=by, top=top)
    trend = result.trend(freq)
    found = with_estimates(result, trend)
    pd.testing.assert_frame_equal(found[trend.columns], trend)
    final = found[found["mature"]]
    assert final["km_reason"].eq(FINAL).all()
    assert final.filter(regex="^km_(?!reason)").isna().all(axis=None)
    groups = set(trend["group"])
    for row in found[~found["mature"]].to_dict("records"):
        alone = funnel(log, STEPS, window="3d", by=by, entered=(row["start"], row["end"]), top=99)
        shown = [g if g in groups else "(other)" for g in alone.attempts["group"]]
        own = alone.attempts[[name == row["group"] for name in shown]]
        assert row["entered"] == len(own)
        if not len(own):
            assert row["km_reason"] == NOBODY
            continue
        left = (log.covers_until - own["entered_at"]).dt.total_seconds().clip(upper=3 * 86_400)
        took = (own["step_3"] - own["entered_at"]).dt.total_seconds()
        time = took.fillna(left)
        # As long as a tenth of them, one at least, has been watched.
        far = left.sort_values(ascending=False).iloc[-(-len(left) // 10) - 1]
        judge = SurvfuncRight(time, took.notna().astype(int))
        place = np.searchsorted(judge.surv_times, far, side="right") - 1
        so_far = 1 - judge.surv_prob[place] if place >= 0 else 0.0
        if so_far < 1 - 1e-9:
            far = min(far, time.max())
        assert row["km_so_far"] == pytest.approx(so_far, abs=1e-9)
        assert row["km_so_far_low"] <= row["km_so_far"] <= row["km_so_far_high"]
        assert row["km_seconds"] == far
        assert row["km_at_risk"] == (time >= far).sum()
        if far == 3 * 86_400:
            assert row["km_rate"] == row["km_so_far"]
            assert not row["km_reason"]
        else:
            assert np.isnan([row["km_rate"], row["km_low"], row["km_high"]]).all()
            assert "watched for 3 days" in row["km_reason"]


def test_the_last_week_is_estimated_where_its_rate_so_far_is_wrong() -> None:
    rng = np.random.default_rng(11)
    size = 6000
    start, end = pd.Timestamp("2026-06-01"), pd.Timestamp("2026-06-09")
    entry = start + pd.to_timedelta(rng.uniform(0, 7, size), "D")
    wait = pd.to_timedelta(np.where(rng.random(size) < 0.4, rng.uniform(0, 7, size), 99), "D")
    rows = pd.DataFrame({"user": np.arange(size).astype(str)})
    both = [rows.assign(time=entry, event="a"), rows.assign(time=entry + wait, event="b")]
    frame = pd.concat(both)
    log = EventLog.from_frame(frame[frame["time"] < end], covers_until=end)
    result = funnel(log, ["a", "b"], window="7d")
    week = with_estimates(result, result.trend("W")).iloc[0]
    assert not week["mature"]
    assert week["km_low"] < 0.4 < week["km_high"]
    plain = result.table["count"].iloc[1] / size
    assert plain < 0.33


def test_a_trend_that_is_final_stays_as_it_is() -> None:
    result = funnel(view_log(1, covers_until="2027-01-01"), STEPS)
    trend = result.trend("W")
    found = with_estimates(result, trend)
    assert found["km_reason"].eq(FINAL).all()
    assert list(found.columns[: len(trend.columns)]) == list(trend.columns)
    assert len(with_estimates(result, trend.iloc[:0])) == 0


def staggered(users: int, *, convert: bool) -> EventLog:
    """One entry an hour before the log's end, then two, and so on; half an hour to convert."""
    end = pd.Timestamp("2026-06-04")
    entries = [end - pd.Timedelta(hours=i + 1) for i in range(users)]
    rows = [(f"u{i}", time, "a") for i, time in enumerate(entries)]
    if convert:
        rows += [(f"u{i}", t + pd.Timedelta(minutes=30), "b") for i, t in enumerate(entries)]
    else:
        rows.append(("v", end - pd.Timedelta(days=9), "b"))
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    return EventLog.from_frame(frame, covers_until=end)


def test_the_curve_rests_on_a_tenth_of_the_entries() -> None:
    result = funnel(staggered(15, convert=False), ["a", "b"], window="7d")
    week = with_estimates(result, result.trend("W")).iloc[-1]
    # Two of fifteen have been watched for 14 hours, one of them for 15.
    assert (week["entered"], week["km_seconds"], week["km_at_risk"]) == (15, 14 * 3600, 2)
    assert week["km_reason"] == "0 of 15 were watched for 7 days, fewer than 10%"
    assert (week["km_so_far"], week["km_so_far_low"]) == (0, 0)
    assert 0 < week["km_so_far_high"] < 1


def test_a_curve_on_which_all_have_converted_does_not_end_early() -> None:
    result = funnel(staggered(15, convert=True), ["a", "b"], window="12h")
    week = with_estimates(result, result.trend("W")).iloc[-1]
    assert week["km_seconds"] == 12 * 3600
    assert (week["km_rate"], week["km_high"]) == (1, 1)
    assert not week["km_reason"]
