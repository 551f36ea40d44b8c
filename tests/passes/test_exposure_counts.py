"""The counting kernel on arrays that fit on a line; an oracle judges the counts elsewhere."""

from __future__ import annotations

import itertools

import numpy as np

from analysis.correlation.kernels import count
from analysis.correlation.kernels_cells import with_guesses
from analysis.correlation.kernels_exposure_layout import Tables, no_counts

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
) -> tuple[Tables, list[list[int]]]:
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


def at_risk(tables: Tables) -> list[list[int]]:
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
