"""Counts behind a log's summary, against plain Python; what a view hides counts nowhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.eventlog import kernels_counting as counting

NAMES = 3
"""Codes 0 to 2 are events, 3 is a hidden row."""

Row = tuple[int, int, int, float]
row = st.tuples(
    st.integers(-5, 5),
    st.integers(0, NAMES),
    st.integers(-1, 4),
    st.sampled_from([0.0, 1.25, -2.5, 0.000_001, math.nan]),
)
people_rows = st.lists(st.lists(row, min_size=1, max_size=6), max_size=5)


def arrays(people: list[list[Row]]) -> tuple[np.ndarray, ...]:
    flat = [row for own in people for row in sorted(own, key=lambda r: r[0])]
    time, event, session, number = ([r[k] for r in flat] for k in range(4))
    offsets = np.cumsum([0, *map(len, people)]).astype(np.int64)
    return (
        np.array(time, np.int64),
        np.array(event, np.uint8),
        np.array(session, np.int16),
        np.array(number, float),
        offsets,
    )


@given(people_rows)
def test_rows_users_and_instants_per_event(people: list[list[Row]]) -> None:
    time, event, _, _, offsets = arrays(people)
    found = counting.per_event(time, event, offsets, NAMES)
    for code in range(NAMES):
        own = [(u, r[0]) for u, rows in enumerate(people) for r in rows if r[1] == code]
        assert found[code, :2].tolist() == [len(own), len({u for u, _ in own})]
        if own:
            assert found[code, 2:].tolist() == [min(t for _, t in own), max(t for _, t in own)]
        else:
            assert found[code, 2] > found[code, 3]


@given(people_rows)
def test_sessions_are_pairs_of_user_and_session(people: list[list[Row]]) -> None:
    _, event, session, _, offsets = arrays(people)
    shown = [(u, r[2]) for u, rows in enumerate(people) for r in rows if r[1] < NAMES]
    users = len({u for u, _ in shown})
    sessions = len({pair for pair in shown if pair[1] >= 0})
    assert counting.users_and_sessions(event, session, offsets, NAMES) == (users, sessions)


def test_sessions_of_one_user_may_overlap() -> None:
    event = np.zeros(6, np.uint8)
    session = np.array([0, 1, 0, 1, 0, 2], np.int8)
    assert counting.users_and_sessions(event, session, np.array([0, 4, 6]), 1) == (2, 4)


@given(people_rows)
def test_money_adds_up_exactly(people: list[list[Row]]) -> None:
    _, event, _, numbers, _ = arrays(people)
    found, sizes = counting.money_per_event(event, numbers, NAMES, 1_000_000)
    for code in range(NAMES):
        own = [r[3] for rows in people for r in rows if r[1] == code and not math.isnan(r[3])]
        assert found[code] == sum(round(value * 1_000_000) for value in own)
        assert sizes[code] == sum(abs(round(value * 1_000_000)) for value in own)


def test_money_does_not_depend_on_the_order() -> None:
    numbers = np.array([0.1] * 10 + [1e11, -1e11, 19.99])
    assert sum(numbers) != sum(numbers[::-1])
    for order in (numbers, numbers[::-1].copy()):
        total, _ = counting.money_per_event(np.zeros(13, np.uint8), order, 1, 1_000_000)
        assert total.tolist() == [20_990_000]


@pytest.mark.parametrize("cell", [1e13, -1e300, math.inf])
def test_what_is_too_large_to_add_has_a_size_that_says_so(cell: float) -> None:
    numbers = np.array([cell, 1.0, 2.0])
    total, sizes = counting.money_per_event(np.array([0, 0, 1], np.uint8), numbers, 2, 1_000_000)
    assert sizes[0] >= 2.0**62
    assert (total[1], sizes[1]) == (2_000_000, 2_000_000)
