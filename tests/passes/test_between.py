"""What was done between two instants, against plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.funnels import kernels_between as between

NAMES = 3
"""Codes 0 to 2 are events, 3 is a hidden row."""

rows = st.lists(st.tuples(st.integers(0, 9), st.integers(0, NAMES)), min_size=1, max_size=8)
stretch = st.tuples(st.integers(0, 20), st.integers(-1, 10), st.integers(-1, 11))


@given(st.lists(rows, min_size=1, max_size=5), st.lists(stretch, max_size=8))
def test_stretches_are_those_of_plain_python(people, stretches):
    people = [sorted(own) for own in people]
    flat = [row for own in people for row in own]
    asked = [(user % len(people), after, before) for user, after, before in stretches]
    expected = [
        sum(
            any(after < time < before and event == code for time, event in people[user])
            for user, after, before in asked
        )
        for code in range(NAMES)
    ]
    users, after, before = (
        np.array([one[k] for one in asked], np.int64).reshape(-1) for k in range(3)
    )
    found = between.done_between(
        np.array([time for time, _ in flat], np.int64),
        np.array([event for _, event in flat], np.uint8),
        np.cumsum([0, *map(len, people)]).astype(np.int64),
        users,
        after,
        before,
        NAMES,
    )
    assert found.tolist() == expected
