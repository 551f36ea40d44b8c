"""Which chain of a unit counts: entries, instants, what touches a chain, and the three effects."""

from __future__ import annotations

from typing import Any

import chain_runs as runs
import funnel_oracle as oracle
import numba as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.funnels.funnel_codes import ask_of
from analysis.funnels.search import kernels_chain_state as state
from analysis.funnels.search.state import instant_of, next_entry


@nb.njit
def entries_of(rows, m, ask, low, high):
    """Every entry, one after the other, with the instant that it lies in."""
    found = []
    r = next_entry(rows, 0, m, ask, low, high)
    while r >= 0:
        start, stop = instant_of(rows, r, 0, m)
        found.append((r, start, stop))
        r = next_entry(rows, r + 1, m, ask, low, high)
    return found


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans()), max_size=8),
    st.integers(-1, 6),
    st.integers(-1, 6),
    st.booleans(),
)
def test_entries_and_their_instants(
    drawn: list[tuple[int, int, bool]], low: int, high: int, any_order: bool
) -> None:
    drawn = sorted(drawn, key=lambda row: row[0])
    rows = np.zeros((state.ROW_LINES, len(drawn) + 1), np.int64)
    for r, row in enumerate(drawn):
        rows[state.TIME, r], rows[state.STEPS, r], rows[state.USED, r] = row
    order = "any" if any_order else "sequential"
    asked = oracle.Question(oracle.plain("a", "b"), window=3, covers_until=9, order=order)
    found = entries_of(rows, len(drawn), ask_of(runs.question(asked)), low, high)
    times = [time for time, _, _ in drawn]
    assert found == [
        (r, times.index(time), len(times) - times[::-1].index(time))
        for r, (time, steps, used) in enumerate(drawn)
        if low <= time < high and not used and (steps if any_order else steps & 1)
    ]


@pytest.mark.parametrize("effect", runs.EFFECTS)
@pytest.mark.parametrize("count", ["units", "attempts"])
@settings(max_examples=60)
@given(units=runs.drawn_units(ties=True, longest=7), data=st.data())
def test_what_is_excluded_row_by_row(
    units: list[runs.Unit], data: Any, effect: str, count: str
) -> None:
    fixed = {"on_exclude": effect, "count": count} | ({"entry": "best"} if count != "units" else {})
    runs.compare(units, data.draw(runs.drawn_questions(span=6, **fixed)))


def found(unit: runs.Unit, *exclude: oracle.Exclusion, **options: Any) -> list[runs.Found]:
    asked = oracle.Question(oracle.plain("a", "b"), exclude=exclude, covers_until=99, **options)
    runs.compare([unit], asked)
    return runs.found_chains([unit], asked)


X = oracle.Exclusion(("x",))
A = oracle.Exclusion(("a",))


@pytest.mark.parametrize(
    ("unit", "exclude", "excluded"),
    [
        ([(0, "a"), (5, "x")], X, True),
        ([(0, "a"), (6, "x")], X, False),
        ([(0, "a"), (0, "x")], X, False),
        ([(0, "x"), (1, "a")], X, False),
        ([(0, "a"), (1, "b"), (2, "x")], X, False),
        # An event that is the chain's own, and one of its name that is not.
        ([(0, "a"), (1, "b")], A, False),
        ([(0, "a"), (0, "a")], A, False),
    ],
)
def test_what_touches_a_chain(unit: runs.Unit, exclude: oracle.Exclusion, excluded: bool) -> None:
    assert [one.excluded for one in found(unit, exclude, window=5)] == [excluded]


def test_the_first_entry_is_an_instant_whose_rows_all_may_enter() -> None:
    unit = [(0, "a"), (0, "a"), (1, "b"), (3, "a"), (4, "b")]
    (one,) = found(unit, window=5, entry="first")
    assert one.rows == (1, 2)
    (one,) = found([(0, "a"), (2, "a"), (4, "b")], window=3, entry="first")
    assert one.rows == (0, -1)


def test_a_unit_that_leaves_with_all_its_entries_may_stay_with_the_mature_ones() -> None:
    """Its furthest chain, touched, is too young to be compared with."""
    unit = [(0, "a"), (50, "a"), (51, "x"), (52, "b")]
    options = {"window": 10, "on_exclude": "drop_unit", "covers_until": 55}
    asked = oracle.Question(oracle.plain("a", "b"), exclude=(X,), **options)  # type: ignore[arg-type]
    runs.compare([unit], asked)
    (one,) = runs.found_chains([unit], asked)
    assert (one.rows, one.mature, one.chosen) == ((0, -1), True, False)
