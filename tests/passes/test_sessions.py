"""Sessions by pauses, days and campaigns: the pass against pandas and against tables by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analysis.eventlog.kernels_sessions import by_first_seen, by_rules

GAP = 5
NEVER = 10**6
NO_DAYS, NO_CAMPAIGNS = np.empty(0, np.int64), np.empty(0, np.int8)


def sessions_of(time, offsets, *, gap=GAP, shown=None, days=NO_DAYS, campaigns=NO_CAMPAIGNS):
    hidden = np.zeros(len(time)) if shown is None else ~np.array(shown)
    given = np.array(time, np.int64), hidden.astype(np.uint8), np.array(offsets, np.int64)
    return by_rules(*given, 1, gap, np.array(days, np.int64), np.array(campaigns, np.int8)).tolist()


@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=10), max_size=5))
def test_a_pause_longer_than_the_gap_starts_a_session(people: list[list[int]]) -> None:
    frame = pd.DataFrame(
        [(u, t) for u, own in enumerate(people) for t in sorted(own)], columns=["user", "time"]
    ).astype("int64")
    pause = frame.groupby("user")["time"].diff()
    want = (pause > GAP).groupby(frame["user"]).cumsum()
    offsets = np.cumsum([0, *map(len, people)])
    assert sessions_of(frame["time"].to_numpy(), offsets) == want.tolist()


def test_a_pause_as_long_as_the_gap_does_not() -> None:
    time = [0, GAP, 2 * GAP + 1, 2 * GAP + 1, 0, 99]
    assert sessions_of(time, [0, 4, 6]) == [0, 0, 1, 1, 0, 1]


def test_a_day_starts_a_session_at_its_first_instant() -> None:
    time = [9, 10, 19, 20, 45, 9, 30]
    assert sessions_of(time, [0, 5, 7], gap=NEVER, days=[10, 20, 30, 40]) == [0, 1, 1, 2, 3, 0, 1]


def test_another_campaign_starts_a_session_and_a_missing_one_does_not() -> None:
    time = [0, 1, 2, 3, 4, 5, 6]
    campaigns = [-1, 2, -1, 2, 3, -1, 2]
    assert sessions_of(time, [0, 7], campaigns=campaigns) == [0, 0, 0, 0, 1, 1, 2]


def test_a_session_forgets_the_campaign_of_the_one_before() -> None:
    time = [0, 1, 100, 101, 102]
    assert sessions_of(time, [0, 5], campaigns=[7, 7, -1, 8, 7]) == [0, 0, 1, 1, 2]


def test_a_user_does_not_know_the_campaign_of_the_one_before() -> None:
    assert sessions_of([0, 1], [0, 1, 2], campaigns=[7, 8]) == [0, 0]


def test_hidden_rows_have_no_say() -> None:
    time, campaigns = [0, 4, 8, 9, 10], [1, 1, 1, 2, 1]
    shown = [True, False, True, False, True]
    assert sessions_of(time, [0, 5], shown=shown, campaigns=campaigns) == [0, 0, 1, 1, 1]
    assert sessions_of([3, 9], [0, 2], shown=[False, True]) == [0, 0]


@given(st.lists(st.lists(st.integers(-1, 5), min_size=1, max_size=10), max_size=5))
def test_visits_are_numbered_in_the_order_of_their_first_row(units: list[list[int]]) -> None:
    offsets = np.cumsum([0, *map(len, units)])
    visits = np.array([visit for own in units for visit in own], np.int64)
    want = []
    for own in units:
        known = list(dict.fromkeys(visit for visit in own if visit >= 0))
        want += [known.index(visit) if visit >= 0 else -1 for visit in own]
    assert by_first_seen(visits, offsets, 6).tolist() == want
