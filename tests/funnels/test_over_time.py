"""Waits against plain pandas; the curve against published numbers, a second library, the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.remission_weeks import AT_RISK, PUBLISHED, RELAPSED, WEEKS
from statsmodels.duration.survfunc import SurvfuncRight
from support.funnel_view_logs import STEPS, view_log, watched_log

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.over_time import FINAL, NOBODY, time_curve, times, with_estimates
from analysis.funnels.result import funnel
from analysis.funnels.spec import Exclusion, Step

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
        (4, "step=4 is not a step of this funnel."),
        ("cc", "step='cc' is not a step of this funnel."),
        (True, "step=True is not a step"),
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


# ── The estimates of periods that are not final, by a second library and against the truth.


def entries_by_hand(log: EventLog, own: pd.DataFrame, period: tuple[Any, Any]) -> pd.DataFrame:
    """Each entry of each unit until it converted: how long it was followed, and to what end."""
    rows = log.to_frame()
    entered = rows[(rows["event"] == "a") & rows["time"].between(*period, inclusive="left")]
    found = []
    for chain in own.to_dict("records"):
        mine = entered.loc[entered["user"] == chain["unit"], "time"].drop_duplicates()
        for time in mine[mine <= log.covers_until].sort_values():
            if time >= chain["step_3"] and time != chain["entered_at"]:
                continue
            left = min((log.covers_until - time).total_seconds(), 3 * 86_400)
            wait = (chain["step_3"] - time).total_seconds()
            took = bool(wait <= left)
            found.append((chain["unit"], wait if took else left, left, took))
    return pd.DataFrame(found, columns=["unit", "time", "left", "took"])


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
        entries = entries_by_hand(log, own, (row["start"], row["end"]))
        time, last = entries["time"], entries.groupby("unit").tail(1)
        # As long as a tenth of the units, one at least, has been watched.
        longest = entries.groupby("unit")["left"].max().sort_values(ascending=False)
        far = longest.iloc[-(-len(longest) // 10) - 1]
        judge = SurvfuncRight(time.clip(upper=far), entries["took"] & (time <= far))

        def survival(at: float, judge: Any = judge) -> float:
            place = np.searchsorted(judge.surv_times, at, side="right") - 1
            return judge.surv_prob[place] if place >= 0 else 1.0

        done = last["took"] & (last["time"] <= far)
        still = last.loc[~done & (last["left"] < far), "left"]
        more = sum(1 - survival(far) / survival(age) for age in still)
        so_far = (done.sum() + more) / len(last)
        if so_far < 1 - 1e-9:
            far = min(far, time.max())
        assert row["km_so_far"] == pytest.approx(so_far, abs=1e-9)
        assert row["km_so_far_low"] <= row["km_so_far"] <= row["km_so_far_high"]
        assert row["km_seconds"] == far
        assert row["km_at_risk"] == (time >= far).sum()
        if row["end"] > log.covers_until and len(entries) > len(last) and far == 3 * 86_400:
            assert "have entered more than once" in row["km_reason"]
            assert np.isnan(row["km_rate"])
        elif far == 3 * 86_400:
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


def test_a_week_that_the_log_holds_in_part_is_not_whole() -> None:
    """Its entries are mature: it is final, and not judged."""
    log = view_log(4, users=60, covers_until="2026-12-01")
    trend = funnel(log, STEPS, window="1d").trend("W")
    assert trend["mature"].all()
    assert trend["verdict"].tolist() == ["not known yet"] * len(trend)
    long = view_log(4, users=300, days=60, covers_until="2027-02-01")
    cut = funnel(long, STEPS, window="1d", entered=("2026-10-20", "2026-12-10")).trend("W")
    assert cut["mature"].all()
    assert cut["verdict"].iloc[-1] == "not whole"
    assert "not final" not in set(cut["verdict"])
