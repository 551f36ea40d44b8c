"""The middle of numbers in several arrays is that of all of them together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.funnels import kernels_selection as selection

NUMBERS = st.integers(0, 300) | st.integers(0, 2**62) | st.integers(10**9, 10**9 + 500)


@given(st.lists(NUMBERS, min_size=2, max_size=60))
def test_classes_keep_the_order(numbers: list[int]) -> None:
    classes = [selection.class_of(np.int64(number)) for number in sorted(numbers)]
    assert classes == sorted(classes)
    assert classes[0] >= 0
    assert classes[-1] < selection.CLASSES


@given(st.lists(st.tuples(NUMBERS, st.integers(0, 2)), max_size=60), st.data())
def test_numbers_are_counted_and_fetched_by_group(
    numbers: list[tuple[int, int]], data: st.DataObject
) -> None:
    values = np.array([value for value, _ in numbers], np.int64)
    owners = np.array([owner for _, owner in numbers], np.int32)
    place = np.array([1, 0, 1])
    classes, totals = np.zeros((2, selection.CLASSES), np.int64), np.zeros(2, np.int64)
    selection.tally(values, owners, place, classes, totals)
    own = [[v for v, owner in numbers if place[owner] == group] for group in (0, 1)]
    assert classes.sum(axis=1).tolist() == [len(mine) for mine in own]
    assert [total % 2**64 for total in totals.tolist()] == [sum(mine) % 2**64 for mine in own]
    for group, mine in enumerate(own):
        if mine:
            low, high = sorted(data.draw(st.sampled_from(mine)) for _ in range(2))
            first, last = (selection.class_of(np.int64(value)) for value in (low, high))
            found = selection.fetch(values, owners, place, group, first, last)
            wanted = [v for v in mine if first <= selection.class_of(np.int64(v)) <= last]
            assert found.tolist() == wanted


def test_without_owners_all_numbers_are_of_the_first_group() -> None:
    values, nobody = np.array([5, 7, 9]), np.empty(0, np.int32)
    classes, totals = np.zeros((3, selection.CLASSES), np.int64), np.zeros(3, np.int64)
    selection.tally(values, nobody, np.array([2]), classes, totals)
    assert totals.tolist() == [0, 0, 21]
    assert classes.sum(axis=1).tolist() == [0, 0, 3]
    every = (0, selection.CLASSES)
    assert selection.fetch(values, nobody, np.array([2]), 2, *every).tolist() == [5, 7, 9]
    assert selection.fetch(values, nobody, np.array([2]), 0, *every).tolist() == []
