"""The question as arrays: sets of steps per event code, conditions per row, units per row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.funnel_logs import ABC, counts, log_of

from analysis.core.checks import EVER
from analysis.core.schema import DataError, UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.chains import (
    FunnelCodes,
    codes_of,
    has_value,
    holding,
    is_plain,
    rules_of,
    unit_numbers,
)
from analysis.funnels.result import funnel
from analysis.funnels.search.state import AFTER, BEFORE, UNTIL, WITHIN
from analysis.funnels.spec import Exclusion, Step, as_steps, funnel_spec

NAMES = ["view", "cart", "buy"]


FRAME = pd.DataFrame(
    {
        "user": "u",
        "time": pd.date_range("2026-11-02", periods=6, freq="min"),
        "event": NAMES * 2,
        "session": ["1", "1", "2", "2", "1", "3"],
        "g": pd.array(["x", "y", None, "x", "y", "x"], dtype="str"),
        "v": [1.0, math.nan, 3.0, 1.0, 2.0, math.nan],
    }
)


LOG = EventLog.from_frame(FRAME)


(SHARD,) = LOG.shards


DEFAULTS: dict[str, Any] = {
    "order": "sequential",
    "window": "1h",
    "unit": "user",
    "count": "units",
    "entry": "best",
    "hold": (),
    "exclude": (),
    "on_exclude": "end_attempt",
    "by": None,
    "by_at": "entry",
    "top": 12,
    "ties": "lenient",
    "entered": None,
}


def asked(steps: Sequence[Any], **options: Any) -> Any:
    return funnel_spec(LOG, steps, {**DEFAULTS, **options})


def codes(steps: Sequence[Any], exclude: Sequence[Exclusion] = ()) -> FunnelCodes:
    return codes_of(LOG.event_names, as_steps(steps), exclude)


def test_codes_are_bits_per_step_and_exclusion() -> None:
    found = codes(["buy", ["cart", "buy"], "*"], [Exclusion("view"), Exclusion(["cart", "view"])])
    place = {name: LOG.event_names.index(name) for name in NAMES}
    assert [int(found.steps[place[name]]) for name in NAMES] == [0b100, 0b110, 0b111]
    assert [int(found.exclusions[place[name]]) for name in NAMES] == [0b11, 0b10, 0]
    # The last code is that of hidden rows.
    assert int(found.steps[-1]) == int(found.exclusions[-1]) == 0
    assert int(found.wanted[1]) == 1 << place["buy"]
    assert int(found.wanted[3]) == 0b111
    assert int(found.excluded) == 1 << place["view"] | 1 << place["cart"]
    assert found.shared
    assert not codes(["buy", "view"]).shared


def test_the_sixty_fourth_step_and_event_have_bits_too() -> None:
    names = [f"e{k}" for k in range(70)]
    found = codes_of(names, as_steps([f"e{k}" for k in range(64)]))
    assert found.steps[:64].tolist() == [1 << k for k in range(64)]
    assert found.steps[64:].tolist() == [0] * 7
    # A user's mask has 64 bits: names share them.
    assert int(codes_of(names, as_steps(["e65"])).wanted[1]) == 0b10


@pytest.mark.parametrize(
    "options",
    [
        {"order": "strict"},
        {"order": "any"},
        {"unit": "session"},
        {"hold": ["g"]},
        {"count": "attempts"},
        {"entry": "first"},
        {"exclude": ["view"]},
        {"by": "g", "by_at": 1},
        {"by": "g", "by_at": "last_touch"},
    ],
)
def test_questions_that_need_the_whole_search(options: Mapping[str, Any]) -> None:
    steps = ["view", "cart"]
    assert not is_plain(asked(steps, **options), codes(steps))
    for easy in ({}, {"by": "g"}, {"ties": "strict"}, {"unit": "g"}, {"entered": (None, "2027")}):
        assert is_plain(asked(steps, **easy), codes(steps))


@pytest.mark.parametrize(
    "step",
    [
        Step("cart", where={"v": 1}),
        Step("cart", within="1min"),
        Step("cart", optional=True),
        Step(["cart", "view"]),
        "view",
    ],
)
def test_steps_that_need_the_whole_search(step: Any) -> None:
    steps = ["view", step]
    assert not is_plain(asked(steps), codes(steps))


def test_the_spec_as_numbers() -> None:
    steps = ["view", Step("cart", optional=True), Step("cart", within="1s"), "buy"]
    exclude = [Exclusion("buy"), Exclusion("view", after=2, before=3)]
    rules = rules_of(asked(steps, exclude=exclude, window="2s"))
    assert (rules.steps, rules.required, rules.window, rules.exclusions) == (4, 4, 2_000_000, 2)
    assert (rules.any_order, rules.neighbors, rules.limited) == (False, False, True)
    assert int(rules.optional) == 0b10
    assert rules.limits[WITHIN, 1:].tolist() == [EVER, EVER, 1_000_000, EVER]
    assert rules.limits[BEFORE, 1:].tolist() == [0, 1, 1, 3]
    assert rules.limits[AFTER, :2].tolist() == [1, 2]
    assert rules.limits[UNTIL, :2].tolist() == [4, 3]
    assert rules_of(asked(["view", "*"], order="strict")).neighbors
    assert rules_of(asked(["view", "*"], order="any")).any_order
    ends = rules_of(asked(["view", "cart", Step("buy", optional=True)]))
    assert (ends.required, ends.limited) == (2, False)
    last = rules_of(asked(["view"] * 63 + [Step("buy", optional=True)]))
    assert last.optional == np.iinfo(np.int64).min


def test_which_conditions_hold_on_which_rows() -> None:
    wheres = [{"g": "x"}, None, {"v": ">= 2"}, {"g": ["x", "y"], "v": 1}]
    held = [[k for k in range(4) if row >> k & 1] for row in holding(SHARD, LOG, wheres).tolist()]
    x, big, both = FRAME["g"].eq("x"), FRAME["v"].ge(2), FRAME["g"].notna() & FRAME["v"].eq(1)
    rows = zip(x.fillna(False), big, both, strict=True)
    assert held == [[k for k, holds in enumerate((a, True, b, c)) if holds] for a, b, c in rows]
    assert holding(SHARD, LOG, [None, None]).size == 0
    assert holding(SHARD, LOG, []).size == 0
    last = holding(SHARD, LOG, [None] * 63 + [{"g": "y"}])
    assert (last < 0).tolist() == FRAME["g"].eq("y").tolist()


cells = st.lists(
    st.tuples(st.sampled_from(["x", "y", "z", None]), st.sampled_from([1.0, 2.5, -0.0, math.nan])),
    min_size=1,
    max_size=12,
)


@given(cells, st.permutations(["g", "v", "session"]), st.integers(0, 3))
def test_units_are_numbered_as_pandas_groups_them(
    drawn: list[tuple[str | None, float]], names: list[str], many: int
) -> None:
    frame = pd.DataFrame(
        {
            "user": "u",
            "time": pd.date_range("2026-11-02", periods=len(drawn), freq="min"),
            "event": "a",
            "session": [str(k % 3) for k in range(len(drawn))],
            "g": pd.array([text for text, _ in drawn], dtype="str"),
            "v": [number for _, number in drawn],
        }
    )
    (shard,) = EventLog.from_frame(frame).shards
    by = names[:many]
    found = unit_numbers(shard, by)
    valued = has_value(shard, by)
    if not by:
        assert found.size == 0
        assert not valued.any()
        return
    assert (found < 0).tolist() == frame[by].isna().any(axis=1).tolist()
    assert valued.tolist() == frame[by].notna().any(axis=1).tolist()
    # Numbers say the same of any two rows as their values do.
    judge = frame.groupby(by).ngroup().to_numpy()
    pairs = set(zip(found[found >= 0].tolist(), judge[found >= 0].tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


# ── The edges of chains: windows, maturity, entry ranges, and logs in which there is nothing.


def at(*instants: int, until: int, **options: Any) -> EventLog:
    """A, B, C, … at these microseconds after a moment, all of one user."""
    base = pd.Timestamp("2026-11-09T10:00Z")
    times = [base + pd.Timedelta(t, "us") for t in instants]
    frame = pd.DataFrame({"user": "u", "event": list("ABCDEFG"[: len(times)]), "time": times})
    return EventLog.from_frame(frame, covers_until=base + pd.Timedelta(until, "us"), **options)


HOUR = 3_600_000_000


@pytest.mark.parametrize(("wait", "reach"), [(HOUR - 1, 2), (HOUR, 2), (HOUR + 1, 1)])
@pytest.mark.parametrize("steps", [["A", "B"], [["A", "B"], "B"]])
def test_the_window_is_inclusive_to_the_microsecond(
    wait: int, reach: int, steps: list[Any]
) -> None:
    log = at(0, wait, until=10 * HOUR)
    attempts = funnel(log, steps, window="1h", entered=(None, "2026-11-09T10:00:01Z")).attempts
    assert attempts["reach"].tolist() == [reach]


@pytest.mark.parametrize(("until", "mature"), [(HOUR - 1, False), (HOUR, True), (HOUR + 1, True)])
def test_an_entry_is_mature_when_its_whole_window_is_covered(until: int, mature: bool) -> None:
    result = funnel(at(0, 5, until=until), ["A", "B"], window="1h")
    assert result.attempts["mature"].tolist() == [mature]
    assert result.attempts["censored"].tolist() == [False]
    assert result.table["k"].tolist() == [int(mature)] * 2
    stopped = funnel(at(0, 5, until=until), ["B", "A"], window="1h").attempts
    assert stopped["censored"].tolist() == [until < HOUR + 5]


def test_the_mature_chain_may_be_another_one() -> None:
    """The best chain is too young for a rate; the older, shorter one is what the rate sees.

    The unit is in one group, that of the rate, and no step has more mature units than units.
    """
    log = log_of("A 1:00, A 5:00, B 5:10", until="2026-11-02T05:30", g=["old", "young", "young"])
    result = funnel(log, ["A", "B"], window="1h", by="g")
    lines = result.table[["group", "step", "count", "k", "n_first"]].to_numpy().tolist()
    assert lines == [["old", 1, 1, 1, 1], ["old", 2, 1, 0, 1]]
    assert result.immature == 0
    assert result.warnings == ()
    assert result.attempts[["group", "reach", "mature"]].to_numpy().tolist() == [["old", 2, False]]
    assert result.mature_attempts[["group", "reach", "mature"]].to_numpy().tolist() == [
        ["old", 1, True]
    ]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-11-02T01:00", "2026-11-02T02:00", [1, 1]),
        ("2026-11-02T01:00", "2026-11-02T01:00:00.000001", [1, 1]),
        ("2026-11-02T00:00", "2026-11-02T01:00", [0, 0]),
        ("2026-11-02T01:00:00.000001", None, [0, 0]),
        (None, "2026-11-02T01:01", [1, 1]),
        ("2026-11-02T02:00+01:00", "2026-11-02T02:01+01:00", [1, 1]),
        (None, None, [1, 1]),
    ],
)
def test_entered_limits_entries_only(start: Any, end: Any, expected: list[int]) -> None:
    log = log_of("A 1:00, B 3:00")
    assert counts(log, ["A", "B"], entered=(start, end)) == expected


@pytest.mark.parametrize("entered", ["2026-11-02", ("2026-11-02",), ("2026-11-03", "2026-11-02")])
def test_what_entered_refuses(entered: Any) -> None:
    with pytest.raises(UsageError, match=r"^funnel: entered="):
        funnel(log_of("A 1:00"), ["A"], entered=entered)


def test_known_events_that_nobody_reached_and_units_that_never_enter() -> None:
    log = log_of("A 1:00, B 1:30, C 2:00")
    assert counts(log, ["C", "B", "A"]) == [1, 0, 0]
    assert counts(log.where(event=["B", "C"]), ABC) == [0, 0, 0]
    assert funnel(log.where(event="C"), ABC).attempts.empty
    assert counts(log.where(event=["A", "C"]), ABC) == [1, 0, 0]


def test_of_an_empty_view_everything_is_zero_or_undefined() -> None:
    log = log_of("A 1:00, B 1:30", browser=["chrome", "safari"], n=[1.0, 2.0])
    for by in (None, "browser", ["browser", "n"], "n"):
        result = funnel(log.where(browser="x"), ["A", "B"], by=by)
        assert result.table["group"].tolist() == ["all", "all"]
        assert result.table[["count", "k", "n_first", "n_previous"]].to_numpy().sum() == 0
        assert result.table.loc[:, "rate":].isna().all(axis=None)
        assert result.attempts.empty
        assert list(result.attempts)[:4] == ["unit", "group", "entered_at", "reach"]
        assert result.warnings == ()


def test_a_log_without_events_is_an_error() -> None:
    frame = pd.DataFrame({"user": ["u"], "time": [pd.Timestamp(0)], "event": ["A"]})
    with pytest.raises(DataError, match=r"the log is empty\. Import events first"):
        funnel(EventLog.from_frame(frame.iloc[:0]), ["A"])
