"""First times against a loop over lists."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.correlation.kernels_firsts import NEVER, first_times

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
