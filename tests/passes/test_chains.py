"""The funnel against the oracle that lists every chain: small logs full of ties and repeats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import funnel_oracle as oracle
import funnel_oracle_table as judge
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eventlog.log import EventLog
from analysis.funnels.funnel_result import FunnelResult
from analysis.funnels.result import funnel

START = 1_790_000_000_000_000
NAMES = "abcd"
EVER = oracle.EVER
GROUPS = (None, "x", "y", "z")
Row = tuple[str, int, str, str | None]


def log_of(rows: Sequence[Row], covers_until: int, shards: int) -> EventLog:
    """Rows (user, microseconds after START, event, group), in the order of arrival."""
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "group"])
    frame["time"] = pd.to_datetime(frame["time"] + START, unit="us", utc=True)
    until = pd.Timestamp(START + covers_until, unit="us", tz="UTC")
    return EventLog.from_frame(frame.astype({"group": "str"}), covers_until=until, shards=shards)


def events_of(rows: Sequence[Row]) -> list[oracle.Event]:
    return [
        oracle.Event(time, arrival, name, {"group": group}, user)
        for arrival, (user, time, name, group) in enumerate(rows)
    ]


def ask(log: EventLog, asked: oracle.Question, **more: Any) -> FunnelResult:
    low, high = asked.entered
    bounded = (
        None if low < -(2**59) else tuple(pd.Timestamp(START + t, unit="us") for t in (low, high))
    )
    return funnel(
        log,
        [list(step.events) for step in asked.steps],
        window=f"{asked.window}us",
        ties="strict" if asked.strict else "lenient",
        entered=None if asked.entered == EVER else bounded,
        top=asked.top,
        **more,
    )


def in_order(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The judge's rows as `rows_of` writes them."""
    own = ("unit", "group", "reach", "mature", "censored", "tied")
    return [
        {key: row[key] for key in own} | {"times": tuple(t for t in row["times"] if t is not None)}
        for row in sorted(rows, key=lambda row: row["unit"].encode())
    ]


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame of attempts as the oracle's rows."""
    steps = [column for column in frame if str(column).startswith("step_")]
    rows = []
    for record in frame.to_dict("records"):
        stamps = [record[column] for column in steps]
        reached = [stamp for stamp in stamps if stamp is not pd.NaT]
        assert stamps[: len(reached)] == reached
        assert record["entered_at"] == stamps[0]
        assert record["excluded"] is False
        own = {key: record[key] for key in ("unit", "group", "reach", "mature", "censored", "tied")}
        epoch = pd.Timestamp(START, unit="us", tz="UTC")
        own["times"] = tuple((stamp - epoch) // pd.Timedelta("1us") for stamp in reached)
        rows.append(own)
    return rows


def compare(result: FunnelResult, rows: Sequence[Row], asked: oracle.Question, by: bool) -> None:
    asked = replace(asked, by=("group",) if by else ())
    events = events_of(rows)
    chosen, ripe = (judge.attempts(events, asked, mature=mature) for mature in (False, True))
    names = judge.kept_groups(chosen, ripe, asked.top)
    chosen, ripe = judge.named(chosen, names), judge.named(ripe, names)
    assert rows_of(result.attempts) == in_order(chosen)
    assert rows_of(result.mature_attempts) == in_order(ripe)
    wanted = judge.table(chosen, ripe, asked)
    found = {(row["group"], row["step"]): row for row in result.table.to_dict("records")}
    assert len(found) == len(result.table) == len(wanted)
    for want in wanted:
        compare_line(found[want["group"], want["step"]], want)
    if by:
        shown = [name for name in dict.fromkeys(names.values()) if name is not None]
        assert list(dict.fromkeys(result.table["group"])) == (shown or ["all"])
    assert result.immature == sum(not row["mature"] for row in chosen)
    assert result.tied == sum(row["tied"] for row in chosen)


def compare_line(found: dict[str, Any], want: dict[str, Any]) -> None:
    exact = ["count", "k", "n_first", "n_previous", "rate", "step_rate"]
    for name in [*exact, "median_seconds", "mean_seconds"]:
        assert same(found[name], want[name]), (name, found, want)
    for name, limits in (("rate", want["rate_limits"]), ("", want["limits"])):
        low, high = (found[f"{name}_{side}".strip("_")] for side in ("low", "high"))
        assert (low, high) == pytest.approx(limits, abs=1e-12, nan_ok=True)


def same(found: float, want: float) -> bool:
    return found == want or (math.isnan(found) and math.isnan(want))


rows = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cy", "Ünal 🌊"]),
        st.integers(0, 6),
        st.sampled_from(NAMES),
        st.sampled_from(GROUPS),
    ),
    min_size=1,
    max_size=30,
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Row], oracle.Question]:
    """A log of at most nine events a user that has every name, and a question to it."""
    drawn: list[Row] = draw(rows)
    kept = [row for i, row in enumerate(drawn) if sum(r[0] == row[0] for r in drawn[:i]) < 9]
    # A user who does everything, so that no name is unknown, and enters nowhere near the others.
    kept += [("zoe", 1000 + i, name, None) for i, name in enumerate(reversed(NAMES))]
    step = st.one_of(
        st.sampled_from([(name,) for name in NAMES]),
        st.sampled_from([("*",), ("a", "b"), ("b", "c"), ("d", "a", "c")]),
    )
    low = draw(st.integers(-1, 5))
    span = draw(st.one_of(st.none(), st.integers(1, 6)))
    return kept, oracle.Question(
        steps=oracle.plain(*draw(st.lists(step, min_size=1, max_size=4))),
        window=draw(st.integers(1, 7)),
        covers_until=draw(st.one_of(st.integers(0, 12), st.just(2000))),
        strict=draw(st.booleans()),
        entered=EVER if span is None else (low, low + span),
        top=draw(st.sampled_from([12, 1, 2])),
    )


@settings(max_examples=400)
@given(case=cases(), shards=st.sampled_from([1, 2, 50]), by=st.booleans())
def test_every_user_gets_the_best_of_all_chains(
    case: tuple[list[Row], oracle.Question], shards: int, by: bool
) -> None:
    drawn, asked = case
    log = log_of(drawn, asked.covers_until, shards)
    compare(ask(log, asked, by="group" if by else None), drawn, asked, by)


def many(seed: int, users: int, longest: int = 9) -> list[Row]:
    rng = np.random.default_rng(seed)
    people = [f"u{u}" for u in range(users) for _ in range(rng.integers(1, longest + 1))]
    rng.shuffle(people)
    size = len(people)
    times, names = rng.integers(0, 7, size), rng.choice(list(NAMES), size)
    groups = rng.choice(np.array(GROUPS, object), size)
    return list(zip(people, times.tolist(), names.tolist(), groups.tolist(), strict=True))


QUESTIONS = [
    oracle.Question(oracle.plain(("a",), ("b",), ("c",)), window=3, covers_until=7),
    oracle.Question(oracle.plain(("a",), ("b",), ("c",)), window=3, covers_until=7, strict=True),
    oracle.Question(
        oracle.plain(("a",), ("b",), ("c",), ("d",)), window=5, covers_until=9, entered=(1, 5)
    ),
    oracle.Question(oracle.plain(("a",), ("a",), ("b",)), window=4, covers_until=7),
    oracle.Question(oracle.plain(("a",), ("a",), ("a",)), window=4, covers_until=7, strict=True),
    oracle.Question(oracle.plain(("a",), ("b",), ("a",), ("b",)), window=6, covers_until=9),
    oracle.Question(oracle.plain(("a", "b"), ("b", "c"), ("a",)), window=2, covers_until=6, top=2),
    oracle.Question(oracle.plain(("a",), ("*",), ("c", "d")), window=4, covers_until=8, top=1),
    oracle.Question(oracle.plain(("*",), ("*",), ("*",)), window=1, covers_until=5),
    oracle.Question(
        oracle.plain(("*",), ("b",), ("*",)), window=2, covers_until=99, entered=(2, 4)
    ),
]


@pytest.mark.parametrize("number", range(len(QUESTIONS)))
def test_hundreds_of_users_at_once(number: int) -> None:
    asked = QUESTIONS[number]
    drawn = many(seed=number, users=800)
    for shards in (1, 7):
        log = log_of(drawn, asked.covers_until, shards)
        compare(ask(log, asked, by="group"), drawn, asked, by=True)
