"""What a report says of a funnel, against `compare_periods` and against counting by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.periods import compare_periods
from analysis.funnels.result import funnel
from analysis.reports.funnel_told import funnel_told

WEEK = ("2026-01-12", "2026-01-19")
STEPS = ["view", "cart", "purchase"]


def a_log(weeks: dict[str, tuple[int, ...]], until: str = "2026-03-01") -> EventLog:
    """Users who enter on a day: so many did the first step, the second, the third."""
    rows = [
        (
            f"{day} {user}",
            pd.Timestamp(day) + pd.Timedelta(hours=user % 5 + k),
            event,
            f"s{user % 2}",
        )
        for day, reached in weeks.items()
        for k, event in enumerate(STEPS)
        for user in range(reached[k])
    ]
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "session"])
    return EventLog.from_frame(frame, session="session", covers_until=until)


@pytest.fixture(scope="module")
def log() -> EventLog:
    return a_log({"2026-01-05": (60, 30, 12), "2026-01-13": (80, 44, 30)})


def test_the_numbers_are_those_of_the_comparison_of_periods(log: EventLog) -> None:
    told = funnel_told(funnel(log, STEPS, entered=WEEK))
    judge = compare_periods(log, STEPS, period=WEEK).numbers()
    assert set(told.numbers) == set(judge)
    for name, numbers in judge.items():
        for key, value in numbers.items():
            assert told.numbers[name][key] == (None if value is None else pytest.approx(value))
    assert told.numbers["macro_rate"]["previous_n"] == 60
    assert "rate changed by +17.5 points" in told.headline
    assert "(20.0% of 60)" in told.headline


def test_other_units_are_counted_and_compared_as_such(log: EventLog) -> None:
    result = funnel(log, STEPS, entered=WEEK, unit="session", order="any")
    told = funnel_told(result)
    last = result.table.iloc[-1]
    assert told.numbers["macro_rate"]["value"] == pytest.approx(last["rate"])
    assert told.numbers["macro_rate"]["high"] == pytest.approx(last["rate_high"])
    assert list(told.numbers) == ["macro_rate", "entered", "step_2_rate", "step_3_rate"]
    assert "sessions" in told.headline


def test_a_skipped_step_is_not_the_conversion(log: EventLog) -> None:
    steps = ["view", "cart", {"event": "purchase", "optional": True}]
    told = funnel_told(funnel(log, steps, entered=WEEK))
    assert told.numbers["macro_rate"]["value"] == pytest.approx(44 / 80)
    assert told.numbers["macro_rate"]["previous"] == pytest.approx(30 / 60)


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        ((3, 2, 1), "Fewer than 5 users did view"),
        ((40, 20, 3), "40 users did view, and fewer than 5 of them purchase"),
        ((40, 4, 0), "40 users did view, and fewer than 5 of them cart"),
    ],
)
def test_few_are_not_told(reached: tuple[int, ...], said: str) -> None:
    log = a_log({"2026-01-05": (60, 30, 12), "2026-01-13": reached})
    told = funnel_told(funnel(log, STEPS, entered=WEEK))
    assert told.headline.startswith(said)
    if 0 < reached[2] < 5:
        assert told.numbers["macro_rate"]["value"] is None
        assert told.numbers["macro_rate"]["change"] is None
        assert f"{reached[2]} " not in told.headline
    shown = funnel_told(funnel(log, STEPS, entered=WEEK), min_cell=1)
    assert shown.numbers["macro_rate"]["value"] == pytest.approx(reached[2] / reached[0])


def test_a_few_of_the_period_before_are_no_comparison() -> None:
    log = a_log({"2026-01-05": (60, 30, 3), "2026-01-13": (80, 44, 30)})
    rate = funnel_told(funnel(log, STEPS, entered=WEEK)).numbers["macro_rate"]
    assert (rate["previous"], rate["change"]) == (None, None)
    assert rate["value"] == pytest.approx(30 / 80)


def test_a_period_that_is_not_over_is_not_compared() -> None:
    log = a_log({"2026-01-05": (60, 30, 12), "2026-01-13": (80, 44, 30)}, until="2026-01-15")
    told = funnel_told(funnel(log, STEPS, window="4h", entered=WEEK))
    assert told.numbers["macro_rate"]["change"] is None
    assert told.numbers["entered"] == {"value": 80, "previous": 60, "change": None}
    assert any("is not over" in warning for warning in told.warnings)


def test_nobody_and_one_step_are_told_too(log: EventLog) -> None:
    empty = funnel_told(funnel(log, STEPS, entered=("2026-02-02", "2026-02-09")))
    assert "there is no rate to tell" in empty.headline
    one = funnel_told(funnel(log, ["view"], entered=WEEK))
    assert one.numbers["entered"] == {"value": 80, "previous": 60, "change": 20}


def test_it_wants_a_period_and_no_breakdown(log: EventLog) -> None:
    for arguments in ({}, {"entered": (None, "2026-01-19")}, {"entered": WEEK, "by": "session"}):
        with pytest.raises(UsageError, match="no whole period"):
            funnel_told(funnel(log, STEPS, **arguments))
