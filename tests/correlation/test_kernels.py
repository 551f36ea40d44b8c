"""The counting kernel on arrays that fit on a line; an oracle judges the counts elsewhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.correlation import kernels
from analysis.correlation.kernels import (
    NEVER,
    CountTables,
    cell_of,
    count,
    first_times,
    no_counts,
    with_guesses,
)
from analysis.correlation.plan import period_edges

VIDEO, NEWS, BUY, VISIT, HIDDEN = range(5)


KIND = np.array([0, 1, 3, 2, 3], np.uint16)  # two events are asked about, and visits are context


EDGES = np.array([0, 10, 20, 30], np.int64)


def array(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def counted(
    people: list[list[tuple[int, int]]],
    *,
    session: list[int] | None = None,
    first: list[int] | None = None,
    covers: int = 1000,
    gap: int = 5,
    **groups: np.ndarray,
) -> tuple[CountTables, list[list[int]]]:
    """The tables and the waits by event of people, each a list of (time, event)."""
    rows = [row for person in people for row in person]
    time, event = array(*(t for t, _ in rows)), np.array([e for _, e in rows], np.uint8)
    offsets = array(0, *itertools.accumulate(map(len, people)))
    codes = np.array(session or [0] * len(rows), np.int8)
    none = np.zeros(len(people), np.int64)
    entering = offsets[:-1] if first is None else array(*first)
    given = (
        entering,
        groups.get("group", none),
        groups.get("stratum", none),
        groups.get("turns", array()),
    )
    layout, counts, tables = no_counts(asked=2, cells=3, groups=2, strata=11, binned=True)
    bounds = (30, covers, gap)
    cells, macros = with_guesses(EDGES), np.flatnonzero(event == BUY)
    waits, ends = count(
        (time, event, codes, offsets), given, macros, bounds, KIND, cells, layout, counts
    )
    return tables, [waits[a:b].tolist() for a, b in itertools.pairwise(ends)]


def at_risk(tables: CountTables) -> list[list[int]]:
    """Of the first group: strata in which anybody is, by cell."""
    everybody = tables.changes[0].cumsum(axis=-1)[:, :-1]
    return everybody[everybody.any(axis=1)].tolist()


def test_the_tables_share_one_array_and_fill_it() -> None:
    _, counts, tables = no_counts(asked=3, cells=4, groups=2, strata=5, binned=False)
    assert sum(table.size for table in tables) == counts.size
    for table in tables:
        table += 1
    assert (counts == 1).all()


def test_nobody_and_nothing() -> None:
    tables, waits = counted([[], [(0, HIDDEN)]], first=[-1, -1])
    assert not any(table.any() for table in tables)
    assert waits == [[], []]


def test_a_state_holds_from_the_next_edge() -> None:
    tables, waits = counted([[(0, VISIT), (3, VIDEO), (10, VISIT), (25, BUY)]])
    assert at_risk(tables) == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert tables.totals.tolist() == [1, 1, 1, 1, 0]
    assert tables.macros[0].nonzero() == (2, 2)
    doses = tables.done_changes[0, :, :, 1:, 0].cumsum(axis=1)[:, :-1]
    assert np.argwhere(doses).tolist() == [[1, 1, 0], [2, 2, 0]]
    assert waits == [[22], []]
    # A trial in each of the two cells before the last at risk: in the first she does it, in the
    # second she has done it before.
    trials = tables.trials[:-1]
    assert np.argwhere(trials).tolist() == [[0, 0, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0]]
    assert tables.active[:-1].sum() == 2


def test_three_times_and_more_are_one_dose() -> None:
    tables, _ = counted([[(t, NEWS) for t in range(5)]])
    doses = tables.done_changes[0, 0, :, 1:, 1].cumsum(axis=0)[:-1]
    assert doses.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert tables.did.tolist() == [[0, 1], [0, 0]]


def test_whom_the_log_does_not_cover_leaves_and_is_in_no_trial() -> None:
    tables, _ = counted([[(0, VISIT), (5, VIDEO)]], covers=20)
    assert at_risk(tables) == [[1, 0, 0], [0, 1, 0]]
    assert tables.totals.tolist() == [1, 0, 0, 0, 0]
    assert not tables.active[:-1].any()


def test_a_macro_conversion_before_the_entry_or_after_the_end_is_none() -> None:
    people = [[(0, BUY), (1, VISIT)], [(0, VISIT), (30, BUY)], [(0, VISIT), (1, BUY)]]
    tables, _ = counted(people, first=[1, 2, 4])
    assert tables.totals.tolist() == [3, 3, 1, 1, 1]


def test_a_macro_conversion_at_the_entry_counts() -> None:
    tables, _ = counted([[(0, VISIT)], [(7, BUY)]])
    assert tables.totals.tolist() == [2, 2, 1, 1, 1]
    assert tables.macros[0, 0, 0] == 1


def test_groups_strata_and_a_turn() -> None:
    people = [[(0, VISIT), (12, VISIT)], [(0, VIDEO)]]
    turns = array(10, 2**62)
    tables, _ = counted(people, turns=turns, group=array(0, 1))
    # The turn at 10 holds from the cell that starts after it.
    assert tables.changes.sum(axis=1).cumsum(axis=1)[:, :-1].tolist() == [[1, 1, 0], [1, 1, 2]]


def test_what_came_shortly_before_is_counted_once_and_in_the_session() -> None:
    person = [(0, VIDEO), (5, NEWS), (5, NEWS), (10, NEWS), (10, BUY), (10, VIDEO), (11, VIDEO)]
    session = [1, 1, 1, 2, 1, 1, 1]

    def near(gap: int, session: list[int] = session) -> list[int]:
        return counted([person], session=session, gap=gap)[0].shortly.tolist()

    assert near(5) == [1, 1]
    assert near(4) == [1, 0]
    assert near(5, [-1] * 7) == [0, 0]
    assert counted([person, person], session=session * 2)[0].shortly.tolist() == [2, 2]


def test_waits_run_from_the_first_time_to_the_macro_conversion_by_event() -> None:
    people = [
        [(0, VISIT), (10, NEWS), (20, NEWS), (25, VIDEO), (29, BUY)],
        [(0, VIDEO), (5, VIDEO), (9, NEWS), (9, BUY), (12, NEWS)],
        [(0, VIDEO), (1, NEWS)],
    ]
    tables, waits = counted(people)
    # The second does the news at the very instant: that is not before. The third never converts.
    assert waits == [[4, 9], [19]]
    assert tables.did.tolist() == [[1, 1], [2, 2]]
    assert counted([people[0]], first=[3])[1] == [[4], []]


def test_nothing_of_one_person_stays_for_the_next() -> None:
    busy = [(0, NEWS), (1, NEWS), (2, VIDEO), (3, NEWS), (14, VISIT), (26, BUY)]
    idle = [(0, VISIT), (1, NEWS), (15, VISIT)]
    late = [(0, VIDEO), (1, NEWS), (27, BUY)]
    alone = [counted([person], gap=25)[0] for person in (busy, idle, late)]
    together = counted([busy, idle, late], gap=25)[0]
    assert alone[0].shortly.tolist() == [1, 1]
    assert alone[2].shortly.tolist() == [0, 0]
    for table, *parts in zip(together, *alone, strict=True):
        assert (table == sum(parts)).all()


# ── The cell of a time, found by its leading bits, against a plain search.


def expected(edges: np.ndarray, since: int) -> int:
    return int(np.searchsorted(edges, since, side="right")) - 1


@given(st.lists(st.integers(1, 2**61), min_size=1, unique=True), st.data())
def test_any_edges(starts: list[int], data: st.DataObject) -> None:
    edges = np.array([0, *sorted(starts)], np.int64)
    cells = with_guesses(edges)
    near = [t for e in edges.tolist() for t in (e - 1, e, e + 1) if 0 <= t < edges[-1]]
    for since in (*near, data.draw(st.integers(0, int(edges[-1]) - 1))):
        assert cell_of(since, cells, len(edges)) == expected(edges, since)


@pytest.mark.parametrize("period", ["auto", "1h", "7min"])
def test_the_cells_of_a_question(period: str) -> None:
    edges = period_edges(period, "20d")
    cells = with_guesses(edges)
    rng = np.random.default_rng(1)
    times = (edges[-1] ** rng.random(2_000)).astype(np.int64)
    for since in times[times < edges[-1]].tolist():
        assert cell_of(since, cells, len(edges)) == expected(edges, since)


# ── The kernels of exposure, on arrays that fit on a line; an oracle judges the counts elsewhere.


def codes(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint8)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (8, 4), (9, 5), (256, 9), (257, 10)],
)
def test_bins_double(number: int, expected: int) -> None:
    assert kernels.BINS[number] == expected
    assert len(kernels.BINS) == kernels.MOST_COUNTED + 1 == 258


def test_a_unit_enters_with_its_first_shown_row() -> None:
    hidden = 5
    event = codes(hidden, 0, 1, hidden, hidden, 2)
    first = kernels.first_shown(event, array(0, 3, 5, 6), hidden)
    assert first.tolist() == [1, -1, 5]


def test_a_second_session_begins_with_another_name() -> None:
    time, event = np.arange(10, 18), codes(0, 0, 9, 0, 0, 0, 0, 0)
    session = np.array([-1, 3, 4, 3, -1, 5, 7, 7], np.int8)
    turns = kernels.second_sessions(time, event, session, array(0, 6, 8), 9)
    # The row at 12 is hidden, the one at 14 names no session.
    assert turns.tolist() == [15, NEVER]


def test_the_macro_conversion_is_the_first_within_horizon_and_log() -> None:
    time, offsets, first = array(0, 10, 20, 0, 30, 0, 9), array(0, 3, 5, 7), array(0, 3, 5)

    def rows(horizon: int, covers: int) -> list[int]:
        return kernels.first_macros(
            time, offsets, first, array(1, 2, 4, 6), horizon, covers
        ).tolist()

    assert rows(30, 100) == [1, -1, 6]
    assert rows(31, 100) == [1, 4, 6]
    assert rows(31, 10) == [-1, -1, 6]


def test_a_macro_conversion_before_the_entry_is_none() -> None:
    time, offsets, first = array(0, 10, 20, 0, 5), array(0, 3, 3, 5), array(1, -1, 4)
    assert kernels.first_macros(time, offsets, first, array(0, 3, 4), 9, 99).tolist() == [
        -1,
        -1,
        4,
    ]
    assert kernels.first_macros(time, offsets, first, array(), 9, 99).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("covers", "cells"), [(30, 3), (29, 2), (20, 2), (19, 1), (5, 0), (-5, 0), (10**6, 3)]
)
def test_cells_count_that_the_log_covers_whole(covers: int, cells: int) -> None:
    assert kernels.observed_cells(0, 30, covers, array(0, 10, 20, 30)) == cells


# ── First times against a loop over lists.


# Codes 0 to 3; 4 is a hidden row. Only 1 and 3 are asked about.
units = st.lists(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=8).map(sorted), max_size=6
)


@given(units, st.lists(st.integers(-1, 3), min_size=6, max_size=6), st.integers(0, 11))
def test_first_times_are_those_of_a_loop(
    people: list[list[tuple[int, int]]], entries: list[int], end: int
) -> None:
    rows = [one for own in people for one in own]
    offsets = np.cumsum([0, *map(len, people)])
    first = np.array(
        [
            offsets[u] + entries[u] if 0 <= entries[u] < len(own) else -1
            for u, own in enumerate(people)
        ],
        np.int64,
    )
    masks = np.array([sum({1 << code for _, code in own}) for own in people], np.uint64)
    time = np.array([at for at, _ in rows], np.int64)
    event = np.array([code for _, code in rows], np.uint16)
    ends = np.full(len(people), end, np.int64)
    place = np.array([-1, 0, -1, 1, -1])
    bits = np.uint64(0b1010)
    found = first_times(time, event, offsets, masks, bits, first, ends, place, 2)
    expected = np.full((2, len(people)), NEVER)
    for u, start in enumerate(first):
        if start < 0:
            continue
        for at, code in rows[start : offsets[u + 1]]:
            if place[code] >= 0 and at < end:
                expected[place[code], u] = min(expected[place[code], u], at)
    np.testing.assert_array_equal(found, expected)


# ── The rows of one shard, written out by hand.


def test_rows_stop_at_the_conversion_and_where_the_log_ends() -> None:
    time = np.array([0, 3, 12, 14, 100, 105], np.int64)
    event = np.array([1, 0, 2, 0, 1, 0], np.uint8)  # the event, context, the macro conversion
    offsets, first = np.array([0, 4, 6, 6], np.int64), np.array([0, 4, -1], np.int64)
    bought, kind = np.array([2, -1, -1], np.int64), np.array([0, 1, 2, 2], np.int64)
    bounds = (30, 121, np.array([0, 10, 20, 30], np.int64))
    size = kernels.rows_at_risk(time, first, bought, *bounds)
    assert size == 4
    unit, cell, context = (np.zeros(size, np.int64) for _ in range(3))
    converted, events = np.zeros(size, np.bool_), np.zeros((size, 1), np.int64)
    out = (unit, cell, converted, context, events)
    kernels.fill(time, event, offsets, first, bought, kind, *bounds, out)
    assert unit.tolist() == [0, 0, 1, 1]
    assert cell.tolist() == [0, 1, 0, 1]
    assert converted.tolist() == [False, True, False, False]
    assert context.tolist() == [0, 1, 0, 1]
    assert events[:, 0].tolist() == [0, 1, 0, 1]
