"""Who saw a value and converted, by hand: the very instants where it turns."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.segments.kernels_content import led

VISIT, SIGN, BUY, HIDDEN = 0, 1, 2, 3
WINDOW, END = 10, 100
A, B, NONE = 0, 1, -1


def counts(rows, *, since=-1_000, until=END, first_only=False, shows=(1, 1, 1, 0)):
    """(n, k, macro, open) of value a, of value b, and of people, for one person between others."""
    rows = [(50, VISIT, NONE), *rows, (60, VISIT, NONE)]
    time, event, value = (np.array(column) for column in zip(*rows, strict=True))
    offsets = np.array([0, 1, len(rows) - 1, len(rows)])
    bounds = np.array([since, until, END], np.int64)
    found = led(
        time.astype(np.int64), event.astype(np.uint8), offsets, value.astype(np.int8), 2,
        np.array(shows, np.uint8), SIGN, BUY, WINDOW, bounds, first_only,
    )  # fmt: skip
    return [tuple(row) for row in found.tolist()]


ZERO = (0, 0, 0, 0)


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
def test_one_value(rows, expected):
    assert counts(rows) == [expected, ZERO, expected]


def test_values_are_counted_each_and_people_once_from_their_first():
    rows = [(0, VISIT, A), (8, VISIT, B), (15, SIGN, NONE), (17, BUY, NONE)]
    assert counts(rows) == [(1, 0, 0, 0), (1, 1, 1, 0), (1, 0, 0, 0)]
    assert counts(rows, first_only=True) == [(1, 0, 0, 0), ZERO, (1, 0, 0, 0)]
    assert counts(rows, since=1) == [ZERO, (1, 1, 1, 0), (1, 1, 1, 0)]
    assert counts(rows, since=8, until=9)[1] == (1, 1, 1, 0)
    assert counts(rows, since=0, until=8) == [(1, 0, 0, 0), ZERO, (1, 0, 0, 0)]


def test_whoever_came_before_the_period_has_no_first_value_in_it():
    rows = [(0, VISIT, A), (8, VISIT, B)]
    assert counts(rows, since=1, first_only=True) == [ZERO, ZERO, ZERO]
    assert counts([(0, VISIT, NONE), (8, VISIT, B)], since=1, first_only=True)[1] == (1, 0, 0, 0)


def test_only_rows_that_show_a_value_count():
    rows = [(0, BUY, A), (3, VISIT, B)]
    assert counts(rows, shows=(1, 0, 0, 0)) == [ZERO, (1, 0, 0, 0), (1, 0, 0, 0)]
    assert counts(rows, shows=(1, 0, 0, 0), first_only=True)[1] == (1, 0, 0, 0)
