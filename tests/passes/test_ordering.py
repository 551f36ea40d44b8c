"""Sorting rows by user, time and arrival, against numpy's own sort."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.passes.ordering import event_masks, user_time_order

rows = st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3)), max_size=60)


@given(rows, st.integers(0, 2))
def test_the_order_is_by_user_then_time_then_arrival(
    drawn: list[tuple[int, int]], more: int
) -> None:
    ranks = np.array([rank for rank, _ in drawn], np.int64)
    time = np.array([t for _, t in drawn], np.int64)
    users = 6 + more
    order, offsets = user_time_order(ranks, time, users)
    assert order.tolist() == np.lexsort([np.arange(len(drawn)), time, ranks]).tolist()
    assert offsets.tolist() == np.searchsorted(np.sort(ranks), np.arange(users + 1)).tolist()


def test_a_long_unsorted_user_keeps_the_order_of_arrival() -> None:
    rng = np.random.default_rng(3)
    time = rng.integers(0, 5, 5000)
    order, _ = user_time_order(np.zeros(5000, np.int64), time, 1)
    assert order.tolist() == np.argsort(time, kind="stable").tolist()


@given(st.lists(st.lists(st.integers(0, 200), max_size=6), max_size=5))
def test_a_mask_has_the_bits_of_the_user_s_events(people: list[list[int]]) -> None:
    event = np.array([code for own in people for code in own], np.uint8)
    offsets = np.cumsum([0, *map(len, people)])
    want = [sum({1 << code % 64 for code in own}) for own in people]
    assert event_masks(event, offsets).tolist() == want
    assert event_masks(event.astype(np.uint16), offsets).tolist() == want
