"""A comparison of two weeks against published numbers, statsmodels, scipy, and a count by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, norm
from statsmodels.stats.multitest import multipletests

from analysis.core.schema import ALL, UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.periods import compare_periods
from analysis.simulation.log import simulate
from analysis.statistics.usual_range import usual_range

NOW, BEFORE = ("2026-11-09", "2026-11-16"), ("2026-11-02", "2026-11-09")
STEPS = ["view_item", "add_to_cart", "purchase"]


def people(day: str, reached: list[int], **properties: str) -> list[dict]:
    """Users who enter on a day, so many of whom reach each step."""
    rows = []
    for step, count in enumerate(reached):
        for i in range(count):
            at = pd.Timestamp(day) + pd.Timedelta(hours=1 + step)
            name = "-".join([day, *properties.values(), str(i)])
            rows.append({"user": name, "time": at, "event": STEPS[step], **properties})
    return rows


def log_of(*groups: list[dict], covers_until: str = "2026-12-01") -> EventLog:
    rows = [row for group in groups for row in group]
    return EventLog.from_frame(pd.DataFrame(rows), covers_until=covers_until)


def earlier_weeks(reached: list[int], weeks: int = 8, **properties: str) -> list[dict]:
    """The same people, so to say, in each of so many weeks before the week before."""
    days = pd.date_range(end="2026-10-27", periods=weeks + 1, freq="7D")
    return [row for day in days for row in people(str(day.date()), reached, **properties)]


def newcombe_by_hand(k: int, n: int, k0: int, n0: int) -> tuple[float, float]:
    """Newcombe 1998, method 10, written out."""

    def wilson(k: int, n: int) -> tuple[float, float]:
        z = norm.ppf(0.975)
        p, d = k / n, 1 + z * z / n
        middle = (p + z * z / (2 * n)) / d
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d
        return middle - half, middle + half

    (l1, u1), (l0, u0) = wilson(k, n), wilson(k0, n0)
    p, p0 = k / n, k0 / n0
    low = p - p0 - math.hypot(p - l1, u0 - p0)
    return low, p - p0 + math.hypot(u1 - p, p0 - l0)


def test_published_example():
    """Newcombe 1998, table II, (a): 56/70 against 48/80 is 0.2000 (0.0524, 0.3339)."""
    log = log_of(people("2026-11-10", [70, 56]), people("2026-11-03", [80, 48]))
    week = compare_periods(log, STEPS[:1] + STEPS[1:2], period=NOW)
    row = week.overall
    assert (row["k"], row["n"], row["previous_k"], row["previous_n"]) == (56, 70, 48, 80)
    assert row["change"] == pytest.approx(0.2)
    assert row["change_low"] == pytest.approx(0.0524, abs=5e-5)
    assert row["change_high"] == pytest.approx(0.3339, abs=5e-5)
    # One week before it is not enough to call anything clear.
    assert not row["clear"]
    assert week.sentence() == (
        "80.0% of 70 users went from “View item” to “Add to cart” within 7 days, in the week "
        "before 60.0% of 80 (+20.0 points, 95% interval +5.2 to +33.4 points). What is usual is "
        "not known yet: that takes 4 earlier weeks to go by, and there are none."
    )


def test_a_change_is_clear_only_where_the_past_says_so():
    """Against the week before alone, 65 % after 56 % is clear; where weeks wander so, it is not."""
    both = [people("2026-11-10", [700, 455]), people("2026-11-03", [800, 448])]
    steady = log_of(*both, earlier_weeks([800, 448]))
    wandering = [
        row
        for i, day in enumerate(pd.date_range(end="2026-10-27", periods=9, freq="7D"))
        for row in people(str(day.date()), [800, 512 if i % 2 else 448])
    ]
    wild = log_of(*both, wandering)
    clear, usual = (compare_periods(log, STEPS[:2], period=NOW) for log in (steady, wild))
    assert clear.overall["change_low"] == usual.overall["change_low"] > 0
    assert (clear.overall["verdict"], clear.overall["clear"]) == ("clearly high", True)
    assert (usual.overall["verdict"], usual.overall["clear"]) == ("usual", False)
    assert "9.0 points more than the week before" in clear.sentence()
    assert "That is clearly high: usual is 5" in clear.sentence()
    assert "no clear change against the week before" in usual.sentence()


def test_what_is_usual_is_that_of_its_own_past():
    log = log_of(
        people("2026-11-10", [700, 340]),
        people("2026-11-03", [800, 480]),
        earlier_weeks([800, 480]),
    )
    row = compare_periods(log, STEPS[:2], period=NOW).overall
    # The log begins on a Tuesday, so that its first week is not whole.
    judge = usual_range([480] * 9 + [340], [800] * 9 + [700])
    assert row["history"] == judge.history[-1] == 9
    assert row["usual_low"] == judge.low[-1]
    assert row["usual_p_value"] == judge.p_value[-1]
    assert row["verdict"] == judge.verdict[-1] == "clearly low"


def test_the_demo_week_is_low_and_its_cause_is_named():
    shop = simulate().log
    steps = ["view_item", "add_to_cart", "begin_checkout", "purchase"]
    week = compare_periods(shop, steps, period=NOW, by="device")
    row = week.overall
    assert (row["k"], row["n"], row["history"]) == (65, 1665, 12)
    assert 100 * row["usual_low"] == pytest.approx(4.108, abs=5e-4)
    assert 100 * row["usual_high"] == pytest.approx(6.732, abs=5e-4)
    assert row["usual_p_value"] == pytest.approx(0.0228, abs=5e-5)
    assert row["verdict"] == "low"
    assert "That is low, but not clearly so: usual is 4.1% to 6.7%." in week.sentence()
    assert "“Began checkout” to “Purchase” for device “mobile”" in week.sentence().replace(
        "Begin checkout", "Began checkout"
    )
    trend = week.trend(4)
    assert trend["usual_low"].iloc[3] == row["usual_low"]
    assert list(trend["verdict"]) == ["usual", "usual", "usual", "low", "not final"]


def test_days_are_judged_by_their_weekday():
    days = pd.date_range("2026-09-01", "2026-11-10", freq="D")
    counts = {str(day.date()): [400, 200 if day.weekday() == 6 else 100] for day in days}
    log = log_of(*(people(day, reached) for day, reached in counts.items()))
    sunday = compare_periods(log, STEPS[:2], period=("2026-11-08", "2026-11-09"))
    assert sunday.overall["verdict"] == "usual"
    assert sunday.overall["history"] == 9
    assert sunday.overall["usual"] == pytest.approx(0.5, abs=0.01)


def test_a_new_level_is_said():
    weeks = pd.date_range("2026-08-04", periods=14, freq="7D")
    rows = [
        row
        for i, day in enumerate(weeks)
        for row in people(str(day.date()), [2000, 600 if i < 7 else 900])
    ]
    log = log_of(rows)
    week = compare_periods(log, STEPS[:2], period=("2026-11-02", "2026-11-09"))
    assert any("has had a new level since 21 Sep 2026" in note for note in week.warnings)
    assert week.overall["verdict"] == "usual"


def test_p_and_q_values_are_those_of_scipy_and_statsmodels():
    log = log_of(
        people("2026-11-10", [300, 150, 40], device="m"),
        people("2026-11-10", [200, 90, 60], device="d"),
        people("2026-11-03", [310, 160, 90], device="m"),
        people("2026-11-03", [190, 80, 50], device="d"),
    )
    table = compare_periods(log, STEPS, period=NOW, by="device").table
    searched = table[table["basis"] == "step"]
    assert len(searched) == 6
    by_hand = [
        chi2_contingency([[r.k, r.n - r.k], [r.previous_k, r.previous_n - r.previous_k]], False)[1]
        for r in searched.itertuples()
    ]
    assert searched["p_value"].to_numpy() == pytest.approx(by_hand, rel=1e-9)
    q = multipletests(by_hand, method="fdr_bh")[1]
    assert searched["q_value"].to_numpy() == pytest.approx(q, rel=1e-9)
    assert table.loc[table["basis"] == "funnel", "q_value"].isna().all()
    for row in table.itertuples():
        low, high = newcombe_by_hand(row.k, row.n, row.previous_k, row.previous_n)
        assert (row.change_low, row.change_high) == pytest.approx((low, high), abs=1e-12)


def test_a_group_is_named_only_where_it_is_clear_of_chance():
    before = [
        people("2026-11-03", [900, 270, 170], device="mobile"),
        people("2026-11-03", [600, 180, 110], device="desktop"),
        earlier_weeks([900, 270, 170], device="mobile"),
        earlier_weeks([600, 180, 110], device="desktop"),
    ]
    fell = log_of(
        *before,
        people("2026-11-10", [900, 270, 95], device="mobile"),
        people("2026-11-10", [600, 180, 108], device="desktop"),
    )
    said = compare_periods(fell, STEPS, period=NOW, by="device").sentence()
    assert "13.5% of 1,500 users" in said
    assert "less than the week before" in said
    assert "The clearest fall is from “Add to cart” to “Purchase” for device “mobile”" in said
    assert "35.2% of 270, usually 62.9%" in said
    same = log_of(
        *before,
        people("2026-11-10", [900, 270, 160], device="mobile"),
        people("2026-11-10", [600, 180, 108], device="desktop"),
    )
    said = compare_periods(same, STEPS, period=NOW, by="device").sentence()
    assert "no clear change against the week before" in said
    assert "No single step or group stands out" in said
    assert "clearest" not in said


def test_one_odd_rate_among_many_is_not_called_clear():
    groups = [people("2026-11-03", [200, 100], device=f"d{i}") for i in range(8)]
    groups += [people("2026-11-10", [200, 100 + 22 * (i == 3)], device=f"d{i}") for i in range(8)]
    groups += [earlier_weeks([200, 100], device=f"d{i}") for i in range(8)]
    week = compare_periods(log_of(*groups), STEPS[:2], period=NOW, by="device")
    odd = week.table[(week.table["group"] == "d3") & (week.table["basis"] == "step")].iloc[0]
    assert odd["p_value"] < 0.05 < odd["q_value"]
    assert odd["usual_p_value"] < 0.05 < odd["usual_q_value"]
    assert odd["change_low"] > 0
    assert not odd["clear"]
    assert "within what chance gives among 9 comparisons" in week.sentence()


def test_a_clear_fall_inside_an_unclear_total_is_said():
    def shop(day: str, mobile: int, desktop: int) -> list[dict]:
        rows = people(day, [900, 100, mobile], device="mobile")
        return rows + people(day, [900, 100, desktop], device="desktop")

    def said(*counts: int) -> str:
        past = [earlier_weeks([900, 100, 60], device=name) for name in ("mobile", "desktop")]
        log = log_of(shop("2026-11-03", 60, 60), shop("2026-11-10", *counts), *past)
        return compare_periods(log, STEPS, period=NOW, by="device").sentence()

    assert "no clear change" in said(38, 70)
    assert (
        "But one of the 6 rates that were compared clearly fell, from “Add to cart” to “Purchase” "
        "for device “mobile”: 38.0% of 100, usually 59.9%." in said(38, 70)
    )
    assert "But 2 of the 6 rates that were compared changed clearly; the clearest" in said(30, 90)


def test_a_funnel_of_one_step_counts_people():
    log = log_of(people("2026-11-10", [70]), people("2026-11-03", [80]))
    said = compare_periods(log, STEPS[:1], period=NOW).sentence()
    assert said == (
        "70 users did “View item”; 80 did in the week before. What is usual is not known yet: that "
        "takes 4 earlier weeks to go by, and there are none."
    )
    more = log_of(people("2026-11-10", [40]), people("2026-11-03", [80]), earlier_weeks([80]))
    week = compare_periods(more, STEPS[:1], period=NOW)
    judge = usual_range([80] * 9 + [40])
    assert week.overall["usual_low"] == pytest.approx(judge.low[-1])
    assert week.sentence() == (
        "40 users did “View item”; 80 did in the week before. That is clearly low: usual is 62 to "
        "103."
    )


def test_months_of_unequal_length_are_compared_per_day():
    """Ten a day in February and in March is no rise."""
    days = pd.date_range("2026-02-01", "2026-03-31", freq="D")
    log = log_of(*(people(str(day.date()), [10, 5]) for day in days), covers_until="2026-05-01")
    month = compare_periods(log, STEPS[:2], period=("2026-03-01", "2026-04-01"))
    assert month.entered == (310, 280)
    assert month.days == (31, 28)
    assert month.entered_per_day == (10, 10)
    said = "31 days with data against 28: per day 10.0 users entered against 10.0."
    assert said in month.warnings
    counted = compare_periods(log, STEPS[:1], period=("2026-03-01", "2026-04-01"))
    assert "280 did in the month before (31 against 28 days: 10.0 against 10.0 a day)" in (
        counted.sentence()
    )


def test_a_day_without_data_is_said_and_leaves_what_is_usual_alone():
    days = pd.date_range("2026-09-14", "2026-11-15", freq="D")
    gaps = {"2026-11-05", "2026-10-14", "2026-10-15", "2026-10-16"}
    log = log_of(
        *(people(str(d.date()), [30, 15]) for d in days if str(d.date()) not in gaps),
    )
    week = compare_periods(log, STEPS[:2], period=NOW)
    assert week.days == (7, 6)
    assert (
        "No event was recorded on 5 Nov 2026; 45 are usual. So fewer people could enter and "
        "convert from 2 to 8 Nov 2026." in week.warnings
    )
    assert "7 days with data against 6: per day 30.0 users entered against 30.0." in week.warnings
    # Eight whole weeks before, two of them with a gap.
    assert week.overall["history"] == 6
    # Both are final all the same.
    trend = week.trend(9)
    assert trend.loc[trend["verdict"] == "not whole", "start"].dt.day.tolist() == [12, 2]
    assert "not final" not in set(trend.loc[trend["mature"], "verdict"])


@st.composite
def frames(draw):
    instants = st.integers(0, 40).map(
        lambda h: pd.Timestamp("2026-11-01") + pd.Timedelta(12 * h, "h")
    )
    row = st.tuples(st.integers(0, 9).map(str), instants, st.sampled_from(["a", "b", "c"]))
    rows = draw(st.lists(row, min_size=1, max_size=60))
    rows += [("x", pd.Timestamp("2026-11-01"), event) for event in "ab"]
    return pd.DataFrame(rows, columns=["user", "time", "event"])


def counted_by_hand(frame, period, window, until):
    """Users with an entry in the period whose window is over, and those with a later b."""
    start, end = map(pd.Timestamp, period)
    n = k = 0
    for _, own in frame.groupby("user"):
        entries = own.loc[(own.event == "a") & (own.time >= start) & (own.time < end), "time"]
        entries = [t for t in entries if t + window <= pd.Timestamp(until)]
        goals = list(own.loc[own.event == "b", "time"])
        n += bool(entries)
        k += any(t <= goal <= t + window for t in entries for goal in goals)
    return k, n


@settings(max_examples=40)
@given(frames(), st.sampled_from([0.5, 3, 7]), st.sampled_from(["2026-11-16", "2026-12-01"]))
def test_counts_are_those_of_a_count_by_hand(frame, days, until):
    window = pd.Timedelta(days=days)
    log = EventLog.from_frame(frame, covers_until=until)
    week = compare_periods(log, ["a", "b"], period=NOW, window=window, min_cell=1)
    now = counted_by_hand(frame, NOW, window, until)
    # As much of the week before as of this one has had its whole window.
    age = pd.Timestamp(until) - window - pd.Timestamp(NOW[0])
    age = min(age, pd.Timedelta(days=7)) if age >= pd.Timedelta(0) else pd.Timedelta(days=7)
    end = pd.Timestamp(BEFORE[0]) + age + pd.Timedelta(1, "us") * int(age < pd.Timedelta(days=7))
    before = counted_by_hand(frame, (BEFORE[0], end), window, until)
    entered = week.entered[0]
    if not entered:
        assert week.numbers()["macro_rate"]["value"] is None
        assert "no rate to tell" in week.sentence()
        return
    row = week.overall
    assert (row["k"], row["n"]) == now
    if now[1] and before[1]:
        assert (row["previous_k"], row["previous_n"]) == before
        assert row["change"] == pytest.approx(now[0] / now[1] - before[0] / before[1])
        low, high = newcombe_by_hand(*now, *before)
        assert (row["change_low"], row["change_high"]) == pytest.approx((low, high), abs=1e-9)
    else:
        assert math.isnan(row["change"])


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), min_size=2, max_size=4),
    st.integers(2, 8),
)
def test_small_cells_appear_nowhere(counts, min_cell):
    groups = [
        people(day, sorted(reached, reverse=True), device=f"d{i}")
        for i, reached in enumerate(counts)
        for day in ("2026-11-10", "2026-11-03")
    ]
    rows = [row for group in groups for row in group]
    rows += [r | {"user": "old" + r["user"]} for r in people("2026-10-01", [9, 9, 9], device="old")]
    log = EventLog.from_frame(pd.DataFrame(rows), covers_until="2026-12-01")
    week = compare_periods(log, STEPS, period=NOW, by="device", min_cell=min_cell)
    trend = week.trend()
    # Few people in a group are hidden; few of many who get to a step are not.
    cells = [
        *week.table[["n", "previous_n"]].to_numpy().ravel(),
        *week.funnel_table[["n_first", "n_previous"]].to_numpy().ravel(),
        *week.funnel_table.loc[week.funnel_table["step"] == 1, "count"],
        *trend[["entered", "n"]].to_numpy().ravel(),
        *(number.get("n") for number in week.numbers().values()),
    ]
    shown = [cell for cell in cells if cell is not None and cell == cell]
    assert not [cell for cell in shown if 0 < cell < min_cell]
    for name, table in (("now", week.funnel_table), ("before", week.previous_table)):
        whole, parts = (table[(table["group"] == ALL) == own] for own in (True, False))
        if len(whole) and len(parts):
            rest = whole["count"].iloc[0] - parts.loc[parts["step"] == 1, "count"].sum()
            assert not 0 < rest < min_cell, name
    # A rate whose count is hidden would give it away.
    hidden = week.table["k"].isna()
    assert week.table.loc[hidden, ["rate", "low", "high", "change"]].isna().all(axis=None)
    assert (
        week.table.loc[week.table["previous_k"].isna(), ["previous", "change"]]
        .isna()
        .all(axis=None)
    )


def test_groups_that_were_small_in_the_week_before_are_told_too():
    log = log_of(
        people("2026-11-10", [50, 20, 8], device="m"),
        people("2026-11-10", [40, 14, 7], device="d"),
        people("2026-11-03", [50, 20, 10], device="m"),
        people("2026-11-03", [3, 2, 2], device="d"),
    )
    week = compare_periods(log, STEPS, period=NOW, by="device")
    groups = week.table[week.table["group"] != ALL]
    assert groups["rate"].notna().all()
    assert groups["previous"].isna().all()
    assert week.warnings[-1] == (
        "From 2 to 8 Nov 2026: 1 group of fewer than 5 users is left out, and so is the smallest "
        "other one, which would give it away."
    )


def test_small_groups_are_left_out_and_it_is_said():
    log = log_of(
        people("2026-11-10", [50, 20, 3], device="m"),
        people("2026-11-10", [40, 4, 3], device="d"),
        people("2026-11-10", [30, 20, 3], device="t"),
        people("2026-11-10", [4, 4, 4], device="rare"),
        people("2026-11-03", [50, 20, 10], device="m"),
    )
    week = compare_periods(log, STEPS, period=NOW, by="device")
    # With "t" shown, the four of "rare" would be what is left of all together.
    assert set(week.table["group"]) == {ALL, "m", "d"}
    said = " ".join(week.warnings)
    assert (
        "1 group of fewer than 5 users is left out, and so is the smallest other one, which would "
        "give it away." in said
    )
    assert "1 rate of fewer than 5 users is hidden." in said
    words = week.funnel_figure().to_json() + week.figure().to_json() + week.sentence()
    assert "rare" not in words
    everything = compare_periods(log, STEPS, period=NOW, by="device", min_cell=1)
    assert set(everything.table["group"]) == {ALL, "m", "d", "t", "rare"}


def test_few_conversions_of_many_people_are_told():
    """200 visitors a week and 20 purchases, then 4; in the week before 3."""
    log = log_of(people("2026-11-10", [200, 4]), people("2026-11-03", [200, 3]))
    week = compare_periods(log, STEPS[:2], period=NOW)
    assert week.sentence().startswith(
        "2.0% of 200 users went from “View item” to “Add to cart” within 7 days, in the week "
        "before 1.5% of 200 (+0.5 points, 95% interval −2.6 to +3.7 points)."
    )
    trend = week.trend()
    assert list(trend["k"]) == [4, 0, 0]
    falling = log_of(
        people("2026-11-10", [200, 4]), people("2026-11-03", [200, 20]), earlier_weeks([200, 20])
    )
    week = compare_periods(falling, STEPS[:2], period=NOW)
    assert "2.0% of 200 users" in week.sentence()
    assert "That is clearly low" in week.sentence()
    row = week.trend().set_index("start").loc[week.period.bounds[0]]
    assert (row["k"], row["n"]) == (4, 200)
    assert 0 < row["low"] < row["rate"] < row["high"]


def test_a_week_before_of_few_people_is_not_called_empty():
    log = log_of(people("2026-11-10", [200, 40]), people("2026-11-03", [3, 3]))
    said = compare_periods(log, STEPS[:2], period=NOW).sentence()
    assert "Fewer than 5 users can be counted in the week before, too few to show a rate." in said
    assert "There is no rate of" not in said


def test_a_period_that_is_not_final_says_so_and_has_no_rate():
    log = log_of(
        people("2026-11-10", [70, 56, 20]),
        people("2026-11-03", [80, 48, 20]),
        covers_until="2026-11-16",
    )
    week = compare_periods(log, STEPS, period=NOW)
    assert "None of their windows of 7 days is over yet" in week.sentence()
    assert "final on 23 Nov 2026" in week.sentence()
    assert week.numbers()["macro_rate"]["value"] is None
    assert week.numbers()["entered"]["value"] == 70
    assert any("left out of every rate" in warning for warning in week.warnings)
    assert not bool(week.trend()["mature"].iloc[-1])


def test_a_period_that_is_partly_final_uses_those_who_are():
    log = log_of(
        people("2026-11-09", [40, 20, 10]),
        people("2026-11-14", [30, 30, 30]),
        people("2026-11-03", [80, 48, 20]),
        covers_until="2026-11-18",
    )
    week = compare_periods(log, STEPS, period=NOW)
    assert week.overall["n"] == 40
    assert week.sentence().startswith("Not final before 23 Nov: 40 of 70 users")


def test_a_young_week_is_compared_at_the_same_age():
    """The same people do the same in both weeks: no change, on whatever day one looks."""
    week_of = [
        people("2026-11-02 01:00", [40, 10]),
        people("2026-11-05 01:00", [40, 10]),
        people("2026-11-07 01:00", [40, 30]),
    ]
    rows = [row for part in week_of for row in part]
    again = [
        row | {"user": "n" + row["user"], "time": row["time"] + pd.Timedelta(days=7)}
        for row in rows
    ]
    # A third of those of Monday come back on Saturday, and buy.
    back = [
        {"user": f"{head}2026-11-02 01:00-{i}", "time": pd.Timestamp(day), "event": event}
        for head, day in (("", "2026-11-07 12:00"), ("n", "2026-11-14 12:00"))
        for i in range(20, 33)
        for event in STEPS[:2]
    ]
    frame = [*rows, *again, *back]
    until = pd.Timestamp("2026-11-15")
    log = log_of([row for row in frame if row["time"] < until], covers_until="2026-11-15")
    week = compare_periods(log, STEPS[:2], period=NOW, window="2d")
    assert week.is_young
    assert str(week.compared.end) == "2026-11-06 00:00:00.000001+00:00"
    row = week.overall
    assert (row["k"], row["n"]) == (row["previous_k"], row["previous_n"]) == (20, 80)
    assert "at the same age" in week.sentence()
    assert any("up to 6 Nov 2026 00:00" in note for note in week.warnings)
    # Entered so far is compared with the whole week.
    assert week.entered[1] == 120
    assert not compare_periods(log_of(frame), STEPS[:2], period=NOW, window="2d").is_young


def test_counts_of_a_period_that_is_not_over_are_not_compared():
    log = log_of(
        people("2026-11-09", [40, 20, 10]),
        people("2026-11-03", [80, 9, 9]),
        covers_until="2026-11-12",
    )
    week = compare_periods(log, STEPS, period=NOW)
    assert week.numbers()["entered"] == {"value": 40, "previous": 80, "change": None}
    assert any("is not over" in warning for warning in week.warnings)


def test_a_period_that_nobody_entered():
    log = log_of(people("2026-11-03", [80, 48, 20]))
    week = compare_periods(log, STEPS, period=("2026-11-16", "2026-11-23"), by=None)
    assert "Nobody" in week.sentence()
    assert week.numbers()["purchase_rate"]["value"] is None
    assert week.numbers()["entered"]["value"] == 0
    for figure in (week.figure(), week.funnel_figure(), week.trend_figure()):
        assert figure.layout.meta["alt"]


def test_nothing_to_compare_with_is_said():
    log = log_of(people("2026-11-10", [70, 56, 20]))
    week = compare_periods(log, STEPS, period=NOW)
    assert "There is no rate of the week before to compare with." in week.sentence()
    assert any("The log begins on 10 Nov 2026" in warning for warning in week.warnings)
    assert "28.6% of 70 users" in week.sentence()


def test_people_in_both_periods_are_counted():
    twice = [
        {**row, "user": "2026-11-10-" + row["user"][11:]} for row in people("2026-11-03", [30, 9])
    ]
    log = log_of(people("2026-11-10", [70, 56, 20]), twice)
    week = compare_periods(log, STEPS[:2], period=NOW)
    assert any(w.startswith("30 of 70 users entered in both periods") for w in week.warnings)


def test_the_trend_is_the_same_question_asked_of_each_week():
    log = log_of(
        people("2026-10-20", [60, 30, 12]),
        people("2026-11-03", [80, 48, 20]),
        people("2026-11-10", [70, 56, 21]),
        people("2026-11-17", [50, 40, 10]),
        covers_until="2026-11-23",
    )
    trend = compare_periods(log, STEPS, period=NOW).trend(periods=6)
    # The log begins on a Tuesday: the week of 19 October is not whole and is left out.
    assert [str(day.date()) for day in trend["start"]] == [
        "2026-10-26",
        "2026-11-02",
        "2026-11-09",
        "2026-11-16",
    ]
    assert list(trend["n"]) == [0, 80, 70, 0]
    assert list(trend["verdict"]) == ["not known yet"] * 4
    assert trend["rate"].iloc[2] == pytest.approx(21 / 70)
    assert list(trend["mature"]) == [True, True, True, False]
    before = compare_periods(log, STEPS, period=NOW).overall["previous"]
    assert trend["rate"].iloc[1] == pytest.approx(before)


def test_local_midnights_bound_the_period():
    rows = people("2026-11-08 22:30:00", [9, 5, 5])  # 23:30 UTC is 00:30 on Monday in Berlin
    log = log_of(rows, people("2026-10-01", [5, 5, 5]))
    assert compare_periods(log, STEPS, period=NOW, time_zone="UTC").entered[0] == 0
    assert compare_periods(log, STEPS, period=NOW, time_zone="Europe/Berlin").entered[0] == 9


def test_shards_change_nothing():
    rows = people("2026-11-10", [70, 56, 20], device="m") + people(
        "2026-11-03", [80, 48, 20], device="d"
    )
    frame = pd.DataFrame(rows)
    one, many = (EventLog.from_frame(frame, covers_until="2026-12-01", shards=n) for n in (1, 16))
    a, b = (compare_periods(log, STEPS, period=NOW, by="device") for log in (one, many))
    pd.testing.assert_frame_equal(a.table, b.table)
    assert (a.sentence(), a.warnings, a.numbers()) == (b.sentence(), b.warnings, b.numbers())


def test_numbers_are_plain():
    log = log_of(people("2026-11-10", [70, 56, 20]), people("2026-11-03", [80, 48, 20]))
    for number in compare_periods(log, STEPS, period=NOW).numbers().values():
        assert all(cell is None or type(cell) in (int, float) for cell in number.values())
        assert not any(isinstance(cell, np.generic) for cell in number.values())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_cell": 0}, "whole number from 1"),
        ({"period": ("2026-11-16", "2026-11-09")}, "ends before it starts"),
        ({"period": "2026-W46"}, "(start, end)"),
        ({"period": ("2026-11-09", "soon")}, "is not a time"),
        ({"time_zone": "Mars/Olympus"}, "is unknown"),
        ({"by": "devize"}, "Did you mean 'device'"),
    ],
)
def test_wrong_use_says_what_is_allowed(options, words):
    log = log_of(people("2026-11-10", [9, 9, 9], device="m"))
    with pytest.raises(UsageError) as error:
        compare_periods(log, STEPS, **({"period": NOW} | options))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("period", "said"),
    [
        (("2026-11-09", "2026-11-10"), "4 earlier Mondays to go by, and there is 1."),
        (("2026-11-06", "2026-11-16"), "4 earlier stretches of 10 days to go by, and there is 1."),
        (("2026-10-27", "2026-10-27 12:00"), "4 earlier stretches of 12 hours to go by, and there"),
    ],
)
def test_what_is_usual_comes_from_periods_that_have_a_name(
    period: tuple[str, str], said: str
) -> None:
    """For a day other weekdays do not count, and ten days are no "10 dayss"."""
    days = pd.date_range("2026-10-27", "2026-11-16", freq="D")
    rows = [
        (f"{day}{i}", day + pd.Timedelta(hours=1), "a" if step else "b")
        for day in days
        for i in range(20)
        for step in ((True, False) if i < 8 else (True,))
    ]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    log = EventLog.from_frame(frame, covers_until="2026-12-01")
    week = compare_periods(log, ["a", "b"], period=period, window="1d")
    assert said in week.sentence()


def test_the_trend_shows_whole_months_beside_a_month_that_is_not_final() -> None:
    """On 30 March all of February is as old as March, but January would be cut."""
    days = pd.date_range("2026-01-01", "2026-03-30", freq="D")
    frame = pd.DataFrame({"time": days, "user": [f"u{i}" for i in range(len(days))], "event": "a"})
    buys = frame.assign(event="b", time=frame["time"] + pd.Timedelta(hours=1))
    log = EventLog.from_frame(pd.concat([frame, buys]), covers_until="2026-03-31")
    month = compare_periods(log, ["a", "b"], period=("2026-03-01", "2026-04-01"), window="1d")
    assert month.compared == month.previous
    assert month.trend()["entered"].tolist() == [31, 28, 30]
