"""Sorting rows by user, time and arrival, against numpy's own sort."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.eventlog.kernels import (
    eight_bytes,
    event_masks,
    mark,
    part_entries,
    part_order,
    taken,
    user_time_order,
)

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


parted = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 4)), max_size=40)


@given(parted)
def test_rows_are_dealt_out_in_the_order_of_their_arrival(drawn: list[tuple[int, int]]) -> None:
    part = np.array([p for p, _ in drawn], np.int64)
    order, counts = part_order(part, 5)
    assert order.tolist() == np.argsort(part, kind="stable").tolist()
    assert counts.tolist() == np.bincount(part, minlength=5).tolist()


@given(parted, st.lists(st.integers(0, 9), min_size=5, max_size=5))
def test_a_part_s_values_are_numbered_as_they_appear(
    drawn: list[tuple[int, int]], before: list[int]
) -> None:
    part = np.array([p for p, _ in drawn], np.int64)
    codes = np.array([code for _, code in drawn], np.int32)
    order, counts = part_order(part, 5)
    entry, first, found = part_entries(codes, order, counts, np.array(before), 5)
    want, values, new = [], [], []
    for p in range(5):
        own = [code for place, code in drawn if place == p]
        seen = list(dict.fromkeys(code for code in own if code >= 0))
        want += [before[p] + seen.index(code) if code >= 0 else -1 for code in own]
        values += seen
        new.append(len(seen))
    assert (entry.tolist(), first.tolist(), found.tolist()) == (want, values, new)


@given(st.lists(st.binary(max_size=12), max_size=9), st.integers(0, 5))
def test_eight_bytes_are_a_number_in_the_order_of_bytes(texts: list[bytes], skip: int) -> None:
    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.cumsum([0, *map(len, texts)])
    want = [int.from_bytes(text[skip : skip + 8].ljust(8, b"\0"), "big") for text in texts]
    assert eight_bytes(data, offsets, skip).tolist() == want


@given(st.lists(st.integers(-1, 6), max_size=20), st.randoms(use_true_random=False))
def test_codes_are_looked_up_and_the_missing_one_is_the_last(codes, random) -> None:
    order = random.sample(range(len(codes)), len(codes))
    lookup = np.array([10, 11, 12, 13, 14, 15, 16, -1], np.int8)
    array = np.array(codes, np.int32)
    found = taken(lookup, array, np.array(order, np.int64))
    assert found.dtype == np.int8
    assert found.tolist() == lookup[array[np.array(order, int)]].tolist()
    used = np.zeros(8, np.bool_)
    mark(array, used)
    assert set(np.flatnonzero(used)) == {code % 8 for code in codes}
