"""What was done before the first macro, against plain Python on every row."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.funnels import kernels as lookback

NAMES, MACRO = 4, 2
"""Codes 0 to 3 are events, 4 is a hidden row."""

Row = tuple[int, int]
people_rows = st.lists(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, NAMES)), min_size=1, max_size=9),
    max_size=6,
)


def arrays(people: list[list[Row]]) -> tuple[np.ndarray, ...]:
    rows = [row for own in people for row in sorted(own, key=lambda r: r[0])]
    masks = [sum({1 << event for _, event in own if event < NAMES}) for own in people]
    return (
        np.array([time for time, _ in rows], np.int64),
        np.array([event for _, event in rows], np.uint8),
        np.cumsum([0, *map(len, people)]).astype(np.int64),
        np.array(masks, np.uint64),
    )


def before(own: list[Row], window: int) -> tuple[int, list[Row]] | None:
    """The first macro's instant, and every row of the user in the window before it."""
    macros = [time for time, event in own if event == MACRO]
    if not macros:
        return None
    at = min(macros)
    return at, [(t, e) for t, e in own if at - window <= t <= at and e < NAMES]


@given(people_rows, st.integers(1, 8), st.integers(0, 6))
def test_users_before_are_those_of_plain_python(people, window, known_from):
    found = [b for b in (before(own, window) for own in people) if b]
    expected = [sum(any(e == code for _, e in rows) for _, rows in found) for code in range(NAMES)]
    expected.append(sum(at - window < known_from for at, _ in found))
    counts = lookback.users_before(*arrays(people), MACRO, window, NAMES, known_from)
    assert counts.tolist() == expected


@given(people_rows, st.integers(1, 8), st.permutations([0, 1, -1]))
def test_leads_are_those_of_plain_python(people, window, columns):
    place = np.array([columns[0], columns[1], -1, columns[2], -1], np.int64)
    expected = []
    for at, rows in (b for b in (before(own, window) for own in people) if b):
        own = [-1, -1]
        for code in (0, 1, 3):
            times = [t for t, e in rows if e == code]
            if times and place[code] >= 0:
                own[place[code]] = at - min(times)
        expected.append(own)
    found = lookback.leads(*arrays(people), MACRO, window, place, 2)
    assert found.tolist() == expected


def test_a_mask_that_says_more_than_the_rows_adds_nobody():
    """A view hides rows and keeps the masks; and codes 64 apart share a bit."""
    time, event, offsets, masks = arrays([[(1, 0)], [(1, 0), (2, MACRO)]])
    masks[:] = 0b1111
    place = np.array([0, -1, -1, -1, -1], np.int64)
    assert lookback.leads(time, event, offsets, masks, MACRO, 5, place, 1).tolist() == [[1]]
    counts = lookback.users_before(time, event, offsets, masks, MACRO, 5, NAMES, 0)
    assert counts.tolist() == [1, 0, 1, 0, 1]
