"""Funnels without options against the oracle that lists every chain: ties, repeats, odd shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import funnel_oracle as oracle
from oracles import funnel_oracle_table as judge

from analysis.eventlog.log import EventLog
from analysis.funnels.result import FunnelResult, funnel

START = 1_790_000_000_000_000
NAMES = "abcd"
EVER = oracle.EVER
GROUPS = (None, "x", "y", "z")

Row = tuple[str, int, str, str | None]


def log_of_rows(rows: Sequence[Row], covers_until: int, shards: int) -> EventLog:
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
    assert result.immature == len(chosen) - len(ripe)
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
    log = log_of_rows(drawn, asked.covers_until, shards)
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
        log = log_of_rows(drawn, asked.covers_until, shards)
        compare(ask(log, asked, by="group"), drawn, asked, by=True)


# ── Funnels of unusual shapes: crowded instants, sixty-four steps, hundreds of event names.

DAY = pd.Timestamp("2026-11-02")


def log_of_people(
    people: dict[str, Sequence[tuple[int, str]]], names: Sequence[str] = ()
) -> EventLog:
    """Per user (minute, event); `names` are done by one more user, a year before."""
    rows = [(user, DAY + pd.Timedelta(t, "min"), e) for user, own in people.items() for t, e in own]
    rows += [("0 all", DAY - pd.Timedelta("365D"), name) for name in names]
    return EventLog.from_frame(
        pd.DataFrame(rows, columns=["user", "time", "event"]), covers_until="2027-06-01"
    )


def reach(
    log: EventLog, steps: Sequence[str | Sequence[str]], ties: str = "lenient"
) -> dict[str, int]:
    found = funnel(log, steps, ties=ties, entered=(DAY, None)).attempts
    return dict(zip(found["unit"], found["reach"], strict=True))


@pytest.mark.parametrize(("rows", "steps"), [(1000, 3), (1000, 64), (63, 64), (64, 64), (2, 3)])
def test_many_equal_events_at_one_instant(rows: int, steps: int) -> None:
    log = log_of_people({"u": [(0, "a")] * rows})
    assert reach(log, ["a"] * steps) == {"u": min(rows, steps)}
    assert reach(log, ["a"] * steps, "strict") == {"u": 1}
    result = funnel(log, ["a"] * steps)
    assert result.attempts["tied"].tolist() == [True]


def test_steps_that_compete_for_the_events_of_one_instant() -> None:
    """A greedy assignment would give a's only row to the wrong step."""
    steps = [["a", "b"], ["a", "c"], ["a"]]
    assert reach(log_of_people({"u": [(0, "c"), (0, "b"), (0, "a")]}), steps) == {"u": 3}
    assert reach(log_of_people({"u": [(0, "a"), (0, "b"), (0, "d")]}, "abc"), steps) == {"u": 2}
    # Sixty steps that want any of sixty events, and four that want one of them each.
    names = [f"e{i:02}" for i in range(64)]
    wide: list[str | Sequence[str]] = [[*names]] * 60
    rows = [(0, name) for name in reversed(names)]
    assert reach(log_of_people({"u": rows}), [*wide, *names[:4]]) == {"u": 64}
    assert reach(log_of_people({"u": rows[:-1]}, names), [*wide, *names[:4]]) == {"u": 60}
    assert reach(log_of_people({"u": [*rows[:-1], (0, "e63")]}, names), [*wide, *names[1:5]]) == {
        "u": 64
    }


crowds = st.lists(st.sampled_from("abcde"), min_size=1, max_size=7)
wishes = st.lists(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=3, unique=True), min_size=2, max_size=5
)


@settings(max_examples=150)
@given(crowds, wishes, st.lists(st.sampled_from("abcde"), max_size=2))
def test_one_instant_is_a_matching(
    crowd: list[str], steps: list[list[str]], later: list[str]
) -> None:
    """The oracle tries every order of the crowd; a later event or two must find its place."""
    rows = [(0, name) for name in crowd] + [(1, name) for name in later]
    events = [oracle.Event(t, i, name) for i, (t, name) in enumerate(rows)]
    asked = oracle.Question(oracle.plain(*steps), window=5, covers_until=99)
    best = len(oracle.best_chain(events, asked))
    strict = len(oracle.best_chain(events, asked, strict=True))
    log = log_of_people({"u": rows}, "abcde")
    assert reach(log, steps).get("u", 0) == best
    assert reach(log, steps, "strict").get("u", 0) == strict


@pytest.mark.parametrize("shared", [False, True])
def test_sixty_four_steps(shared: bool) -> None:
    names = [f"s{k:02}" for k in range(64)]
    people = {
        "all": [(k, name) for k, name in enumerate(names)],
        "gap": [(k, name) for k, name in enumerate(names) if k != 40],
        "back": [(k, name) for k, name in enumerate(reversed(names))],
        "twice": [(k, name) for k, name in enumerate(names * 2)],
        "last": [(0, names[-1])],
    }
    steps: list[str | Sequence[str]] = [*names]
    if shared:
        steps[63] = [names[62], names[63]]
    want = {"all": 64, "gap": 40, "back": 1, "twice": 64}
    assert reach(log_of_people(people), steps) == want
    assert reach(log_of_people(people), steps, "strict") == want
    table = funnel(log_of_people(people), steps, entered=(DAY, None)).table
    assert table["count"].tolist() == [4, *[3] * 39, *[2] * 24]
    assert table["median_seconds"].iloc[1:].eq(60).all()


@pytest.mark.parametrize("size", [63, 64, 65, 128, 129, 255, 256, 257, 300])
def test_any_number_of_event_names(size: int) -> None:
    """Masks repeat after 64 names, codes grow wider after 255; neither may show.

    The first size with wider codes compiles the kernels for them; later runs find them compiled.
    """
    names = [f"n{k:03}" for k in range(size)]
    rng = np.random.default_rng(size)
    people = {
        f"u{u}": [(int(m), names[k]) for m, k in enumerate(rng.integers(0, size, 40))]
        for u in range(60)
    }
    log = log_of_people(people, names)
    assert len(log.event_names) == size
    for _ in range(6):
        steps = [[names[k] for k in rng.choice(size, 5, replace=False)] for _ in range(3)]
        want = {}
        for user, rows in people.items():
            far = 0
            for _, name in rows:
                far += far < 3 and name in steps[far]
            if far:
                want[user] = far
        # Steps may share names; no event may serve two, which the loop above respects.
        assert reach(log, steps) == want
        seen = reach(log.where(event=steps[0] + steps[1]), steps)
        assert {user: min(k, 2) for user, k in want.items()} == {
            u: min(k, 2) for u, k in seen.items()
        }


def test_names_that_share_a_bit_of_the_mask() -> None:
    names = [f"n{k:03}" for k in range(200)]
    log = log_of_people(
        {"u": [(0, names[64]), (1, names[65])], "v": [(0, names[0]), (1, names[129])]}, names
    )
    assert reach(log, [names[0], names[1]]) == {"v": 1}
    assert reach(log, [names[64], names[65]]) == {"u": 2}
    assert reach(log, [names[128], names[1]]) == {}


def test_a_user_with_a_hundred_thousand_events() -> None:
    rng = np.random.default_rng(5)
    size = 100_000
    frame = pd.DataFrame(
        {
            "user": "u",
            "time": DAY + pd.to_timedelta(np.sort(rng.integers(0, 10**9, size)), "us"),
            "event": rng.choice(list("abx"), size),
        }
    )
    frame.loc[size - 1, "event"] = "c"
    result = funnel(EventLog.from_frame(frame), ["a", "b", "c"], window="7d").attempts
    assert result["reach"].tolist() == [3]
    # The last "a" before the first "b" of all: the times of later steps come first in the rule.
    first_b = frame["time"][frame["event"] == "b"].iloc[0]
    assert result["entered_at"].dt.tz_localize(None)[0] <= result["step_2"].dt.tz_localize(None)[0]
    entries = frame[(frame["event"] == "a")]["time"]
    second = frame["time"][(frame["event"] == "b") & (frame["time"] >= entries.iloc[0])].iloc[0]
    assert result["step_2"].dt.tz_localize(None)[0] == second >= first_b
    assert result["entered_at"].dt.tz_localize(None)[0] == entries[entries <= second].iloc[-1]
