"""What a funnel means: the table of differing answers, and each option's plainest case."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from funnel_logs import ABC, by_group, counts, log_of

from analysis.funnels.funnel_steps import Exclusion, Step
from analysis.funnels.result import funnel

# ── the same events, different answers ──────────────────────────────────────────────────────────


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


# ── steps ───────────────────────────────────────────────────────────────────────────────────────


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


# ── units ───────────────────────────────────────────────────────────────────────────────────────


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
