"""The whole pass: users are cut into units and units into attempts, and chains are written down."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import funnel_oracle as oracle
from support import chain_runs as runs

from analysis.funnels.chains import rules_of
from analysis.funnels.search import state
from analysis.funnels.search.state import instant_of, next_entry


def asking(names: str = "ab", **options: Any) -> oracle.Question:
    given: dict[str, Any] = {"window": 5, "covers_until": 1000, **options}
    return oracle.Question(oracle.plain(*names), **given)


@pytest.mark.parametrize("order", ["sequential", "strict", "any"])
@pytest.mark.parametrize("count", ["units", "attempts"])
@settings(max_examples=60)
@given(units=runs.drawn_units(ties=True, longest=6), data=st.data())
def test_chains_are_those_of_the_judge_row_by_row(
    units: list[runs.Unit], data: Any, order: str, count: str
) -> None:
    fixed = {"count": count} | ({"entry": "best"} if count == "attempts" else {})
    questions = runs.drawn_questions(order=order, bounded=order == "sequential", span=6, **fixed)
    runs.compare(units, data.draw(questions))


def lines_of(
    rows: list[tuple[int, str, int]], asked: oracle.Question, **more: Any
) -> list[runs.Line]:
    """What the pass writes of one user whose rows have units of their own (−1: of nobody)."""
    cells = runs.cells_of([[(time, name) for time, name, _ in rows]])
    cells = cells._replace(unit=np.array([unit for _, _, unit in rows], np.int64))
    touch = more.pop("touch", 0)
    cells = cells._replace(**more)
    question = runs.question(asked)
    codes = runs.codes_for(question, 1)
    return runs.run(cells, codes, question, until=asked.covers_until, touch=touch)


def steps(line: runs.Line) -> list[int]:
    return line.rows


def test_rows_of_a_unit_are_brought_together_in_the_order_of_time() -> None:
    rows = [(0, "a", 7), (1, "a", 3), (2, "b", 3), (3, "b", -1), (4, "b", 7), (5, "a", 3)]
    assert [steps(line) for line in lines_of(rows, asking(window=3))] == [[1, 2], [0, -1]]
    assert sorted(steps(line) for line in lines_of(rows, asking(window=4))) == [[0, 4], [1, 2]]
    # Rows of others, or of nobody, are no neighbors.
    strict = asking(order="strict")
    assert sorted(steps(line) for line in lines_of(rows, strict)) == [[0, 4], [1, 2]]
    assert lines_of([(0, "a", -1)], asking()) == []


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from("aabx"), st.integers(-1, 40)), max_size=60
    )
)
def test_any_number_of_units_in_a_user(rows: list[tuple[int, str, int]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    found = sorted(steps(line) for line in lines_of(rows, asking(window=2)))
    wanted = []
    for unit in {unit for _, _, unit in rows if unit >= 0}:
        own = [
            oracle.Event(time, place, name)
            for place, (time, name, whose) in enumerate(rows)
            if whose == unit
        ]
        chain = oracle.best_chain(own, asking(window=2))
        if chain:
            times = [done.event.arrival for done in chain]
            wanted.append([*times, *[-1] * (2 - len(times))])
    assert found == sorted(wanted)


def test_the_row_that_the_group_is_read_from() -> None:
    rows = [(0, "b", 0), (1, "a", 0), (2, "x", 0), (3, "b", 0), (9, "a", 0)]
    known = np.array([False, True, True, True, False])
    for touch, row in ((0, 1), (state.FIRST_TOUCH, 1), (state.LAST_TOUCH, 3)):
        (line,) = lines_of(rows, asking(), touch=touch, known=known)
        assert line.group == row
    (line,) = lines_of(rows, asking(), touch=1, known=np.zeros(5, np.bool_))
    assert line.group == -1


def test_conditions_and_hidden_rows_take_steps_and_exclusions_away() -> None:
    rows = [(0, "a", 0), (1, "x", 0), (2, "b", 0)]
    asked = asking(exclude=(oracle.Exclusion(("x",)),))
    sets = [-1, -1, -1]
    assert steps(lines_of(rows, asked)[0]) == [0, -1]
    none_barred = np.array([-1, 0, -1], np.int64)
    assert steps(lines_of(rows, asked, exclusions_hold=none_barred)[0]) == [0, 2]
    only_first = np.array([-1, -1, 1], np.int64)
    held = lines_of(rows, asked, exclusions_hold=none_barred, steps_hold=only_first)
    assert steps(held[0]) == [0, -1]
    assert steps(lines_of(rows, asked, steps_hold=np.array(sets, np.int64))[0]) == [0, -1]
    hidden = np.array([0, len(runs.NAMES), 1], np.uint8)
    assert steps(lines_of(rows, asked, event=hidden)[0]) == [0, 2]
    assert steps(lines_of(rows, asking(order="strict"), event=hidden)[0]) == [0, 2]


def test_of_users_who_need_nothing_no_row_is_read() -> None:
    asked = runs.question(asking())
    cells = runs.cells_of([[(0, "a"), (1, "b")], [(0, "a"), (0, "a"), (1, "a")], [(0, "b")]])
    for need, wanted in (
        (state.NOTHING, []),
        (state.MORE, [[0, 1], [3, -1]]),
    ):
        codes = runs.codes_for(asked, 3, need)
        found = runs.run(cells, codes, asked, until=1000)
        assert [steps(line) for line in found] == wanted
    alone = runs.codes_for(asked, 3)._replace(
        need=np.array([state.MORE, state.ENTRY_ALONE, state.NOTHING], np.uint8)
    )
    found = runs.run(cells, alone, asked, until=1000)
    assert [steps(line) for line in found] == [[0, 1], [3, -1]]


@pytest.mark.parametrize("count", ["units", "attempts"])
def test_more_chains_than_there_was_room_for(count: str) -> None:
    """Room is made twice over, and long users find room for all their rows."""
    users = [[(10 * k, "a") for k in range(5)] for _ in range(700)]
    found = runs.found_chains(users, asking(count=count))
    each = 5 if count == "attempts" else 1
    assert len(found) == 700 * each
    assert [one.unit for one in found] == [u for u in range(700) for _ in range(each)]
    # Of lone entries the one that ends first counts.
    entries = range(5) if count == "attempts" else range(1)
    assert {one.rows for one in found} == {(k, -1) for k in entries}


# ── Which chain of a unit counts: entries, instants, what touches a chain, and the three effects.


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
    found = entries_of(rows, len(drawn), rules_of(runs.question(asked)), low, high)
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
    """Its furthest chain, touched, is too young to be compared with: the mature one counts."""
    unit = [(0, "a"), (50, "a"), (51, "x"), (52, "b")]
    options = {"window": 10, "on_exclude": "drop_unit", "covers_until": 55}
    asked = oracle.Question(oracle.plain("a", "b"), exclude=(X,), **options)  # type: ignore[arg-type]
    runs.compare([unit], asked)
    (one,) = runs.found_chains([unit], asked)
    assert (one.rows, one.mature, one.chosen) == ((0, -1), True, True)
