"""First conversions against plain Python: dictionaries, one user and one event after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.eventlog.kernels import event_masks
from analysis.timing import kernels as timing

NAMES, START, MACRO = 3, 0, 1
"""Codes 0 to 2 are events, 3 is a hidden row."""

Row = tuple[int, int, int]
row = st.tuples(st.integers(0, 6), st.integers(0, NAMES), st.integers(-1, 3))
people_rows = st.lists(st.lists(row, min_size=1, max_size=8), max_size=4)


def found(people: list[list[Row]], codes: tuple[int, int], until: int) -> list[tuple[Any, ...]]:
    flat = [r for own in people for r in sorted(own, key=lambda r: r[0])]
    time, event, session = (np.array([r[k] for r in flat], np.int64) for k in range(3))
    offsets = np.cumsum([0, *map(len, people)]).astype(np.int64)
    event = event.astype(np.uint8)
    rows, *columns = timing.first_conversions(
        time,
        event,
        session.astype(np.int8),
        offsets,
        event_masks(event, offsets),
        NAMES,
        codes,
        until,
        4,
    )
    return list(zip(rows.tolist(), *(column.tolist() for column in columns), strict=True))


def expected(people: list[list[Row]], codes: tuple[int, int], until: int) -> list[tuple[Any, ...]]:
    start, macro = codes
    said, base = [], 0
    for own in people:
        rows = sorted(own, key=lambda r: r[0])
        starts = [
            i
            for i, (time, event, _) in enumerate(rows)
            if time <= until and event < NAMES and start in (-1, event)
        ]
        if starts:
            first = starts[0]
            begun = rows[first][0]
            done = [i for i, (t, e, _) in enumerate(rows) if e == macro and begun <= t <= until]
            if not done:
                said.append((base + first, until - begun, 0, False))
            else:
                met = [
                    s for _, e, s in rows[first : max(first, done[0]) + 1] if e < NAMES and s >= 0
                ]
                order = list(dict.fromkeys([*met, rows[done[0]][2]]))
                own_session = rows[done[0]][2]
                number = 0 if own_session < 0 else order.index(own_session) + 1
                said.append((base + first, rows[done[0]][0] - begun, number, True))
        base += len(rows)
    return said


@given(people_rows, st.sampled_from([-1, START]), st.integers(0, 7))
@example([[(1, 1, 0), (1, 0, 2)]], START, 7)  # the macro stands first at the same instant
@example([[(1, 0, 0), (2, 2, 1), (3, 2, 0), (4, 1, 1)]], START, 7)  # sessions that overlap
@example([[(1, 0, 0), (2, 3, 1), (3, 1, 2)]], START, 7)  # a hidden session counts nowhere
@example([[(1, 1, 0), (2, 0, 0), (4, 1, -1)]], START, 7)  # a macro before the start, then another
def test_first_start_first_macro_and_its_session(
    people: list[list[Row]], start: int, until: int
) -> None:
    codes = (start, MACRO)
    assert found(people, codes, until) == expected(people, codes, until)


def test_two_names_may_share_a_bit_of_the_mask() -> None:
    time, offsets = np.array([1, 2], np.int64), np.array([0, 2])
    event = np.array([64, 1], np.uint8)  # 64 shares its bit with 0
    args = (time, event, np.zeros(2, np.int8), offsets, event_masks(event, offsets), 66)
    assert not len(timing.first_conversions(*args, (0, 1), 9, 1)[0])
    assert timing.first_conversions(*args, (64, 1), 9, 1)[1].tolist() == [1]
    assert timing.first_conversions(*args, (64, 65), 9, 1)[1].tolist() == [8]
