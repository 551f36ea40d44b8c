"""Waits against plain pandas; the curve against published numbers, a second library, the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from funnel_view_logs import STEPS, view_log, watched_log
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight
from test_kaplan_meier import AT_RISK, PUBLISHED, RELAPSED, WEEKS

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.funnel_steps import Exclusion, Step
from analysis.funnels.over_time import time_curve, times
from analysis.funnels.result import funnel

seeds = st.integers(0, 2**32)
breakdowns = st.sampled_from([None, "device", ("device", "value")])
WEEK = 7 * 86_400


def of_group(attempts: pd.DataFrame, group: Any) -> pd.DataFrame:
    return attempts[[name == group for name in attempts["group"]]]


@settings(max_examples=30)
@given(seeds, breakdowns, st.sampled_from([2, 3, "b", "c"]), st.booleans())
def test_waits_by_plain_pandas(seed: int, by: Any, step: Any, whole: bool) -> None:
    result = funnel(view_log(seed), STEPS, window="2d", by=by)
    table = times(result, step, since="entry" if whole else "previous")
    number = step if isinstance(step, int) else STEPS.index(step) + 1
    assert table["group"].tolist() == list(dict.fromkeys(result.table["group"]))
    for row in table.to_dict("records"):
        own = of_group(result.mature_attempts, row["group"])
        start = own["entered_at"] if whole else own[f"step_{number - 1}"]
        waits = (own[f"step_{number}"] - start).dt.total_seconds().dropna()
        assert (row["step"], row["event"], row["n"]) == (number, STEPS[number - 1], len(waits))
        for name, q in {"median": 0.5, "p10": 0.1, "p25": 0.25, "p75": 0.75, "p90": 0.9}.items():
            assert row[f"{name}_seconds"] == pytest.approx(waits.quantile(q), nan_ok=True)
        assert row["mean_seconds"] == pytest.approx(waits.mean(), nan_ok=True)


def test_waits_agree_with_the_table() -> None:
    result = funnel(view_log(3, users=300), STEPS, window="3d", by="device")
    for step in (2, 3):
        own = result.table[result.table["step"] == step].reset_index(drop=True)
        mine = times(result, step)
        assert mine["median_seconds"].equals(own["median_seconds"])
        assert mine["mean_seconds"].equals(own["mean_seconds"])
        assert mine["n"].equals(own["k"])


OPTIONS: list[dict[str, Any]] = [
    {"unit": "session"},
    {"hold": ["device"]},
    {"count": "attempts"},
    {"order": "any"},
    {"order": "strict"},
    {"unit": "device"},
    {"by": "device", "by_at": 2},
    {"exclude": [Exclusion("q")]},
    {"entry": "first"},
]


@settings(max_examples=30)
@given(seeds, st.sampled_from(OPTIONS), st.booleans())
def test_every_kind_of_funnel(seed: int, options: dict[str, Any], skip: bool) -> None:
    steps: list[Any] = ["a", Step("q", optional=True), "b", "c"] if skip else STEPS
    if skip and "order" in options:
        return
    log = view_log(seed, covers_until="2027-01-01")
    result = funnel(log, steps, window="2d", **options)
    for step in range(2, len(steps) + 1):
        own = result.table[result.table["step"] == step].reset_index(drop=True)
        found = times(result, step)
        assert found["n"].tolist() == own["k"].tolist()
        for name in ("median_seconds", "mean_seconds"):
            assert found[name].tolist() == pytest.approx(own[name].tolist(), nan_ok=True)
        # All entries are mature: the curve ends at the share that the table tells.
        ends = time_curve(result, step).groupby("group", sort=False)["rate"].last()
        want = own.set_index("group")["rate"].dropna()
        assert ends.to_dict() == pytest.approx(want.to_dict())


def test_waits_of_nothing_are_kept_and_nobody_has_none() -> None:
    frame = pd.DataFrame({"user": ["u", "u", "v"], "event": ["a", "b", "a"]})
    log = EventLog.from_frame(
        frame.assign(time=pd.Timestamp("2026-01-01")), covers_until="2026-03-01"
    )
    assert times(funnel(log, ["a", "b"]))["median_seconds"].tolist() == [0.0]
    nobody = times(funnel(log, ["b", "a", "a"], ties="strict"))
    assert nobody["n"].tolist() == [0]
    assert nobody.filter(like="_seconds").isna().all(axis=None)


def test_the_published_curve_comes_out_of_a_log() -> None:
    log = watched_log(list(WEEKS), RELAPSED)
    curve = time_curve(funnel(log, ["enter", "convert"], window="350d"))
    for week, survival in PUBLISHED.items():
        row = curve[curve["seconds"] == week * WEEK].iloc[0]
        assert 1 - row["rate"] == pytest.approx(survival, abs=6e-5)
        assert (row["at_risk"], row["n"]) == (AT_RISK[week], 21)
    assert curve["seconds"].iloc[0] == 0
    assert curve["seconds"].iloc[-1] == 35 * WEEK


@settings(max_examples=30)
@given(seeds, breakdowns, st.sampled_from([2, 3]))
def test_the_curve_by_a_second_library(seed: int, by: Any, step: int) -> None:
    log = view_log(seed)
    result = funnel(log, STEPS, window="4d", by=by)
    curve = time_curve(result, step)
    for group in dict.fromkeys(result.table["group"]):
        own = of_group(result.attempts, group)
        left = (log.covers_until - own["entered_at"]).dt.total_seconds()
        watched = left.clip(upper=4 * 86_400)
        wait = (own[f"step_{step}"] - own["entered_at"]).dt.total_seconds()
        judge = SurvfuncRight(wait.fillna(watched), wait.notna().astype(int))
        points = of_group(curve, group)
        assert points["seconds"].is_monotonic_increasing
        for point in points.to_dict("records"):
            place = np.searchsorted(judge.surv_times, point["seconds"], side="right") - 1
            want = 1 - judge.surv_prob[place] if place >= 0 else 0.0
            assert point["rate"] == pytest.approx(want, abs=1e-9)
            assert point["low"] <= point["rate"] <= point["high"]
            assert point["reached"] == (wait <= point["seconds"]).sum()
            assert point["at_risk"] == (wait.fillna(watched) >= point["seconds"]).sum()
            assert point["n"] == len(own)


def test_a_curve_of_mature_entries_ends_at_the_table() -> None:
    log = view_log(8, users=150, covers_until="2027-01-01")
    result = funnel(log, STEPS, window="2d", by="device")
    ends = time_curve(result).groupby("group")["rate"].last()
    last = result.table[result.table["step"] == 3].set_index("group")["rate"]
    assert ends[last.index].tolist() == pytest.approx(last.tolist())


def test_growing_traffic_does_not_lower_the_estimate() -> None:
    rng = np.random.default_rng(2)
    size, days = 4000, 60
    entry = np.sqrt(rng.uniform(0, 1, size)) * days
    wait = rng.exponential(10, size)
    converts = entry + wait <= days
    end = pd.Timestamp("2026-06-01")
    start = end - pd.Timedelta(days=days)
    rows = pd.DataFrame({"user": np.arange(size).astype(str)})
    first = rows.assign(time=start + pd.to_timedelta(entry, "D"), event="enter")
    second = rows.assign(time=start + pd.to_timedelta(entry + wait, "D"), event="convert")
    log = EventLog.from_frame(pd.concat([first, second[converts]]), covers_until=end)
    curve = time_curve(funnel(log, ["enter", "convert"], window="20d"))
    truth, last = 1 - np.exp(-2.0), curve.iloc[-1]
    assert last["low"] < truth < last["high"]
    assert last["seconds"] == pytest.approx(20 * 86_400, rel=1e-3)
    assert curve["reached"].iloc[-1] / size < last["low"]


def test_what_lies_beyond_the_end_of_the_log_is_not_used() -> None:
    frame = pd.DataFrame(
        {
            "user": ["u", "u", "v", "v", "w"],
            "event": ["a", "b", "a", "b", "a"],
            "time": pd.to_datetime(
                ["2026-01-01", "2026-01-02", "2026-01-01", "2026-01-04", "2026-01-05"]
            ),
        }
    )
    log = EventLog.from_frame(frame, covers_until="2026-01-03")
    last = time_curve(funnel(log, ["a", "b"], window="10d")).iloc[-1]
    assert (last["n"], last["reached"], last["rate"]) == (2, 1, 0.5)
    assert last["seconds"] == 2 * 86_400


def test_a_long_curve_is_thinned_and_stays_true() -> None:
    rng = np.random.default_rng(4)
    # Half of them within minutes of one another, the others over weeks.
    late, steep = rng.lognormal(-2, 2, 5000).clip(max=30), 5 + rng.uniform(0, 1e-3, 5000)
    wait = np.where(rng.random(5000) < 0.5, late, steep)
    log = watched_log(list(wait), list(rng.random(5000) < 0.7))
    result = funnel(log, ["enter", "convert"], window="100d", by="side")
    curve = time_curve(result)
    assert curve.groupby("group").size().between(100, 260).all()
    for group, points in curve.groupby("group"):
        own = of_group(result.attempts, group)
        left = (log.covers_until - own["entered_at"]).dt.total_seconds().clip(upper=100 * 86_400)
        took = (own["step_2"] - own["entered_at"]).dt.total_seconds()
        judge = SurvfuncRight(took.fillna(left), took.notna().astype(int))
        place = np.searchsorted(judge.surv_times, points["seconds"], side="right") - 1
        want = np.where(place >= 0, 1 - judge.surv_prob[place], 0)
        assert points["rate"].to_numpy() == pytest.approx(want, abs=1e-9)
        # Nothing steep is lost between two points.
        assert points["rate"].diff().max() < 0.02


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (1, r"step=1 is not one it can be asked of. Allowed: 2 \(b\), 3 \(c\)."),
        (4, "step=4 is no step of this funnel."),
        ("cc", "step='cc' is no step of this funnel."),
        (True, "step=True is no step"),
    ],
)
@pytest.mark.parametrize("ask", [times, time_curve])
def test_steps_that_cannot_be_asked_of(ask: Any, step: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ask(funnel(view_log(1), STEPS), step)


def test_options_that_are_unknown() -> None:
    result = funnel(view_log(1), STEPS)
    with pytest.raises(UsageError, match=r"since='entri' is unknown. Did you mean 'entry'\?"):
        times(result, since="entri")
    with pytest.raises(UsageError, match="the name of steps"):
        times(funnel(view_log(1), ["a", "b", "b"]), "b")
    with pytest.raises(UsageError, match="a funnel of one step"):
        times(funnel(view_log(1), ["a"]))
