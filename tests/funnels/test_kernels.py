"""What was done before and between instants, and medians by classes, against plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.funnels import kernels

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
    counts = kernels.users_before(*arrays(people), MACRO, window, NAMES, known_from)
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
    found = kernels.leads(*arrays(people), MACRO, window, place, 2)
    assert found.tolist() == expected


def test_a_mask_that_says_more_than_the_rows_adds_nobody():
    """A view hides rows and keeps the masks; and codes 64 apart share a bit."""
    time, event, offsets, masks = arrays([[(1, 0)], [(1, 0), (2, MACRO)]])
    masks[:] = 0b1111
    place = np.array([0, -1, -1, -1, -1], np.int64)
    assert kernels.leads(time, event, offsets, masks, MACRO, 5, place, 1).tolist() == [[1]]
    counts = kernels.users_before(time, event, offsets, masks, MACRO, 5, NAMES, 0)
    assert counts.tolist() == [1, 0, 1, 0, 1]


# ── What was done between two instants.

NAMES_BETWEEN = 3
"""Codes 0 to 2 are events, 3 is a hidden row."""


rows = st.lists(st.tuples(st.integers(0, 9), st.integers(0, NAMES_BETWEEN)), min_size=1, max_size=8)


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
        for code in range(NAMES_BETWEEN)
    ]
    users, after, before = (
        np.array([one[k] for one in asked], np.int64).reshape(-1) for k in range(3)
    )
    found = kernels.done_between(
        np.array([time for time, _ in flat], np.int64),
        np.array([event for _, event in flat], np.uint8),
        np.cumsum([0, *map(len, people)]).astype(np.int64),
        users,
        after,
        before,
        NAMES_BETWEEN,
    )
    assert found.tolist() == expected


# ── The median of numbers in several arrays is that of all of them together.

NUMBERS = st.integers(0, 300) | st.integers(0, 2**62) | st.integers(10**9, 10**9 + 500)


@given(st.lists(NUMBERS, min_size=2, max_size=60))
def test_classes_keep_the_order(numbers: list[int]) -> None:
    classes = [kernels.class_of(np.int64(number)) for number in sorted(numbers)]
    assert classes == sorted(classes)
    assert classes[0] >= 0
    assert classes[-1] < kernels.CLASSES


@given(st.lists(st.tuples(NUMBERS, st.integers(0, 2)), max_size=60), st.data())
def test_numbers_are_counted_and_fetched_by_group(
    numbers: list[tuple[int, int]], data: st.DataObject
) -> None:
    values = np.array([value for value, _ in numbers], np.int64)
    owners = np.array([owner for _, owner in numbers], np.int32)
    place = np.array([1, 0, 1])
    classes, totals = np.zeros((2, kernels.CLASSES), np.int64), np.zeros(2, np.int64)
    kernels.tally(values, owners, place, classes, totals)
    own = [[v for v, owner in numbers if place[owner] == group] for group in (0, 1)]
    assert classes.sum(axis=1).tolist() == [len(mine) for mine in own]
    assert [total % 2**64 for total in totals.tolist()] == [sum(mine) % 2**64 for mine in own]
    for group, mine in enumerate(own):
        if mine:
            low, high = sorted(data.draw(st.sampled_from(mine)) for _ in range(2))
            first, last = (kernels.class_of(np.int64(value)) for value in (low, high))
            found = kernels.fetch(values, owners, place, group, first, last)
            wanted = [v for v in mine if first <= kernels.class_of(np.int64(v)) <= last]
            assert found.tolist() == wanted


def test_without_owners_all_numbers_are_of_the_first_group() -> None:
    values, nobody = np.array([5, 7, 9]), np.empty(0, np.int32)
    classes, totals = np.zeros((3, kernels.CLASSES), np.int64), np.zeros(3, np.int64)
    kernels.tally(values, nobody, np.array([2]), classes, totals)
    assert totals.tolist() == [0, 0, 21]
    assert classes.sum(axis=1).tolist() == [0, 0, 3]
    every = (0, kernels.CLASSES)
    assert kernels.fetch(values, nobody, np.array([2]), 2, *every).tolist() == [5, 7, 9]
    assert kernels.fetch(values, nobody, np.array([2]), 0, *every).tolist() == []
