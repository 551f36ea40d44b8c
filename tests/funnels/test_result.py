"""What a funnel means: the table of differing answers, and each option's plainest case."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.funnel_logs import ABC, by_group, counts, log_of

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.result import FunnelResult, funnel
from analysis.funnels.spec import Exclusion, Step


def test_the_entry_that_gets_furthest_counts_or_the_first() -> None:
    log = log_of("A 1:00, A 1:30, B 1:45, C 2:15")
    result = funnel(log, ABC, window="1h")
    assert result.table["count"].tolist() == [1, 1, 1]
    assert result.attempts["entered_at"].dt.strftime("%H:%M").tolist() == ["01:30"]
    assert counts(log, ABC, window="1h", entry="first") == [1, 1, 0]
    # The first entry is the first inside the range.
    later = ("2026-11-02T01:01", None)
    assert counts(log, ABC, window="1h", entry="first", entered=later) == [1, 1, 1]


@pytest.mark.parametrize(
    ("events", "exclude", "effect", "expected"),
    [
        ("A 1:00, X 1:10", Exclusion("X"), "end_attempt", [1, 0]),
        ("A 1:00, X 1:10", Exclusion("X"), "drop_attempt", [0, 0]),
        ("A 1:00, X 1:10", Exclusion("X"), "drop_unit", [0, 0]),
        ("A 1:00, X 1:10, B 1:20", Exclusion("X"), "end_attempt", [1, 0]),
        ("A 1:00, X 1:10, B 1:20", Exclusion("X"), "drop_attempt", [0, 0]),
        ("A 1:00, X 1:10, B 1:20", Exclusion("X"), "drop_unit", [0, 0]),
        # The second try is untouched, and as long.
        ("A 1:00, X 1:10, B 1:20, A 1:30, B 1:40", Exclusion("X"), "end_attempt", [1, 1]),
        ("A 1:00, X 1:10, B 1:20, A 1:30, B 1:40", Exclusion("X"), "drop_attempt", [1, 1]),
        ("A 1:00, X 1:10, B 1:20, A 1:30, B 1:40", Exclusion("X"), "drop_unit", [1, 1]),
        # After the second step it is no event between the two, nor is one before the first.
        ("A 1:00, B 1:10, X 1:20", Exclusion("X"), "drop_unit", [1, 1]),
        ("X 1:00, A 1:10, B 1:20", Exclusion("X"), "drop_unit", [1, 1]),
        # Between is strictly between; exactly at the end of the window counts.
        ("A 1:00, X 1:00, X 1:10, B 1:10", Exclusion("X"), "drop_unit", [1, 1]),
        ("A 1:00, X 8:00", Exclusion("X"), "drop_unit", [0, 0]),
        ("A 1:00, X 8:01", Exclusion("X"), "drop_unit", [1, 0]),
        # A repeat of a step's own event is excluded; the chain's own do not break it.
        ("A 1:00, A 1:10, B 1:20", Exclusion("A"), "end_attempt", [1, 1]),
        ("A 1:00, A 1:10, B 1:20", Exclusion("*"), "drop_unit", [1, 1]),
        ("A 1:00, C 1:10, B 1:20", Exclusion("*"), "end_attempt", [1, 0]),
        ("A 1:00, C 1:10, B 1:20", Exclusion(["X", "C"]), "end_attempt", [1, 0]),
    ],
)
def test_what_an_exclusion_leaves(
    events: str, exclude: Exclusion, effect: str, expected: list[int]
) -> None:
    options = {"window": "7h", "exclude": [exclude], "on_exclude": effect}
    assert counts(log_of(events), ["A", "B"], **options) == expected


def test_an_exclusion_holds_between_its_steps_only() -> None:
    between = Exclusion("X", after=2, before=3)
    log = log_of("A 1:00, B 1:10, A 2:00, B 2:10, X 2:15, C 2:20")
    assert counts(log, ABC, exclude=[between]) == [1, 1, 0]
    assert counts(log, ABC, exclude=[between], on_exclude="drop_unit") == [0, 0, 0]
    assert counts(log_of("A 1:00, X 1:05, B 1:10, C 1:20"), ABC, exclude=[between]) == [1, 1, 1]
    # The chain through the second B is valid.
    log = log_of("A 1:00, B 1:10, X 1:20, B 1:30, C 1:40")
    result = funnel(log, ABC, exclude=[between])
    assert result.attempts["reach"].tolist() == [3]
    assert result.attempts["step_2"].dt.strftime("%H:%M").tolist() == ["01:30"]
    assert result.attempts["excluded"].tolist() == [False]


def test_an_exclusion_after_a_step_that_was_skipped_is_not_active() -> None:
    steps = ["A", Step("B", optional=True), "C"]
    after_b = [Exclusion("X", after=2)]
    assert counts(log_of("A 1:00, X 1:20, C 1:30"), steps, exclude=after_b) == [1, 0, 1]
    assert counts(log_of("A 1:00, B 1:10, X 1:20, C 1:30"), steps, exclude=after_b) == [1, 0, 1]
    assert counts(log_of("A 1:00, B 1:10, X 1:20"), steps, exclude=after_b) == [1, 1, 0]


def test_an_exclusion_may_have_a_condition() -> None:
    log = log_of("A 1:00, X 1:10, B 1:20", v=[1.0, 5.0, 1.0])
    dear, cheap = (Exclusion("X", where={"v": text}) for text in (">= 5", "< 5"))
    assert counts(log, ["A", "B"], exclude=[dear]) == [1, 0]
    assert counts(log, ["A", "B"], exclude=[cheap]) == [1, 1]
    assert counts(log, ["A", "B"], exclude={"event": "X", "where": {"v": [5, 6]}}) == [1, 0]


@pytest.mark.parametrize(
    ("effect", "expected"), [("end_attempt", [2, 1]), ("drop_attempt", [1, 1])]
)
def test_attempts_count_each_try(effect: str, expected: list[int]) -> None:
    log = log_of("A 1:00, X 1:10, B 1:20, A 1:30, B 1:40")
    options = {"exclude": [Exclusion("X")], "on_exclude": effect, "count": "attempts"}
    assert counts(log, ["A", "B"], **options) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # The next attempt starts after the conversion, or once the window has run out.
        ("A 1:00, A 1:10, B 1:20, A 1:30", [2, 1]),
        ("A 1:00, A 1:30, A 2:00, A 2:01", [2, 0]),
        ("A 1:00, A 1:30, A 2:01, B 2:10", [2, 1]),
        # One event never serves two of them; the instant of a conversion may open the next.
        ("A 1:00, A 1:10, B 1:10, B 1:20", [2, 2]),
        ("B 1:00", [0, 0]),
    ],
)
def test_attempts_do_not_overlap(events: str, expected: list[int]) -> None:
    found = funnel(log_of(events), ["A", "B"], window="1h", count="attempts")
    assert found.table["count"].tolist() == expected
    assert len(found.attempts) == expected[0]


def test_two_events_of_one_second_convert_unless_ties_are_strict() -> None:
    log = log_of("B 1:00, A 1:00")
    assert counts(log, ["A", "B"]) == [1, 1]
    assert counts(log, ["A", "B"], ties="strict") == [1, 0]
    assert funnel(log, ["A", "B"]).attempts["tied"].tolist() == [True]
    assert funnel(log, ["A", "B"], ties="strict").attempts["tied"].tolist() == [False]
    assert "1 of 1 users got as far as they did only because" in funnel(log, ["A", "B"]).warnings[0]


@pytest.mark.parametrize("options", [{}, {"order": "any"}, {"count": "attempts"}])
def test_one_event_never_serves_two_steps(options: Mapping[str, Any]) -> None:
    assert counts(log_of("A 1:00"), ["A", "A"], **options) == [1, 0]
    assert counts(log_of("A 1:00, A 1:00"), ["A", "A"], **options) == [1, 1]
    strict = {**options, "ties": "strict"}
    assert counts(log_of("A 1:00, A 1:00"), ["A", "A"], **strict)[1] == 0
    assert counts(log_of("A 1:00, A 1:00"), ["*", "A", "*"], **options) == [1, 1, 0]


@pytest.mark.parametrize(
    ("events", "order", "expected"),
    [
        ("A 1:00, Q 1:10, B 1:20", "sequential", [1, 1]),
        ("A 1:00, Q 1:10, B 1:20", "strict", [1, 0]),
        ("A 1:00, B 1:10, Q 1:20", "strict", [1, 1]),
        ("A 1:00, A 1:10, B 1:20", "strict", [1, 1]),
        # At the instant of a step, another event is not between.
        ("A 1:00, Q 1:00, B 1:10", "strict", [1, 1]),
        ("B 1:00", "sequential", [0, 0]),
        ("B 1:00", "strict", [0, 0]),
        ("B 1:00", "any", [1, 0]),
        ("B 1:00, B 1:05, Q 1:10, A 1:20", "any", [1, 1]),
    ],
)
def test_orders(events: str, order: str, expected: list[int]) -> None:
    assert counts(log_of(events), ["A", "B"], order=order) == expected


def test_in_any_order_steps_have_no_names() -> None:
    result = funnel(log_of("B 1:00, A 1:30"), ABC, order="any")
    assert result.table["event"].tolist() == ["1 of 3", "2 of 3", "3 of 3"]
    assert result.table["count"].tolist() == [1, 1, 0]
    assert result.attempts["step_2"].dt.strftime("%H:%M").tolist() == ["01:30"]


def test_an_event_that_matches_several_steps_serves_whichever_gives_more() -> None:
    log = log_of("A 1:00, B 1:10")
    assert counts(log, [["A", "B"], "A"], order="any") == [1, 1]
    assert counts(log, ["A", ["A", "B"]], order="any") == [1, 1]


CHROME_THEN_SAFARI = "A 1:00, B 1:30"


@pytest.mark.parametrize(
    ("first", "options", "expected"),
    [
        ("chrome", {}, {"chrome": [1, 1]}),
        ("chrome", {"by_at": 1}, {"chrome": [1, 1]}),
        ("chrome", {"by_at": 2}, {"safari": [1, 1]}),
        ("chrome", {"by_at": "first_touch"}, {"chrome": [1, 1]}),
        ("chrome", {"by_at": "last_touch"}, {"safari": [1, 1]}),
        ("chrome", {"hold": ["browser"]}, {"chrome": [1, 0]}),
        ("chrome", {"hold": "browser"}, {"chrome": [1, 0]}),
        ("chrome", {"unit": "browser"}, {"chrome": [1, 0]}),
        (None, {}, {"(missing)": [1, 1]}),
        (None, {"by_at": 2}, {"safari": [1, 1]}),
        (None, {"by_at": "first_touch"}, {"safari": [1, 1]}),
    ],
)
def test_where_the_group_is_read(
    first: str | None, options: Mapping[str, Any], expected: Mapping[str, list[int]]
) -> None:
    log = log_of(CHROME_THEN_SAFARI, browser=pd.array([first, "safari"], dtype="str"))
    assert by_group(log, ["A", "B"], by="browser", **options) == expected


def test_units_that_never_reach_the_step_of_a_breakdown_are_in_no_group() -> None:
    result = funnel(log_of("A 1:00", g=["x"]), ["A", "B"], by="g", by_at=2)
    assert result.table["count"].sum() == 0
    assert result.attempts.empty
    assert result.warnings == (
        "1 users never reach step 2, whose 'g' makes the groups: they are in none.",
    )


def test_a_touch_of_several_properties_comes_whole_from_one_event() -> None:
    log = log_of(
        "A 1:00, A 1:10, B 1:20",
        g=pd.array([None, "x", "y"], dtype="str"),
        h=pd.array([None, None, "q"], dtype="str"),
    )
    found = by_group(log, ["A", "B"], by=["g", "h"], by_at="first_touch")
    assert found == {("x", "(missing)"): [1, 1]}


def test_a_chain_counts_on_the_day_of_its_entry() -> None:
    trend = funnel(log_of("A 23:50, B Tue 0:10"), ["A", "B"]).trend("D")
    assert trend["start"].dt.strftime("%a").tolist() == ["Mon", "Tue"]
    assert trend[["entered", "k", "n"]].to_numpy().tolist() == [[1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"v": ">= 50"}, [1, 0]),
        ({"v": "< 50"}, [1, 1]),
        ({"v": [10, 11]}, [1, 1]),
        ({"v": 11}, [1, 0]),
        ({"g": "x"}, [1, 1]),
        ({"g": ["y", "z"]}, [1, 0]),
        ({"g": "x", "v": ">= 50"}, [1, 0]),
        # A missing value never matches.
        ({"m": "!= 3"}, [1, 0]),
        ({"n": ["", "nan", "None"]}, [1, 0]),
    ],
)
@pytest.mark.parametrize("order", ["sequential", "strict"])
def test_conditions_on_properties(where: Any, expected: list[int], order: str) -> None:
    log = log_of(
        "A 1:00, B 1:10",
        g=["w", "x"],
        v=[99.0, 10.0],
        m=[3.0, math.nan],
        n=pd.array(["k", None], dtype="str"),
    )
    assert counts(log, ["A", Step("B", where=where)], order=order) == expected
    assert counts(log, ["A", {"event": "B", "where": where}], order=order) == expected


@pytest.mark.parametrize(("minute", "expected"), [(29, [1, 1]), (30, [1, 1]), (31, [1, 0])])
def test_a_step_s_own_limit_is_inclusive(minute: int, expected: list[int]) -> None:
    log = log_of(f"A 1:00, B 1:{minute}")
    assert counts(log, ["A", Step("B", within="30min")]) == expected


def test_a_limit_runs_from_the_step_done_before() -> None:
    log = log_of("A 1:00, B 1:20, C 1:40")
    assert counts(log, ["A", "B", Step("C", within="20min")]) == [1, 1, 1]
    assert counts(log, ["A", Step("B", optional=True), Step("C", within="20min")]) == [1, 1, 1]
    assert counts(log, ["A", Step("C", within="20min")]) == [1, 0]
    # A later B is as good for the second step and better for the third.
    log = log_of("A 1:00, B 1:10, B 1:30, C 1:40")
    assert counts(log, ["A", "B", Step("C", within="15min")]) == [1, 1, 1]


def test_optional_steps_have_counts_of_their_own() -> None:
    steps = ["A", Step("B", optional=True), "C"]
    result = funnel(log_of("A 1:00, C 1:10"), steps)
    assert result.table["count"].tolist() == [1, 0, 1]
    assert result.table["n_previous"].tolist() == [1, 1, 1]
    assert result.attempts[["reach", "censored"]].to_numpy().tolist() == [[3, False]]
    assert result.attempts["step_2"].isna().all()
    # A chain with more of them is preferred; one that ends with one has converted before it.
    assert counts(log_of("A 1:00, B 1:05, C 1:10"), steps) == [1, 1, 1]
    last = funnel(log_of("A 1:00, C 1:10", until="2026-11-02T02:00"), ["A", "C", steps[1]])
    assert last.attempts[["reach", "mature", "censored"]].to_numpy().tolist() == [[2, False, False]]


def test_of_sixty_three_optional_steps_the_last_is_the_furthest() -> None:
    log, optional = log_of("A 1:00, B 1:10"), Step("B", optional=True)
    assert counts(log, ["A", optional]) == [1, 1]
    assert counts(log, ["A", *[optional] * 63]) == [1, *[0] * 62, 1]


def test_sessions_are_units_though_they_interleave() -> None:
    log = log_of("A 1:00, A 1:10, B 1:20, B 1:30", session=["s", "t", "t", "t"])
    result = funnel(log, ["A", "B"], unit="session")
    assert result.table["count"].tolist() == [2, 1]
    assert result.attempts[["unit", "user", "reach"]].to_numpy().tolist() == [
        ["s", "u", 1],
        ["t", "u", 2],
    ]
    assert "One user can be several sessions" in result.warnings[-1]


def test_rows_without_a_unit_belong_to_nobody_and_are_counted() -> None:
    held = pd.array(["x", None, None, "x"], dtype="str")
    log = log_of("A 1:00, B 1:10, Q 1:15, C 1:20", cart=held)
    for options in ({"hold": ["cart"]}, {"unit": "cart"}):
        result = funnel(log, ABC, **options)
        assert result.table["count"].tolist() == [1, 0, 0]
        assert "2 rows without a value of 'cart' belong to no unit: left out." in result.warnings, (
            options
        )
    # Neighbors are those of the unit: what belongs to nobody is none.
    assert counts(log, ["A", "C"], order="strict", hold=["cart"]) == [1, 1]
    assert counts(log, ["A", "C"], order="strict") == [1, 0]


def test_held_values_make_the_unit() -> None:
    log = log_of("A 1:00, A 1:10, B 1:20, B 1:30", g=["x", "y", "y", "x"], v=[1.0, 2.0, 2.0, 1.5])
    held = funnel(log, ["A", "B"], hold=["g", "v"]).attempts
    assert held[["unit", "user", "reach"]].to_numpy().tolist() == [
        [("u", "x", "1"), "u", 1],
        [("u", "y", "2"), "u", 2],
    ]


# ── What a funnel's answer says besides its table: attempts, trend, sentence, warnings.

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
            frame[np.array([name == group for name in frame["group"]], bool)]
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
    assert result.immature == len(result.attempts) - len(result.mature_attempts)
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
    # Some of these have a mature entry, too, and stand in the rates with its chain.
    alone = ~young["unit"].isin(result.mature_attempts["unit"])
    assert len(young) > result.immature == alone.sum() > 0


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
        "usual_low",
        "usual_high",
        "verdict",
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
        everyone == "100% of 2 users got from B! to c within 7 days (95 % interval 34.2% to 100%)."
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


# ── What a funnel says, in the words of its units.

EVENTS = "A 1:00, B 1:10, A 2:00, A 3:00, B 3:05, C 3:10"


OF_EACH = {"session": ["s", "s", "t", "r", "r", "r"], "cart": ["1", "1", "1", "2", "2", "2"]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "100% of 1 users got from A to C within 30 min (95 % interval 20.7% to 100%)."),
        (
            {"unit": "session"},
            "33.3% of 3 sessions got from A to C within 30 min (95 % interval 2.5% to 90.6%). "
            "Most were lost between A and B: 1 of 3 (33.3%).",
        ),
        ({"count": "attempts"}, "33.3% of 3 attempts got from A to C within 30 min (95 % interval"),
        ({"unit": "cart"}, "50.0% of 2 units (cart) got from A to C within 30 min (95 % interval "),
        ({"hold": ["cart"]}, "50.0% of 2 units (user, cart) got from A to C within 30 min (95 % "),
        (
            {"hold": ["cart"], "unit": "session"},
            "33.3% of 3 units (session, cart) got from A to C within 30 min (95 % interval ",
        ),
        (
            {"hold": ["cart"], "count": "attempts"},
            "33.3% of 3 attempts got from A to C within 30 min (95 % interval ",
        ),
        (
            {"order": "any"},
            "100% of 1 users got from 1 of 3 to 3 of 3 within 30 min (95 % interval 20.7% to ",
        ),
    ],
)
def test_a_sentence_names_what_is_counted(options: dict[str, Any], said: str) -> None:
    log = log_of(EVENTS, **OF_EACH)
    assert funnel(log, ["A", "B", "C"], window="30min", **options).sentence().startswith(said)


def test_one_of_many_is_neither_nobody_nor_everybody() -> None:
    """Two of 5,000 enter the second step, one buys: no share is rounded to 0 or to all."""
    first = [(f"u{u}", "2026-01-01T10:00", "a") for u in range(5000)]
    then = [("u1", "2026-01-01T10:01", "b"), ("u1", "2026-01-01T10:02", "c")]
    log = visits(*first, *then, covers_until="2026-02-01")
    assert funnel(log, STEPS, window="1d").sentence() == (
        "0.02% of 5,000 users got from a to c within 24 h (95 % interval <0.01% to 0.11%). "
        "Most were lost between a and b: 4,999 of 5,000 (>99.9%)."
    )


def test_a_sentence_ends_at_the_last_required_step() -> None:
    steps = ["A", Step("Q", optional=True), "B", Step("C", optional=True)]
    found = funnel(log_of("A 1:00, Q 1:01, A 2:00, B 2:10"), steps).sentence()
    assert found.startswith("100% of 1 users got from A to B within 7 days")
    lost = funnel(log_of("A 1:00, Q 1:01"), steps).sentence()
    assert lost.endswith("Most were lost between A and B: 1 of 1 (100%).")


def test_the_interval_of_several_groups_is_that_of_the_whole() -> None:
    log = log_of(EVENTS, **OF_EACH)
    whole, parts = (funnel(log, ["A", "B"], by=by).sentence() for by in (None, "cart"))
    assert whole == parts
    # Groups of sessions are no independent trials: without the users' chains there is none.
    several = funnel(log, ["A", "B"], by="cart", unit="session", window="30min").sentence()
    assert several.startswith("66.7% of 3 sessions got from A to B within 30 min. Most were lost")


def test_without_a_mature_entry_or_a_second_required_step_there_is_no_rate() -> None:
    young = log_of("A 1:00", until="2026-11-02T02:00", session=["s"])
    said = funnel(young, ["A", "B"], unit="session").sentence()
    assert said.startswith("None of the sessions entered so long ago that their window is over")
    assert funnel(log_of("A 1:00"), ["A", Step("B", optional=True)]).sentence() == "1 users did A."


def test_a_breakdown_at_a_step_speaks_of_those_who_reached_it() -> None:
    log = log_of("A 1:00, B 1:10", g=["x", "y"])
    said = funnel(log, ["A", "B", "C"], by="g", by_at=2).sentence()
    assert said.startswith("0% of 1 users that reached step 2 got from A to C within 7 days (95")


def test_the_caveats_travel_with_the_numbers() -> None:
    cart = pd.array(["1", None, "1", "2", "2", None], dtype="str")
    log = log_of(EVENTS, until="2026-11-02T03:20", cart=cart)
    result = funnel(log, ["A", "B"], window="30min", hold=["cart"], by="cart", by_at=2)
    assert result.warnings == (
        "1 of 1 units (user, cart) entered less than 30 min before the log ends: they are "
        "counted, and left out of every rate.",
        "2 rows without a value of 'cart' belong to no unit: left out.",
        "1 units (user, cart) never reach step 2, whose 'cart' makes the groups: they are in none.",
        "One user can be several units (user, cart): the intervals take users as the independent "
        "units.",
    )


def test_of_one_user_each_no_caveat_is_made() -> None:
    log = log_of(EVENTS, cart=["1"] * 6)
    assert funnel(log, ["A", "B"]).warnings == ()
    assert funnel(log, ["A", "B"], unit="cart").warnings == ()


def test_one_row_without_a_unit_is_one_row() -> None:
    log = log_of("A 1:00, B 1:10", cart=pd.array(["1", None], dtype="str"))
    for options in ({"unit": "cart"}, {"hold": ["cart"]}):
        said = funnel(log, ["A", "B"], **options).warnings
        assert "1 row without a value of 'cart' belong" in said[0]


def test_ties_are_counted_by_unit() -> None:
    frame = pd.DataFrame(
        [(f"u{u}", 0 if u < 2 else k, name) for u in range(3) for k, name in enumerate("BA")],
        columns=["user", "time", "event"],
    )
    # Of the third B comes first, so that it never gets to the second step.
    frame["time"] = pd.Timestamp("2026-11-02") + pd.to_timedelta(frame["time"], "min")
    log = EventLog.from_frame(frame, covers_until="2027-01-01")
    result = funnel(log, ["A", "B"])
    assert result.tied == 2
    assert result.warnings[0].startswith("2 of 3 users got as far as they did only because")
    assert funnel(log, ["A", "B"], ties="strict").warnings == ()
