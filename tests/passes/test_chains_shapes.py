"""Funnels of unusual shapes: crowded instants, sixty-four steps, hundreds of event names."""

from __future__ import annotations

from collections.abc import Sequence

import funnel_oracle as oracle
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eventlog.log import EventLog
from analysis.funnels.result import funnel

START = pd.Timestamp("2026-11-02")


def log_of(people: dict[str, Sequence[tuple[int, str]]], names: Sequence[str] = ()) -> EventLog:
    """Per user (minute, event); `names` are done by one more user, a year before."""
    rows = [
        (user, START + pd.Timedelta(t, "min"), e) for user, own in people.items() for t, e in own
    ]
    rows += [("0 all", START - pd.Timedelta("365D"), name) for name in names]
    return EventLog.from_frame(
        pd.DataFrame(rows, columns=["user", "time", "event"]), covers_until="2027-06-01"
    )


def reach(
    log: EventLog, steps: Sequence[str | Sequence[str]], ties: str = "lenient"
) -> dict[str, int]:
    found = funnel(log, steps, ties=ties, entered=(START, None)).attempts
    return dict(zip(found["unit"], found["reach"], strict=True))


@pytest.mark.parametrize(("rows", "steps"), [(1000, 3), (1000, 64), (63, 64), (64, 64), (2, 3)])
def test_many_equal_events_at_one_instant(rows: int, steps: int) -> None:
    log = log_of({"u": [(0, "a")] * rows})
    assert reach(log, ["a"] * steps) == {"u": min(rows, steps)}
    assert reach(log, ["a"] * steps, "strict") == {"u": 1}
    result = funnel(log, ["a"] * steps)
    assert result.attempts["tied"].tolist() == [True]


def test_steps_that_compete_for_the_events_of_one_instant() -> None:
    """A greedy assignment would give a's only row to the wrong step."""
    steps = [["a", "b"], ["a", "c"], ["a"]]
    assert reach(log_of({"u": [(0, "c"), (0, "b"), (0, "a")]}), steps) == {"u": 3}
    assert reach(log_of({"u": [(0, "a"), (0, "b"), (0, "d")]}, "abc"), steps) == {"u": 2}
    # Sixty steps that want any of sixty events, and four that want one of them each.
    names = [f"e{i:02}" for i in range(64)]
    wide: list[str | Sequence[str]] = [[*names]] * 60
    rows = [(0, name) for name in reversed(names)]
    assert reach(log_of({"u": rows}), [*wide, *names[:4]]) == {"u": 64}
    assert reach(log_of({"u": rows[:-1]}, names), [*wide, *names[:4]]) == {"u": 60}
    assert reach(log_of({"u": [*rows[:-1], (0, "e63")]}, names), [*wide, *names[1:5]]) == {"u": 64}


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
    log = log_of({"u": rows}, "abcde")
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
    assert reach(log_of(people), steps) == want
    assert reach(log_of(people), steps, "strict") == want
    table = funnel(log_of(people), steps, entered=(START, None)).table
    assert table["count"].tolist() == [4, *[3] * 39, *[2] * 24]
    assert table["median_seconds"].iloc[1:].eq(60).all()


@pytest.mark.parametrize("size", [63, 64, 65, 128, 129, 255, 256, 257, 300])
def test_any_number_of_event_names(size: int) -> None:
    """Masks repeat after 64 names, codes grow wider after 255; neither may show."""
    names = [f"n{k:03}" for k in range(size)]
    rng = np.random.default_rng(size)
    people = {
        f"u{u}": [(int(m), names[k]) for m, k in enumerate(rng.integers(0, size, 40))]
        for u in range(60)
    }
    log = log_of(people, names)
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
    log = log_of(
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
            "time": START + pd.to_timedelta(np.sort(rng.integers(0, 10**9, size)), "us"),
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
