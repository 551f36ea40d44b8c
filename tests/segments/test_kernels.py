"""The loops by hand and against numpy: the very instants where they turn, bounds, hidden rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.segments import kernels
from analysis.segments.kernels import carts, conversions_by_value

# Rules on bare arrays: bounds, hidden rows, and what the rules themselves do not reach.

LOW, HIGH = -int(kernels.EVER), int(kernels.EVER)

times = st.lists(st.integers(-3, 6), max_size=12).map(sorted)


@given(times, st.integers(-4, 8))
def test_the_first_row_at_an_instant_is_that_of_numpy(found: Any, instant: int) -> None:
    time = np.array(found, np.int64)
    assert kernels.first_at(time, 0, len(time), instant) == np.searchsorted(time, instant)


@given(times, st.integers(-4, 8), st.integers(-4, 8), st.data())
def test_counts_and_tallies_are_those_of_numpy(
    found: Any, low: int, high: int, data: st.DataObject
) -> None:
    time = np.array([*found, *found], np.int64)
    event = np.array(
        data.draw(st.lists(st.integers(0, 2), min_size=len(time), max_size=len(time))), np.uint8
    )
    offsets = np.array([0, len(found), len(time)], np.int64)
    tally = kernels.tallied(time, event, offsets, 2, low, high)
    masks, lut = np.full(2, 3, np.uint64), np.array([0, 1, 0], np.uint8)
    count = kernels.counted(time, event, offsets, masks, lut, np.uint64(2), low, high)
    first, last = (
        find(time, event, offsets, masks, lut, np.uint64(2), low, high)
        for find in (kernels.found_first, kernels.found_last)
    )
    for u in range(2):
        rows = np.arange(offsets[u], offsets[u + 1])
        rows = rows[(time[rows] >= low) & (time[rows] < high)]
        assert tally[u].tolist() == [(event[rows] == code).sum() for code in range(2)]
        mine = rows[event[rows] == 1]
        assert count[u] == len(mine)
        assert (first[u], last[u]) == ((mine[0], mine[-1]) if len(mine) else (-1, -1))


def test_users_whose_events_do_not_matter_are_skipped() -> None:
    time, event = np.zeros(2, np.int64), np.zeros(2, np.uint8)
    offsets, lut = np.array([0, 1, 2], np.int64), np.array([1], np.uint8)
    masks = np.array([1, 0], np.uint64)
    count = kernels.counted(time, event, offsets, masks, lut, np.uint64(1), LOW, HIGH)
    assert count.tolist() == [1, 0]


def test_days_are_counted_from_midnight_before_1970_too() -> None:
    day = 86_400
    time = np.array([-day - 1, -day, -1, 0, day - 1, day], np.int64)
    codes, offsets = np.zeros(6, np.uint8), np.array([0, 6], np.int64)
    masks, lut = np.ones(1, np.uint64), np.array([1], np.uint8)
    count = kernels.days(time, codes, offsets, masks, lut, np.uint64(1), day, LOW, HIGH)
    assert count.tolist() == [4]


# Carts: what begins, closes and leaves one.

ADD, PAY, OTHER = 0, 1, 2
WAIT = 10


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], (0, 0)),
        ([(0, PAY)], (0, 0)),
        ([(0, ADD)], (1, 1)),
        ([(0, ADD), (10, PAY)], (1, 0)),
        ([(0, ADD), (11, PAY)], (1, 1)),
        ([(0, ADD), (10, ADD), (20, PAY)], (1, 0)),
        ([(0, ADD), (11, ADD), (12, PAY)], (2, 1)),
        ([(0, ADD), (1, PAY), (2, ADD), (3, PAY)], (2, 0)),
        ([(5, PAY), (5, ADD)], (1, 0)),
        ([(5, OTHER), (5, ADD), (8, OTHER), (9, PAY)], (1, 0)),
        ([(89, ADD)], (1, 1)),
        ([(90, ADD)], (0, 0)),
        ([(95, ADD), (99, PAY)], (1, 0)),
        ([(95, ADD), (100, PAY)], (0, 0)),
    ],
)
def test_the_carts_of_one_person(rows: Any, expected: Any) -> None:
    time = np.array([t for t, _ in rows], np.int64)
    event = np.array([e for _, e in rows], np.uint8)
    # Somebody without rows before, somebody with a cart after: neither may leak.
    time, event = np.append(time, 50), np.append(event, np.uint8(ADD))
    offsets = np.array([0, 0, len(rows), len(rows) + 1])
    decided, left = carts(time, event, offsets, ADD, PAY, WAIT, 100)
    assert (decided.tolist(), left.tolist()) == ([0, expected[0], 1], [0, expected[1], 1])


# Values seen and conversions after them.

VISIT, SIGN, BUY, HIDDEN = 0, 1, 2, 3
WINDOW, END = 10, 100
A, B, NONE = 0, 1, -1
ZERO = (0, 0, 0, 0)


def counts(
    rows: Any,
    *,
    since: int = -1_000,
    until: Any = END,
    first_only: bool = False,
    shows: Any = (1, 1, 1, 0),
) -> Any:
    """(n, k, macro, open) of value a, of value b, and of people, for one person between others."""
    rows = [(50, VISIT, NONE), *rows, (60, VISIT, NONE)]
    time, event, value = (np.array(column) for column in zip(*rows, strict=True))
    offsets = np.array([0, 1, len(rows) - 1, len(rows)])
    bounds = np.array([since, until, END], np.int64)
    found, _ = conversions_by_value(
        time.astype(np.int64), event.astype(np.uint8), offsets, value.astype(np.int8), 2,
        np.array(shows, np.uint8), SIGN, BUY, WINDOW, bounds, first_only,
    )  # fmt: skip
    return [tuple(row) for row in found.tolist()]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0, VISIT, A)], (1, 0, 0, 0)),
        ([(0, VISIT, A), (10, SIGN, NONE)], (1, 1, 0, 0)),
        ([(0, VISIT, A), (11, SIGN, NONE)], (1, 0, 0, 0)),
        ([(0, VISIT, A), (0, SIGN, NONE)], ZERO),
        ([(0, SIGN, NONE), (5, VISIT, A)], ZERO),
        ([(0, SIGN, A)], ZERO),
        ([(0, VISIT, A), (10, BUY, NONE)], (1, 0, 1, 0)),
        ([(0, VISIT, A), (11, BUY, NONE)], (1, 0, 0, 0)),
        ([(0, VISIT, A), (0, BUY, NONE)], (1, 0, 0, 0)),
        ([(0, VISIT, A), (0, BUY, NONE), (3, BUY, NONE)], (1, 0, 1, 0)),
        ([(-5, BUY, NONE), (0, VISIT, A), (9, BUY, NONE)], (1, 0, 1, 0)),
        ([(0, VISIT, A), (5, VISIT, A), (12, SIGN, NONE)], (1, 0, 0, 0)),
        ([(90, VISIT, A)], (1, 0, 0, 0)),
        ([(91, VISIT, A), (95, SIGN, NONE)], (0, 0, 0, 1)),
        ([(0, HIDDEN, A)], ZERO),
    ],
)
def test_one_value(rows: Any, expected: Any) -> None:
    assert counts(rows) == [expected, ZERO, expected]


def test_values_are_counted_each_and_people_once_from_their_first() -> None:
    rows = [(0, VISIT, A), (8, VISIT, B), (15, SIGN, NONE), (17, BUY, NONE)]
    assert counts(rows) == [(1, 0, 0, 0), (1, 1, 1, 0), (1, 0, 0, 0)]
    assert counts(rows, first_only=True) == [(1, 0, 0, 0), ZERO, (1, 0, 0, 0)]
    assert counts(rows, since=1) == [ZERO, (1, 1, 1, 0), (1, 1, 1, 0)]
    assert counts(rows, since=8, until=9)[1] == (1, 1, 1, 0)
    assert counts(rows, since=0, until=8) == [(1, 0, 0, 0), ZERO, (1, 0, 0, 0)]


def test_whoever_came_before_the_period_has_no_first_value_in_it() -> None:
    rows = [(0, VISIT, A), (8, VISIT, B)]
    assert counts(rows, since=1, first_only=True) == [ZERO, ZERO, ZERO]
    assert counts([(0, VISIT, NONE), (8, VISIT, B)], since=1, first_only=True)[1] == (1, 0, 0, 0)


def test_first_values_of_one_instant_are_counted() -> None:
    def tied(rows: Any, *, first_only: bool = True) -> int:
        time, event, value = (np.array(column, np.int64) for column in zip(*rows, strict=True))
        bounds = np.array([-1, END, END], np.int64)
        rest = (2, np.array([1, 1, 0, 0], np.uint8), SIGN, BUY, WINDOW, bounds, first_only)
        return int(conversions_by_value(time, event, np.array([0, len(rows)]), value, *rest)[1])

    assert tied([(0, VISIT, A), (0, VISIT, B)]) == 1
    assert tied([(0, VISIT, A), (0, VISIT, B)], first_only=False) == 0
    assert tied([(0, VISIT, A), (0, VISIT, A), (0, VISIT, NONE), (0, BUY, B), (1, VISIT, B)]) == 0


def test_only_rows_that_show_a_value_count() -> None:
    rows = [(0, BUY, A), (3, VISIT, B)]
    assert counts(rows, shows=(1, 0, 0, 0)) == [ZERO, (1, 0, 0, 0), (1, 0, 0, 0)]
    assert counts(rows, shows=(1, 0, 0, 0), first_only=True)[1] == (1, 0, 0, 0)
