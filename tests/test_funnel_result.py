"""What a funnel's answer says besides its table: attempts, trend, sentence, warnings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.funnel_result import FunnelResult
from analysis.funnels.funnel_steps import Exclusion, Step
from analysis.funnels.result import funnel

STEPS = ["a", "b", "c"]


def random_log(seed: int, users: int = 60, days: int = 20, **options: Any) -> EventLog:
    rng = np.random.default_rng(seed)
    size = users * 8
    return EventLog.from_frame(
        pd.DataFrame(
            {
                "user": rng.integers(0, users, size).astype(str),
                "time": pd.Timestamp("2026-10-20")
                + pd.to_timedelta(rng.integers(0, days * 24, size), "h"),
                "event": rng.choice([*STEPS, "x"], size),
                "device": rng.choice(np.array(["m", "d", None], object), size),
                "size": rng.choice([1.0, 2.5, math.nan], size),
            }
        ),
        **options,
    )


def regrouped(result: FunnelResult) -> list[tuple[Any, ...]]:
    """The table's numbers from the attempts, by plain pandas."""
    lines = []
    required = [not step.optional for step in result.steps]
    for group in dict.fromkeys(result.table["group"]):
        every, ripe = (
            frame[[name == group for name in frame["group"]]]
            for frame in (result.attempts, result.mature_attempts)
        )
        before = ripe["step_1"]
        previous = len(ripe)
        for k in range(1, len(result.steps) + 1):
            did = ripe[f"step_{k}"]
            waits = did - before if k > 1 else pd.Series(dtype="timedelta64[us]")
            numbers = [every[f"step_{k}"].notna().sum(), did.notna().sum(), len(ripe), previous]
            lines.append(
                (group, k, *numbers, waits.median().total_seconds(), waits.mean().total_seconds())
            )
            before = did.fillna(before)
            previous = did.notna().sum() if required[k - 1] else previous
    return lines


OPTIONS: list[dict[str, Any]] = [
    {},
    {"ties": "strict"},
    {"entry": "first"},
    {"order": "strict"},
    {"order": "any"},
    {"order": "any", "count": "attempts"},
    {"unit": "session"},
    {"unit": "device"},
    {"hold": ["device"]},
    {"hold": ["size"], "count": "attempts"},
    {"count": "attempts"},
    {"exclude": [Exclusion("x", 1, 2)]},
    {"exclude": ["x"], "on_exclude": "drop_attempt"},
    {"exclude": ["x"], "on_exclude": "drop_unit"},
    {"exclude": ["x"], "on_exclude": "drop_attempt", "count": "attempts"},
    {"steps": ["a", Step("b", optional=True), "c"]},
    {"steps": ["a", "b", Step("c", optional=True)]},
    {"steps": ["a", Step(["b", "x"], within="1d"), Step("c", where={"size": ">= 2"})]},
    {"steps": ["*", "a", "*"]},
    {"entered": ("2026-10-24", "2026-10-30")},
]
GROUPS: list[dict[str, Any]] = [
    {},
    {"by": "device"},
    {"by": "size", "top": 1},
    {"by": ["device", "size"], "top": 2},
    {"by": "device", "by_at": "first_touch"},
    {"by": "size", "by_at": "last_touch"},
    {"by": "device", "by_at": 2},
]


def asked(log: EventLog, options: Mapping[str, Any], **more: Any) -> FunnelResult:
    given = {"window": "2d", **options, **more}
    return funnel(log, given.pop("steps", STEPS), **given)


@settings(max_examples=12)
@given(st.integers(0, 2**32), st.sampled_from(GROUPS))
@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_grouping_the_attempts_gives_the_table(
    options: Mapping[str, Any], seed: int, groups: Mapping[str, Any]
) -> None:
    result = asked(random_log(seed), options, **groups)
    columns = ["group", "step", "count", "k", "n_first", "n_previous"]
    table = result.table[[*columns, "median_seconds", "mean_seconds"]]
    found = list(table.itertuples(index=False, name=None))
    for have, want in zip(found, regrouped(result), strict=True):
        assert have[:6] == want[:6]
        assert have[6:] == pytest.approx(want[6:], abs=1e-6, nan_ok=True)
    assert result.table["rate"].equals(result.table["k"] / result.table["n_first"])
    assert result.immature == (~result.attempts["mature"]).sum()
    assert result.tied == result.attempts["tied"].sum()


def test_attempts_are_those_with_an_entry_sorted_by_unit() -> None:
    log = random_log(1)
    result = funnel(log, STEPS, window="2d")
    frame = log.to_frame()
    entered = frame[frame["event"] == "a"]["user"].unique()
    assert result.attempts["unit"].tolist() == sorted(entered)
    until = log.covers_until - pd.Timedelta("2D")
    ripe = frame[(frame["event"] == "a") & (frame["time"] <= until)]["user"].unique()
    assert result.mature_attempts["unit"].tolist() == sorted(ripe)
    assert result.mature_attempts["mature"].all()
    assert not result.mature_attempts["censored"].any()
    young = result.attempts[~result.attempts["mature"]]
    assert (young["censored"] == (young["reach"] < 3)).all()
    assert result.immature == len(young) > 0


@settings(max_examples=12)
@given(
    st.integers(0, 2**32),
    st.sampled_from(["D", "W", "M", "day", "week", "month"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
    st.sampled_from([None, "device", ("device", "size")]),
)
def test_a_trend_is_the_funnel_of_each_period(seed: int, freq: str, zone: str, by: Any) -> None:
    log = random_log(seed, users=25)
    result = funnel(log, STEPS, window="2d", by=by)
    trend = result.trend(freq, zone)
    one = {"D": "day", "W": "week", "M": "month"}.get(freq, freq)
    local = trend["start"].dt.tz_convert(zone)
    assert (local == local.dt.normalize()).all()
    assert (local.dt.day_of_week == 0).all() or one != "week"
    assert (local.dt.day == 1).all() or one != "month"
    assert trend["start"].iloc[0] <= log.start
    assert log.end < trend["end"].iloc[-1]
    for (start, end), part in trend.groupby(["start", "end"]):
        assert part["mature"].eq(end + pd.Timedelta("2D") <= log.covers_until).all()
        alone = funnel(log, STEPS, window="2d", by=by, entered=(start, end), top=99).table
        first, last = (alone[alone["step"] == k].set_index("group") for k in (1, 3))
        for row in part.to_dict("records"):
            want = (0, 0, 0)
            if row["group"] in first.index:
                at = [row["group"]]
                want = (
                    first["count"].loc[at].item(),
                    last["k"].loc[at].item(),
                    first["k"].loc[at].item(),
                )
            assert (row["entered"], row["k"], row["n"]) == want
            assert row["rate"] == pytest.approx(
                want[1] / want[2] if want[2] else math.nan, nan_ok=True
            )
        assert part["entered"].sum() == alone[alone["step"] == 1]["count"].sum()
    periods = trend["start"].nunique()
    assert trend.groupby("group")["start"].nunique().eq(periods).all()


@settings(max_examples=3)
@given(st.integers(0, 2**32), st.sampled_from(GROUPS))
@pytest.mark.parametrize("options", OPTIONS[2:-1], ids=repr)
def test_a_period_is_the_funnel_of_its_entries(
    options: Mapping[str, Any], seed: int, groups: Mapping[str, Any]
) -> None:
    log = random_log(seed, users=25)
    result = asked(log, options, **groups)
    trend = result.trend("W")
    shown = set(result.table["group"])
    last = result.question.last_required if result.question.order == "sequential" else 3
    for (start, end), part in trend.groupby(["start", "end"]):
        alone = asked(log, options, **{**groups, "top": 99}, entered=(start, end)).table
        alone["group"] = [name if name in shown else "(other)" for name in alone["group"]]
        whole = alone.groupby(["step", "group"], sort=False)[["count", "k"]].sum()
        for row in part.to_dict("records"):
            first, final = (
                whole.loc[(step, [row["group"]]), :].to_numpy().sum(axis=0)
                if row["group"] in whole.loc[step].index
                else np.zeros(2, int)
                for step in (1, last)
            )
            assert (row["entered"], row["n"], row["k"]) == (first[0], first[1], final[1])
        assert part["entered"].sum() == whole.loc[1]["count"].sum()


def test_the_limits_of_a_trend_are_those_of_its_funnel() -> None:
    """One week holds every entry; of 20 users' five sessions all end alike."""
    rows = [
        (f"u{u:02}", pd.Timestamp("2026-11-02") + pd.Timedelta(f"{u * 40 + k * 5}min"), str(k))
        for u in range(20)
        for k in range(5)
    ]
    entered = pd.DataFrame(rows, columns=["user", "time", "session"]).assign(event="a")
    did = entered[entered["user"].isin([f"u{u:02}" for u in range(0, 20, 2)])]
    log = EventLog.from_frame(pd.concat([entered, did.assign(event="b")]), covers_until="2027")
    for options in ({}, {"unit": "session"}, {"count": "attempts"}):
        result = asked(log, {"steps": ["a", "b"], "window": "3min", **options})
        (week,) = result.trend("W").to_dict("records")
        line = result.table.iloc[-1]
        assert (week["low"], week["high"]) == pytest.approx((line["rate_low"], line["rate_high"]))
    assert week["high"] - week["low"] > 0.35


def visits(*rows: tuple[str, str, str], **options: Any) -> EventLog:
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    return EventLog.from_frame(frame, **options)


def test_a_chain_counts_on_the_day_it_is_entered() -> None:
    log = visits(
        ("u", "2026-11-09T23:50", "a"),
        ("u", "2026-11-10T00:10", "b"),
        covers_until="2026-12-01",
    )
    trend = funnel(log, ["a", "b"]).trend("D")
    assert trend[["entered", "k", "n"]].to_numpy().tolist() == [[1, 1, 1], [0, 0, 0]]
    assert trend["start"].dt.day.tolist() == [9, 10]
    assert trend["rate"].iloc[0] == 1
    assert math.isnan(trend["rate"].iloc[1])
    # In Kolkata it is the tenth already.
    assert funnel(log, ["a", "b"]).trend("D", "Asia/Kolkata")["entered"].tolist() == [1]


def test_a_trend_keeps_to_the_entries_asked_for() -> None:
    log = visits(*[("u", f"2026-11-{day:02}T12:00", "a") for day in range(1, 11)])
    asked = funnel(log, ["a"], window="1h", entered=("2026-11-04T06:00", "2026-11-06"))
    trend = asked.trend("D")
    assert trend["start"].astype(str).tolist() == [
        "2026-11-04 06:00:00+00:00",
        "2026-11-05 00:00:00+00:00",
    ]
    assert trend["entered"].tolist() == [1, 1]
    assert funnel(log, ["a"], entered=("2027-01-01", None)).trend("D").empty


def test_the_groups_of_a_trend_are_those_of_the_table() -> None:
    """A group among the largest of the whole is not "(other)" in a day when it is small."""
    rows = [
        ("m", 1, 3),
        ("d", 1, 1),
        ("t", 1, 2),
        ("m", 2, 1),
        ("d", 2, 3),
        ("x", 2, 2),
        ("m", 4, 1),
    ]
    users = [(g, d, i) for g, d, many in rows for i in range(many)]
    frame = pd.DataFrame(
        {
            "user": [f"{g}{d}{i}" for g, d, i in users],
            "time": [pd.Timestamp(2026, 11, d) for _, d, _ in users],
            "event": "a",
            "g": [g for g, _, _ in users],
        }
    )
    trend = funnel(EventLog.from_frame(frame), ["a"], by="g", top=2).trend("D")
    entered = trend.pivot_table(index="start", columns="group", values="entered", sort=False)
    assert entered.columns.tolist() == ["m", "d", "(other)"]
    assert entered.to_numpy().tolist() == [[3, 1, 2], [1, 3, 2], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        ("Africa/Cairo", ["2026-04-23", "2026-04-26"]),
        ("America/Havana", ["2025-11-01", "2025-11-04"]),
    ],
)
def test_midnights_that_are_skipped_or_come_twice(zone: str, days: list[str]) -> None:
    log = visits(("u", f"{days[0]}T12:00", "a"), ("u", f"{days[1]}T12:00", "a"))
    trend = funnel(log, ["a"]).trend("D", zone)
    assert len(trend) == 4
    hours = (trend["end"] - trend["start"]) / pd.Timedelta("1h")
    assert sorted(hours)[1:3] == [24, 24]
    assert hours.sum() == {"Africa/Cairo": 95, "America/Havana": 97}[zone]
    assert (trend["start"].iloc[1:].to_numpy() == trend["end"].iloc[:-1].to_numpy()).all()


def test_a_trend_of_nothing_is_empty() -> None:
    log = random_log(3)
    trend = funnel(log.where(device="zzz"), STEPS).trend()
    assert trend.empty
    assert list(trend) == [
        "group",
        "start",
        "end",
        "entered",
        "k",
        "n",
        "rate",
        "low",
        "high",
        "mature",
    ]
    with pytest.raises(UsageError, match=r"trend: freq='Q' is unknown"):
        funnel(log, STEPS).trend("Q")
    with pytest.raises(UsageError, match=r"trend: time_zone='Europe/Berln'.*'Europe/Berlin'"):
        funnel(log, STEPS).trend("D", "Europe/Berln")
    with pytest.raises(UsageError, match=r"trend: time_zone=''"):
        funnel(log, STEPS).trend("D", "")


def test_the_sentence_has_the_rate_its_n_and_its_interval() -> None:
    rows = [
        (f"u{u}", f"2026-01-01T10:{i:02}", "abc"[i])
        for u in range(8)
        for i in range(3 if u < 2 else 1)
    ]
    log = visits(*rows, covers_until="2026-02-01")
    result = funnel(log, STEPS, window="1d")
    assert result.sentence() == (
        "25.0% of 8 users got from a to c within 24 h (95 % interval 7.1% to 59.1%). "
        "Most were lost between a and b: 6 of 8 (75.0%)."
    )
    assert funnel(log, ["a"]).sentence() == "8 users did a."
    everyone = funnel(log, [{"event": "b", "label": "B!"}, "c"]).sentence()
    assert (
        everyone
        == "100.0% of 2 users got from B! to c within 7 days (95 % interval 34.2% to 100.0%)."
    )


def test_no_rate_without_a_mature_entry() -> None:
    log = visits(("u", "2026-01-01", "a"), ("u", "2026-01-02", "b"), covers_until="2026-01-03")
    result = funnel(log, ["a", "b"])
    assert result.table["count"].tolist() == [1, 1]
    assert result.table["rate"].isna().all()
    assert result.sentence() == (
        "No user entered so long ago that their window is over: there is no rate to tell (a to b)."
    )
    assert result.warnings == (
        "1 of 1 users entered less than 7 days before the log ends: they are counted, "
        "and left out of every rate.",
    )
    nobody = funnel(log, ["b", "a"], entered=("2027-01-01", None))
    assert nobody.sentence() == "No user entered: there is no rate to tell (b to a)."
    assert nobody.warnings == ()


def test_the_answer_is_shown_with_its_warnings_and_a_figure() -> None:
    frame = pd.DataFrame(
        {"user": ["u", "u"], "time": [pd.Timestamp(0)] * 2, "event": ["<a>", "<b>"]}
    )
    result = funnel(EventLog.from_frame(frame, covers_until="1971-01-01"), ["<a>", "<b>"])
    assert result.tied == 1
    assert "ties='strict'" in result.warnings[0]
    shown = result._repr_html_()
    assert "<a>" not in shown
    assert "&lt;a&gt;" in shown
    assert result.figure().data
