"""The kernel of forms against plain Python, attempt by attempt."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from oracles.form_oracle import FIELDS, KINDS, attempt

from analysis.forms import kernels

FOCUS, CHANGE, ERROR, SUBMIT = kernels.FOCUS, kernels.CHANGE, kernels.ERROR, kernels.SUBMIT
row = st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(-1, len(FIELDS) - 1))
attempts = st.lists(st.lists(row, min_size=1, max_size=12), max_size=4)
macros = st.lists(st.booleans(), min_size=4, max_size=4)


@given(attempts, macros)
@example(
    [[(0, SUBMIT, -1), (1, ERROR, -1), (2, CHANGE, 0), (3, SUBMIT, -1)]], [True] * 4
)  # a blank submit
@example(
    [[(0, CHANGE, 0), (1, CHANGE, 1), (2, CHANGE, 0), (3, ERROR, 0)]], [True] * 4
)  # back, then an error
@example(
    [[(0, FOCUS, 0), (2, ERROR, 1), (5, FOCUS, 0), (6, SUBMIT, 2)]], [True] * 4
)  # an error elsewhere
@example(
    [[(0, CHANGE, 0), (1, SUBMIT, -1), (2, CHANGE, 0)]], [True] * 4
)  # changed again after a submit
@example(
    [[(0, CHANGE, 0), (1, SUBMIT, -1), (1, ERROR, -1)]], [True] * 4
)  # an error in the instant of the submit
@example([[(0, SUBMIT, -1), (0, CHANGE, 0), (0, CHANGE, 1)]], [True] * 4)  # all in one instant
def test_fields_and_ends_are_those_seen_by_hand(
    drawn: list[list[tuple[int, int, int]]], later: list[bool]
) -> None:
    drawn = [sorted(own, key=lambda r: r[0]) for own in drawn]
    flat = [r for own in drawn for r in own]
    times, kinds, names = (np.array([r[k] for r in flat], np.int64) for k in range(3))
    starts = np.cumsum([0, *map(len, drawn)]).astype(np.int64)
    users = np.array([0, 0, 1, 2][: len(drawn)], np.int64)
    counts, ends, people, ended, order, waits, touched = kernels.count_fields(
        kinds, names, times, starts, users, np.array(later), len(FIELDS)
    )
    tried = [
        attempt([(KINDS[k], FIELDS[f] if f >= 0 else None, float(t)) for t, k, f in own])
        for own in drawn
    ]
    came = [t for t, after in zip(tried, later, strict=False) if after]
    assert ends.tolist() == [
        [
            len(those),
            sum(t["done"] for t in those),
            sum(t["submitted"] for t in those),
            sum(t["nothing"] for t in those),
            sum(not t["done"] and t["last"] is None for t in those),
            sum(t["tied"] for t in those),
            sum(t["mixed"] for t in those),
        ]
        for those in (tried, came)
    ]
    by_end = [
        [True for _ in tried],
        [t["done"] for t in tried],
        [not t["done"] for t in tried],
        [t["submitted"] for t in tried],
    ]
    assert ended.tolist() == [
        len({u for u, yes in zip(users.tolist(), own, strict=True) if yes}) for own in by_end
    ]
    for number, name in enumerate(FIELDS):
        own = zip(users.tolist(), tried, strict=True)
        assert people[number] == len({u for u, t in own if name in t["order"]})
        assert counts[number].tolist() == [
            sum(name in t["order"] for t in tried),
            sum(t["last"] == name and not t["done"] for t in tried),
            sum(t["last"] == name for t in tried),
            sum(name in t["refilled"] for t in tried),
            sum(name in t["errors"] for t in tried),
            sum(t["errors"].count(name) for t in tried),
            sum(t["submitted"] and name not in t["changed"] for t in tried),
        ]
    visits = [
        (t["place"][name], -1 if np.isnan(t["seconds"][name]) else int(t["seconds"][name]), name)
        for t in tried
        for name in t["order"]
    ]
    found = [(o, w, FIELDS[f]) for o, w, f in zip(order, waits, touched, strict=True)]
    assert found == visits
