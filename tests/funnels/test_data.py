"""The rows of the attempts: what each column says of a chain."""

from __future__ import annotations

import math

import pandas as pd
from support.funnel_logs import ABC, log_of

from analysis.funnels.result import funnel
from analysis.funnels.spec import Exclusion, Step


def clock(times: pd.Series) -> list[str | None]:
    return [None if time is pd.NaT else f"{time:%H:%M}" for time in times]


def test_a_row_says_who_when_how_far_and_what_became_of_it() -> None:
    log = log_of("A 1:00, B 1:10, X 1:20, C 1:30", until="2026-11-02T02:00")
    (row,) = funnel(log, ABC, window="50min", exclude=["X"]).attempts.to_dict("records")
    start = pd.Timestamp("2026-11-02T01:00Z")
    assert row == {
        "unit": "u",
        "group": "all",
        "entered_at": start,
        "reach": 2,
        "step_1": start,
        "step_2": start + pd.Timedelta("10min"),
        "step_3": pd.NaT,
        "excluded": True,
        "mature": True,
        "censored": False,
        "tied": False,
    }
    (young,) = funnel(log, ABC, window="61min").attempts.to_dict("records")
    assert (young["reach"], young["mature"], young["censored"]) == (3, False, False)
    (open_end,) = funnel(log, ["A", "C", "B"], window="61min").attempts.to_dict("records")
    assert (open_end["reach"], open_end["mature"], open_end["censored"]) == (2, False, True)


def test_what_drops_leaves_no_row_and_marks_none() -> None:
    log = log_of("A 1:00, X 1:10, A 1:20, B 1:30")
    for effect in ("drop_attempt", "drop_unit"):
        kept = funnel(log, ["A", "B"], exclude=["X"], on_exclude=effect).attempts
        assert clock(kept["entered_at"]) == ["01:20"]
        assert kept["excluded"].tolist() == [False]


def test_attempts_of_a_unit_stand_in_the_order_of_their_entries() -> None:
    log = log_of("A 1:00, X 1:10, B 1:20, A 1:30, B 1:40, A 9:00", until="2026-11-02T09:30")
    found = funnel(log, ["A", "B"], window="1h", exclude=["X"], count="attempts").attempts
    assert found["unit"].tolist() == ["u"] * 3
    assert clock(found["entered_at"]) == ["01:00", "01:30", "09:00"]
    assert clock(found["step_2"]) == [None, "01:40", None]
    assert found["excluded"].tolist() == [True, False, False]
    assert found["mature"].tolist() == [True, True, False]
    assert found["censored"].tolist() == [False, False, True]
    ripe = funnel(log, ["A", "B"], window="1h", exclude=["X"], count="attempts").mature_attempts
    pd.testing.assert_frame_equal(ripe, found[found["mature"]])


def test_units_inside_a_user_are_named_and_so_is_the_user() -> None:
    log = log_of("A 1:00, A 1:10, A 1:20", session=["s", "t", "t"], v=[1.0, 2.5, math.nan])
    by_session = funnel(log, ["A"], unit="session").attempts
    assert by_session[["unit", "user"]].to_numpy().tolist() == [["s", "u"], ["t", "u"]]
    held = funnel(log, ["A"], hold=["v"]).attempts
    assert held["unit"].tolist() == [("u", "1"), ("u", "2.5")]
    both = funnel(log, ["A"], unit="session", hold=["v"]).attempts
    assert both["unit"].tolist() == [("s", "1"), ("t", "2.5")]
    owned = funnel(log, ["A"], unit="v").attempts
    assert owned["unit"].tolist() == ["1", "2.5"]
    assert "user" not in owned


def test_in_any_order_a_step_s_time_is_the_kth_one_done() -> None:
    found = funnel(log_of("C 1:00, A 1:20, B 1:40"), ABC, order="any", window="30min").attempts

    # Both pairs reach 2; the one that ends earliest counts.
    assert [clock(found[f"step_{k}"])[0] for k in (1, 2, 3)] == ["01:00", "01:20", None]
    assert found["reach"].tolist() == [2]


def test_the_chain_with_more_optional_steps_and_earlier_times() -> None:
    steps = ["A", Step("B", optional=True), "C"]
    found = funnel(log_of("A 1:00, C 1:10, B 1:20, C 1:30"), steps).attempts
    # It ends earliest without the optional step.
    assert clock(found["step_3"]) == ["01:10"]
    found = funnel(log_of("A 1:00, B 1:05, B 1:06, C 1:10"), steps).attempts
    assert clock(found["step_2"]) == ["01:05"]
    # Of entries that lead to the same steps the latest counts.
    found = funnel(log_of("A 1:00, A 1:02, C 1:10"), steps).attempts
    assert clock(found["entered_at"]) == ["01:02"]


def test_excluded_says_what_touched_the_chain_that_counts() -> None:
    log = log_of("A 1:00, B 1:10, X 1:20, B 1:30, C 1:40")
    between = Exclusion("X", after=2, before=3)
    assert funnel(log, ABC, exclude=[between]).attempts["excluded"].tolist() == [False]
    later = log_of("A 1:00, B 1:10, C 1:15, X 1:20")
    assert funnel(later, ABC, exclude=["X"]).attempts["excluded"].tolist() == [False]
    assert funnel(later, [*ABC, "A"], exclude=["X"]).attempts["excluded"].tolist() == [True]
