"""Transitions of rows against plain Python: lists per session, one row after the other."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.journeys import kernels_transitions as transitions

EVENTS, GROUPS, SESSIONS = 4, 3, 3
LUT = np.array([0, 1, 2, 2, -1], np.int64)
"""Codes 0 to 3 are events, two of them one group; 4 is a hidden row."""

Row = tuple[int, int, int]
row = st.tuples(st.integers(0, 5), st.integers(0, EVENTS), st.integers(-1, SESSIONS - 1))
people_rows = st.lists(st.lists(row, max_size=10), max_size=4)


def arrays(people: list[list[Row]], *, split: bool) -> tuple[np.ndarray, ...]:
    flat = [r for own in people for r in own]
    time, event, session = (np.array([r[k] for r in flat], np.int64) for k in range(3))
    offsets = np.cumsum([0, *map(len, people)]).astype(np.int64)
    codes = session.astype(np.int8) if split else np.empty(0, np.int8)
    return time, event.astype(np.uint8), codes, offsets


def pairs(people: list[list[Row]], *, split: bool) -> list[tuple[int, int, int, int | None]]:
    """(user, group before or GROUPS, group, wait) of every row, line by line."""
    found: list[tuple[int, int, int, int | None]] = []
    for user, own in enumerate(people):
        shown = [r for r in own if LUT[r[1]] >= 0 and (r[2] >= 0 or not split)]
        for s in dict.fromkeys(r[2] if split else 0 for r in shown):
            line = [r for r in shown if not split or r[2] == s]
            found += [(user, GROUPS, int(LUT[line[0][1]]), None)]
            found += [
                (user, int(LUT[a[1]]), int(LUT[b[1]]), b[0] - a[0])
                for a, b in itertools.pairwise(line)
            ]
    return found


def in_order(people: list[list[Row]]) -> list[list[Row]]:
    return [sorted(own, key=lambda r: r[0]) for own in people]


@given(people_rows, st.booleans())
@example([[(0, 0, 0), (1, 1, 1), (2, 2, 0), (3, 0, 1)]], True)  # sessions that overlap
@example([[(0, 0, 0)], [(0, 1, 0)]], True)  # two users whose sessions have the same number
@example([[(0, 0, 0), (1, 1, -1), (2, 2, 0)]], True)  # a row of no session is in no line
def test_counts_people_and_waits_are_those_seen_by_hand(
    people: list[list[Row]], split: bool
) -> None:
    people = in_order(people)
    time, event, session, offsets = arrays(people, split=split)
    wanted = pairs(people, split=split)
    found = transitions.counts(event, session, SESSIONS, offsets, LUT, GROUPS)
    known = Counter((f, g) for _, f, g, _ in wanted)
    assert {at: k for at, k in np.ndenumerate(found) if k} == known

    inner = found[:GROUPS].ravel()
    place = (np.cumsum(inner) - inner).reshape(GROUPS, GROUPS)
    starts = place.copy()
    users, out = transitions.gaps(time, event, session, SESSIONS, offsets, LUT, GROUPS, place)
    whose = {(f, g): {u for u, a, b, _ in wanted if (a, b) == (f, g)} for f, g in known}
    assert {at: k for at, k in np.ndenumerate(users) if k} == {
        at: len(own) for at, own in whose.items()
    }
    for (f, g), begin in np.ndenumerate(starts):
        own = sorted(out[begin : begin + found[f, g]].tolist())
        assert own == sorted(wait for _, a, b, wait in wanted if (a, b) == (f, g))
